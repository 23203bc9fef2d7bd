//! What went wrong once a request was let through, in our own words. Nothing of a library's text is told to anybody.

use pingora::{Error, ErrorSource, ErrorType};

use super::admission::body_too_large;
use super::context::RequestContext;
use super::stream_info::StreamInfo;
use crate::rejection::{Reason, Rejection};

/// The status by which the filter of the body says that there is too much of it.
pub const BODY_TOO_LARGE: ErrorType = ErrorType::HTTPStatus(413);

/// The word of the filters for a stream that has outlived its token.
pub const TOKEN_EXPIRED: ErrorType = ErrorType::Custom("TokenExpired");

/// What a failed request is answered with, as far as it can still be; `None` if the client left.
pub fn rejection_of(error: &Error, ctx: &RequestContext) -> Option<Rejection> {
    use ErrorType::{
        ConnectTimedout, ConnectionClosed, H2Error, ReadError, ReadTimedout, TLSHandshakeTimedout, WriteError,
        WriteTimedout,
    };
    let connection = ctx.connection.as_deref();
    if *error.etype() == TOKEN_EXPIRED || connection.is_some_and(StreamInfo::is_over) {
        return Some(Rejection::new(Reason::TokenExpired, "the token expired while its stream was open"));
    }
    if let Some(fault) = connection.and_then(StreamInfo::body_error) {
        return Some(Rejection::new(Reason::RequestMalformed, format!("the request's body is malformed: {fault}")));
    }
    let (reason, detail) = match (error.esource(), error.etype()) {
        (_, etype) if *etype == BODY_TOO_LARGE => return Some(body_too_large(&ctx.policy.limits)),
        (ErrorSource::Downstream, ReadTimedout) => (Reason::RequestTimeout, "the request's body did not come in time"),
        // `H2Error`: the client has reset the stream, or closed its connection.
        (ErrorSource::Downstream, ConnectionClosed | H2Error | ReadError | WriteError | WriteTimedout) => return None,
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
