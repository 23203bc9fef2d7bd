//! Refusing a request within its session: all of HTTP/2, and of HTTP/1 what was let in at the door and cannot go on. What is known
//! of such a connection is in doubt, so it is closed, in a way that lets the answer arrive.

use http::header::CONTENT_TYPE;
use http::{Method, Version};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::HttpSession;
use pingora::proxy::Session;
use pingora::{ErrorType, OrErr as _};

use super::context::RequestContext;
use super::error_response::Answer;
use crate::rejection::Rejection;

/// Refuses a request before anything of it went to the upstream. The result is Pingora's word for a request that is answered.
pub async fn turn_away(
    session: &mut Session,
    rejection: &Rejection,
    ctx: &mut RequestContext,
) -> pingora::Result<bool> {
    ctx.refuse(rejection);
    // A stream of HTTP/2 ends with its answer anyway.
    session.set_keepalive(None);
    ctx.linger();
    // Nobody else has to wait for a client to take its answer, or for its record.
    ctx.permit = None;
    // A client that has left was refused all the same.
    let _ = refuse(session, rejection, ctx).await;
    Ok(true)
}

/// Writes the answer that refuses a request.
///
/// # Errors
/// If the client does not take it.
pub async fn refuse(session: &mut Session, rejection: &Rejection, ctx: &mut RequestContext) -> pingora::Result<()> {
    let mut answer = Answer::refuse(rejection, &ctx.policy.realm, &ctx.request_id);
    let head = session.req_header();
    if speaks_grpc(head) {
        answer = answer.for_grpc(rejection);
    }
    let bodiless = head.method == Method::HEAD || answer.body.is_empty();
    if let ServerSession::H2(stream) = &mut **session {
        return write_http2(stream, answer, bodiless, ctx);
    }
    ctx.cork(true);
    let written = write(session, answer, bodiless).await;
    ctx.cork(false);
    written
}

async fn write(session: &mut Session, answer: Answer, bodiless: bool) -> pingora::Result<()> {
    session.write_response_header(Box::new(answer.head()?), bodiless).await?;
    if bodiless {
        return Ok(());
    }
    session.write_response_body(Some(answer.body), true).await
}

/// Writes it to a stream of HTTP/2 without waiting for the client: the head is not subject to flow control, and what the client's
/// window does not take of the body is left to the connection.
fn write_http2(
    stream: &mut HttpSession,
    answer: Answer,
    bodiless: bool,
    ctx: &mut RequestContext,
) -> pingora::Result<()> {
    stream.write_response_header(Box::new(answer.head()?), bodiless)?;
    if bodiless {
        return Ok(());
    }
    let Some(mut writer) = stream.take_response_body_writer() else { return Ok(()) };
    let length = answer.body.len();
    writer.reserve_capacity(length);
    let is_taken = writer.capacity() >= length;
    writer.send_data(answer.body, true).or_err(ErrorType::WriteError, "the stream is closed")?;
    if is_taken {
        ctx.refusal_bytes = length as u64;
    } else if let Some(info) = &ctx.connection {
        info.set_unread(writer);
    }
    Ok(())
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
