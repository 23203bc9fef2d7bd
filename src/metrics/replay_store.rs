//! What is counted about the store in which instances share the proofs that were shown.

use std::time::Duration;

use prometheus::{Error, Histogram, IntCounterVec, IntGaugeVec};

use super::registrar::Registrar;

/// The metrics of the replay store.
#[derive(Clone)]
pub struct ReplayStoreMetrics {
    claims: IntCounterVec,
    duration: Histogram,
    up: IntGaugeVec,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimResult {
    /// Nobody had made it before.
    Granted,
    /// Somebody had.
    Replayed,
    /// No answer came in time.
    TimedOut,
    /// There was no connection, or it was lost.
    Unavailable,
    /// The store answered with an error.
    Error,
    /// Too many requests were waiting for the store.
    Overloaded,
}

impl ClaimResult {
    const ALL: [Self; 6] =
        [Self::Granted, Self::Replayed, Self::TimedOut, Self::Unavailable, Self::Error, Self::Overloaded];

    /// The word in the metric.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Replayed => "replayed",
            Self::TimedOut => "timed_out",
            Self::Unavailable => "unavailable",
            Self::Error => "error",
            Self::Overloaded => "overloaded",
        }
    }
}

impl ReplayStoreMetrics {
    pub(super) fn register(registrar: &Registrar<'_>) -> Result<Self, Error> {
        let claims = registrar.counters(
            "callgate_replay_store_claims_total",
            "Proofs that the replay store was asked about, by what came of it: granted, replayed, timed_out, unavailable, error, overloaded.",
            &["result"],
        )?;
        for result in ClaimResult::ALL {
            claims.with_label_values(&[result.as_str()]);
        }
        Ok(Self {
            claims,
            duration: registrar.histogram(
                "callgate_replay_store_claim_seconds",
                "Time from the question to the replay store's answer, or to the end of waiting.",
                &BUCKETS,
            )?,
            up: registrar.gauges(
                "callgate_replay_store_up",
                "Whether the replay store takes claims; no series where none is configured.",
                &["store"],
            )?,
        })
    }

    /// A request has asked.
    pub fn claimed(&self, result: ClaimResult, took: Duration) {
        self.claims.with_label_values(&[result.as_str()]).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Whether a store takes claims.
    pub fn up(&self, store: &str, up: bool) {
        self.up.with_label_values(&[store]).set(up.into());
    }

    /// A store is no longer asked.
    pub fn gone(&self, store: &str) {
        // It fails only if there is no such series.
        let _ = self.up.remove_label_values(&[store]);
    }
}

/// Seconds. In one data centre an answer takes less than a millisecond.
const BUCKETS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.25, 1.0];
