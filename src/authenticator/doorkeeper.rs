//! Which accepted tokens were shown before. A token that comes once needs no place in the cache, and must not push out one that
//! comes often; TinyLFU calls the filter before a cache that knows this a doorkeeper (Einziger, Friedman, Manes, ACM ToS 2017).
//! It proves nothing: two tokens with one fingerprint cost at most one entry too many, and the cache compares whole tokens.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::DefaultHashBuilder;

/// A table of fixed size: one place for all fingerprints with the same first bits, in which the last token stands.
pub(super) struct Doorkeeper {
    fingerprints: Box<[AtomicU64]>,
    /// Keyed at random, so that nobody can choose tokens that share a place.
    hasher: DefaultHashBuilder,
}

impl Doorkeeper {
    /// Places for twice as many tokens as a cache holds, 8 bytes each.
    pub(super) fn before(tokens: usize) -> Self {
        let places = tokens.saturating_mul(2).clamp(PLACES_MIN, PLACES_MAX).next_power_of_two();
        let fingerprints = std::iter::repeat_with(AtomicU64::default).take(places).collect();
        Self { fingerprints, hasher: DefaultHashBuilder::default() }
    }

    /// Whether a token was shown before, as far as is known; from now on it was. Only an accepted token may be asked about.
    pub(super) fn knows(&self, text: &[u8]) -> bool {
        // 0 is an empty place.
        let fingerprint = self.hasher.hash_one(text) | 1;
        let first_bits = fingerprint >> (u64::BITS - self.fingerprints.len().trailing_zeros());
        let place = usize::try_from(first_bits).ok().and_then(|place| self.fingerprints.get(place));
        // A place that another thread writes at the same time forgets one of the two tokens.
        place.is_some_and(|place| {
            let known = place.load(Ordering::Relaxed) == fingerprint;
            if !known {
                place.store(fingerprint, Ordering::Relaxed);
            }
            known
        })
    }
}

/// 32 KiB: enough for the smallest cache, whose tokens come again after many others.
const PLACES_MIN: usize = 1 << 12;

/// 8 MiB, for the largest.
const PLACES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_when_it_is_shown_again_and_another_is_not() {
        let seen = Doorkeeper::before(0);
        assert!(!seen.knows(b"a.b.c"));
        assert!(seen.knows(b"a.b.c"));
        assert!(seen.knows(b"a.b.c"));
        assert!(!seen.knows(b"a.b.d"));
    }

    #[test]
    fn its_memory_has_one_size_however_many_tokens_are_shown() {
        let seen = Doorkeeper::before(100);
        let known = (0..100_000_u32).filter(|n| seen.knows(&n.to_be_bytes())).count();
        assert_eq!(known, 0, "each was shown once");
        assert_eq!(seen.fingerprints.len(), PLACES_MIN);
        let again = (0..100_000_u32).rev().filter(|n| seen.knows(&n.to_be_bytes())).count();
        assert!((2_000..=PLACES_MIN).contains(&again), "the last of each place are known: {again}");
    }

    #[test]
    fn its_memory_grows_with_the_cache_that_is_configured_within_bounds() {
        for (tokens, places) in [(0, PLACES_MIN), (10_922, 1 << 15), (usize::MAX, PLACES_MAX)] {
            assert_eq!(Doorkeeper::before(tokens).fingerprints.len(), places, "{tokens}");
        }
    }
}
