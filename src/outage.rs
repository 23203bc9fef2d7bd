//! When the log speaks of something that fails: the first failure at once, then their number at intervals, and at last that it works
//! again. So that neither a long outage nor one that comes and goes fills the log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The failures of one thing.
#[derive(Default)]
pub struct Outage {
    /// Whether there is something to say once it works.
    is_failing: AtomicBool,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    last: Option<Instant>,
    /// The failures since the last line.
    failures: u64,
}

impl Outage {
    /// It has failed. Returns the failures to log now, if any.
    #[must_use]
    pub fn failed(&self, now: Instant) -> Option<u64> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.failures += 1;
        self.is_failing.store(true, Ordering::Relaxed);
        lines.take(now)
    }

    /// It has worked. Returns the failures that were not logged yet, if its end is to be logged now. `None` if that is logged later or
    /// was logged already.
    #[must_use]
    pub fn answered(&self, now: Instant) -> Option<u64> {
        // Without a lock as long as all is well.
        if !self.is_failing.load(Ordering::Relaxed) {
            return None;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = self.is_failing.load(Ordering::Relaxed).then(|| lines.take(now)).flatten()?;
        self.is_failing.store(false, Ordering::Relaxed);
        Some(failures)
    }
}

impl Lines {
    /// The number of failures, if the last line is old enough for another.
    fn take(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.failures))
    }
}

/// The time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_one_line_at_once_then_a_number_at_intervals_and_one_line_at_its_end() {
        let (outage, began) = (Outage::default(), Instant::now());
        let at = |millis| began + Duration::from_millis(millis);
        assert_eq!(outage.failed(at(0)), Some(1));
        assert!((1..1000).all(|millis| outage.failed(at(millis)).is_none()));
        assert_eq!(outage.failed(at(10_000)), Some(1000));
        assert_eq!(outage.failed(at(10_001)), None);
        assert_eq!(outage.answered(at(20_000)), Some(1));
        assert_eq!(outage.answered(at(40_000)), None, "it is said once");
        assert_eq!(outage.failed(at(40_001)), Some(1));
    }

    #[test]
    fn what_fails_now_and_then_does_not_fill_the_log() {
        let (outage, began) = (Outage::default(), Instant::now());
        let lines = (0..10_000).filter(|millis| {
            let now = began + Duration::from_millis(*millis);
            outage.failed(now).is_some() || outage.answered(now).is_some()
        });
        assert_eq!(lines.count(), 1);
    }
}
