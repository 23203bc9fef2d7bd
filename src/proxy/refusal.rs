//! Refusing a request within its session: all of HTTP/2, and of HTTP/1 what was let in at the door and cannot go on. What is known
//! of such a connection is in doubt, so it is closed, in a way that lets the answer arrive.

use http::header::CONTENT_TYPE;
use http::{Method, Version};
use pingora::http::RequestHeader;
use pingora::proxy::Session;

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
    refuse(session, rejection, ctx).await?;
    Ok(true)
}

/// Writes the answer that refuses a request.
///
/// # Errors
/// If the client does not take it.
pub async fn refuse(session: &mut Session, rejection: &Rejection, ctx: &RequestContext) -> pingora::Result<()> {
    let mut answer = Answer::refuse(rejection, &ctx.policy.realm, &ctx.request_id);
    let head = session.req_header();
    if speaks_grpc(head) {
        answer = answer.for_grpc(rejection);
    }
    let bodiless = head.method == Method::HEAD || answer.body.is_empty();
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

/// gRPC is HTTP/2 with this type; its variants for browsers are read by their status.
fn speaks_grpc(head: &RequestHeader) -> bool {
    let mut types = head
        .headers
        .get_all(CONTENT_TYPE)
        .iter()
        .filter_map(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    head.version == Version::HTTP_2 && types.any(|rest| matches!(rest, [] | [b'+' | b';', ..]))
}
