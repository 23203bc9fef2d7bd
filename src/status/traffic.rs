//! Requests per interval, worked out of what is counted anyway: a request costs nothing more. Somebody tells the totals at the end
//! of each interval.

use std::collections::VecDeque;
use std::ops::Sub;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::document::Counts;

/// The latest intervals.
#[derive(Debug, Default)]
pub struct Traffic(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ended: VecDeque<Counts>,
    /// The totals at the end of the last one.
    before: Counts,
}

impl Traffic {
    /// An interval ends with these totals, and the next one begins.
    pub fn end_interval(&self, totals: Counts) {
        // It is whole after every operation, so a poisoned lock is as good as another.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = totals - state.before;
        if state.ended.len() >= INTERVALS {
            state.ended.pop_front();
        }
        state.ended.push_back(counts);
        state.before = totals;
    }

    /// The latest intervals, the earliest first, with the one under way at the end.
    #[must_use]
    pub fn intervals(&self, totals: Counts) -> Vec<Counts> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.ended.iter().copied().chain([totals - state.before]).collect()
    }
}

impl Sub for Counts {
    type Output = Self;

    /// What came since. A counter that was read a moment later than another never makes it negative.
    fn sub(self, before: Self) -> Self {
        Self {
            forward: self.forward.saturating_sub(before.forward),
            pass: self.pass.saturating_sub(before.pass),
            reject: self.reject.saturating_sub(before.reject),
            would_reject: self.would_reject.saturating_sub(before.would_reject),
        }
    }
}

/// The length of an interval.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// How many ended intervals are kept: ten minutes.
const INTERVALS: usize = 59;

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(reject: u64) -> Counts {
        Counts { reject, ..Counts::default() }
    }

    #[test]
    fn intervals_hold_what_came_in_them_and_the_last_one_grows() {
        let traffic = Traffic::default();
        assert_eq!(traffic.intervals(rejected(2)), [rejected(2)]);
        traffic.end_interval(rejected(3));
        assert_eq!(traffic.intervals(rejected(7)), [rejected(3), rejected(4)]);
        for total in 0..100 {
            traffic.end_interval(rejected(100 + total));
        }
        let intervals = traffic.intervals(rejected(250));
        assert_eq!(intervals.len(), INTERVALS + 1);
        assert_eq!(intervals[INTERVALS], rejected(51));
    }
}
