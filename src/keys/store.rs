//! The published keys of each issuer. A refresh publishes a whole set in one step, and a request takes the whole set that is
//! there; none ever sees half of one. Whether a set may still be used depends on the time, and is decided at each use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwapOption, Guard};

use super::jwks::KeySet;
use crate::clock::UnixTime;

/// The published keys of one source.
#[derive(Debug, Default)]
pub struct KeySlot {
    published: ArcSwapOption<Published>,
    withdrawn: AtomicBool,
}

/// What publishing changed for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// There are other keys, or keys that were not usable before: a request may be decided otherwise now.
    Changed,
    /// The same keys were usable before.
    Unchanged,
}

/// A key set with the time for which it is good.
#[derive(Debug)]
pub struct Published {
    /// The keys. The pointer stays the same as long as they do.
    pub keys: Arc<KeySet>,
    /// When the issuer last confirmed them.
    pub confirmed: UnixTime,
    /// The time from which they are too old to be trusted, unless the issuer confirms them before.
    pub stale: UnixTime,
}

impl KeyChange {
    /// The word it is counted under.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

impl KeySlot {
    /// Replaces the keys, unless the source was [withdrawn](Self::withdraw). Only one task publishes into a slot.
    pub fn publish(&self, mut published: Published) -> KeyChange {
        let mut change = KeyChange::Changed;
        if let Some(before) = self.published.load().as_ref()
            && before.keys.is_same(&published.keys)
        {
            published.keys = Arc::clone(&before.keys);
            if before.usable(published.confirmed).is_some() {
                change = KeyChange::Unchanged;
            }
        }
        self.published.store(Some(Arc::new(published)));
        // A withdrawal at the same time has either seen these keys or is seen here.
        if self.withdrawn.load(Ordering::SeqCst) {
            self.published.store(None);
        }
        change
    }

    /// Takes the keys away for good: nothing that is published later is visible.
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::SeqCst);
        self.published.store(None);
    }

    /// The keys, whatever their age; `None` before the first were published.
    #[must_use]
    pub fn latest(&self) -> Guard<Option<Arc<Published>>> {
        self.published.load()
    }
}

impl Published {
    /// The keys, if they are not stale.
    #[must_use]
    pub fn usable(&self, now: UnixTime) -> Option<&Arc<KeySet>> {
        (now < self.stale).then_some(&self.keys)
    }
}
