//! What went wrong once a request was let through, in our own words. Nothing of a library's text is told to anybody.

use pingora::{Error, ErrorSource, ErrorType};

use super::admission::body_too_large;
use super::connection::Connection;
use super::exchange::Exchange;
use crate::rejection::{Reason, Rejection};

/// The status by which the filter of the body says that there is too much of it.
pub const TOO_LARGE: ErrorType = ErrorType::HTTPStatus(413);

/// The word of the filters for a stream that has outlived its token.
pub const OVER: ErrorType = ErrorType::Custom("TokenExpired");

/// What a failed exchange is answered with, as far as it can still be; `None` if the client left.
pub fn failure(error: &Error, exchange: &Exchange) -> Option<Rejection> {
    use ErrorType::{
        ConnectTimedout, ConnectionClosed, ReadError, ReadTimedout, TLSHandshakeTimedout, WriteError, WriteTimedout,
    };
    let connection = exchange.connection.as_deref();
    if *error.etype() == OVER || connection.is_some_and(Connection::is_over) {
        return Some(Rejection::new(Reason::TokenExpired, "the token expired while its stream was open"));
    }
    if let Some(fault) = connection.and_then(Connection::doubted) {
        return Some(Rejection::new(Reason::RequestMalformed, format!("the request's body is malformed: {fault}")));
    }
    let (reason, detail) = match (error.esource(), error.etype()) {
        (_, etype) if *etype == TOO_LARGE => return Some(body_too_large(&exchange.policy.limits)),
        (ErrorSource::Downstream, ReadTimedout) => (Reason::RequestTimeout, "the request's body did not come in time"),
        (ErrorSource::Downstream, ConnectionClosed | ReadError | WriteError | WriteTimedout) => return None,
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
