//! Refusing a request within its session: the answer, and what becomes of the connection. It is kept if the next request can be
//! found on it for sure, and otherwise closed in a way that lets the answer arrive.

use std::time::Duration;

use http::header::{CONTENT_TYPE, EXPECT};
use http::{Method, Version};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;

use super::answer::Answer;
use super::exchange::Exchange;
use super::head::said_length;
use crate::rejection::Rejection;

/// Refuses a request before anything of it went to the upstream. The result is Pingora's word for a request that is answered.
pub async fn turn_away(
    session: &mut Session,
    rejection: &Rejection,
    exchange: &mut Exchange,
    draining: bool,
) -> pingora::Result<bool> {
    exchange.refuse(rejection);
    if draining {
        session.set_keepalive(None);
    }
    // Otherwise the connection is closed if the request's body has not come yet.
    let close = !is_worth_reading_away(session);
    session.set_close_on_response_before_downstream_finish(close);
    session.set_total_drain_timeout(Some(UNREAD_BODY_TIMEOUT));
    if close && !session.is_body_done() {
        exchange.linger();
    }
    refuse(session, rejection, exchange).await?;
    Ok(true)
}

/// Writes the answer that refuses a request.
///
/// # Errors
/// If the client does not take it.
pub async fn refuse(session: &mut Session, rejection: &Rejection, exchange: &Exchange) -> pingora::Result<()> {
    let mut answer = Answer::refuse(rejection, &exchange.policy.realm, &exchange.request_id);
    let head = session.req_header();
    if speaks_grpc(head) {
        answer = answer.for_grpc(rejection);
    }
    let bodiless = head.method == Method::HEAD || answer.body.is_empty();
    exchange.gather(true);
    let written = write(session, answer, bodiless).await;
    exchange.gather(false);
    written
}

async fn write(session: &mut Session, answer: Answer, bodiless: bool) -> pingora::Result<()> {
    session.write_response_header(Box::new(answer.head()?), bodiless).await?;
    if bodiless {
        return Ok(());
    }
    session.write_response_body(Some(answer.body), true).await
}

/// Whether the body of a refused request is small enough to be read away, so that the connection can serve the next request.
/// A client that waits for 100 before its body will not send one now, or may have begun to: nobody can tell where the next
/// request would start.
fn is_worth_reading_away(session: &ServerSession) -> bool {
    let head = session.req_header();
    said_length(head).is_some_and(|length| length <= UNREAD_BODY_MAX) && !head.headers.contains_key(EXPECT)
}

/// gRPC is HTTP/2 with this type; its variants for browsers are read by their status.
fn speaks_grpc(head: &RequestHeader) -> bool {
    let mut types = head
        .headers
        .get_all(CONTENT_TYPE)
        .iter()
        .filter_map(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    head.version == Version::HTTP_2 && types.any(|rest| matches!(rest, [] | [b'+' | b';', ..]))
}

/// The largest body of a refused request that is read away, in bytes.
pub const UNREAD_BODY_MAX: u64 = 64 * 1024;

/// How long that may take.
pub const UNREAD_BODY_TIMEOUT: Duration = Duration::from_secs(2);
