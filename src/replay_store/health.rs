//! How the store is: what the log, the metrics and the status say of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::error::StoreError;
use crate::metrics::replay_store::ReplayStoreMetrics;
use crate::outage::Outage;

/// How a store is.
pub(super) struct Health {
    address: String,
    outage: Outage,
    metrics: ReplayStoreMetrics,
    state: Mutex<State>,
    /// Whether another configuration is in force.
    is_retired: AtomicBool,
}

/// As far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was heard of it yet.
    Unknown,
    Answers,
    Fails(StoreError),
}

/// What there is to say of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// Where it is.
    pub address: String,
    /// Whether it answers.
    pub answers: bool,
    /// Why it does not.
    pub detail: Option<String>,
}

impl Health {
    pub(super) fn new(address: String, metrics: ReplayStoreMetrics) -> Self {
        metrics.up(&address, false);
        Self {
            address,
            outage: Outage::default(),
            metrics,
            state: Mutex::new(State::Unknown),
            is_retired: AtomicBool::new(false),
        }
    }

    /// It has answered a claim.
    pub(super) fn answered(&self) {
        if let Some(failures) = self.outage.answered(Instant::now()) {
            tracing::info!(store = self.address, failures, "The replay store answers again.");
        }
    }

    /// A claim has failed.
    pub(super) fn claim_failed(&self, error: &StoreError) {
        if let Some(failures) = self.outage.failed(Instant::now()) {
            // While there is no connection, why there is none says more.
            let error = match (error, &*self.state()) {
                (StoreError::Unconnected, State::Fails(why)) => why.to_string(),
                _ => error.to_string(),
            };
            tracing::warn!(
                store = self.address,
                error,
                failures,
                "The replay store does not answer: requests with proofs are refused."
            );
        }
    }

    /// It takes claims from now on.
    pub(super) fn connected(&self) {
        *self.state() = State::Answers;
        self.show(true);
        self.answered();
    }

    /// It takes none.
    pub(super) fn failed(&self, error: StoreError) {
        *self.state() = State::Fails(error.clone());
        if self.is_retired.load(Ordering::Relaxed) {
            return;
        }
        self.show(false);
        self.claim_failed(&error);
    }

    /// Another configuration has another store, or none: how this one is concerns nobody. The metrics of that other one may have the
    /// same name, and are `kept` then.
    pub(super) fn retire(&self, kept: bool) {
        // Under the lock, so that what is shown at this moment is taken back.
        let _state = self.state();
        if !self.is_retired.swap(true, Ordering::Relaxed) && !kept {
            self.metrics.gone(&self.address);
        }
    }

    fn show(&self, up: bool) {
        let _state = self.state();
        if !self.is_retired.load(Ordering::Relaxed) {
            self.metrics.up(&self.address, up);
        }
    }

    pub(super) fn status(&self) -> StoreStatus {
        let (answers, detail) = match &*self.state() {
            State::Unknown => (false, Some("there is no connection yet".to_owned())),
            State::Answers => (true, None),
            State::Fails(error) => (false, Some(error.to_string())),
        };
        StoreStatus { address: self.address.clone(), answers, detail }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
