//! The gate: Pingora's phases, each a few lines that ask the core and do what it says. A request is judged in
//! `request_filter`; nothing reaches the upstream before. It is recorded in `logging`, which ends every request.

pub mod answer;
mod exchange;
mod head;
pub mod ledger;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::HeaderName;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType};
use tokio::time::Instant;

use crate::audit::Verdict;
use crate::authenticator::{Authenticator, Decision};
use crate::clock::UnixTime;
use crate::keys::refresh::{Freshness, KeyKeeper};
use crate::mode::{Mode, Modes};
use crate::rejection::{Reason, Rejection};

use answer::Answer;
use exchange::Exchange;
use head::{ambiguity, request_head};
use ledger::Ledger;

/// Everything that one configuration says about requests. It is replaced whole.
pub struct Policy {
    pub authenticator: Authenticator,
    /// What a refusal leads to.
    pub modes: Modes,
    pub keeper: Arc<KeyKeeper>,
    /// Where accepted requests go, with the timeouts of that connection.
    pub upstream: HttpPeer,
    /// The name of this service in challenges, plain characters only.
    pub realm: String,
    /// How long a request may wait for keys that are not at hand.
    pub key_wait: Duration,
}

/// The proxy application.
pub struct Gate {
    policy: Arc<ArcSwap<Policy>>,
    ledger: Arc<Ledger>,
    draining: Arc<AtomicBool>,
}

impl Gate {
    /// Guards an upstream by the policy that is there when a request comes. While `draining` is set, every answer ends its
    /// connection.
    #[must_use]
    pub const fn new(policy: Arc<ArcSwap<Policy>>, ledger: Arc<Ledger>, draining: Arc<AtomicBool>) -> Self {
        Self { policy, ledger, draining }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl ProxyHttp for Gate {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::begin(self.policy.load_full(), Arc::clone(&self.ledger))
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> pingora::Result<bool> {
        session.set_total_drain_timeout(Some(UNREAD_BODY_TIMEOUT));
        exchange.arrived(session);
        if let Some(detail) = ambiguity(session) {
            session.set_keepalive(None);
            let rejection = Rejection::new(Reason::RequestMalformed, detail);
            exchange.reason = Some(rejection.reason());
            refuse(session, &rejection, exchange).await?;
            return Ok(true);
        }
        let (decision, took) = decide(session, &exchange.policy).await;
        exchange.decided();
        match decision {
            Decision::Forward(accepted) => {
                exchange.accept(accepted, took);
                Ok(false)
            }
            Decision::Pass => {
                exchange.verdict = Verdict::Pass;
                Ok(false)
            }
            Decision::Reject(refused) => {
                exchange.facts = refused.facts;
                exchange.reason = Some(refused.rejection.reason());
                let head = request_head(session.req_header());
                if exchange.policy.modes.of(&head, exchange.facts.issuer) == Mode::Report {
                    exchange.verdict = Verdict::WouldReject;
                    exchange.claimed_caller = exchange.policy.authenticator.claimed_caller(&head);
                    return Ok(false);
                }
                if self.is_draining() {
                    session.set_keepalive(None);
                }
                // Otherwise the connection is closed if the request's body has not come yet.
                let close = !is_worth_reading_away(session);
                session.set_close_on_response_before_downstream_finish(close);
                refuse(session, &refused.rejection, exchange).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, exchange: &mut Exchange) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(exchange.policy.upstream.clone()))
    }

    /// Removes what the client sent under the caller's name, for public requests too, and sets the proven caller. It is
    /// called anew for each try, on a fresh copy of the request.
    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        upstream: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        let rule = exchange.policy.authenticator.caller_rule();
        while let Some(alias) = upstream.headers.keys().find(|name| rule.is_alias(name.as_str())).cloned() {
            upstream.remove_header::<HeaderName>(&alias);
        }
        if let Some(identity) = &exchange.identity {
            upstream.insert_header(rule.header().to_owned(), identity.caller())?;
        }
        if let Some(traceparent) = exchange.traceparent() {
            upstream.insert_header("traceparent", traceparent)?;
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        _: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        exchange.upstream_answered();
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        _: &mut ResponseHeader,
        _: &mut Exchange,
    ) -> pingora::Result<()> {
        if self.is_draining() {
            session.set_keepalive(None);
        }
        Ok(())
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
        let closed = FailToProxy { error_code: 0, can_reuse_downstream: false };
        let Some(rejection) = failure(error) else { return closed };
        // What would have been refused is told with that reason; the status says the rest.
        if exchange.verdict != Verdict::WouldReject {
            exchange.reason = Some(rejection.reason());
        }
        if *error.esource() == ErrorSource::Upstream {
            tracing::warn!(
                reason = rejection.reason().as_str(),
                error = error.etype().as_str(),
                request_id = exchange.request_id,
                "The upstream did not answer."
            );
        }
        session.set_keepalive(None);
        // The answer's head may be on its way already: then the cut connection says what happened.
        if session.response_written().is_none() && refuse(session, &rejection, exchange).await.is_err() {
            return closed;
        }
        FailToProxy { error_code: rejection.reason().status(), can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, exchange: &mut Exchange) {
        exchange.record(session).await;
    }

    /// Pingora's own line would hold the path with its query; the record has what is needed.
    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Exchange, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }

    fn request_summary(&self, _: &Session, exchange: &Exchange) -> String {
        format!("request_id: {}", exchange.request_id)
    }
}

/// Decides about a request, and again whenever fresher keys came that could change the answer, within the time that a
/// request may wait for them. It also says how long the last decision itself took.
async fn decide(session: &ServerSession, policy: &Policy) -> (Decision, Duration) {
    let head = request_head(session.req_header());
    let latest = Instant::now() + policy.key_wait;
    loop {
        let since = Instant::now();
        let decision = policy.authenticator.decide(&head, now());
        let took = since.elapsed();
        let Decision::Reject(refused) = &decision else { return (decision, took) };
        let Some(issuer) = refused.keys_wanted else { return (decision, took) };
        let left = latest.saturating_duration_since(Instant::now());
        let kid = refused.facts.kid.as_deref();
        if policy.keeper.fresher(issuer, kid, since, left).await != Freshness::Changed {
            return (decision, took);
        }
    }
}

/// Whether the body of a refused request is small enough to be read away, so that the connection can serve the next request.
/// A client that waits for 100 before its body will not send one now, or may have begun to: nobody can tell where the next
/// request would start.
fn is_worth_reading_away(session: &ServerSession) -> bool {
    let headers = &session.req_header().headers;
    let length = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length <= UNREAD_BODY_MAX) && !headers.contains_key(http::header::EXPECT)
}

async fn refuse(session: &mut Session, rejection: &Rejection, exchange: &Exchange) -> pingora::Result<()> {
    let answer = Answer::refuse(rejection, &exchange.policy.realm, &exchange.request_id)?;
    let bodiless = session.req_header().method == http::Method::HEAD;
    session.write_response_header(Box::new(answer.head), bodiless).await?;
    if !bodiless {
        session.write_response_body(Some(answer.body), true).await?;
    }
    Ok(())
}

/// What a failed exchange is answered with; `None` if there is nobody left to answer.
fn failure(error: &Error) -> Option<Rejection> {
    use ErrorType::{
        ConnectTimedout, ConnectionClosed, ReadError, ReadTimedout, TLSHandshakeTimedout, WriteError, WriteTimedout,
    };
    let (reason, detail) = match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, ConnectionClosed | ReadError | ReadTimedout | WriteError | WriteTimedout) => {
            return None;
        }
        (ErrorSource::Downstream, _) => (Reason::RequestMalformed, "the request cannot be read without doubt"),
        (ErrorSource::Upstream, ConnectTimedout | ReadTimedout | TLSHandshakeTimedout | WriteTimedout) => {
            (Reason::UpstreamTimeout, "the service behind this proxy did not answer in time")
        }
        (ErrorSource::Upstream, _) => {
            (Reason::UpstreamUnreachable, "the service behind this proxy could not be reached or broke off")
        }
        _ => (Reason::InternalError, "the proxy failed to handle the request"),
    };
    Some(Rejection::new(reason, detail))
}

fn now() -> UnixTime {
    SystemTime::now().into()
}

/// The largest body of a refused request that is read away, in bytes.
const UNREAD_BODY_MAX: u64 = 64 * 1024;

/// How long that may take.
const UNREAD_BODY_TIMEOUT: Duration = Duration::from_secs(2);
