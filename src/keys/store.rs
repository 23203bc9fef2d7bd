//! Where the keys wait for the requests. A refresh publishes a whole set in one step and a request takes the whole set that
//! is there; none ever sees half of one. Whether a set may still be used is a matter of time, and decided at each use.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use super::jwks::KeySet;
use crate::clock::UnixTime;

/// The place of one issuer's keys. It outlives configurations.
#[derive(Debug, Default)]
pub struct KeySlot {
    published: ArcSwapOption<Published>,
}

/// A key set with the time for which it is good.
#[derive(Debug)]
pub struct Published {
    /// The keys. As long as they are the same, so is this pointer.
    pub keys: Arc<KeySet>,
    /// When the issuer last confirmed them.
    pub confirmed: UnixTime,
    /// From when on they are too old to be trusted, if nobody confirms them before.
    pub stale: UnixTime,
}

impl KeySlot {
    /// Replaces the keys. There is one who publishes at a time.
    pub fn publish(&self, mut published: Published) {
        if let Some(serving) = self.published.load().as_ref()
            && serving.keys.is_same(&published.keys)
        {
            published.keys = Arc::clone(&serving.keys);
        }
        self.published.store(Some(Arc::new(published)));
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
