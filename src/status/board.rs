//! What is noted while an instance runs, for whoever asks for its status.

use std::sync::{Arc, Mutex, PoisonError};

use super::document::{Issuer, Reload, Service};
use super::refusals::Refusals;
use super::traffic::Traffic;
use super::without_token::WithoutTokens;
use crate::clock::UnixTime;

/// The notes of one instance.
#[derive(Debug)]
pub struct Board {
    /// When the process began to listen.
    pub started: UnixTime,
    /// The latest refusals.
    pub refusals: Refusals,
    /// The senders of requests without a token.
    pub without_token: WithoutTokens,
    /// The numbers of requests.
    pub traffic: Traffic,
    in_force: Mutex<Arc<InForce>>,
    last_reload: Mutex<Option<Reload>>,
}

/// What the configuration in force says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The configuration file as it was named by the user.
    pub file: String,
    /// When it came into force.
    pub since: UnixTime,
    /// What is protected, and how.
    pub service: Service,
    /// What is only reported, in words.
    pub reported: Vec<String>,
    /// The trusted issuers, as if nothing were known of their keys yet.
    pub issuers: Vec<Issuer>,
    /// What is allowed and somebody should know.
    pub warnings: Vec<String>,
    /// The most bytes of remembered tokens.
    pub cache: u64,
    /// The most audit records that wait.
    pub audit_queue: u64,
}

impl Board {
    /// The notes of an instance that starts with this configuration.
    #[must_use]
    pub fn new(in_force: InForce, refusals: Refusals) -> Self {
        let started = in_force.since;
        let in_force = Mutex::new(Arc::new(in_force));
        let without_token = WithoutTokens::new(refusals.are_kept());
        Self { started, refusals, without_token, traffic: Traffic::default(), in_force, last_reload: Mutex::default() }
    }

    /// The configuration in force.
    #[must_use]
    pub fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another configuration is in force.
    pub fn replace(&self, in_force: InForce) {
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(in_force);
    }

    /// The file was read again.
    pub fn reloaded(&self, reload: Reload) {
        *self.last_reload.lock().unwrap_or_else(PoisonError::into_inner) = Some(reload);
    }

    /// The last time that it was.
    #[must_use]
    pub fn last_reload(&self) -> Option<Reload> {
        self.last_reload.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
