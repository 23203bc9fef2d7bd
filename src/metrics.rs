//! What is counted about requests, for Prometheus. Every label has a bounded set of values: configured names and our own
//! words, and the first callers that were seen.

pub mod bindings;
mod bounded;
pub mod cache;
pub mod callers;
pub mod config;
pub mod keys;
pub mod proofs;
mod registrar;
pub mod replay_store;
pub mod report;
pub mod revocation;
mod series;
pub mod tokens;

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector as _;
use prometheus::{Encoder, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::audit::{Meters, RecordedDecision};
use crate::rejection::Reason;
use crate::status::Counts;
use crate::trace::SpanMeters;

use bindings::{BindingMetrics, IssuerBindings};
use cache::CacheMetrics;
use callers::Callers;
use config::ConfigMetrics;
use proofs::ProofMetrics;
use registrar::Registrar;
use replay_store::ReplayStoreMetrics;
use report::ReportMetrics;
use revocation::RevocationMetrics;
use series::{NONE, label, whole};
use tokens::{IssuerTokenMetrics, TokenMetrics};

/// The metrics of the requests, and the registry that all metrics share.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    /// By caller.
    pub callers: Callers,
    authentication: Histogram,
    request: Histogram,
    upstream: Histogram,
    /// The service's own answers, by the first digit of their status.
    upstream_responses: [IntCounter; 5],
    in_flight: IntGauge,
    requests_limit: IntGauge,
    connections: IntGauge,
    connections_limit: IntGauge,
    connections_evicted: IntCounter,
    tasks: IntGauge,
    /// About accepted tokens.
    tokens: TokenMetrics,
    /// About the cache of accepted tokens.
    pub cache: CacheMetrics,
    /// About what tokens are bound to.
    pub bindings: BindingMetrics,
    /// About proofs of what tokens are bound to.
    pub proofs: ProofMetrics,
    /// About the store in which instances share them.
    pub replay_store: ReplayStoreMetrics,
    /// About what is only reported.
    pub report: ReportMetrics,
    /// About reloads.
    pub config: ConfigMetrics,
    /// About the deny-list.
    pub revocation: RevocationMetrics,
    audit: Meters,
    spans: SpanMeters,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// If two metrics have the same name, which a test excludes.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let registrar = Registrar(&registry);
        let build = IntGaugeVec::new(Opts::new("callgate_build_info", "The running version; always 1."), &["version"])?;
        registrar.register(build)?.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self {
            requests: registrar.counters(
                "callgate_requests_total",
                "Requests by outcome (forward, pass, reject, would_reject), reason and configured issuer.",
                &["outcome", "reason", "issuer"],
            )?,
            callers: Callers::new(registrar.counters(
                "callgate_caller_requests_total",
                "Forwarded requests by caller; callers beyond the first 200 are counted as other.",
                &["caller"],
            )?),
            authentication: registrar.histogram(
                "callgate_authentication_seconds",
                "Time spent on deciding about a request, waiting for keys included.",
                &AUTHENTICATION_BUCKETS,
            )?,
            request: registrar.histogram(
                "callgate_request_seconds",
                "Time from a request's head to the end of its answer.",
                &REQUEST_BUCKETS,
            )?,
            upstream: registrar.histogram(
                "callgate_upstream_seconds",
                "Time from the decision to the head of the upstream's answer.",
                &REQUEST_BUCKETS,
            )?,
            upstream_responses: upstream_responses(&registrar)?,
            in_flight: registrar.gauge("callgate_requests_in_flight", "Requests that have begun and not ended.")?,
            requests_limit: registrar.gauge("callgate_requests_limit", "Requests that may be in progress.")?,
            connections: registrar.gauge("callgate_connections", "Client connections that are open.")?,
            connections_limit: registrar.gauge("callgate_connections_limit", "Client connections that may be open.")?,
            tasks: registrar
                .gauge("callgate_tasks", "Tasks of the asynchronous runtime that have begun and not ended.")?,
            connections_evicted: registrar.counter(
                "callgate_connections_evicted_total",
                "Connections that waited for a request and were closed to make room for others.",
            )?,
            tokens: TokenMetrics::register(&registrar)?,
            cache: CacheMetrics::register(&registrar)?,
            bindings: BindingMetrics::register(&registrar)?,
            proofs: ProofMetrics::register(&registrar)?,
            replay_store: ReplayStoreMetrics::register(&registrar)?,
            report: ReportMetrics::register(&registrar)?,
            config: ConfigMetrics::register(&registrar)?,
            revocation: RevocationMetrics::register(&registry)?,
            audit: audit_meters(&registrar)?,
            spans: SpanMeters {
                exported: registrar.counter("callgate_spans_exported_total", "Spans that their receiver took.")?,
                dropped: registrar.counter("callgate_spans_dropped_total", "Spans that could not be sent.")?,
            },
            registry,
        })
    }

    /// The metrics that are looked up once for a configured issuer rather than at every request. `may_be_bound` is whether its
    /// tokens may be bound to something.
    #[must_use]
    pub fn issuer(&self, issuer: &str, may_be_bound: bool) -> IssuerMetrics {
        IssuerMetrics {
            name: issuer.to_owned(),
            forwarded: self.requests.with_label_values(&[RecordedDecision::Forward.as_str(), NONE, issuer]),
            tokens: self.tokens.issuer(issuer),
            bindings: may_be_bound.then(|| self.bindings.issuer(issuer)),
        }
    }

    /// Counts a request that was answered.
    pub fn request(
        &self,
        decision: RecordedDecision,
        reason: Option<Reason>,
        issuer: Option<&IssuerMetrics>,
        times: &Times,
    ) {
        match (decision, reason, issuer) {
            (RecordedDecision::Forward, None, Some(issuer)) => issuer.forwarded.inc(),
            _ => {
                let issuer = issuer.map_or(NONE, |issuer| &issuer.name);
                self.requests
                    .with_label_values(&[decision.as_str(), reason.map_or(NONE, Reason::as_str), issuer])
                    .inc();
            }
        }
        self.authentication.observe(times.authentication.as_secs_f64());
        self.request.observe(times.request.as_secs_f64());
        if let Some(upstream) = times.upstream {
            self.upstream.observe(upstream.as_secs_f64());
        }
    }

    /// How many requests were answered, by what was decided.
    #[must_use]
    pub fn outcomes(&self) -> Counts {
        let mut counts = Counts::default();
        for series in self.requests.collect().iter().flat_map(|family| family.get_metric()) {
            let count = match label(series, "outcome") {
                "forward" => &mut counts.forward,
                "pass" => &mut counts.pass,
                "would_reject" => &mut counts.would_reject,
                _ => &mut counts.reject,
            };
            *count += whole(series.get_counter().get_value());
        }
        counts
    }

    /// Counts an answer of the service itself.
    pub fn upstream_response(&self, status: u16) {
        let class = usize::from(status / 100).checked_sub(1);
        if let Some(counter) = class.and_then(|class| self.upstream_responses.get(class)) {
            counter.inc();
        }
    }

    /// The number of requests that are under way.
    #[must_use]
    pub const fn in_flight(&self) -> &IntGauge {
        &self.in_flight
    }

    /// The number of requests that may be under way.
    #[must_use]
    pub const fn requests_limit(&self) -> &IntGauge {
        &self.requests_limit
    }

    /// The number of open client connections.
    #[must_use]
    pub const fn connections(&self) -> &IntGauge {
        &self.connections
    }

    /// The number of client connections that may be open.
    #[must_use]
    pub const fn connections_limit(&self) -> &IntGauge {
        &self.connections_limit
    }

    /// The tasks of the runtime, which are counted at each scrape.
    #[must_use]
    pub const fn tasks(&self) -> &IntGauge {
        &self.tasks
    }

    /// The number of client connections that made room for others.
    #[must_use]
    pub const fn connections_evicted(&self) -> &IntCounter {
        &self.connections_evicted
    }

    /// What is counted about audit records.
    #[must_use]
    pub const fn audit(&self) -> &Meters {
        &self.audit
    }

    /// What is counted about spans.
    #[must_use]
    pub const fn spans(&self) -> &SpanMeters {
        &self.spans
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

/// The metrics of one configured issuer.
pub struct IssuerMetrics {
    name: String,
    forwarded: IntCounter,
    /// About its accepted tokens.
    pub tokens: IssuerTokenMetrics,
    /// About what they are bound to; `None` if they may be bound to nothing.
    pub bindings: Option<Arc<IssuerBindings>>,
}

/// How long the parts of a request took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// The decision, with the wait for keys.
    pub authentication: Duration,
    /// From the head to the end of the answer.
    pub request: Duration,
    /// From the decision to the head of the upstream's answer; `None` if there was none.
    pub upstream: Option<Duration>,
}

fn upstream_responses(registrar: &Registrar<'_>) -> Result<[IntCounter; 5], prometheus::Error> {
    let help = "Answers of the upstream itself, by the class of their status; what Callgate answers is not among them.";
    let counters = registrar.counters("callgate_upstream_responses_total", help, &["class"])?;
    Ok(["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| counters.with_label_values(&[class])))
}

fn audit_meters(registrar: &Registrar<'_>) -> Result<Meters, prometheus::Error> {
    let lost = registrar.counters("callgate_audit_lost_total", "Audit records that are lost, by cause.", &["cause"])?;
    Ok(Meters {
        queued: registrar.gauge("callgate_audit_queued_records", "Audit records that wait to be written.")?,
        written: registrar.counter("callgate_audit_records_total", "Audit records that were written.")?,
        lost_queue_full: lost.with_label_values(&["queue_full"]),
        lost_write_failed: lost.with_label_values(&["write_failed"]),
    })
}

/// From a cached answer's microseconds to a wait for keys.
const AUTHENTICATION_BUCKETS: [f64; 12] =
    [5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 5e-3, 25e-3, 250e-3, 1.0];

const REQUEST_BUCKETS: [f64; 13] = [5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[cfg(test)]
mod tests {
    use super::callers::CALLERS_MAX;
    use super::*;

    #[test]
    fn callers_beyond_the_bound_share_one_series() {
        let metrics = Metrics::new().unwrap();
        for n in 0..CALLERS_MAX + 50 {
            metrics.callers.count(&format!("caller-{n}"));
        }
        metrics.callers.count("caller-0");
        let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
        assert!(text.contains("callgate_caller_requests_total{caller=\"caller-0\"} 2"));
        assert!(text.contains("callgate_caller_requests_total{caller=\"other\"} 50"));
        assert_eq!(text.matches("callgate_caller_requests_total{").count(), CALLERS_MAX + 1);
    }

    #[test]
    fn requests_are_counted_by_outcome_reason_and_issuer() {
        let metrics = Metrics::new().unwrap();
        metrics.request(RecordedDecision::Forward, None, Some(&metrics.issuer("https://a", false)), &Times::default());
        metrics.request(RecordedDecision::Reject, Some(Reason::TokenMissing), None, &Times::default());
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
