//! Requests by caller. Callers are any words, though proven ones, so the first so many are counted by name and all others
//! together.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use prometheus::{IntCounter, IntCounterVec};

use super::series::OTHER;

/// A counter for each of the first callers, and one for the rest.
pub struct Callers {
    counters: IntCounterVec,
    known: RwLock<HashMap<String, IntCounter>>,
    other: IntCounter,
}

impl Callers {
    pub(super) fn new(counters: IntCounterVec) -> Self {
        // A caller of this name is counted with them.
        let other = counters.with_label_values(&[OTHER]);
        Self { counters, known: RwLock::default(), other }
    }

    /// How many are counted by name.
    #[must_use]
    pub fn known(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Counts a forwarded request of a proven caller.
    pub fn count(&self, caller: &str) {
        // The map is whole after every operation, so a poisoned lock is as good as another.
        if let Some(counter) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(caller) {
            return counter.inc();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < CALLERS_MAX {
            known.entry(caller.to_owned()).or_insert_with(|| self.counters.with_label_values(&[caller])).inc();
        } else {
            self.other.inc();
        }
    }
}

/// How many callers are counted by name.
pub const CALLERS_MAX: usize = 200;
