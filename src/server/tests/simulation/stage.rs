//! What all parts of a world share: the time, the model, a fault that is planted, and a log of what happened.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

use super::faults::Fault;
use super::model::{Model, Ms};
use crate::clock::UnixTime;
use crate::jwks_refresh::Clock;

/// The one stage of a world.
pub(super) struct Stage {
    begun: Instant,
    model: Mutex<Model>,
    /// The model's number of the policy in force.
    policy: AtomicUsize,
    pub fault: Option<Fault>,
    /// How often the fault could have struck.
    occasions: AtomicUsize,
    /// Where requests wait one after the other, for a fault.
    pub queue: tokio::sync::Mutex<()>,
    /// What a planted cache remembers.
    pub remembered: Mutex<HashSet<String>>,
    /// What happened, if anybody reads it.
    log: Option<Mutex<Vec<String>>>,
}

impl Stage {
    pub(super) fn new(model: Model, fault: Option<Fault>, is_logged: bool) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            model: Mutex::new(model),
            policy: AtomicUsize::new(0),
            fault,
            occasions: AtomicUsize::new(0),
            queue: tokio::sync::Mutex::default(),
            remembered: Mutex::default(),
            log: is_logged.then(Mutex::default),
        })
    }

    /// Whether this fault is planted, and its turn has come.
    pub(super) fn strikes(&self, fault: Fault) -> bool {
        self.fault == Some(fault) && self.occasions.fetch_add(1, Ordering::SeqCst) % 4 == 3
    }

    pub(super) fn now(&self) -> Ms {
        u64::try_from(self.begun.elapsed().as_millis()).expect("a short world")
    }

    /// The model, which no code of the product may be called with.
    pub(super) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("a model")
    }

    pub(super) fn policy(&self) -> usize {
        self.policy.load(Ordering::SeqCst)
    }

    pub(super) fn set_policy(&self, policy: usize) {
        self.policy.store(policy, Ordering::SeqCst);
    }

    /// The sidecar's clock.
    pub(super) fn clock(self: &Arc<Self>) -> Clock {
        let stage = Arc::clone(self);
        Arc::new(move || stage.unix_time())
    }

    pub(super) fn unix_time(&self) -> UnixTime {
        let now = self.now();
        UnixTime::from_secs(self.model().clock(now))
    }

    /// Notes what happens.
    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            log.lock().expect("a log").push(format!("{:>10} ms  {}", self.now(), what()));
        }
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log.as_ref().map(|log| log.lock().expect("a log").clone()).unwrap_or_default()
    }
}
