//! The bound on label values that come from outside: the first so many are known by name, all others are not.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// A set that grows up to a bound and then stays.
#[derive(Debug)]
pub(super) struct Bounded<T> {
    known: Mutex<HashSet<T>>,
    most: usize,
}

impl<T: Hash + Eq> Bounded<T> {
    /// An empty set of at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self { known: Mutex::default(), most }
    }

    /// Whether a value is known, or becomes so because there is room.
    pub(super) fn admits<Q: Hash + Eq + ToOwned<Owned = T> + ?Sized>(&self, value: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        // The set is whole after every operation, so a poisoned lock is as good as another.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(value) {
            return true;
        }
        known.len() < self.most && known.insert(value.to_owned())
    }
}
