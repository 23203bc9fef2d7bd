//! One request and its answer, as far as they have come: the context that Pingora carries through its phases. At the end it
//! becomes the audit record and the counts, in one place.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::Version;
use pingora::Error;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use crate::audit::{Audit, PATH_SHOWN, Record, Verdict, timestamp};
use crate::authenticator::Facts;
use crate::clock::UnixTime;
use crate::identity::Identity;
use crate::metrics::{Metrics, Times};
use crate::proxy::Policy;
use crate::proxy::admission::InFlight;
use crate::proxy::connection::Connection;
use crate::proxy::failure::OVER;
use crate::proxy::forward::kept_request_id;
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
    /// The connection it came on,
    pub connection: Option<Arc<Connection>>,
    /// and whether it has that connection for itself, as in HTTP/1.
    is_alone: bool,
    /// Its place among the requests in progress.
    pub place: Option<InFlight>,
    /// Whether it asks for a connection of its own, for another protocol.
    pub is_tunnel: bool,
    /// When its token is no longer good.
    pub expires: Option<UnixTime>,
    /// Whether it ends then.
    ends: bool,
    began: Instant,
    decided: Option<Instant>,
    upstream_answered: Option<Instant>,
}

/// What went over the wire.
#[derive(Clone, Debug, Default)]
pub struct Seen<'s> {
    pub method: &'s str,
    pub path: &'s str,
    /// 0 if there was no answer.
    pub status: u16,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub client: Option<String>,
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
            connection: None,
            is_alone: false,
            place: None,
            is_tunnel: false,
            expires: None,
            ends: false,
            began: Instant::now(),
            decided: None,
            upstream_answered: None,
        }
    }

    /// Takes note of the connection, and of the id that a request brings if it may.
    pub fn meet(&mut self, connection: Option<Arc<Connection>>, head: &RequestHeader) {
        self.connection = connection;
        self.is_alone = head.version != Version::HTTP_2;
        if let Some(id) = kept_request_id(head, self.policy.forward) {
            self.request_id = id;
        }
    }

    /// From now on the exchange ends when its token is no longer good.
    pub fn end_at_expiry(&mut self, now: UnixTime) {
        let Some(expires) = self.expires else { return };
        self.ends = true;
        let alone = self.connection.as_ref().filter(|_| self.is_alone);
        if let Some(connection) = alone {
            // Tokens count in whole seconds, and are good until the last of them is over.
            connection.end_after(expires.since(now) + Duration::from_secs(1));
        }
    }

    /// Ends an exchange whose time is over at the next piece that would pass.
    pub fn check_expiry(&self, now: UnixTime) -> pingora::Result<()> {
        if self.ends && self.expires.is_some_and(|expires| now > expires) {
            return Error::e_explain(OVER, "the token expired");
        }
        Ok(())
    }

    /// Closes the connection only after the client had a moment to read the answer.
    pub fn linger(&self) {
        if let Some(connection) = self.connection.as_ref().filter(|_| self.is_alone) {
            connection.linger();
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
    pub async fn record(&self, seen: &Seen<'_>, audit: &Audit, metrics: &Metrics) {
        let times = self.times();
        let issuer = self.facts.issuer.and_then(|index| self.policy.authenticator.issuers().get(index));
        let issuer = issuer.map(|issuer| issuer.requirement.issuer());
        metrics.request(self.verdict, self.reason, issuer, &times);
        if let Some(identity) = &self.identity {
            metrics.caller(identity.caller());
        }
        let path: String = seen.path.chars().take(PATH_SHOWN).collect();
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
            method: seen.method,
            path: &path,
            status: seen.status,
            request_bytes: seen.request_bytes,
            response_bytes: seen.response_bytes,
            duration_us: micros(times.request),
            authentication_us: micros(times.authentication),
            upstream_us: times.upstream.map(micros),
            client: seen.client.clone(),
        };
        audit.record(&record).await;
    }
}

impl<'s> Seen<'s> {
    /// What went over the wire in a session.
    pub fn of(session: &'s Session) -> Self {
        let head = session.req_header();
        Self {
            method: head.method.as_str(),
            path: head.uri.path(),
            status: session.response_written().map_or(0, |response| response.status.as_u16()),
            request_bytes: session.body_bytes_read() as u64,
            response_bytes: session.body_bytes_sent() as u64,
            client: session.client_addr().map(ToString::to_string),
        }
    }
}
