//! What is known of a trusted issuer: it is compiled from the configuration, and decides about its tokens.

use std::sync::Arc;

use crate::identity::{ClaimPath, Naming};
use crate::keys::store::KeySlot;
use crate::requirement::Requirement;

/// A trusted issuer: what its tokens must fulfil, and where its keys are.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// What its tokens must fulfil.
    pub requirement: Requirement,
    /// Where its keys of the moment are read.
    pub keys: Arc<KeySlot>,
    /// How its callers are named, if not by the common rule.
    pub naming: Option<Naming>,
    /// The claims of its accepted tokens that are recorded, each under a name.
    pub recorded: Vec<(String, ClaimPath)>,
}

impl Issuer {
    /// An issuer whose callers are named by the common rule.
    #[must_use]
    pub const fn new(requirement: Requirement, keys: Arc<KeySlot>) -> Self {
        Self { requirement, keys, naming: None, recorded: Vec::new() }
    }
}
