//! What is written of a request is what `serde_json` would write of its record, and when it was is what another calendar says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use callgate::audit::{Record, RecordedDecision, timestamp};
use callgate::clock::UnixTime;
use callgate::rejection::Reason;
use proptest::prelude::*;

/// Any text, and often one that JSON escapes.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,40}", "[\\x00-\\x20\"\\\\/\\x7fé\u{2028}\u{1f600}a]{0,40}", any::<String>()]
}

fn texts<const N: usize>() -> impl Strategy<Value = [Option<String>; N]> {
    let text = prop::option::weighted(0.8, text());
    prop::collection::vec(text, N).prop_map(|texts| texts.try_into().expect("that many"))
}

fn claims() -> impl Strategy<Value = Vec<(String, String)>> {
    prop_oneof![Just(Vec::new()), prop::collection::vec((text(), text()), 1..4)]
}

/// Small numbers as often as large ones.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift)
}

/// From before 1970 to after the year 9999, to the nanosecond.
fn time() -> impl Strategy<Value = SystemTime> {
    let after = (0..UnixTime::MAX.as_secs() + 3, 0..1_000_000_000_u32);
    let after = after.prop_map(|(secs, nanos)| UNIX_EPOCH + Duration::new(secs, nanos));
    prop_oneof![9 => after, 1 => number().prop_map(|ms| UNIX_EPOCH - Duration::from_millis(ms >> 24))]
}

fn shown(time: SystemTime) -> String {
    String::from_utf8(timestamp(time).to_vec()).expect("text")
}

proptest! {
    #![proptest_config(super::cases(2000))]

    #[test]
    fn a_line_is_what_serde_json_writes(
        time in time(),
        version in any::<u8>(),
        decision in prop::sample::select(RecordedDecision::ALL.to_vec()),
        reason in prop::option::of(prop::sample::select(Reason::ALL.to_vec())),
        [trace_id, caller, claimed_caller, issuer, kid, alg, jti, client] in texts(),
        [request_id, method, path] in texts(),
        claims in claims(),
        status in any::<u16>(),
        numbers in prop::array::uniform4(number()),
        upstream_us in prop::option::of(number()),
    ) {
        let record = Record {
            time,
            event: "request",
            version,
            request_id: request_id.as_deref().unwrap_or_default(),
            trace_id: trace_id.as_deref(),
            decision,
            reason,
            caller: caller.as_deref(),
            claimed_caller: claimed_caller.as_deref(),
            issuer: issuer.as_deref(),
            kid: kid.as_deref(),
            alg: alg.as_deref(),
            jti: jti.as_deref(),
            claims: &claims,
            method: method.as_deref().unwrap_or_default(),
            path: path.as_deref().unwrap_or_default(),
            status,
            request_bytes: numbers[0],
            response_bytes: numbers[1],
            duration_us: numbers[2],
            authentication_us: numbers[3],
            upstream_us,
            client: client.as_deref(),
            forwarded_for: trace_id.as_deref(),
        };
        let line = String::from_utf8(record.line().expect("a line")).expect("text");
        prop_assert_eq!(line, serde_json::to_string(&record).expect("JSON") + "\n");
    }

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
