//! What is known of a request. It is told once, when the request has ended or is dropped: to the audit, the counts and, if requests
//! are traced, the span.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use pingora::proxy::Session;

use super::arrival::Arrival;
use super::policy::Policy;
use super::request_summary::RequestSummary;
use crate::audit::record::{EVENT, VERSION};
use crate::audit::{Audit, Record, RecordedDecision};
use crate::authenticator::{Accepted, CacheStatus, Facts};
use crate::clock::UnixTime;
use crate::identity::Identity;
use crate::issuers::IssuerIndex;
use crate::metrics::{Metrics, Times};
use crate::rejection::{Reason, Rejection};
use crate::status::{Board, Refusal};
use crate::trace::{Context, Span, SpanContext, Tracer};

/// All that hears of a request that has ended.
pub struct RecordSinks {
    /// Where its audit record goes.
    pub audit: Audit,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// Where the latest refusals are noted.
    pub board: Arc<Board>,
    /// `None` if nothing is traced.
    pub tracer: Option<Tracer>,
}

/// One request and its answer, as far as they have come.
pub struct RequestRecord {
    policy: Arc<Policy>,
    sinks: Arc<RecordSinks>,
    /// Empty until the request is described.
    pub request_id: String,
    decision: RecordedDecision,
    reason: Option<Reason>,
    /// Only a decision to forward sets it.
    accepted: Option<Arc<Accepted>>,
    /// What is known of a token that was not accepted.
    refused: Facts,
    arrival: Option<Arrival>,
    began: Instant,
    decided: Option<Instant>,
    upstream_answered: Option<Instant>,
    state: RecordState,
}

/// What is known of a request at its end. A request that is cut has none of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct End {
    /// 0 if there was no answer.
    pub status: u16,
    /// Of the request's body.
    pub request_bytes: u64,
    /// Of the answer's body.
    pub response_bytes: u64,
}

/// How far the request was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordState {
    Open,
    Counted,
    Recorded,
}

/// The status of the final response, `None` until its head was sent. A 1xx is not final (RFC 9110 §15.2), except 101, which ends HTTP
/// on this connection.
pub fn answered(session: &Session) -> Option<StatusCode> {
    let status = session.response_written()?.status;
    (!status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS).then_some(status)
}

impl RequestRecord {
    /// Begins with a refusal: a request that is never decided about is one.
    pub fn begin(policy: Arc<Policy>, sinks: Arc<RecordSinks>) -> Self {
        sinks.metrics.in_flight().inc();
        Self {
            policy,
            sinks,
            request_id: String::new(),
            decision: RecordedDecision::Reject,
            reason: None,
            accepted: None,
            refused: Facts::default(),
            arrival: None,
            began: Instant::now(),
            decided: None,
            upstream_answered: None,
            state: RecordState::Open,
        }
    }

    /// Takes down what the request is, before it is decided about, and names it.
    pub fn describe(&mut self, summary: &RequestSummary<'_>, client: Option<Arc<str>>) {
        let kept = self.policy.forward.kept_request_id(summary.request_id);
        self.request_id = kept.unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string());
        self.arrival = Some(Arrival::of(summary, client, &self.policy, self.sinks.tracer.as_ref()));
    }

    /// How long ago the token was decided about.
    pub fn since_decision(&self) -> Duration {
        self.decided.map_or(Duration::ZERO, |decided| decided.elapsed())
    }

    /// The token was decided about.
    pub fn decided(&mut self) {
        self.decided = Some(Instant::now());
    }

    /// The token was accepted. `took` is the time of the decision itself.
    pub fn accept(&mut self, accepted: Arc<Accepted>, cache_status: CacheStatus, took: Duration) {
        self.decision = RecordedDecision::Forward;
        let accepted = self.accepted.insert(accepted);
        self.sinks.metrics.proofs.accepted(accepted.confirmation().as_ref());
        let Some(index) = accepted.facts.issuer else { return };
        let issuer = self.policy.authenticator.issuers().get(index);
        let (Some(issuer), Some(metrics)) = (issuer, self.policy.issuers.get(index)) else { return };
        let now = SystemTime::now().into();
        metrics.tokens.accepted(accepted.expires.minus(issuer.requirement.leeway()), now);
        match cache_status {
            CacheStatus::Hit => self.sinks.metrics.cache.hits.inc(),
            CacheStatus::Miss => {
                self.sinks.metrics.cache.misses.inc();
                metrics.tokens.verified(accepted.algorithm.name(), took, accepted.issued, now);
            }
        }
    }

    /// The request needs no token.
    pub fn pass(&mut self) {
        self.decision = RecordedDecision::Pass;
    }

    /// What is known of a token that was not accepted.
    pub fn set_refused_token(&mut self, facts: Facts) {
        self.refused = facts;
    }

    /// The issuer that a token named which was not accepted.
    pub fn refused_issuer(&self) -> Option<IssuerIndex> {
        self.refused.issuer
    }

    /// The request would be refused if refusing had begun.
    pub fn would_reject(&mut self, reason: Reason) {
        self.decision = RecordedDecision::WouldReject;
        self.reason = Some(reason);
    }

    /// The request is refused.
    pub fn refuse(&mut self, rejection: &Rejection) {
        self.decision = RecordedDecision::Reject;
        self.reason = Some(rejection.reason());
    }

    /// The request has failed. The reason of a refusal, or of what would have been one, stays: the status says the rest.
    pub fn fail(&mut self, reason: Reason) {
        self.reason.get_or_insert(reason);
    }

    /// What was decided.
    pub const fn recorded_decision(&self) -> RecordedDecision {
        self.decision
    }

    /// The accepted token.
    pub fn accepted(&self) -> Option<&Accepted> {
        self.accepted.as_deref()
    }

    /// The caller, proven.
    pub fn identity(&self) -> Option<&Identity> {
        self.accepted.as_deref().map(|accepted| &accepted.identity)
    }

    /// Whether the request came with a workload identity token.
    pub fn is_of_workload(&self) -> bool {
        self.facts().is_workload
    }

    /// What is known of the token.
    fn facts(&self) -> &Facts {
        self.accepted.as_deref().map_or(&self.refused, |accepted| &accepted.facts)
    }

    /// The upstream has answered.
    pub fn upstream_answered(&mut self) {
        self.upstream_answered = Some(Instant::now());
    }

    /// The `traceparent` for the upstream, if the request is traced.
    pub fn traceparent(&self) -> Option<String> {
        self.arrival.as_ref()?.span_context.as_ref().map(SpanContext::traceparent)
    }

    /// Tells of a request that has ended. So many bytes of its response were left to the connection to send.
    pub async fn finish_session(&mut self, session: &Session, unsent: u64) {
        let end = End {
            status: answered(session).map_or(0, |status| status.as_u16()),
            request_bytes: session.body_bytes_read() as u64,
            response_bytes: session.body_bytes_sent() as u64 + unsent,
        };
        self.finish(end).await;
    }

    /// Tells of a request that has come to this end.
    pub async fn finish(&mut self, end: End) {
        let times = self.times();
        self.count(&times, end);
        if let Some(record) = self.audit_record(SystemTime::now(), &times, end) {
            self.sinks.audit.record(&record).await;
        }
        self.state = RecordState::Recorded;
    }

    fn times(&self) -> Times {
        let since_decision = |end: Instant| self.decided.map(|decided| end.duration_since(decided));
        Times {
            authentication: self.decided.unwrap_or_else(Instant::now).duration_since(self.began),
            request: self.began.elapsed(),
            upstream: self.upstream_answered.and_then(since_decision),
        }
    }

    fn issuer(&self) -> Option<&str> {
        let issuer = self.policy.authenticator.issuers().get(self.facts().issuer?)?;
        Some(issuer.requirement.issuer())
    }

    fn count(&mut self, times: &Times, end: End) {
        let metrics = &self.sinks.metrics;
        if times.upstream.is_some() {
            metrics.upstream_response(end.status);
        }
        if let (RecordedDecision::Forward, Some(identity)) = (self.decision, self.identity()) {
            metrics.callers.count(identity.caller());
            self.count_binding(identity.caller());
        }
        if let (RecordedDecision::WouldReject, Some(reason)) = (self.decision, self.reason) {
            let now = UnixTime::from(SystemTime::now());
            metrics.report.would_reject(self.refused.claimed_caller.as_deref(), reason, self.issuer(), now);
            if let (Reason::TokenMissing, Some(arrival)) = (reason, &self.arrival) {
                self.sinks.board.without_token.add(arrival.address(), &arrival.method, &arrival.path, now);
            }
        }
        self.note_refusal(end);
        if let Some(reason) = self.reason {
            metrics.proofs.refused(reason, self.is_of_workload());
        }
        // Whoever sees the count also sees what was noted of the request.
        let issuer = self.facts().issuer.and_then(|index| self.policy.issuers.get(index));
        metrics.request(self.decision, self.reason, issuer, times);
        self.emit_span(times, end);
        self.state = RecordState::Counted;
    }

    /// Counts what the accepted token is bound to, where it may be bound to something.
    fn count_binding(&self, caller: &str) {
        let Some(accepted) = &self.accepted else { return };
        let metrics = accepted.facts.issuer.and_then(|index| self.policy.issuers.get(index));
        let Some(bindings) = metrics.and_then(|metrics| metrics.bindings.as_ref()) else { return };
        bindings.count(accepted.confirmation().as_ref(), caller, || SystemTime::now().into());
    }

    /// Notes a refusal for whoever looks at the status.
    fn note_refusal(&self, end: End) {
        let is_refused = matches!(self.decision, RecordedDecision::Reject | RecordedDecision::WouldReject);
        let Some(arrival) = self.arrival.as_ref().filter(|_| is_refused) else { return };
        self.sinks.board.refusals.add(|| Refusal {
            time: SystemTime::now().into(),
            request_id: self.request_id.clone(),
            decision: self.decision,
            reason: self.reason.map(|reason| reason.as_str().into()),
            claimed_caller: self.refused.claimed_caller.clone(),
            issuer: self.issuer().map(str::to_owned),
            kid: self.facts().kid.as_deref().map(str::to_owned),
            method: arrival.method.clone(),
            path: arrival.path.clone(),
            status: end.status,
            client: arrival.client.as_deref().map(str::to_owned),
        });
    }

    fn emit_span(&mut self, times: &Times, end: End) {
        let Some(tracer) = &self.sinks.tracer else { return };
        let Some(arrival) = &mut self.arrival else { return };
        let Some(place) = arrival.span_context.clone() else { return };
        let caller = self.accepted.as_deref().map(|accepted| accepted.identity.caller().to_owned());
        tracer.record(Span {
            place,
            method: arrival.method.clone(),
            path: arrival.path.clone(),
            authority: arrival.authority.clone(),
            protocol_version: arrival.protocol_version,
            status: end.status,
            decision: self.decision.as_str(),
            reason: self.reason.map(Reason::as_str),
            caller,
            request_id: self.request_id.clone(),
            client: arrival.client.clone(),
            ended: SystemTime::now(),
            took: times.request,
            authentication: times.authentication,
        });
    }

    fn audit_record(&self, time: SystemTime, times: &Times, end: End) -> Option<Record<'_>> {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let arrival = self.arrival.as_ref()?;
        let trace = arrival.span_context.as_ref().map(SpanContext::trace);
        let facts = self.facts();
        Some(Record {
            time,
            event: EVENT,
            version: VERSION,
            request_id: &self.request_id,
            trace_id: trace.or_else(|| arrival.context.as_ref().map(Context::trace)),
            decision: self.decision,
            reason: self.reason,
            caller: self.identity().map(Identity::caller),
            claimed_caller: self.refused.claimed_caller.as_deref(),
            issuer: self.issuer(),
            kid: facts.kid.as_deref(),
            alg: facts.alg.as_deref(),
            jti: facts.jti.as_deref(),
            claims: &facts.claims,
            method: &arrival.method,
            path: &arrival.path,
            status: end.status,
            request_bytes: end.request_bytes,
            response_bytes: end.response_bytes,
            duration_us: micros(times.request),
            authentication_us: micros(times.authentication),
            upstream_us: times.upstream.map(micros),
            client: arrival.client.as_deref(),
            forwarded_for: arrival.forwarded_for.as_deref(),
        })
    }
}

impl Drop for RequestRecord {
    /// A request whose connection is cut never comes to its end; it is recorded all the same.
    fn drop(&mut self) {
        self.sinks.metrics.in_flight().dec();
        if self.state == RecordState::Recorded || self.arrival.is_none() {
            return;
        }
        let times = self.times();
        if self.state == RecordState::Open {
            self.count(&times, End::default());
        }
        if let Some(record) = self.audit_record(SystemTime::now(), &times, End::default()) {
            self.sinks.audit.record_now(&record);
        }
    }
}
