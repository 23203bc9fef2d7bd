//! Who sends requests without a token while they are only reported: a token would name its caller, and here only the peer can. Up
//! to a bound, so that strangers cannot fill the memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::document::WithoutToken;
use crate::clock::UnixTime;

/// Requests without a token, by client, method and path.
#[derive(Debug)]
pub struct WithoutTokens {
    known: Mutex<BTreeMap<(String, String, String), Seen>>,
    are_kept: bool,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    requests: u64,
    last: UnixTime,
}

impl WithoutTokens {
    /// None yet; with `are_kept` false there never are.
    #[must_use]
    pub fn new(are_kept: bool) -> Self {
        Self { known: Mutex::default(), are_kept }
    }

    /// Counts one. What comes when all places are taken is counted under `other`.
    pub fn add(&self, client: &str, method: &str, path: &str, now: UnixTime) {
        if !self.are_kept {
            return;
        }
        // The map is whole after every operation, so a poisoned lock is as good as another.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (client.to_owned(), method.to_owned(), path.to_owned());
        if known.len() >= SENDERS_MAX && !known.contains_key(&key) {
            key = (OTHER.to_owned(), String::new(), String::new());
        }
        let seen = known.entry(key).or_insert(Seen { requests: 0, last: now });
        (seen.requests, seen.last) = (seen.requests + 1, now);
    }

    /// All that are kept, the most frequent first; `None` if none are.
    #[must_use]
    pub fn all(&self) -> Option<Vec<WithoutToken>> {
        if !self.are_kept {
            return None;
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known
            .iter()
            .map(|((client, method, path), Seen { requests, last })| WithoutToken {
                client: client.clone(),
                method: method.clone(),
                path: path.clone(),
                requests: *requests,
                last: *last,
            })
            .collect();
        drop(known);
        all.sort_by_key(|sender| std::cmp::Reverse(sender.requests));
        Some(all)
    }
}

/// How many are told apart.
const SENDERS_MAX: usize = 100;

/// The client under which all further ones are counted.
const OTHER: &str = "other";

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);

    #[test]
    fn senders_are_told_apart_up_to_a_bound_and_the_most_frequent_comes_first() {
        let senders = WithoutTokens::new(true);
        for n in 0..SENDERS_MAX + 50 {
            senders.add(&format!("10.0.0.{n}"), "POST", "/send", NOW);
        }
        let later = NOW.plus(std::time::Duration::from_secs(5));
        senders.add("10.0.0.7", "POST", "/send", later);
        senders.add("10.0.0.7", "GET", "/send", later);
        let all = senders.all().unwrap();
        assert_eq!(all.len(), SENDERS_MAX + 1);
        assert_eq!((all[0].client.as_str(), all[0].requests), ("other", 51));
        assert_eq!((all[1].client.as_str(), all[1].method.as_str(), all[1].requests), ("10.0.0.7", "POST", 2));
        assert_eq!((all[1].last, all[2].last), (later, NOW));
    }

    #[test]
    fn where_none_are_kept_nothing_is_remembered() {
        let senders = WithoutTokens::new(false);
        senders.add("10.0.0.7", "POST", "/send", NOW);
        assert_eq!(senders.all(), None);
    }
}
