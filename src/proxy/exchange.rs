//! One request and its answer, as far as they have come: the context that Pingora carries through its phases. At the end it
//! becomes the audit record and the counts, in one place.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pingora::proxy::Session;

use crate::audit::{Audit, PATH_SHOWN, Record, Verdict, timestamp};
use crate::authenticator::Facts;
use crate::identity::Identity;
use crate::metrics::{Metrics, Times};
use crate::proxy::Policy;
use crate::rejection::Reason;

/// What has happened to a request so far.
pub struct Exchange {
    /// The one configuration that judges this request, whatever is loaded meanwhile.
    pub policy: Arc<Policy>,
    pub request_id: String,
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    /// Only a decision to forward sets it.
    pub identity: Option<Identity>,
    pub facts: Facts,
    began: Instant,
    decided: Option<Instant>,
    upstream_answered: Option<Instant>,
}

impl Exchange {
    /// Begins with a refusal: a request that is never decided about is one.
    pub fn begin(policy: Arc<Policy>) -> Self {
        Self {
            policy,
            request_id: uuid::Uuid::now_v7().simple().to_string(),
            verdict: Verdict::Reject,
            reason: None,
            identity: None,
            facts: Facts::default(),
            began: Instant::now(),
            decided: None,
            upstream_answered: None,
        }
    }

    /// Marks the moment of the decision.
    pub fn decided(&mut self) {
        self.decided = Some(Instant::now());
    }

    /// Marks the moment of the upstream's answer.
    pub fn upstream_answered(&mut self) {
        self.upstream_answered = Some(Instant::now());
    }

    fn times(&self) -> Times {
        let since_decision = |end: Instant| self.decided.map(|decided| end.duration_since(decided));
        Times {
            authentication: self.decided.unwrap_or_else(Instant::now).duration_since(self.began),
            request: self.began.elapsed(),
            upstream: self.upstream_answered.and_then(since_decision),
        }
    }

    /// Records the request and counts it.
    pub async fn record(&self, session: &Session, audit: &Audit, metrics: &Metrics) {
        let times = self.times();
        let issuer = self.facts.issuer.and_then(|index| self.policy.authenticator.issuers().get(index));
        let issuer = issuer.map(|issuer| issuer.requirement.issuer());
        metrics.request(self.verdict, self.reason, issuer, &times);
        if let Some(identity) = &self.identity {
            metrics.caller(identity.caller());
        }
        let head = session.req_header();
        let path: String = head.uri.path().chars().take(PATH_SHOWN).collect();
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let record = Record {
            time: timestamp(SystemTime::now()),
            event: "request",
            version: 1,
            request_id: &self.request_id,
            decision: self.verdict,
            reason: self.reason,
            caller: self.identity.as_ref().map(Identity::caller),
            issuer,
            kid: self.facts.kid.as_deref(),
            alg: self.facts.alg.as_deref(),
            jti: self.facts.jti.as_deref(),
            method: head.method.as_str(),
            path: &path,
            status: session.response_written().map_or(0, |response| response.status.as_u16()),
            request_bytes: session.body_bytes_read() as u64,
            response_bytes: session.body_bytes_sent() as u64,
            duration_us: micros(times.request),
            authentication_us: micros(times.authentication),
            upstream_us: times.upstream.map(micros),
            client: session.client_addr().map(ToString::to_string),
        };
        audit.record(&record).await;
    }
}
