//! What is counted about requests, for Prometheus. Every label has a bounded set of values: configured names and our own
//! words, and the first callers that were seen.

pub mod keys;
pub mod revocation;

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::audit::Verdict;
use crate::rejection::Reason;

/// The metrics of the requests, and the registry that all metrics share.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    callers: IntCounterVec,
    /// The callers that have a time series of their own.
    known_callers: Mutex<HashSet<String>>,
    authentication: Histogram,
    request: Histogram,
    upstream: Histogram,
    connections: IntGauge,
    audit_lost: IntCounter,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// If two metrics have the same name, which a test excludes.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter_vec = |name, help, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let histogram = |name, help, buckets: &[f64]| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
            registry.register(Box::new(histogram.clone())).map(|()| histogram)
        };
        let build = IntGaugeVec::new(Opts::new("callgate_build_info", "The running version; always 1."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let connections = IntGauge::new("callgate_connections", "Client connections that are open.")?;
        let audit_lost = IntCounter::new("callgate_audit_lost_total", "Audit records that could not be written.")?;
        registry.register(Box::new(build))?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(audit_lost.clone()))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self {
            requests: counter_vec(
                "callgate_requests_total",
                "Requests by outcome (forward, pass, reject), reason and configured issuer.",
                &["outcome", "reason", "issuer"],
            )?,
            callers: counter_vec(
                "callgate_caller_requests_total",
                "Forwarded requests by caller; callers beyond the first 200 are counted as other.",
                &["caller"],
            )?,
            known_callers: Mutex::default(),
            authentication: histogram(
                "callgate_authentication_seconds",
                "Time spent on deciding about a request, waiting for keys included.",
                &AUTHENTICATION_BUCKETS,
            )?,
            request: histogram(
                "callgate_request_seconds",
                "Time from a request's head to the end of its answer.",
                &REQUEST_BUCKETS,
            )?,
            upstream: histogram(
                "callgate_upstream_seconds",
                "Time from the decision to the head of the upstream's answer.",
                &REQUEST_BUCKETS,
            )?,
            connections,
            audit_lost,
            registry,
        })
    }

    /// Counts a request that was answered. The issuer is a configured one.
    pub fn request(&self, verdict: Verdict, reason: Option<Reason>, issuer: Option<&str>, times: &Times) {
        let reason = reason.map_or("none", Reason::as_str);
        self.requests.with_label_values(&[verdict.as_str(), reason, issuer.unwrap_or("none")]).inc();
        self.authentication.observe(times.authentication.as_secs_f64());
        self.request.observe(times.request.as_secs_f64());
        if let Some(upstream) = times.upstream {
            self.upstream.observe(upstream.as_secs_f64());
        }
    }

    /// Counts a forwarded request of a proven caller.
    pub fn caller(&self, caller: &str) {
        self.callers.with_label_values(&[self.caller_label(caller)]).inc();
    }

    fn caller_label<'a>(&self, caller: &'a str) -> &'a str {
        let Ok(mut known) = self.known_callers.lock() else { return OTHER };
        if known.contains(caller) {
            return caller;
        }
        if known.len() == CALLERS_MAX {
            return OTHER;
        }
        known.insert(caller.to_owned());
        caller
    }

    /// The number of open client connections.
    #[must_use]
    pub const fn connections(&self) -> &IntGauge {
        &self.connections
    }

    /// The number of audit records that could not be written.
    #[must_use]
    pub const fn audit_lost(&self) -> &IntCounter {
        &self.audit_lost
    }

    /// Where other parts register their own metrics.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Everything in the text format of Prometheus.
    ///
    /// # Errors
    /// If a metric cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// How long the parts of a request took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    pub authentication: Duration,
    pub request: Duration,
    pub upstream: Option<Duration>,
}

/// How many callers are counted by name.
const CALLERS_MAX: usize = 200;

/// The caller label of all others. A caller of this name is counted with them.
const OTHER: &str = "other";

/// From a cached answer's microseconds to a wait for keys.
const AUTHENTICATION_BUCKETS: [f64; 12] =
    [5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 5e-3, 25e-3, 250e-3, 1.0];

const REQUEST_BUCKETS: [f64; 13] = [5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_beyond_the_bound_share_one_series() {
        let metrics = Metrics::new().unwrap();
        for n in 0..CALLERS_MAX + 50 {
            metrics.caller(&format!("caller-{n}"));
        }
        metrics.caller("caller-0");
        let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
        assert!(text.contains("callgate_caller_requests_total{caller=\"caller-0\"} 2"));
        assert!(text.contains("callgate_caller_requests_total{caller=\"other\"} 50"));
        assert_eq!(text.matches("callgate_caller_requests_total{").count(), CALLERS_MAX + 1);
    }

    #[test]
    fn requests_are_counted_by_outcome_reason_and_issuer() {
        let metrics = Metrics::new().unwrap();
        metrics.request(Verdict::Forward, None, Some("https://a"), &Times::default());
        metrics.request(Verdict::Reject, Some(Reason::TokenMissing), None, &Times::default());
        let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
        for line in [
            "callgate_requests_total{issuer=\"https://a\",outcome=\"forward\",reason=\"none\"} 1",
            "callgate_requests_total{issuer=\"none\",outcome=\"reject\",reason=\"token_missing\"} 1",
            "callgate_authentication_seconds_count 2",
            "callgate_upstream_seconds_count 0",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
