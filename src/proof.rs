//! Proofs that a client has the key to which its token is bound (DPoP, RFC 9449; WPT, draft-ietf-wimse-wpt). A proof is a JWS that the
//! client signs for one request. [`verify`] asks everything that RFC 9449 §4.3 asks and can be told from the proof alone, and
//! [`verify_workload`] what the draft asks; what is left is that it was not shown before, which [`replay`] remembers. It is spent there
//! once everything else about the request holds.

use std::sync::Arc;

use crate::clock::UnixTime;
use crate::jwt::claims::Finding;
use crate::jwt::parse::{Document, Parts};
use crate::rejection::{Reason, Rejection};
use crate::request::SingletonField;

mod checks;
pub mod nonce;
pub mod replay;
mod rules;
pub mod store;
pub mod uri;
mod workload;

pub use checks::JTI_MAX;
pub use rules::{AHEAD, ProofRules, ProvenRequest, WorkloadProofRules, WorkloadRequest};

use checks::{CHECKS, Case, Unproven};
use nonce::Nonces;
use replay::{Claim, Possession, ReplayMemory, SpendError};

/// What is kept between proofs. It outlives a configuration: another one must not take a proof twice.
pub struct ProofState {
    /// The proofs that were shown.
    pub memory: ReplayMemory,
    /// What makes and knows our nonces.
    pub nonces: Nonces,
}

/// What judges proofs.
pub struct ProofVerifier {
    rules: Option<ProofRules>,
    workload: Option<WorkloadProofRules>,
    state: Arc<ProofState>,
    /// Whether a store is asked too, which other instances share.
    is_shared: bool,
}

impl ProofVerifier {
    /// Judges proofs by DPoP by these rules, and takes none without.
    #[must_use]
    pub fn new(rules: impl Into<Option<ProofRules>>, state: Arc<ProofState>) -> Self {
        Self { rules: rules.into(), workload: None, state, is_shared: false }
    }

    /// Has each proof claimed in a store too, which other instances share.
    #[must_use]
    pub fn with_store(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// Judges proofs of workloads by these rules, and takes none without.
    #[must_use]
    pub fn with_workload(self, rules: impl Into<Option<WorkloadProofRules>>) -> Self {
        Self { workload: rules.into(), ..self }
    }

    /// Whether proofs by DPoP are taken.
    #[must_use]
    pub const fn takes_dpop(&self) -> bool {
        self.rules.is_some()
    }

    /// Whether proofs of workloads are taken.
    #[must_use]
    pub const fn takes_workload(&self) -> bool {
        self.workload.is_some()
    }

    /// Gives the memory of proofs room of so many bytes from now on.
    pub fn resize_memory(&self, bytes: u64) {
        self.state.memory.resize(bytes);
    }

    /// The nonce for the next proof, if proofs need one.
    #[must_use]
    pub fn nonce(&self, now: UnixTime) -> Option<String> {
        self.rules.as_ref().is_some_and(|rules| rules.nonce).then(|| self.state.nonces.current(now))
    }

    /// Lets a request pass whose `DPoP` field proves the key. Its proof is used up then. Where instances share a store, there is a claim,
    /// and the request must not pass before the store has granted it.
    ///
    /// # Errors
    /// `proof_missing`, `proof_invalid`, `proof_expired`, `proof_nonce_wanted`, `proof_replayed` or `proof_uncheckable`.
    pub fn prove(
        &self,
        field: SingletonField<'_>,
        request: &ProvenRequest<'_>,
        now: UnixTime,
    ) -> Result<Option<Claim>, Rejection> {
        let rules = self.rules.as_ref().ok_or_else(not_taken)?;
        let possession = verify(only(field)?, rules, Some(&self.state.nonces), request, now)?;
        self.spend(possession, now)
    }

    /// Lets a request pass whose `Workload-Proof-Token` field proves the key. Its proof is used up then, as in [`Self::prove`].
    ///
    /// # Errors
    /// `proof_missing`, `proof_invalid`, `proof_expired`, `proof_replayed` or `proof_uncheckable`.
    pub fn prove_workload(
        &self,
        field: SingletonField<'_>,
        request: &WorkloadRequest<'_>,
        now: UnixTime,
    ) -> Result<Option<Claim>, Rejection> {
        let rules = self.workload.as_ref().ok_or_else(not_taken)?;
        let possession = verify_workload(only_workload(field)?, rules, request, now)?;
        self.spend(possession, now)
    }

    fn spend(&self, possession: Possession, now: UnixTime) -> Result<Option<Claim>, Rejection> {
        // What is remembered must be kept as long as a proof of either kind is good.
        let windows = [self.rules.as_ref().map(|it| it.window), self.workload.as_ref().map(|it| it.window)];
        let window = windows.into_iter().flatten().max().unwrap_or_default();
        let claim = self.state.memory.spend(possession, window, now)?;
        Ok(self.is_shared.then_some(claim))
    }

    /// What each check of a proof wants and finds, in their order. It spends nothing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn explain(
        &self,
        field: SingletonField<'_>,
        request: &ProvenRequest<'_>,
        now: UnixTime,
    ) -> Result<Vec<Finding>, Rejection> {
        let rules = self.rules.as_ref().ok_or_else(not_taken)?;
        let parts = Parts::decode_as(Document::Proof, text(only(field)?)?)?;
        let proof = Unproven::parse(&parts)?;
        let case = Case::new(&proof, rules, Some(&self.state.nonces), request, now);
        Ok(CHECKS.iter().map(|check| check.explain(&case)).collect())
    }

    /// The same of a workload's proof.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn explain_workload(
        &self,
        field: SingletonField<'_>,
        request: &WorkloadRequest<'_>,
        now: UnixTime,
    ) -> Result<Vec<Finding>, Rejection> {
        let rules = self.workload.as_ref().ok_or_else(not_taken)?;
        let parts = Parts::decode_as(Document::Proof, text(only_workload(field)?)?)?;
        let proof = Unproven::parse(&parts)?;
        let case = workload::Case::new(&proof, rules, request, now);
        Ok(workload::CHECKS.iter().map(|check| check.explain(&case)).collect())
    }
}

impl From<SpendError> for Rejection {
    fn from(error: SpendError) -> Self {
        match error {
            SpendError::Replayed => Self::new(
                Reason::ProofReplayed,
                "a proof with this jti was shown before; make a new one for each request, also when it is sent again",
            ),
            SpendError::Full | SpendError::Forgotten | SpendError::Unanswered => Self::new(
                Reason::ProofUncheckable,
                "whether the proof was shown before cannot be told at the moment; try again with a new one",
            ),
        }
    }
}

impl ProofState {
    /// Nothing was shown yet; nonces are made with this secret.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { memory: ReplayMemory::default(), nonces: Nonces::new(secret) }
    }
}

/// Judges a proof for a request. Whether it was shown before is not known then.
///
/// # Errors
/// The first thing that is wrong: `proof_invalid`, `proof_expired` or `proof_nonce_wanted`.
pub fn verify(
    proof: &[u8],
    rules: &ProofRules,
    nonces: Option<&Nonces>,
    request: &ProvenRequest<'_>,
    now: UnixTime,
) -> Result<Possession, Rejection> {
    let parts = Parts::decode_as(Document::Proof, text(proof)?)?;
    let proof = Unproven::parse(&parts)?;
    let case = Case::new(&proof, rules, nonces, request, now);
    for check in &CHECKS {
        check.pass(&case)?;
    }
    // The checks demand both; were that ever lost, a proof without them would be refused here.
    let incomplete = || Rejection::new(Reason::ProofInvalid, "the proof has no jti or no iat");
    let (jti, issued) = (proof.jti().ok_or_else(incomplete)?, case.issued().ok_or_else(incomplete)?);
    Ok(Possession::of(&request.key, jti, issued))
}

/// Judges a workload's proof for a request. Whether it was shown before is not known then.
///
/// # Errors
/// The first thing that is wrong: `proof_invalid` or `proof_expired`.
pub fn verify_workload(
    proof: &[u8],
    rules: &WorkloadProofRules,
    request: &WorkloadRequest<'_>,
    now: UnixTime,
) -> Result<Possession, Rejection> {
    let parts = Parts::decode_as(Document::Proof, text(proof)?)?;
    let proof = Unproven::parse(&parts)?;
    let case = workload::Case::new(&proof, rules, request, now);
    for check in &workload::CHECKS {
        check.pass(&case)?;
    }
    // The checks demand both; were that ever lost, a proof without them would be refused here.
    let incomplete = || Rejection::new(Reason::ProofInvalid, "the proof has no jti or no exp");
    let (jti, earliest) = (proof.jti().ok_or_else(incomplete)?, case.earliest().ok_or_else(incomplete)?);
    Ok(Possession::of(&workload::memory_key(request.key.thumbprint()), jti, earliest))
}

/// No token whose proof nobody judges gets this far; were that ever lost, it would be refused here.
fn not_taken() -> Rejection {
    Rejection::new(Reason::TokenBound, "the token is bound to a key (cnf), and no proof of that is accepted here")
}

/// The only value of a workload's field.
fn only_workload(field: SingletonField<'_>) -> Result<&[u8], Rejection> {
    match field {
        SingletonField::One(value) => Ok(value),
        SingletonField::Absent => {
            let detail = "a workload identity token needs a proof: sign one for this request with the key in its cnf, and send that \
                          in the Workload-Proof-Token field";
            Err(Rejection::new(Reason::ProofMissing, detail))
        }
        SingletonField::Several => {
            let detail = "the request has more than one Workload-Proof-Token field; send one";
            Err(Rejection::new(Reason::ProofInvalid, detail))
        }
    }
}

/// The only value of the field (RFC 9449 §4.3, 1).
fn only(field: SingletonField<'_>) -> Result<&[u8], Rejection> {
    match field {
        SingletonField::One(value) => Ok(value),
        SingletonField::Absent => {
            let detail =
                "the token is bound to a key: sign a proof for this request with it, and send that in the DPoP field";
            Err(Rejection::new(Reason::ProofMissing, detail))
        }
        SingletonField::Several => {
            Err(Rejection::new(Reason::ProofInvalid, "the request has more than one DPoP field; send one"))
        }
    }
}

/// The proof as text, if it is not too long to be looked at.
fn text(proof: &[u8]) -> Result<&str, Rejection> {
    if proof.len() > PROOF_MAX {
        let detail = format!("the proof has {} bytes; at most {PROOF_MAX} are accepted", proof.len());
        return Err(Rejection::new(Reason::ProofInvalid, detail));
    }
    std::str::from_utf8(proof).map_err(|_| Rejection::new(Reason::ProofInvalid, "the proof is not text"))
}

/// The longest proof that is looked at, in bytes: one with the largest keys and signatures, of ML-DSA-87, fits.
pub const PROOF_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests;
