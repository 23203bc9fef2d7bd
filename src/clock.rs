//! Points in time, in the unit that tokens use. Nothing here reads a clock: the edges do, once per request, and pass the
//! time on, so that every judgement can be repeated in a test.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, Time};

/// Whole seconds since 1970-01-01T00:00:00Z, ignoring leap seconds: a NumericDate of RFC 7519 §2 without its fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The last second of the year 9999. Later times are refused where they come from outside: they are units gone wrong
    /// (milliseconds, microseconds), and no token should live that long.
    pub const MAX: Self = Self(253_402_300_799);

    /// The time that many seconds after the epoch; beyond [`Self::MAX`] it is [`Self::MAX`].
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        if secs > Self::MAX.0 { Self::MAX } else { Self(secs) }
    }

    /// Reads a time as people write it: RFC 3339 (`2026-01-02T03:04:05Z`, with a fraction that is dropped or an offset if need
    /// be), or a number of seconds since the epoch. `None` if it is neither, or lies outside the range.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().filter(|secs| *secs <= Self::MAX.0).map(Self);
        }
        let secs = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp();
        u64::try_from(secs).ok().filter(|secs| *secs <= Self::MAX.0).map(Self)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// This time moved into the future, at most to [`Self::MAX`]. Fractions of a second are dropped.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self::from_secs(self.0.saturating_add(duration.as_secs()))
    }

    /// This time moved into the past, at most to the epoch. Fractions of a second are dropped.
    #[must_use]
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC with seconds: `2026-01-02T03:04:05Z`.
    #[must_use]
    pub fn rfc_3339(self) -> [u8; 20] {
        // A second within the range is always a date.
        let time = i64::try_from(self.0).ok().and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok());
        let (date, time) = time.map_or((Date::MAX, Time::MAX), |time| (time.date(), time.time()));
        let (year, month, day) = date.to_calendar_date();
        let year = year.unsigned_abs();
        let ([y1, y2], [y3, y4]) = (two_digits(year / 100), two_digits(year));
        let ([mo1, mo2], [d1, d2]) = (two_digits(u8::from(month).into()), two_digits(day.into()));
        let [[h1, h2], [mi1, mi2], [s1, s2]] =
            [time.hour(), time.minute(), time.second()].map(|part| two_digits(part.into()));
        [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2, b'Z']
    }
}

impl From<SystemTime> for UnixTime {
    /// A clock before 1970 is the epoch: then every `nbf` and `iat` lies in the future and nothing is accepted.
    fn from(time: SystemTime) -> Self {
        Self::from_secs(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

impl fmt::Display for UnixTime {
    /// RFC 3339 in UTC with seconds: `2026-01-02T03:04:05Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.rfc_3339()))
    }
}

/// A duration in its largest whole unit, with the next one: `37s`, `4m 5s`, `2h 3m`, `9d 1h`.
#[must_use]
pub fn brief(duration: Duration) -> String {
    let secs = duration.as_secs();
    let units = [(86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")];
    for (unit, name, next, next_name) in units {
        if secs >= unit {
            let rest = secs % unit / next;
            let tail = if rest == 0 { String::new() } else { format!(" {rest}{next_name}") };
            return format!("{}{name}{tail}", secs / unit);
        }
    }
    format!("{secs}s")
}

/// The last two decimal digits of a number.
#[must_use]
pub const fn two_digits(number: u32) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_300_819_380, "2011-03-22T18:43:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ];
        for (secs, written) in cases {
            assert_eq!(UnixTime::from_secs(secs).to_string(), written);
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, secs) in [
            ("0", 0),
            ("1767225600", 1_767_225_600),
            ("253402300799", 253_402_300_799),
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2026-01-01T00:00:00Z", 1_767_225_600),
            ("2026-01-01t00:00:00z", 1_767_225_600),
            ("2026-01-01 00:00:00Z", 1_767_225_600),
            ("2026-01-01T00:00:00.999Z", 1_767_225_600),
            ("2026-01-01T01:30:00+01:30", 1_767_225_600),
            ("2025-12-31T19:00:00-05:00", 1_767_225_600),
            ("2025-12-31T23:59:59Z", 1_767_225_599),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(UnixTime::parse(text), Some(UnixTime::from_secs(secs)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_read_as_one() {
        for text in [
            "",
            "-1",
            "+1",
            "1.5",
            "253402300800",
            "99999999999999999999999",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00Z",
            "2026-1-1T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-10T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-32T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00ZZ",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00+25:00",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2026-01-01T00:00:\u{661}0Z",
            "now",
        ] {
            assert_eq!(UnixTime::parse(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_never_leaves_the_range() {
        assert_eq!(UnixTime::from_secs(u64::MAX), UnixTime::MAX);
        assert_eq!(UnixTime::MAX.plus(Duration::MAX), UnixTime::MAX);
        assert_eq!(UnixTime::from_secs(5).minus(Duration::from_secs(9)), UnixTime::from_secs(0));
        assert_eq!(UnixTime::from_secs(5).since(UnixTime::from_secs(9)), Duration::ZERO);
        assert_eq!(UnixTime::from_secs(9).since(UnixTime::from_secs(5)), Duration::from_secs(4));
    }

    #[test]
    fn durations_are_written_in_two_units() {
        for (secs, written) in
            [(0, "0s"), (37, "37s"), (60, "1m"), (245, "4m 5s"), (7380, "2h 3m"), (781_300, "9d 1h"), (86_400, "1d")]
        {
            assert_eq!(brief(Duration::from_secs(secs)), written);
        }
    }
}
