//! Durations and sizes: a whole number and a unit, within bounds.

use std::time::Duration;

use super::findings::{Findings, Reported};
use crate::config::file;
use crate::config::path::KeyPath;

/// What a duration may be.
#[derive(Clone, Copy)]
pub(super) struct DurationRange {
    pub least: Duration,
    pub most: Duration,
    pub resolution: Resolution,
}

/// Into what a duration must divide.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolution {
    /// Anything.
    Milliseconds,
    /// Tokens count in whole seconds.
    Seconds,
}

impl DurationRange {
    /// A span of time that is waited for.
    pub(super) const fn wait(least: Duration, most: Duration) -> Self {
        Self { least, most, resolution: Resolution::Milliseconds }
    }

    /// A span of time that is compared with times in tokens.
    pub(super) const fn token(least: Duration, most: Duration) -> Self {
        Self { least, most, resolution: Resolution::Seconds }
    }

    /// Reads a duration.
    pub(super) fn read(
        self,
        written: &file::Duration,
        key: &KeyPath,
        findings: &mut Findings<'_, '_>,
    ) -> Result<Duration, Reported> {
        let duration = match duration(&written.0) {
            Ok(duration) => duration,
            Err(error) => return Err(findings.error(key, error)),
        };
        if self.resolution == Resolution::Seconds && duration.subsec_nanos() > 0 {
            return Err(
                findings.error(key, format!("{:?} is not a whole number of seconds, in which tokens count", written.0))
            );
        }
        if duration < self.least || duration > self.most {
            let (least, most) = (shown(self.least), shown(self.most));
            let side = if duration < self.least { "short" } else { "long" };
            return Err(findings.error(key, format!("{:?} is too {side}; allowed: {least} to {most}", written.0)));
        }
        Ok(duration)
    }
}

/// Reads a size in bytes, within bounds.
pub(super) fn size(
    written: &file::Size,
    (least, most): (usize, usize),
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<usize, Reported> {
    let bytes = match scaled(&written.0, &SIZES) {
        Ok(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        Err(error) => return Err(findings.error(key, error)),
    };
    if (least..=most).contains(&bytes) {
        return Ok(bytes);
    }
    let side = if bytes < least { "small" } else { "large" };
    Err(findings
        .error(key, format!("{:?} is too {side}; allowed: {} to {}", written.0, in_bytes(least), in_bytes(most))))
}

/// A number that counts things. Its range is a matter of the shape.
pub(super) fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A duration in the largest unit that is exact.
pub(super) fn shown(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (unit, factor) =
        UNITS_SHOWN.into_iter().find(|(_, factor)| millis > 0 && millis.is_multiple_of(*factor)).unwrap_or(("s", 1000));
    format!("{}{unit}", millis / factor)
}

/// A size in the largest unit that is exact.
pub(super) fn in_bytes(bytes: usize) -> String {
    if bytes > 0 && bytes.is_multiple_of(1024 * 1024) {
        format!("{}MiB", bytes / 1024 / 1024)
    } else if bytes > 0 && bytes.is_multiple_of(1024) {
        format!("{}KiB", bytes / 1024)
    } else {
        format!("{bytes}B")
    }
}

fn duration(written: &str) -> Result<Duration, String> {
    scaled(written, &DURATIONS).map(Duration::from_millis)
}

/// The kinds of units, with their factors to the smallest.
struct Units {
    /// What such a value is.
    what: &'static str,
    /// Every unit with its factor.
    known: &'static [(&'static str, u64)],
    /// The unit for a number without one, in a suggestion.
    usual: &'static str,
    /// What people also write, and what they mean.
    meant: &'static [(&'static str, &'static str)],
}

/// Reads a whole number and a unit.
fn scaled(written: &str, units: &Units) -> Result<u64, String> {
    let Units { what, known, usual, .. } = *units;
    let names = known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let digits = written.len() - written.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = written.split_at(digits);
    let rule = format!("a {what} is a whole number and a unit of {names}");
    if number.is_empty() {
        return Err(format!("{written:?} is no {what}; {rule}"));
    }
    if unit.is_empty() {
        return Err(format!("{written:?} has no unit; write \"{number}{usual}\", or another unit of {names}"));
    }
    let Some((_, factor)) = known.iter().find(|(name, _)| *name == unit) else {
        let advice = meant(unit, units).map_or(rule, |meant| format!("write \"{number}{meant}\""));
        return Err(format!("{written:?} is no {what}; {advice}"));
    };
    let number: Option<u64> = number.parse().ok();
    number.and_then(|number| number.checked_mul(*factor)).ok_or_else(|| format!("{written:?} is too large"))
}

/// The unit that was meant, if it is only written differently.
fn meant(unit: &str, units: &Units) -> Option<&'static str> {
    let unit = unit.trim();
    let same = units.known.iter().map(|(name, _)| (*name, *name));
    same.chain(units.meant.iter().copied())
        .find(|(written, _)| written.eq_ignore_ascii_case(unit))
        .map(|(_, name)| name)
}

const DURATIONS: Units = Units {
    what: "duration",
    known: &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)],
    usual: "s",
    meant: &[
        ("msec", "ms"),
        ("millis", "ms"),
        ("sec", "s"),
        ("secs", "s"),
        ("second", "s"),
        ("seconds", "s"),
        ("min", "m"),
        ("mins", "m"),
        ("minute", "m"),
        ("minutes", "m"),
        ("hr", "h"),
        ("hour", "h"),
        ("hours", "h"),
        ("day", "d"),
        ("days", "d"),
    ],
};

const SIZES: Units = Units {
    what: "size",
    known: &[("B", 1), ("KiB", 1024), ("MiB", 1024 * 1024)],
    usual: "B",
    meant: &[("K", "KiB"), ("KB", "KiB"), ("M", "MiB"), ("MB", "MiB"), ("bytes", "B")],
};

const UNITS_SHOWN: [(&str, u128); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Durations for the bounds of others.
pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const MINUTE: Duration = seconds(60);
pub(super) const HOUR: Duration = seconds(3600);
pub(super) const DAY: Duration = seconds(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        for (written, millis) in
            [("0s", 0), ("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("24h", DAY_MS), ("1d", DAY_MS)]
        {
            assert_eq!(duration(written), Ok(Duration::from_millis(millis)), "{written}");
        }
        for written in [
            "",
            "s",
            "30",
            "30 s",
            "30S",
            "-1s",
            "+1s",
            "1.5s",
            "1h30m",
            "1w",
            "\u{663}s",
            "1e3s",
            "99999999999999999999s",
            "213503982335d",
        ] {
            assert!(duration(written).is_err(), "{written}");
        }
    }

    #[test]
    fn a_slip_in_a_unit_is_named() {
        for (written, meant) in [("30", "\"30s\""), ("30sec", "\"30s\""), ("30 s", "\"30s\""), ("5Min", "\"5m\"")] {
            assert!(duration(written).is_err_and(|error| error.contains(meant)), "{written}");
        }
        for (written, meant) in [("8192", "\"8192B\""), ("8KB", "\"8KiB\""), ("8k", "\"8KiB\""), ("1mib", "\"1MiB\"")] {
            assert!(scaled(written, &SIZES).is_err_and(|error| error.contains(meant)), "{written}");
        }
    }

    #[test]
    fn what_is_shown_can_be_written() {
        for written in ["0s", "1ms", "1500ms", "30s", "5m", "1h", "1d", "90m"] {
            assert_eq!(shown(duration(written).expect("a duration")), written);
        }
        for written in ["0B", "256B", "8KiB", "1MiB"] {
            assert_eq!(in_bytes(usize::try_from(scaled(written, &SIZES).expect("a size")).expect("small")), written);
        }
    }

    const DAY_MS: u64 = 86_400_000;
}
