//! One request and its answer, as far as they have come: at the door, and then the context that Pingora carries through its
//! phases. At the end it becomes the audit record, the counts and the span, in one place; also when the request is cut and has no end.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use pingora::Error;
use pingora::proxy::Session;

use crate::audit::record::{EVENT, VERSION};
use crate::audit::{PATH_SHOWN, Record, Verdict};
use crate::authenticator::{Accepted, Facts, Proof};
use crate::clock::UnixTime;
use crate::identity::Identity;
use crate::metrics::Times;
use crate::proxy::Policy;
use crate::proxy::admission::InFlight;
use crate::proxy::head::RequestSummary;
use crate::proxy::record::RecordSinks;
use crate::proxy::retry::Try;
use crate::proxy::stream_info::StreamInfo;
use crate::proxy::upstream_error::TOKEN_EXPIRED;
use crate::proxy::upstream_request::kept_request_id;
use crate::rejection::{Reason, Rejection};
use crate::trace::{Context, Place, Span};

/// What has happened to a request so far.
pub struct RequestContext {
    /// The one configuration that judges this request, whatever is loaded meanwhile.
    pub policy: Arc<Policy>,
    /// Empty until the request is met.
    pub request_id: String,
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    /// Only a decision to forward sets it.
    accepted: Option<Arc<Accepted>>,
    /// Who the token of a request that is only reported claims to be; unverified.
    pub claimed_caller: Option<String>,
    /// What is known of a token that was not accepted.
    pub refused: Facts,
    /// The connection it came on; in HTTP/2 its stream.
    pub connection: Option<Arc<StreamInfo>>,
    /// Its place among the requests in progress.
    pub permit: Option<InFlight>,
    /// HTTP/2: the bytes of a refusal's body that were left to the connection to send.
    pub refusal_bytes: u64,
    /// Its place among those of them without a proven caller, if it has none.
    pub share: Option<InFlight>,
    /// Whether it asks for a connection of its own, for another protocol.
    pub is_tunnel: bool,
    /// The first try to reach the upstream, or the one after it.
    pub attempt: Try,
    /// Whether it ends then.
    ends: bool,
    sinks: Arc<RecordSinks>,
    arrival: Option<Arrival>,
    began: Instant,
    decided: Option<Instant>,
    upstream_answered: Option<Instant>,
    record_state: RecordState,
}

/// What is known of a request from its beginning.
struct Arrival {
    method: String,
    path: String,
    client: Option<Arc<str>>,
    context: Option<Context>,
    span_context: Option<Place>,
}

/// What is known of a request at its end. A request that is cut has none of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct End {
    /// 0 if there was no answer.
    pub status: u16,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

/// How far the writing down has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordState {
    Open,
    Counted,
    Recorded,
}

/// The status of the client's answer, once its head was sent. One that only announces another is none (RFC 9110 §15.2), but for the
/// last word of HTTP before a tunnel.
pub fn answered(session: &Session) -> Option<StatusCode> {
    let status = session.response_written()?.status;
    (!status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS).then_some(status)
}

impl RequestContext {
    /// Begins with a refusal: a request that is never decided about is one.
    pub fn begin(policy: Arc<Policy>, sinks: Arc<RecordSinks>) -> Self {
        sinks.metrics.in_flight().inc();
        Self {
            policy,
            request_id: String::new(),
            verdict: Verdict::Reject,
            reason: None,
            accepted: None,
            claimed_caller: None,
            refused: Facts::default(),
            connection: None,
            permit: None,
            refusal_bytes: 0,
            share: None,
            is_tunnel: false,
            attempt: Try::First,
            ends: false,
            sinks,
            arrival: None,
            began: Instant::now(),
            decided: None,
            upstream_answered: None,
            record_state: RecordState::Open,
        }
    }

    /// Takes down what the request is, before it is decided about, and names it.
    pub fn begin_record(&mut self, summary: &RequestSummary<'_>, client: Option<Arc<str>>) {
        let kept = kept_request_id(summary.request_id, self.policy.forward);
        self.request_id = kept.unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string());
        let context = Context::read(summary.traceparent.into_iter());
        let trace = self.sinks.tracer.as_ref().and_then(|tracer| tracer.place(context.as_ref()));
        let path = summary.path;
        // Hardly any path is longer, and one with no more bytes has no more characters.
        let path = if path.len() <= PATH_SHOWN { path.to_owned() } else { path.chars().take(PATH_SHOWN).collect() };
        self.arrival = Some(Arrival { method: summary.method.to_owned(), path, client, context, span_context: trace });
    }

    /// Takes down that the request is refused.
    pub fn refuse(&mut self, rejection: &Rejection) {
        self.reason = Some(rejection.reason());
        self.share = None;
        if self.verdict == Verdict::WouldReject {
            self.verdict = Verdict::Reject;
        }
    }

    /// From now on the request ends when its token is no longer good.
    pub fn end_at_expiry(&mut self, now: UnixTime) {
        let Some(expires) = self.expires() else { return };
        self.ends = true;
        if let Some(connection) = &self.connection {
            // Tokens count in whole seconds, and are good until the last of them is over.
            connection.end_after(expires.since(now) + Duration::from_secs(1));
        }
    }

    /// Ends a request whose time is over at the next piece that would pass.
    pub fn check_expiry(&self, now: UnixTime) -> pingora::Result<()> {
        if self.ends && self.expires().is_some_and(|expires| now > expires) {
            return Error::e_explain(TOKEN_EXPIRED, "the token expired");
        }
        Ok(())
    }

    /// Lets an answer of ours leave in one piece.
    pub fn cork(&self, is_corked: bool) {
        if let Some(connection) = &self.connection {
            connection.cork(is_corked);
        }
    }

    /// Closes the connection only after the client had a moment to read the answer.
    pub fn linger(&self) {
        if let Some(connection) = &self.connection {
            connection.linger();
        }
    }

    /// How long ago it was decided about.
    pub fn since_decision(&self) -> Duration {
        self.decided.map_or(Duration::ZERO, |decided| decided.elapsed())
    }

    /// Marks the moment of the decision.
    pub fn decided(&mut self) {
        self.decided = Some(Instant::now());
    }

    /// Takes an accepted token. `took` is the time of the decision itself.
    pub fn accept(&mut self, accepted: Arc<Accepted>, proof: Proof, took: Duration) {
        self.verdict = Verdict::Forward;
        let accepted = self.accepted.insert(accepted);
        let Some(index) = accepted.facts.issuer else { return };
        let issuer = self.policy.authenticator.issuers().get(index);
        let (Some(issuer), Some(metrics)) = (issuer, self.policy.issuers.get(index)) else { return };
        let now = SystemTime::now().into();
        metrics.tokens.accepted(accepted.expires.minus(issuer.requirement.leeway()), now);
        match proof {
            Proof::Remembered => self.sinks.metrics.cache.hits.inc(),
            Proof::Verified => {
                self.sinks.metrics.cache.misses.inc();
                metrics.tokens.verified(accepted.algorithm.name(), took, accepted.issued, now);
            }
        }
    }

    /// When its token is no longer good.
    fn expires(&self) -> Option<UnixTime> {
        self.accepted.as_deref().map(|accepted| accepted.expires)
    }

    /// The caller, proven.
    pub fn identity(&self) -> Option<&Identity> {
        self.accepted.as_deref().map(|accepted| &accepted.identity)
    }

    /// What is known of the token.
    fn facts(&self) -> &Facts {
        self.accepted.as_deref().map_or(&self.refused, |accepted| &accepted.facts)
    }

    /// Marks the moment of the upstream's answer.
    pub fn upstream_answered(&mut self) {
        self.upstream_answered = Some(Instant::now());
    }

    /// The `traceparent` for the upstream, if the request is traced.
    pub fn traceparent(&self) -> Option<String> {
        self.arrival.as_ref()?.span_context.as_ref().map(Place::traceparent)
    }

    /// Records the request, counts it, and leaves its span.
    pub async fn record(&mut self, session: &Session) {
        if self.arrival.is_none() {
            let client = StreamInfo::client_of(session);
            self.begin_record(&RequestSummary::from_pingora(session.req_header()), client);
        }
        let end = End {
            status: answered(session).map_or(0, |status| status.as_u16()),
            request_bytes: session.body_bytes_read() as u64,
            response_bytes: session.body_bytes_sent() as u64 + self.refusal_bytes,
        };
        self.record_end(end).await;
    }

    /// Records what has come to this end, counts it, and leaves its span.
    pub async fn record_end(&mut self, end: End) {
        let times = self.times();
        self.count(&times, end);
        if let Some(record) = self.audit_record(SystemTime::now(), &times, end) {
            self.sinks.audit.record(&record).await;
        }
        self.record_state = RecordState::Recorded;
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
        let issuer = self.facts().issuer.and_then(|index| self.policy.issuers.get(index));
        metrics.request(self.verdict, self.reason, issuer, times);
        if times.upstream.is_some() {
            metrics.upstream_response(end.status);
        }
        if let (Verdict::Forward, Some(identity)) = (self.verdict, self.identity()) {
            metrics.callers.count(identity.caller());
        }
        if let (Verdict::WouldReject, Some(reason)) = (self.verdict, self.reason) {
            let now = UnixTime::from(SystemTime::now());
            metrics.report.would_reject(self.claimed_caller.as_deref(), reason, self.issuer(), now);
        }
        self.emit_span(times, end);
        self.record_state = RecordState::Counted;
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
            status: end.status,
            decision: self.verdict.as_str(),
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
        let trace = arrival.span_context.as_ref().map(Place::trace);
        let facts = self.facts();
        Some(Record {
            time,
            event: EVENT,
            version: VERSION,
            request_id: &self.request_id,
            trace_id: trace.or_else(|| arrival.context.as_ref().map(Context::trace)),
            decision: self.verdict,
            reason: self.reason,
            caller: self.identity().map(Identity::caller),
            claimed_caller: self.claimed_caller.as_deref(),
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
        })
    }
}

impl Drop for RequestContext {
    /// A request whose connection is cut never comes to its end; it is recorded all the same.
    fn drop(&mut self) {
        self.sinks.metrics.in_flight().dec();
        if self.record_state == RecordState::Recorded || self.arrival.is_none() {
            return;
        }
        if self.connection.as_deref().is_some_and(StreamInfo::is_over) {
            self.reason = Some(Reason::TokenExpired);
        }
        let times = self.times();
        if self.record_state == RecordState::Open {
            self.count(&times, End::default());
        }
        if let Some(record) = self.audit_record(SystemTime::now(), &times, End::default()) {
            self.sinks.audit.record_now(&record);
        }
    }
}
