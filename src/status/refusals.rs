//! The latest refusals, in a ring of a fixed size. Only refused requests come here, and hold its lock for as long as it takes to
//! move one entry.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::document::Refusal;

/// The latest refusals.
#[derive(Debug)]
pub struct Refusals {
    latest: Mutex<VecDeque<Refusal>>,
    most: usize,
}

impl Refusals {
    /// Keeps none.
    #[must_use]
    pub fn none() -> Self {
        Self { latest: Mutex::default(), most: 0 }
    }

    /// Keeps the latest `REFUSALS`.
    #[must_use]
    pub fn latest() -> Self {
        Self { latest: Mutex::new(VecDeque::with_capacity(REFUSALS)), most: REFUSALS }
    }

    /// Whether any are kept.
    #[must_use]
    pub const fn are_kept(&self) -> bool {
        self.most > 0
    }

    /// Adds one; the earliest makes room.
    pub fn add(&self, make: impl FnOnce() -> Refusal) {
        if !self.are_kept() {
            return;
        }
        let mut refusal = make();
        if let Some((end, _)) = refusal.path.char_indices().nth(PATH_SHOWN) {
            refusal.path.truncate(end);
        }
        let forgotten = {
            // The ring is whole after every operation, so a poisoned lock is as good as another.
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            let forgotten = (latest.len() >= self.most).then(|| latest.pop_back());
            latest.push_front(refusal);
            forgotten
        };
        drop(forgotten);
    }

    /// All that are kept, the last one first; `None` if none are.
    #[must_use]
    pub fn all(&self) -> Option<Vec<Refusal>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        self.are_kept().then(|| latest.iter().cloned().collect())
    }
}

/// How many refusals are kept.
const REFUSALS: usize = 50;

/// How many characters of a path are kept.
const PATH_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::RecordedDecision;
    use crate::clock::UnixTime;

    fn refusal(n: usize) -> Refusal {
        Refusal {
            time: UnixTime::from_secs(0),
            request_id: n.to_string(),
            decision: RecordedDecision::Reject,
            reason: None,
            claimed_caller: None,
            issuer: None,
            kid: None,
            method: "GET".to_owned(),
            path: format!("/{}", "ä".repeat(1000)),
            status: 401,
            client: None,
        }
    }

    #[test]
    fn so_many_are_kept_the_last_one_first_each_with_the_beginning_of_its_path() {
        let refusals = Refusals::latest();
        for n in 0..REFUSALS + 7 {
            refusals.add(|| refusal(n));
        }
        let all = refusals.all().unwrap();
        assert_eq!(all.len(), REFUSALS);
        assert_eq!((all[0].request_id.as_str(), all[REFUSALS - 1].request_id.as_str()), ("56", "7"));
        assert_eq!(all[0].path.chars().count(), PATH_SHOWN);
    }

    #[test]
    fn where_none_are_kept_none_is_made() {
        let refusals = Refusals::none();
        refusals.add(|| panic!("nobody wants it"));
        assert_eq!(refusals.all(), None);
    }
}
