//! The gate: Pingora's phases, each a few lines. Nothing reaches the upstream unless `request_filter` has authenticated it, for both
//! protocols, by the very head that is forwarded. Each request is recorded once: in `logging`, or when its context is dropped.

mod admission;
mod arrival;
pub(crate) mod authenticate;
mod context;
pub mod error_response;
mod outage;
pub mod policy;
pub mod record;
mod request_summary;
mod retry;
mod tunnel;
mod upstream_error;
mod upstream_request;

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

use crate::audit::{Audit, RecordedDecision};
use crate::clock::UnixTime;
use crate::downstream::stream_info::StreamInfo;
use crate::http1::target::origin_path;
use crate::limits::{CloseAtExpiry, Limits};
use crate::protected_resource::ProtectedResource;
use crate::rejection::Rejection;

use admission::{InFlightLimit, asks_for_websocket, check_http2, check_length, ignore_upgrade, is_body_too_slow};
use authenticate::authenticate;
use context::{DPOP_NONCE, RequestContext, Tunnel};
use error_response::{respond, respond_with_metadata};
use outage::OutageLog;
use policy::Policy;
use record::RecordSinks;
use request_summary::RequestSummary;
use retry::{Attempt, PoolKeys};
use tunnel::TunnelConnect;
use upstream_error::{BODY_TOO_LARGE, rejection_of};

/// The proxy application. Clones are the same proxy.
#[derive(Clone)]
pub struct AuthProxy {
    policy: Arc<ArcSwap<Policy>>,
    sinks: Arc<RecordSinks>,
    draining: Arc<AtomicBool>,
    in_flight: InFlightLimit,
    /// Those of them without a proven caller.
    without_caller: InFlightLimit,
    fresh: PoolKeys,
    outages: OutageLog,
}

impl AuthProxy {
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

    /// A request that begins now.
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

    /// Decides whether a request may pass, and who answers it.
    async fn admit(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<Responder, Rejection> {
        let limits = ctx.policy.limits;
        let has_too_many_fields = ctx.info.as_deref().is_some_and(StreamInfo::has_too_many_fields);
        check_http2(session.req_header(), has_too_many_fields, &limits)?;
        if let Some(resource) = &ctx.policy.protected_resource {
            let head = session.req_header();
            if resource.is_asked_for(head.method.as_str(), origin_path(head.raw_path())) {
                return Ok(Responder::Callgate(Arc::clone(resource)));
            }
        }
        authenticate(session, ctx, &self.in_flight, &self.without_caller).await?;
        check_length(session.req_header(), &limits)?;
        Ok(Responder::Upstream)
    }
}

/// Who answers a request that may pass.
enum Responder {
    /// We do: it asks for the metadata of this resource.
    Callgate(Arc<ProtectedResource>),
    Upstream,
}

#[async_trait]
impl ProxyHttp for AuthProxy {
    type CTX = RequestContext;

    fn new_ctx(&self) -> RequestContext {
        self.begin()
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut RequestContext) -> pingora::Result<bool> {
        let head = session.req_header();
        ctx.info = StreamInfo::of(head);
        let client = ctx.info.as_deref().and_then(|info| info.peer().client.clone());
        ctx.record.describe(&RequestSummary::of(head), client);
        if self.is_draining() {
            ctx.close_connection();
        }
        let admitted = self.admit(session, ctx).await;
        if ctx.record.identity().is_some()
            && let Some(info) = &ctx.info
        {
            info.connection().slot().caller_proven();
        }
        match admitted {
            Err(rejection) => {
                ctx.record.refuse(&rejection);
                // A client that does not take it changes nothing.
                respond(session, &rejection, ctx).await;
                return Ok(true);
            }
            Ok(Responder::Callgate(resource)) => {
                ctx.record.pass();
                respond_with_metadata(session, &resource, ctx).await?;
                return Ok(true);
            }
            Ok(Responder::Upstream) => {}
        }
        // A tunnel is for those who showed a token.
        if ctx.record.recorded_decision() != RecordedDecision::Pass && asks_for_websocket(session.req_header()) {
            ctx.tunnel = Some(Tunnel::default());
        } else {
            ignore_upgrade(session.req_header_mut());
        }
        if ctx.policy.limits.close_at_expiry == CloseAtExpiry::Always {
            ctx.end_at_expiry(now());
        }
        Ok(false)
    }

    async fn upstream_peer(&self, _: &mut Session, ctx: &mut RequestContext) -> pingora::Result<Box<HttpPeer>> {
        let mut peer = ctx.policy.upstream.peer();
        if let Some(tunnel) = &ctx.tunnel {
            TunnelConnect::prepare(&mut peer, ctx.policy.upstream.addresses().cloned(), tunnel.clone());
        }
        if ctx.attempt == Attempt::Second {
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
        if ctx.share.is_some() && !end && is_body_too_slow(received, ctx.record.since_decision(), grace) {
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
        ctx.record.upstream_answered();
        self.outages.answered();
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            let Some(tunnel) = &ctx.tunnel else {
                return Error::e_explain(ErrorType::InvalidHTTPHeader, "an upgrade that was not asked for")
                    .map_err(Error::into_up);
            };
            tunnel.open();
            if ctx.policy.limits.close_at_expiry != CloseAtExpiry::Never {
                ctx.end_at_expiry(now());
            }
        }
        upstream_request::strip_hop_by_hop(answer, session.req_header().version);
        if ctx.is_proven_by_key()
            && let Some(nonce) = ctx.proof_nonce()
        {
            answer.insert_header(DPOP_NONCE, nonce)?;
        }
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
        _: &mut Session,
        _: &mut ResponseHeader,
        ctx: &mut RequestContext,
    ) -> pingora::Result<()> {
        if self.is_draining() {
            ctx.close_connection();
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
        ctx.close_connection();
        let closed = FailToProxy { error_code: 0, can_reuse_downstream: false };
        let Some(rejection) = rejection_of(error, ctx) else { return closed };
        ctx.record.fail(rejection.reason());
        if *error.esource() == ErrorSource::Upstream {
            self.outages.failed(rejection.reason(), error, &ctx.record.request_id);
        }
        if !respond(session, &rejection, ctx).await {
            return closed;
        }
        FailToProxy { error_code: rejection.reason().status(), can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, ctx: &mut RequestContext) {
        ctx.record.finish_session(session, ctx.refusal_bytes).await;
    }

    /// Pingora's own line would hold the path with its query; the record has what is needed.
    fn suppress_error_log(&self, _: &Session, _: &RequestContext, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &RequestContext, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }

    fn request_summary(&self, _: &Session, ctx: &RequestContext) -> String {
        format!("request_id: {}", ctx.record.request_id)
    }
}

fn now() -> UnixTime {
    SystemTime::now().into()
}
