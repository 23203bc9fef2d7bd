//! What is written of a request: when it was is what another calendar says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use callgate::audit::timestamp;
use callgate::clock::UnixTime;
use proptest::prelude::*;

fn shown(time: SystemTime) -> String {
    String::from_utf8(timestamp(time).to_vec()).expect("text")
}

proptest! {
    #![proptest_config(crate::cases(2000))]

    #[test]
    fn a_time_is_the_one_of_another_calendar(secs in 0..=UnixTime::MAX.as_secs(), nanos in 0..1_000_000_000_u32) {
        let time = UNIX_EPOCH + Duration::new(secs, nanos);
        let date = httpdate::fmt_http_date(time);
        let [_, day, month, year, clock, _] = *date.split(' ').collect::<Vec<_>>() else { panic!("{date}") };
        let month = 1 + MONTHS.iter().position(|name| *name == month).expect("a month");
        let millis = nanos / 1_000_000;
        let expected = format!("{year}-{month:02}-{day}T{clock}.{millis:03}Z");
        prop_assert_eq!(shown(time), expected);
    }
}

#[test]
fn a_time_beyond_the_calendar_is_its_end() {
    assert_eq!(shown(UNIX_EPOCH - Duration::from_millis(1500)), "1970-01-01T00:00:00.000Z");
    let after = UNIX_EPOCH + Duration::from_millis(253_402_300_800_007);
    assert_eq!(shown(after), "9999-12-31T23:59:59.007Z");
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
