//! The gate: Pingora's phases, each a few lines that ask the core and do what it says. Nothing reaches the upstream unless it was
//! judged, at the door or in `request_filter`. What came so far is recorded in `logging`, and what did not at the door.

mod admission;
mod authenticate;
pub(crate) mod client;
pub(crate) mod context;
pub mod error_response;
pub(crate) mod head;
pub(crate) mod judged;
mod outage;
pub mod record;
mod refusal;
mod retry;
pub(crate) mod stream_info;
mod tunnel;
mod upstream_error;
pub mod upstream_request;

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

use crate::audit::{Audit, Verdict};
use crate::authenticator::Authenticator;
use crate::clock::UnixTime;
use crate::forwarding::ForwardingPolicy;
use crate::issuers::PerIssuer;
use crate::jwks_refresh::JwksRefresher;
use crate::limits::{CloseAtExpiry, Limits};
use crate::metrics::IssuerMetrics;
use crate::mode::Modes;
use crate::upstream::UpstreamPeer;

use admission::{InFlightLimit, asks_for_websocket, ignore_upgrade, is_body_too_slow};
use context::{RequestContext, answered};
use head::request_head;
use outage::OutageLog;
use record::RecordSinks;
use refusal::{refuse, turn_away};
use retry::{PoolKeys, Try};
use stream_info::StreamInfo;
use tunnel::TunnelConnect;
use upstream_error::{BODY_TOO_LARGE, rejection_of};

/// Everything that one configuration says about requests. It is replaced whole.
pub struct Policy {
    pub authenticator: Authenticator,
    /// The metrics of its issuers.
    pub issuers: PerIssuer<IssuerMetrics>,
    /// What a refusal leads to.
    pub modes: Modes,
    pub refresher: Arc<JwksRefresher>,
    /// Where accepted requests go, with the timeouts of that connection.
    pub upstream: UpstreamPeer,
    /// The name of this service in challenges, plain characters only.
    pub realm: String,
    pub limits: Limits,
    pub forward: ForwardingPolicy,
}

/// The proxy application. Clones are the same gate.
#[derive(Clone)]
pub struct Gate {
    policy: Arc<ArcSwap<Policy>>,
    sinks: Arc<RecordSinks>,
    draining: Arc<AtomicBool>,
    in_flight: InFlightLimit,
    /// Those of them without a proven caller.
    without_caller: InFlightLimit,
    fresh: PoolKeys,
    outages: OutageLog,
}

impl Gate {
    /// Guards an upstream by the policy that is there when a request comes. While `draining` is set, every answer ends its
    /// connection.
    #[must_use]
    pub fn new(policy: Arc<ArcSwap<Policy>>, sinks: Arc<RecordSinks>, draining: Arc<AtomicBool>) -> Self {
        Self {
            policy,
            sinks,
            draining,
            in_flight: InFlightLimit::default(),
            without_caller: InFlightLimit::default(),
            fresh: PoolKeys::default(),
            outages: OutageLog::default(),
        }
    }

    pub(crate) fn begin(&self) -> RequestContext {
        RequestContext::begin(self.policy.load_full(), Arc::clone(&self.sinks))
    }

    /// Where the records of requests go.
    pub(crate) fn audit(&self) -> &Audit {
        &self.sinks.audit
    }

    pub(crate) fn limits(&self) -> Limits {
        self.policy.load().limits
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl ProxyHttp for Gate {
    type CTX = RequestContext;

    fn new_ctx(&self) -> RequestContext {
        self.begin()
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut RequestContext) -> pingora::Result<bool> {
        let connection = StreamInfo::of(session);
        let judged = match connection.as_deref().and_then(StreamInfo::handed_on) {
            Some(judged) => {
                let (taken_up, passes) = judged.take_up(&request_head(session.req_header()));
                *ctx = taken_up;
                passes
            }
            None => self.judge_within(session, ctx).await,
        };
        if ctx.identity().is_some()
            && let Some(connection) = &connection
        {
            connection.slot().caller_proven();
        }
        ctx.connection = connection;
        if let Err(rejection) = judged {
            return turn_away(session, &rejection, ctx).await;
        }
        // A tunnel is for those who showed a token.
        ctx.is_tunnel = ctx.verdict != Verdict::Pass && asks_for_websocket(session.req_header());
        if !ctx.is_tunnel {
            ignore_upgrade(session.req_header_mut());
        }
        if ctx.policy.limits.close_at_expiry == CloseAtExpiry::Always {
            ctx.end_at_expiry(now());
        }
        Ok(false)
    }

    async fn upstream_peer(&self, _: &mut Session, ctx: &mut RequestContext) -> pingora::Result<Box<HttpPeer>> {
        let mut peer = ctx.policy.upstream.peer();
        if ctx.is_tunnel {
            TunnelConnect::prepare(&mut peer, ctx.policy.upstream.addresses().cloned());
        }
        if ctx.attempt == Try::Second {
            self.fresh.force_new_connection(&mut peer);
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
        _: &mut RequestContext,
    ) -> pingora::Result<()> {
        if reused { retry::probe_reused(descriptor, peer) } else { Ok(()) }
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        ctx: &mut RequestContext,
    ) -> pingora::Result<()> {
        upstream_request::prepare(upstream, session, ctx)
    }

    /// Counts the body as it comes. What an upgraded connection carries is no body.
    async fn request_body_filter(
        &self,
        session: &mut Session,
        piece: &mut Option<Bytes>,
        end: bool,
        ctx: &mut RequestContext,
    ) -> pingora::Result<()> {
        upstream_request::end_once(piece, end);
        let too_large = session.body_bytes_read() as u64 > ctx.policy.limits.body_size && !session.was_upgraded();
        if too_large {
            return Error::e_explain(BODY_TOO_LARGE, "the body is too large");
        }
        let (received, grace) = (session.body_bytes_read() as u64, ctx.policy.limits.read_timeout);
        if ctx.share.is_some() && !end && is_body_too_slow(received, ctx.since_decision(), grace) {
            return Error::e_explain(ErrorType::ReadTimedout, "the body comes too slowly").map_err(Error::into_down);
        }
        ctx.check_expiry(now())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        answer: &mut ResponseHeader,
        ctx: &mut RequestContext,
    ) -> pingora::Result<()> {
        ctx.upstream_answered();
        self.outages.answered();
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            if !ctx.is_tunnel {
                return Error::e_explain(ErrorType::InvalidHTTPHeader, "an upgrade that nobody asked for")
                    .map_err(Error::into_up);
            }
            if ctx.policy.limits.close_at_expiry != CloseAtExpiry::Never {
                ctx.end_at_expiry(now());
            }
        }
        upstream_request::strip_hop_by_hop(answer, session.req_header().version);
        Ok(())
    }

    fn upstream_response_body_filter(
        &self,
        _: &mut Session,
        piece: &mut Option<Bytes>,
        end: bool,
        ctx: &mut RequestContext,
    ) -> pingora::Result<Option<Duration>> {
        upstream_request::end_once(piece, end);
        ctx.check_expiry(now()).map(|()| None)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        _: &mut ResponseHeader,
        _: &mut RequestContext,
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
        ctx: &mut RequestContext,
        _: bool,
    ) -> Box<Error> {
        ctx.attempt = retry::decide(session, &mut error);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut RequestContext) -> FailToProxy {
        let closed = FailToProxy { error_code: 0, can_reuse_downstream: false };
        let Some(rejection) = rejection_of(error, ctx) else { return closed };
        // What would have been refused is told with that reason; the status says the rest.
        if ctx.verdict != Verdict::WouldReject {
            ctx.reason = Some(rejection.reason());
        }
        if *error.esource() == ErrorSource::Upstream {
            self.outages.failed(rejection.reason(), error, &ctx.request_id);
        }
        session.set_keepalive(None);
        ctx.linger();
        // The answer's head may be on its way already: then the cut connection says what happened.
        if answered(session).is_none() && refuse(session, &rejection, ctx).await.is_err() {
            return closed;
        }
        FailToProxy { error_code: rejection.reason().status(), can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, ctx: &mut RequestContext) {
        ctx.record(session).await;
    }

    /// Pingora's own line would hold the path with its query; the record has what is needed.
    fn suppress_error_log(&self, _: &Session, _: &RequestContext, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &RequestContext, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }

    fn request_summary(&self, _: &Session, ctx: &RequestContext) -> String {
        format!("request_id: {}", ctx.request_id)
    }
}

fn now() -> UnixTime {
    SystemTime::now().into()
}
