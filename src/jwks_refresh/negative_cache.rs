//! A bounded memory of keys that were looked for and not found. A client that goes on sending tokens with a wrong `kid` is the
//! common case: after a first look its requests neither wait nor cause fetches, save a rare one. Forgetting only costs a look.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// Names of keys, with the time from which each is worth another look.
#[derive(Debug, Default)]
pub(super) struct NegativeCache {
    /// Hashed with a seed of this process, so that an entry is small and nobody can make two names collide.
    seed: RandomState,
    /// The latest at the back.
    absent: VecDeque<Absent>,
}

#[derive(Clone, Copy, Debug)]
struct Absent {
    name: u64,
    looks: u32,
    again: Instant,
}

impl NegativeCache {
    /// Whether the key was looked for lately, and is not worth another look yet.
    pub(super) fn knows(&self, kid: &str, now: Instant) -> bool {
        let name = self.seed.hash_one(kid);
        self.absent.iter().any(|absent| absent.name == name && now < absent.again)
    }

    /// Remembers that a look did not find the key: the next is worth it after `cooldown`, then twice that, and so on to
    /// [`LOOK_AGAIN_MAX`]. The bound is what somebody could win who guesses the name of an issuer's next key.
    pub(super) fn remember(&mut self, kid: &str, cooldown: Duration, now: Instant) {
        let name = self.seed.hash_one(kid);
        let known = self.absent.iter().position(|absent| absent.name == name);
        let looks = match known.and_then(|position| self.absent.remove(position)) {
            // Many requests may wait for the same look.
            Some(absent) if now < absent.again => return self.absent.push_back(absent),
            Some(absent) => absent.looks.saturating_add(1),
            None => 0,
        };
        if self.absent.len() >= CAPACITY {
            self.absent.pop_front();
        }
        let wait = cooldown.saturating_mul(2_u32.saturating_pow(looks)).min(LOOK_AGAIN_MAX);
        self.absent.push_back(Absent { name, looks, again: now + wait });
    }
}

/// How many names are remembered.
const CAPACITY: usize = 256;

/// After this time a key is always worth another look.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(1);

    #[test]
    fn a_key_that_was_not_found_is_looked_for_ever_more_rarely_up_to_a_bound() {
        let (mut memory, mut now) = (NegativeCache::default(), Instant::now());
        assert!(!memory.knows("a", now), "an unknown key is worth a look");
        for wait in [1, 2, 4, 8, 16, 30, 30, 30] {
            memory.remember("a", COOLDOWN, now);
            let wait = Duration::from_secs(wait);
            assert!(memory.knows("a", now + wait - Duration::from_millis(1)));
            assert!(!memory.knows("a", now + wait), "{wait:?}");
            now += wait;
        }
        assert!(!memory.knows("b", now), "and another key at once");
    }

    #[test]
    fn many_requests_that_waited_for_one_look_count_once() {
        let (mut memory, now) = (NegativeCache::default(), Instant::now());
        for _ in 0..1000 {
            memory.remember("a", COOLDOWN, now);
        }
        assert!(!memory.knows("a", now + COOLDOWN));
    }

    #[test]
    fn it_forgets_the_oldest_and_stays_small() {
        let (mut memory, now) = (NegativeCache::default(), Instant::now());
        for n in 0..10_000 {
            memory.remember(&n.to_string(), COOLDOWN, now);
        }
        assert_eq!(memory.absent.len(), CAPACITY);
        assert!(memory.knows("9999", now));
        assert!(!memory.knows("0", now));
    }
}
