//! The requests that wait for keys of one issuer. They have places of their own, outside `limits.requests`: an issuer that does
//! not answer must not take the places of requests that need none of its keys.

use prometheus::IntGauge;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The places of one issuer.
pub(super) struct WaitingRoom {
    places: Semaphore,
    occupied: IntGauge,
}

/// A place in it, which is free again when this is dropped.
pub(super) struct WaitingPermit<'r> {
    _permit: SemaphorePermit<'r>,
    occupied: &'r IntGauge,
}

impl WaitingRoom {
    /// A room for one of so many issuers.
    pub(super) fn new(issuers: usize, occupied: IntGauge) -> Self {
        Self { places: Semaphore::new((WAITING_TOTAL / issuers.max(1)).max(WAITING_MIN)), occupied }
    }

    /// A place, if one is free.
    pub(super) fn enter(&self) -> Option<WaitingPermit<'_>> {
        let permit = self.places.try_acquire().ok()?;
        self.occupied.inc();
        Some(WaitingPermit { _permit: permit, occupied: &self.occupied })
    }
}

impl Drop for WaitingPermit<'_> {
    fn drop(&mut self) {
        self.occupied.dec();
    }
}

/// How many requests wait for keys in all. A waiting request takes about as much memory as its header section and 20 KiB.
const WAITING_TOTAL: usize = 1024;

/// How many places an issuer has in any case.
const WAITING_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_request_leaves() {
        let room = WaitingRoom::new(1000, IntGauge::new("occupied", "h").unwrap());
        let mut places: Vec<_> = (0..WAITING_MIN).map(|_| room.enter().unwrap()).collect();
        assert!(room.enter().is_none());
        assert_eq!(room.occupied.get(), 64);
        places.pop();
        assert!(room.enter().is_some());
        drop(places);
        assert_eq!(room.occupied.get(), 0);
    }

    #[test]
    fn issuers_share_the_places() {
        let size =
            |issuers| WaitingRoom::new(issuers, IntGauge::new("occupied", "h").unwrap()).places.available_permits();
        assert_eq!([0, 1, 2, 16, 100].map(size), [1024, 1024, 512, 64, 64]);
    }
}
