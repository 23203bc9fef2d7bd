//! What is counted about proofs of what tokens are bound to.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntCounter, IntCounterVec, IntGauge, Registry};

use super::registrar::Registrar;
use crate::confirmation::Confirmation;
use crate::rejection::Reason;

/// The metrics of proofs.
pub struct ProofMetrics {
    /// Accepted requests whose client has shown the certificate of its token.
    certificates: IntCounter,
    /// Accepted requests with a proof of the key of their token.
    keys: IntCounter,
    /// Likewise with a proof of the key of a workload.
    workloads: IntCounter,
    results: IntCounterVec,
}

/// How full the memory of proofs is, which is looked up at each scrape.
struct AtScrape<F> {
    usage: F,
    held: IntGauge,
    limit: IntGauge,
}

impl ProofMetrics {
    pub(super) fn register(registrar: &Registrar<'_>) -> Result<Self, Error> {
        let results = registrar.counters(
            "callgate_proofs_total",
            "Requests with a bound token by its binding (certificate, dpop, wimse) and what became of the proof: accepted, or the reason.",
            &["binding", "result"],
        )?;
        Ok(Self {
            certificates: results.with_label_values(&[CERTIFICATE, ACCEPTED]),
            keys: results.with_label_values(&[DPOP, ACCEPTED]),
            workloads: results.with_label_values(&[WIMSE, ACCEPTED]),
            results,
        })
    }

    /// Counts an accepted request, if its token is bound to something.
    pub fn accepted(&self, confirmation: Option<&Confirmation>) {
        match confirmation {
            None => {}
            Some(Confirmation::Certificate(_)) => self.certificates.inc(),
            Some(Confirmation::DpopKey(_)) => self.keys.inc(),
            Some(Confirmation::WorkloadKey(_)) => self.workloads.inc(),
        }
    }

    /// Counts a refusal, if it was for want of a proof: of a workload's, if its token came with the request.
    pub fn refused(&self, reason: Reason, is_of_workload: bool) {
        let binding = match reason {
            Reason::CertificateMismatch | Reason::CertificateMissing => CERTIFICATE,
            Reason::ProofExpired
            | Reason::ProofInvalid
            | Reason::ProofMissing
            | Reason::ProofNonceWanted
            | Reason::ProofReplayed
            | Reason::ProofUncheckable => match is_of_workload {
                true => WIMSE,
                false => DPOP,
            },
            _ => return,
        };
        self.results.with_label_values(&[binding, reason.as_str()]).inc();
    }

    /// Says at each scrape how many proofs the memory holds, and how many it may.
    ///
    /// # Errors
    /// If metrics of these names are registered already.
    pub fn watch(registry: &Registry, usage: impl Fn() -> (usize, usize) + Send + Sync + 'static) -> Result<(), Error> {
        let limit = "Proofs that may be remembered; 0 where none were ever accepted.";
        registry.register(Box::new(AtScrape {
            usage,
            held: IntGauge::new(
                "callgate_replay_memory_proofs",
                "Proofs that are remembered, so that each counts once.",
            )?,
            limit: IntGauge::new("callgate_replay_memory_limit_proofs", limit)?,
        }))
    }
}

impl<F: Fn() -> (usize, usize) + Send + Sync> Collector for AtScrape<F> {
    fn desc(&self) -> Vec<&Desc> {
        [self.held.desc(), self.limit.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (held, limit) = (self.usage)();
        self.held.set(i64::try_from(held).unwrap_or(i64::MAX));
        self.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
        [self.held.collect(), self.limit.collect()].concat()
    }
}

const ACCEPTED: &str = "accepted";
const CERTIFICATE: &str = "certificate";
const DPOP: &str = "dpop";
const WIMSE: &str = "wimse";
