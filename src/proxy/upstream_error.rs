//! What went wrong once a request was let through, in our own words. Nothing of a library's text is told to anybody.

use std::io;

use pingora::{Error, ErrorSource, ErrorType};

use super::admission::body_too_large;
use super::context::RequestContext;
use crate::downstream::session::{BODY_MALFORMED, TOKEN_EXPIRED, TUNNEL_IDLE};
use crate::downstream::stream_info::StreamInfo;
use crate::http1::chunks::ChunkError;
use crate::rejection::{Reason, Rejection};

/// Error type raised by the body filter when the body has too many bytes.
pub(super) const BODY_TOO_LARGE: ErrorType = ErrorType::HTTPStatus(413);

/// What a failed request is answered with, as far as it can still be; `None` if the client left.
pub(super) fn rejection_of(error: &Error, ctx: &RequestContext) -> Option<Rejection> {
    use ErrorType::{
        ConnectTimedout, ConnectionClosed, H2Error, ReadError, ReadTimedout, TLSHandshakeTimedout, WriteError,
        WriteTimedout,
    };
    if *error.etype() == TOKEN_EXPIRED || ctx.info.as_deref().is_some_and(StreamInfo::is_expired) {
        return Some(Rejection::new(Reason::TokenExpired, "the token expired while its stream was open"));
    }
    let (reason, detail) = match (error.esource(), error.etype()) {
        (_, etype) if *etype == BODY_TOO_LARGE => return Some(body_too_large(&ctx.policy.limits)),
        (_, etype) if *etype == BODY_MALFORMED => return Some(body_malformed(error)),
        (_, etype) if *etype == TUNNEL_IDLE => {
            (Reason::TunnelIdle, "neither side of the tunnel sent anything for too long")
        }
        (ErrorSource::Downstream, ReadTimedout) => (Reason::RequestTimeout, "the request's body did not come in time"),
        // `H2Error`: the client has reset the stream, or closed its connection.
        (ErrorSource::Downstream, ConnectionClosed | H2Error | ReadError) => return None,
        // Pingora says of each failed write to the upstream whose it is, but not of each to the client: not of HTTP/2's trailers, and
        // not of what a session of one's own writes.
        (ErrorSource::Downstream | ErrorSource::Unset, WriteError | WriteTimedout) => return None,
        (ErrorSource::Downstream, _) => (Reason::RequestMalformed, "the request cannot be read without doubt"),
        (ErrorSource::Upstream, ConnectTimedout | ReadTimedout | TLSHandshakeTimedout | WriteTimedout) => {
            (Reason::UpstreamTimeout, UPSTREAM_TIMEOUT)
        }
        // That of a tunnel, whose socket has its own time.
        (ErrorSource::Upstream, ReadError) if is_timeout(error) => (Reason::UpstreamTimeout, UPSTREAM_TIMEOUT),
        (ErrorSource::Upstream, _) => {
            (Reason::UpstreamUnreachable, "the service behind this proxy could not be reached or broke off")
        }
        _ => (Reason::InternalError, "the proxy failed to handle the request"),
    };
    Some(Rejection::new(reason, detail))
}

fn body_malformed(error: &Error) -> Rejection {
    let cause = error.root_cause().downcast_ref::<ChunkError>();
    let detail = cause.map_or_else(|| "its end is not known for sure".to_owned(), ToString::to_string);
    Rejection::new(Reason::RequestMalformed, format!("the request's body is malformed: {detail}"))
}

fn is_timeout(error: &Error) -> bool {
    error.root_cause().downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

const UPSTREAM_TIMEOUT: &str = "the service behind this proxy did not answer in time";
