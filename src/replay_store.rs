//! The store in which instances tell each other which proofs were shown (Valkey or Redis): each counts once across all of them. It is
//! asked last, for a proof that passed everything else. Where it does not answer in time the proof does not count.

mod connection;
mod error;
mod health;
mod keeper;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

use crate::metrics::replay_store::{ClaimResult, ReplayStoreMetrics};
use crate::proof::replay::{Claim, SpendError};
use crate::proof::store::StoreSettings;

pub use health::StoreStatus;

use error::StoreError;
use health::Health;
use keeper::{Link, keep};

/// The store of one configuration, with one connection for all requests. It begins to connect when it is made, and ends when it is
/// dropped.
pub struct ReplayStore {
    settings: StoreSettings,
    link: watch::Receiver<Link>,
    /// The requests that may wait for it.
    room: Semaphore,
    health: Arc<Health>,
    metrics: ReplayStoreMetrics,
    keeper: JoinHandle<()>,
}

impl ReplayStore {
    /// Begins to connect.
    #[must_use]
    pub fn start(settings: StoreSettings, metrics: ReplayStoreMetrics) -> Self {
        let health = Arc::new(Health::new(settings.address.to_string(), metrics.clone()));
        let (state, link) = watch::channel(Link::Opening);
        let keeper = tokio::spawn(keep(settings.clone(), state, Arc::clone(&health)));
        Self { settings, link, room: Semaphore::new(WAITING_MAX), health, metrics, keeper }
    }

    /// What the configuration says about it.
    #[must_use]
    pub const fn settings(&self) -> &StoreSettings {
        &self.settings
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> StoreStatus {
        self.health.status()
    }

    /// Another store, or none, is in force. Requests that began before may still ask this one.
    pub fn retire(&self, successor: Option<&Self>) {
        self.health.retire(successor.is_some_and(|successor| successor.settings.address == self.settings.address));
    }

    /// Grants a claim to the first who makes it, of all who share the store.
    ///
    /// # Errors
    /// If the proof was shown before, or the store has not said so in time.
    pub async fn claim(&self, claim: &Claim) -> Result<(), SpendError> {
        let since = Instant::now();
        let granted = self.ask(claim).await;
        let (answer, result) = match &granted {
            Ok(true) => (Ok(()), ClaimResult::Granted),
            Ok(false) => (Err(SpendError::Replayed), ClaimResult::Replayed),
            Err(error) => (Err(SpendError::Unanswered), error.result()),
        };
        self.metrics.claimed(result, since.elapsed());
        match granted {
            Ok(_) => self.health.answered(),
            // That is for want of room here.
            Err(StoreError::Overloaded) => {}
            Err(error) => self.health.claim_failed(&error),
        }
        answer
    }

    /// Whether nobody has made this claim before.
    async fn ask(&self, claim: &Claim) -> Result<bool, StoreError> {
        let _place = self.room.try_acquire().map_err(|_| StoreError::Overloaded)?;
        let latest = tokio::time::Instant::now() + self.settings.timeout;
        let mut link = self.link.clone();
        let connection = async {
            match link.wait_for(|link| !matches!(link, Link::Opening)).await.as_deref() {
                Ok(Link::Open(connection)) => Ok(connection.clone()),
                _ => Err(StoreError::Unconnected),
            }
        };
        let connection = timeout_at(latest, connection).await.unwrap_or(Err(StoreError::TimedOut))?;
        let answer = timeout_at(latest, connection.claim(claim)).await.unwrap_or(Err(StoreError::TimedOut));
        if answer.is_err() {
            connection.doubt();
        }
        answer
    }
}

impl Drop for ReplayStore {
    fn drop(&mut self) {
        self.keeper.abort();
        self.health.retire(false);
    }
}

/// How many requests may wait for the store. A waiting request takes about as much memory as its header section and 20 KiB.
const WAITING_MAX: usize = 1024;

#[cfg(test)]
mod tests;
