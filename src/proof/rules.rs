//! What is asked of proofs: by the configuration of all of them, and by a request of its own.

use std::time::Duration;

use super::uri::ExternalUrl;
use crate::algorithm::Algorithm;
use crate::confirmation::KeyThumbprint;

/// What proofs must fulfil.
#[derive(Clone, Debug)]
pub struct ProofRules {
    /// The algorithms that they may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// How long after its `iat` a proof is good.
    pub window: Duration,
    /// What this service is called outside.
    pub external_urls: Vec<ExternalUrl>,
    /// Whether each proof must hold a nonce of ours.
    pub nonce: bool,
}

/// The request that a proof must be for.
#[derive(Clone, Copy)]
pub struct ProvenRequest<'r> {
    /// As sent: `htm` must equal it (RFC 9449 §4.3).
    pub method: &'r str,
    /// As sent, without query; `None` if the target is not in origin form.
    pub path: Option<&'r str>,
    /// The token that it carries.
    pub token: &'r [u8],
    /// The key to which that token is bound.
    pub key: KeyThumbprint,
}

/// How far the clock of a client may go ahead of ours.
pub const AHEAD: Duration = Duration::from_secs(10);
