//! What is asked of proofs: by the configuration of all of them, and by a request of its own.

use std::time::Duration;

use super::uri::ExternalUrl;
use crate::algorithm::Algorithm;
use crate::confirmation::KeyThumbprint;
use crate::keys::proof_key::WorkloadKey;
use crate::request::Fields;

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

/// What proofs of workloads must fulfil.
#[derive(Clone, Debug)]
pub struct WorkloadProofRules {
    /// The algorithms that they may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// How long before its `exp` a proof is good at most.
    pub window: Duration,
    /// What this service is called outside.
    pub external_urls: Vec<ExternalUrl>,
    /// The field that carries tokens here, if it is neither `Authorization` nor `Txn-Token`: a proof must cover it too.
    pub token_field: Option<String>,
}

/// The request that a workload's proof must be for.
#[derive(Clone, Copy)]
pub struct WorkloadRequest<'r> {
    /// As sent, without query; `None` if the target is not in origin form.
    pub path: Option<&'r str>,
    /// The workload identity token that it carries.
    pub token: &'r [u8],
    /// The key that this token holds.
    pub key: &'r WorkloadKey,
    /// The OAuth access token beside it (RFC 6750 §2.1, RFC 9449 §7.1).
    pub access_token: Option<&'r [u8]>,
    /// The transaction token beside it.
    pub transaction_token: Option<&'r [u8]>,
    /// All its fields.
    pub fields: &'r dyn Fields,
}

/// How far the clock of a client may go ahead of ours.
pub const AHEAD: Duration = Duration::from_secs(10);
