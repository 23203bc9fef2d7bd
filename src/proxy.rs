//! The gate: Pingora's phases, each a few lines that ask the core and do what it says. Nothing reaches the upstream unless it was
//! judged, at the door or in `request_filter`. What came so far is recorded in `logging`, and what did not at the door.

mod admission;
pub mod answer;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod exchange;
mod failure;
pub mod forward;
pub(crate) mod head;
mod judge;
pub(crate) mod judged;
pub mod ledger;
mod refusal;
mod retry;
mod tunnel;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType};

use crate::audit::Verdict;
use crate::authenticator::Authenticator;
use crate::clock::UnixTime;
use crate::jwks_refresh::JwksRefresher;
use crate::metrics::IssuerMetrics;
use crate::mode::Modes;

use admission::{Progress, asks_for_websocket, ignore_upgrade};
use connection::Connection;
use exchange::{Exchange, answered};
use failure::{TOO_LARGE, failure};
use forward::ForwardRule;
use head::request_head;
use ledger::Ledger;
use refusal::{refuse, turn_away};
use retry::{Fresh, Try};
use tunnel::TunnelConnect;

/// Everything that one configuration says about requests. It is replaced whole.
pub struct Policy {
    pub authenticator: Authenticator,
    /// The metrics of its issuers, in its order.
    pub issuers: Vec<IssuerMetrics>,
    /// What a refusal leads to.
    pub modes: Modes,
    pub refresher: Arc<JwksRefresher>,
    /// Where accepted requests go, with the timeouts of that connection.
    pub upstream: HttpPeer,
    /// The name of this service in challenges, plain characters only.
    pub realm: String,
    /// How long a request may wait for keys that are not at hand.
    pub key_wait: Duration,
    pub limits: ClientLimits,
    pub forward: ForwardRule,
    pub close_at_expiry: Expiring,
}

/// What clients may make us do.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// The largest head, in bytes, and the most fields in it.
    pub head_size: usize,
    pub header_count: usize,
    /// How long a head may take from its first byte to its last.
    pub head_time: Duration,
    /// How long a connection may wait for its next request.
    pub idle_time: Duration,
    /// How long a client may be silent within a body.
    pub read_timeout: Duration,
    /// How long a client may take to accept a piece of an answer.
    pub write_timeout: Duration,
    /// The largest body of a request, in bytes.
    pub body_size: u64,
    /// How many requests a connection may carry.
    pub requests_per_connection: u32,
    /// How many requests may be in progress.
    pub requests: usize,
}

/// Which streams end when the token that opened them is no longer good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiring {
    Always,
    Never,
    Upgrades,
}

/// The proxy application. Clones are the same gate.
#[derive(Clone)]
pub struct Gate {
    policy: Arc<ArcSwap<Policy>>,
    ledger: Arc<Ledger>,
    draining: Arc<AtomicBool>,
    progress: Progress,
    fresh: Fresh,
}

impl Gate {
    /// Guards an upstream by the policy that is there when a request comes. While `draining` is set, every answer ends its
    /// connection.
    #[must_use]
    pub fn new(policy: Arc<ArcSwap<Policy>>, ledger: Arc<Ledger>, draining: Arc<AtomicBool>) -> Self {
        Self { policy, ledger, draining, progress: Progress::default(), fresh: Fresh::default() }
    }

    pub(crate) fn begin(&self) -> Exchange {
        Exchange::begin(self.policy.load_full(), Arc::clone(&self.ledger))
    }

    pub(crate) fn limits(&self) -> ClientLimits {
        self.policy.load().limits
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl ProxyHttp for Gate {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        self.begin()
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> pingora::Result<bool> {
        let connection = Connection::of(session);
        let judged = match connection.as_deref().and_then(Connection::handed_on) {
            Some(judged) => {
                let (taken_up, passes) = judged.take_up(&request_head(session.req_header()));
                *exchange = taken_up;
                passes
            }
            None => self.judge_within(session, exchange).await,
        };
        exchange.connection = connection;
        if let Err(rejection) = judged {
            return turn_away(session, &rejection, exchange).await;
        }
        // A tunnel is for those who showed a token.
        exchange.is_tunnel = exchange.verdict != Verdict::Pass && asks_for_websocket(session.req_header());
        if !exchange.is_tunnel {
            ignore_upgrade(session.req_header_mut());
        }
        if exchange.policy.close_at_expiry == Expiring::Always {
            exchange.end_at_expiry(now());
        }
        Ok(false)
    }

    async fn upstream_peer(&self, _: &mut Session, exchange: &mut Exchange) -> pingora::Result<Box<HttpPeer>> {
        let mut peer = exchange.policy.upstream.clone();
        if exchange.is_tunnel {
            TunnelConnect::prepare(&mut peer);
        }
        if exchange.attempt == Try::Second {
            self.fresh.set_apart(&mut peer);
        }
        Ok(Box::new(peer))
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        reused: bool,
        peer: &HttpPeer,
        descriptor: RawFd,
        _: Option<&Digest>,
        _: &mut Exchange,
    ) -> pingora::Result<()> {
        if reused { retry::look_again(descriptor, peer) } else { Ok(()) }
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        forward::prepare(upstream, session, exchange)
    }

    /// Counts the body as it comes. What an upgraded connection carries is no body.
    async fn request_body_filter(
        &self,
        session: &mut Session,
        piece: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        forward::end_once(piece, end);
        let too_large = session.body_bytes_read() as u64 > exchange.policy.limits.body_size && !session.was_upgraded();
        if too_large {
            return Error::e_explain(TOO_LARGE, "the body is too large");
        }
        exchange.check_expiry(now())
    }

    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        answer: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        exchange.upstream_answered();
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            if !exchange.is_tunnel {
                return Error::e_explain(ErrorType::InvalidHTTPHeader, "an upgrade that nobody asked for")
                    .map_err(Error::into_up);
            }
            if exchange.policy.close_at_expiry != Expiring::Never {
                exchange.end_at_expiry(now());
            }
        }
        forward::strip_hop_by_hop(answer);
        Ok(())
    }

    fn upstream_response_body_filter(
        &self,
        _: &mut Session,
        piece: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> pingora::Result<Option<Duration>> {
        forward::end_once(piece, end);
        exchange.check_expiry(now()).map(|()| None)
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

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        exchange: &mut Exchange,
        _: bool,
    ) -> Box<Error> {
        exchange.attempt = retry::decide(session, &mut error);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
        let closed = FailToProxy { error_code: 0, can_reuse_downstream: false };
        let Some(rejection) = failure(error, exchange) else { return closed };
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
        exchange.linger();
        // The answer's head may be on its way already: then the cut connection says what happened.
        if answered(session).is_none() && refuse(session, &rejection, exchange).await.is_err() {
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

fn now() -> UnixTime {
    SystemTime::now().into()
}
