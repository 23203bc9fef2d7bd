//! Points in time, in the unit that tokens use. Nothing here reads a clock: the edges do, once per request, and pass the
//! time on, so that every judgement can be repeated in a test.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
        let (days, second_of_day) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar. It counts in eras of 400
/// years that begin on the first of March, so that the leap day comes last.
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
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
    fn arithmetic_never_leaves_the_range() {
        assert_eq!(UnixTime::from_secs(u64::MAX), UnixTime::MAX);
        assert_eq!(UnixTime::MAX.plus(Duration::MAX), UnixTime::MAX);
        assert_eq!(UnixTime::from_secs(5).minus(Duration::from_secs(9)), UnixTime::from_secs(0));
        assert_eq!(UnixTime::from_secs(5).since(UnixTime::from_secs(9)), Duration::ZERO);
        assert_eq!(UnixTime::from_secs(9).since(UnixTime::from_secs(5)), Duration::from_secs(4));
    }
}
