//! The memory of proofs that were shown, so that each counts once (RFC 9449 §11.1). It is bounded in bytes, and knows when it cannot
//! tell: where it is full, and about proofs that are older than what it has let go. Then nothing passes. What other instances have
//! seen it does not know: a [`Claim`] is for the store that they share, if there is one.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use super::rules::AHEAD;
use crate::clock::UnixTime;
use crate::confirmation::KeyThumbprint;

/// That a client has the key to which its token is bound, for one request. Only [`super::verify`] makes one. It counts once: spending
/// it says whether it was the first time.
#[derive(Debug)]
pub struct Possession {
    fingerprint: [u8; 32],
    issued: UnixTime,
}

/// What a store that several instances share is asked about a proof: that nobody has shown it before, and that nobody can show it
/// again. It comes from this instance's own memory, where the proof is spent already.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a proof that the store was not asked about may have been shown to another instance"]
pub struct Claim {
    fingerprint: [u8; 32],
    good_for: Duration,
}

impl Claim {
    /// One that no memory has made.
    #[cfg(test)]
    pub(crate) const fn new(fingerprint: [u8; 32], good_for: Duration) -> Self {
        Self { fingerprint, good_for }
    }

    /// By what the proof is known again: a hash, of which nobody learns the key or the `jti`.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// How long the store must remember it.
    #[must_use]
    pub const fn good_for(&self) -> Duration {
        self.good_for
    }
}

impl Possession {
    /// By this key and the proof's `jti`, at its `iat`.
    pub(super) fn of(key: &KeyThumbprint, jti: &str, issued: UnixTime) -> Self {
        Self { fingerprint: fingerprint(key, jti), issued }
    }
}

/// The memory of one instance. It holds nothing before it is given room.
#[derive(Default)]
pub struct ReplayMemory(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    /// How many may be held.
    limit: usize,
    spent: BTreeSet<[u8; 16]>,
    /// The same, each with the time at which it was spent, in that order.
    order: VecDeque<(UnixTime, [u8; 16])>,
    /// When the last of those was spent that are held no more.
    forgotten: Option<UnixTime>,
}

/// How full the memory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayUsage {
    /// How many proofs are held.
    pub proofs: usize,
    /// How many there may be.
    pub limit: usize,
}

/// Why a proof does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum SpendError {
    #[error("proofs of its time are held no more")]
    Forgotten,
    #[error("the memory is full of proofs that are still good")]
    Full,
    #[error("it was shown before")]
    Replayed,
    #[error("the store that the instances share did not say whether it was shown before")]
    Unanswered,
}

impl ReplayMemory {
    /// Gives it room of so many bytes from now on. What it holds stays.
    pub fn resize(&self, bytes: u64) {
        let mut entries = self.entries();
        entries.limit = usize::try_from(bytes / ENTRY_BYTES).unwrap_or(usize::MAX);
    }

    /// Uses up a proof, which is good for `window` after its `iat`. Of several that show the same one at once, one gets through. What is
    /// left to ask is the store that other instances share, if there is one.
    ///
    /// # Errors
    /// If it was shown before, or that cannot be told.
    pub fn spend(&self, possession: Possession, window: Duration, now: UnixTime) -> Result<Claim, SpendError> {
        let Possession { fingerprint: whole, issued } = possession;
        let good_for = window.saturating_add(AHEAD).saturating_add(SLACK);
        // A SHA-256 has more bytes than these.
        let fingerprint: [u8; 16] = whole.first_chunk().copied().unwrap_or_default();
        let mut entries = self.entries();
        entries.forget(now, good_for);
        if entries.spent.contains(&fingerprint) {
            return Err(SpendError::Replayed);
        }
        // It could have been spent as early as this before its own time. A clock that is set back, or a longer window, leads here.
        if entries.forgotten.is_some_and(|forgotten| issued <= forgotten.plus(AHEAD)) {
            return Err(SpendError::Forgotten);
        }
        if entries.order.len() >= entries.limit {
            return Err(SpendError::Full);
        }
        entries.spent.insert(fingerprint);
        entries.order.push_back((now, fingerprint));
        Ok(Claim { fingerprint: whole, good_for })
    }

    /// How full it is.
    #[must_use]
    pub fn usage(&self) -> ReplayUsage {
        let entries = self.entries();
        ReplayUsage { proofs: entries.order.len(), limit: entries.limit }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing in here panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Lets go what was spent so long ago that no proof of that time is good any more: more than one proof for each that comes, so that the
    /// memory shrinks, and not so many that others wait for it.
    fn forget(&mut self, now: UnixTime, keep: Duration) {
        for _ in 0..AT_ONCE {
            let oldest = self.order.front().copied().filter(|(spent, _)| spent.plus(keep) <= now);
            let Some((spent, fingerprint)) = oldest else { return };
            self.order.pop_front();
            self.spent.remove(&fingerprint);
            self.forgotten = self.forgotten.max(Some(spent));
        }
    }
}

/// By what a proof is known again: its key and its `jti`. A client chooses its own `jti`, and none can make one that collides with
/// another client's.
fn fingerprint(key: &KeyThumbprint, jti: &str) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(&key.0);
    hash.update(jti.as_bytes());
    let hash = hash.finish();
    // That many bytes a SHA-256 has.
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// What an entry takes at most, in bytes: its place in a tree whose nodes are filled as little as they may be, and in the queue.
const ENTRY_BYTES: u64 = 80;

/// How many proofs are let go at once.
const AT_ONCE: usize = 16;

/// How much longer proofs are held than they are good, for threads that read the clock one after the other.
const SLACK: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_767_225_600;
    const WINDOW: Duration = Duration::from_secs(60);

    fn memory(proofs: u64) -> ReplayMemory {
        let memory = ReplayMemory::default();
        memory.resize(proofs * ENTRY_BYTES);
        memory
    }

    fn spend(memory: &ReplayMemory, jti: &str, issued: u64, now: u64) -> Result<(), SpendError> {
        let fingerprint = fingerprint(&KeyThumbprint([1; 32]), jti);
        let possession = Possession { fingerprint, issued: UnixTime::from_secs(issued) };
        memory.spend(possession, WINDOW, UnixTime::from_secs(now)).map(drop)
    }

    #[test]
    fn a_proof_counts_once_as_long_as_it_could_be_good() {
        let memory = memory(10);
        // It may come from a clock that goes ahead, and is then good for longest.
        let issued = NOW + AHEAD.as_secs();
        assert_eq!(spend(&memory, "a", issued, NOW), Ok(()));
        for now in NOW..=issued + WINDOW.as_secs() {
            assert_eq!(spend(&memory, "a", issued, now), Err(SpendError::Replayed), "{}", now - NOW);
        }
        assert_eq!(memory.usage(), ReplayUsage { proofs: 1, limit: 10 });
        assert_eq!(spend(&memory, "b", NOW + 600, NOW + 600), Ok(()), "and lets the old one go");
        assert_eq!(memory.usage().proofs, 1);
    }

    #[test]
    fn a_claim_lasts_as_long_as_the_proof_is_remembered() {
        let possession = Possession::of(&KeyThumbprint([1; 32]), "a", UnixTime::from_secs(NOW));
        let claim = memory(10).spend(possession, WINDOW, UnixTime::from_secs(NOW)).unwrap();
        assert_eq!(claim.good_for(), WINDOW + AHEAD + SLACK);
        assert_eq!(claim.fingerprint(), &fingerprint(&KeyThumbprint([1; 32]), "a"));
    }

    #[test]
    fn proofs_of_another_key_or_jti_are_others() {
        let [one, other] = [1, 2].map(|byte| KeyThumbprint([byte; 32]));
        assert_ne!(fingerprint(&one, "a"), fingerprint(&other, "a"));
        assert_ne!(fingerprint(&one, "a"), fingerprint(&one, "b"));
        assert_eq!(fingerprint(&one, "a"), fingerprint(&one, "a"));
    }

    #[test]
    fn a_full_memory_lets_nothing_pass_until_there_is_room() {
        let memory = memory(3);
        for jti in ["a", "b", "c"] {
            assert_eq!(spend(&memory, jti, NOW, NOW), Ok(()));
        }
        assert_eq!(spend(&memory, "d", NOW, NOW), Err(SpendError::Full));
        assert_eq!(spend(&memory, "a", NOW, NOW), Err(SpendError::Replayed), "what is held is known");
        let free = NOW + (WINDOW + AHEAD + SLACK).as_secs();
        assert_eq!(spend(&memory, "d", free - 1, free - 1), Err(SpendError::Full));
        assert_eq!(spend(&memory, "d", free, free), Ok(()));
    }

    #[test]
    fn after_a_rest_a_full_memory_empties_step_by_step() {
        let memory = memory(100);
        for n in 0..100 {
            assert_eq!(spend(&memory, &n.to_string(), NOW, NOW), Ok(()));
        }
        let later = NOW + 3600;
        for (n, left) in [(100, 85), (101, 70), (102, 55)] {
            assert_eq!(spend(&memory, &n.to_string(), later, later), Ok(()));
            assert_eq!(memory.usage().proofs, left);
        }
    }

    #[test]
    fn without_room_nothing_passes() {
        assert_eq!(spend(&ReplayMemory::default(), "a", NOW, NOW), Err(SpendError::Full));
    }

    #[test]
    fn another_size_forgets_nothing() {
        let memory = memory(10);
        assert_eq!(spend(&memory, "a", NOW, NOW), Ok(()));
        assert_eq!(spend(&memory, "b", NOW, NOW), Ok(()));
        memory.resize(ENTRY_BYTES);
        assert_eq!(spend(&memory, "a", NOW, NOW), Err(SpendError::Replayed));
        assert_eq!(spend(&memory, "c", NOW, NOW), Err(SpendError::Full));
        memory.resize(10 * ENTRY_BYTES);
        assert_eq!(spend(&memory, "a", NOW, NOW), Err(SpendError::Replayed));
        assert_eq!(spend(&memory, "c", NOW, NOW), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_forgotten_proof_good() {
        let memory = memory(10);
        assert_eq!(spend(&memory, "a", NOW, NOW), Ok(()));
        let ahead = NOW + 3600;
        assert_eq!(spend(&memory, "b", ahead, ahead), Ok(()));
        assert_eq!(spend(&memory, "a", NOW, NOW + 5), Err(SpendError::Forgotten));
        assert_eq!(spend(&memory, "c", NOW, NOW + 5), Err(SpendError::Forgotten), "nobody knows");
        assert_eq!(spend(&memory, "d", NOW + 30, NOW + 30), Ok(()), "this is younger than what was let go");
    }

    #[test]
    fn a_longer_window_makes_no_forgotten_proof_good() {
        let memory = memory(10);
        assert_eq!(spend(&memory, "a", NOW, NOW), Ok(()));
        let now = NOW + 100;
        assert_eq!(spend(&memory, "b", now, now), Ok(()));
        let again =
            Possession { fingerprint: fingerprint(&KeyThumbprint([1; 32]), "a"), issued: UnixTime::from_secs(NOW) };
        let longer = Duration::from_secs(300);
        assert_eq!(memory.spend(again, longer, UnixTime::from_secs(now)), Err(SpendError::Forgotten));
    }

    #[test]
    fn of_many_at_once_one_gets_through() {
        let memory = memory(1000);
        let passed = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..100).filter(|n| spend(&memory, &n.to_string(), NOW, NOW).is_ok()).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum::<usize>()
        });
        assert_eq!(passed, 100);
    }

    #[test]
    fn the_memory_takes_no_more_than_it_is_given() {
        // A tree's leaf has eleven places, and five of them are taken at least; a node above has twelve children, six of them at least.
        let leaf = size_of::<[[u8; 16]; 11]>() + size_of::<usize>() + 2 * size_of::<u16>();
        let above = leaf + size_of::<[usize; 12]>();
        let in_tree = leaf.div_ceil(5) + above.div_ceil(5 * 5);
        let in_queue = size_of::<(UnixTime, [u8; 16])>();
        assert!((in_tree + in_queue) as u64 <= ENTRY_BYTES, "{in_tree} + {in_queue}");
    }
}
