//! When to refresh next. A refresh comes before its time by chance, so that many sidecars do not come at once; after a
//! failure the next attempt comes soon, then ever later. Pure: chance is passed in, as a number from 0 to 1.

use std::time::Duration;

/// The rhythm of one source.
#[derive(Clone, Copy, Debug)]
pub(super) enum Schedule {
    /// Looks always after the same time. For files, where a look costs nothing and nobody else is troubled.
    Poll(Duration),
    /// Fetches at most after this time.
    Refresh(Duration),
}

impl Schedule {
    /// How long to wait after a success. What the issuer says about its document can only shorten the time, and not below
    /// [`REFRESH_MIN`].
    pub(super) fn after_success(self, fresh_for: Option<Duration>, chance: f64) -> Duration {
        match self {
            Self::Poll(every) => every,
            Self::Refresh(refresh) => {
                // A lifetime of zero forbids caches to keep the document. It does not say when keys change.
                let stated = fresh_for.filter(|time| !time.is_zero()).unwrap_or(refresh);
                stated.clamp(REFRESH_MIN.min(refresh), refresh).mul_f64(1.0 - EARLIER * chance)
            }
        }
    }

    /// How long to wait after this many failures in a row.
    pub(super) fn after_failure(self, failures: u32, chance: f64) -> Duration {
        match self {
            Self::Poll(every) => every,
            Self::Refresh(refresh) => {
                let doublings = failures.saturating_sub(1).min(16);
                let longest = BACKOFF_MAX.min(refresh);
                (BACKOFF_FIRST * 2_u32.pow(doublings)).min(longest).mul_f64(1.0 - SPREAD * chance)
            }
        }
    }
}

/// The shortest time between two scheduled refreshes, whatever the issuer says.
const REFRESH_MIN: Duration = Duration::from_secs(10);

/// Up to this part of its time a refresh comes earlier.
const EARLIER: f64 = 0.1;

const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Up to this part of its time an attempt after a failure comes earlier.
const SPREAD: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const SCHEDULE: Schedule = Schedule::Refresh(Duration::from_secs(300));

    #[test]
    fn a_refresh_comes_before_its_time_but_not_much() {
        assert_eq!(SCHEDULE.after_success(None, 0.0), 5 * MINUTE);
        assert_eq!(SCHEDULE.after_success(None, 1.0), Duration::from_secs(270));
    }

    #[test]
    fn the_issuer_can_shorten_the_time_within_bounds_and_never_lengthen_it() {
        let cases = [
            (Some(MINUTE), MINUTE),
            (Some(Duration::from_secs(1)), REFRESH_MIN),
            (Some(Duration::ZERO), 5 * MINUTE),
            (Some(Duration::MAX), 5 * MINUTE),
            (None, 5 * MINUTE),
        ];
        for (stated, wanted) in cases {
            assert_eq!(SCHEDULE.after_success(stated, 0.0), wanted, "{stated:?}");
        }
        let hasty = Schedule::Refresh(Duration::from_secs(2));
        assert_eq!(hasty.after_success(Some(Duration::from_secs(1)), 0.0), Duration::from_secs(2));
    }

    #[test]
    fn attempts_after_failures_come_soon_and_then_ever_later_up_to_a_bound() {
        let waits: Vec<_> = (1..=9).map(|failures| SCHEDULE.after_failure(failures, 0.0).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(SCHEDULE.after_failure(u32::MAX, 1.0), Duration::from_secs(15));
        assert_eq!(Schedule::Refresh(Duration::from_secs(1)).after_failure(9, 0.0), Duration::from_secs(1));
    }

    #[test]
    fn a_file_is_looked_at_in_an_even_rhythm() {
        let poll = Schedule::Poll(Duration::from_secs(1));
        assert_eq!(poll.after_success(Some(MINUTE), 1.0), Duration::from_secs(1));
        assert_eq!(poll.after_failure(9, 1.0), Duration::from_secs(1));
    }
}
