//! A connection that speaks HTTP/1: heads are read and judged here, within their time and size, and only a request that may pass
//! is handed to Pingora. One request follows another; each is judged on its own.

use std::time::Duration;

use pingora::apps::HttpServerApp as _;
use pingora::protocols::Shutdown;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};

use super::ConnectionServer;
use super::read_deadline::{Read, ReadDeadline};
use crate::http1::head::{Framing, Head, Search, Sketch, judge};
use crate::limits::Limits;
use crate::proxy::client::ClientStream;
use crate::proxy::context::{End, RequestContext};
use crate::proxy::error_response::{After, Answer};
use crate::proxy::head::{RequestSummary, content_length_from_wire, request_head_from_wire};
use crate::proxy::judged::Judged;
use crate::rejection::{Reason, Rejection};

/// What came from a client that was waited for.
enum Arrival {
    /// The client left, or never said anything.
    Gone,
    /// A head of that length.
    Head(usize),
    /// What cannot be judged.
    Refused(Rejection),
}

/// What becomes of a request that came.
enum Course {
    /// It goes on to Pingora.
    Pass(Framing),
    /// It was answered, and so many bytes of it may be read away, its head included.
    ReadAway(u64),
    /// It was answered with the last words on its connection.
    End,
}

/// Serves request after request until either side has had enough.
pub async fn serve(
    server: &ConnectionServer,
    mut stream: Box<ClientStream>,
    mut deadline: ReadDeadline,
    first: Instant,
    stop: &ShutdownWatch,
) {
    let (mut served, mut latest) = (0, first);
    loop {
        let limits = server.gate.limits();
        stream.connection.slot().begin_waiting();
        let length = match arrival(&mut stream, &limits, &mut deadline, latest).await {
            Arrival::Head(length) => length,
            Arrival::Gone => return,
            Arrival::Refused(rejection) => return turn_away(server, &mut stream, &limits, &rejection).await,
        };
        if !stream.connection.slot().end_waiting() {
            return;
        }
        served += 1;
        let after = if served < limits.requests_per_connection { After::Keep } else { After::Close };
        let framing = match meet(server, &mut stream, length, &limits, after).await {
            Course::Pass(framing) => framing,
            Course::ReadAway(count) => match timeout(UNREAD_BODY_TIMEOUT, stream.read_away(count)).await {
                Ok(Ok(())) => {
                    latest = deadline_for_next(&stream, &limits);
                    continue;
                }
                _ => return,
            },
            Course::End => {
                let _ = timeout(limits.write_timeout, Shutdown::shutdown(&mut *stream)).await;
                return;
            }
        };
        stream.give(length, framing);
        let mut session = ServerSession::new_http1(stream);
        session.set_read_timeout(Some(limits.read_timeout));
        session.set_write_timeout(Some(limits.write_timeout));
        if after == After::Close {
            session.set_keepalive_reuses_remaining(Some(0));
        }
        let Some(reused) = server.proxy.process_new_http(session, stop).await else { return };
        let (returned, _) = reused.consume();
        let Ok(returned) = returned.into_any().downcast::<ClientStream>() else { return };
        stream = returned;
        stream.go_on();
        latest = deadline_for_next(&stream, &limits);
    }
}

/// Judges the request at the beginning of what has come, and answers it if it may not pass.
async fn meet(
    server: &ConnectionServer,
    stream: &mut ClientStream,
    length: usize,
    limits: &Limits,
    after: After,
) -> Course {
    let head = match judge(stream.ahead().get(..length).unwrap_or_default(), limits.header_count) {
        Ok(head) => head,
        Err(rejection) => {
            turn_away(server, stream, limits, &rejection).await;
            return Course::End;
        }
    };
    let mut ctx = server.gate.begin();
    ctx.begin_record(&RequestSummary::from_wire(&head), stream.connection.peer().client.clone());
    let asked = request_head_from_wire(&head);
    let Err(rejection) = server.gate.judge(&asked, content_length_from_wire(&head), &mut ctx).await else {
        stream.connection.hand_on(Judged::by(&asked, ctx));
        return Course::Pass(head.framing);
    };
    let (rest, bodiless) = (unread(&head), head.method == "HEAD");
    let kept = rest.filter(|_| head.persists && after == After::Keep && !server.gate.is_draining());
    let after = if kept.is_some() { After::Keep } else { After::Close };
    if after == After::Close && (rest != Some(0) || stream.ahead().len() > length) {
        stream.connection.linger();
    }
    let is_answered = answer(stream, ctx, limits, &rejection, after, bodiless).await;
    match kept.filter(|_| is_answered) {
        Some(rest) => Course::ReadAway(length as u64 + rest),
        None => Course::End,
    }
}

/// How much of the body of a refused request is worth reading away, so that the connection can serve the next one. A client that
/// waits for 100 before its body will not send one now, or may have begun to: nobody can tell where the next request would
/// start. Nor what a client sends that has asked for a tunnel.
fn unread(head: &Head<'_>) -> Option<u64> {
    match head.framing {
        Framing::Length(0) => Some(0),
        Framing::Length(length) if length <= UNREAD_BODY_MAX && !head.expects_continue => Some(length),
        Framing::Length(_) | Framing::Chunked | Framing::Upgrade => None,
    }
}

/// Until when the next head is waited for: its beginning, or its end if it has begun already.
fn deadline_for_next(stream: &ClientStream, limits: &Limits) -> Instant {
    Instant::now() + if stream.ahead().is_empty() { limits.idle_time } else { limits.head_time }
}

/// Waits for a head. `latest` is when it must have begun, or if it has, when it must have ended.
async fn arrival(
    stream: &mut ClientStream,
    limits: &Limits,
    deadline: &mut ReadDeadline,
    mut latest: Instant,
) -> Arrival {
    let mut search = Search::default();
    let mut begun = !stream.ahead().is_empty();
    loop {
        let ahead = stream.ahead();
        let found = match search.end(ahead) {
            Ok(found) => found,
            Err(rejection) => return Arrival::Refused(rejection),
        };
        if found.unwrap_or(ahead.len()) > limits.head_size {
            let detail = format!("the request's head has more than {} bytes", limits.head_size);
            return Arrival::Refused(Rejection::new(Reason::HeadTooLarge, detail));
        }
        if let Some(length) = found {
            return Arrival::Head(length);
        }
        match deadline.wait(stream, latest).await {
            Read::Data if begun => stream.connection.slot().head_grows(stream.ahead().len()),
            Read::Data => {
                begun = true;
                latest = Instant::now() + limits.head_time;
            }
            Read::TimedOut if begun => {
                let detail = "the request's head did not come in time";
                return Arrival::Refused(Rejection::new(Reason::RequestTimeout, detail));
            }
            Read::Eof | Read::TimedOut => return Arrival::Gone,
        }
    }
}

/// Answers what is no request, closes the connection, and records it.
async fn turn_away(server: &ConnectionServer, stream: &mut ClientStream, limits: &Limits, rejection: &Rejection) {
    let Sketch { method, path } = Sketch::of(stream.ahead());
    let mut ctx = server.gate.begin();
    let summary = RequestSummary { method: &method, path: &path, request_id: None, traceparent: None };
    ctx.begin_record(&summary, stream.connection.peer().client.clone());
    stream.connection.linger();
    answer(stream, ctx, limits, rejection, After::Close, method == "HEAD").await;
}

/// Answers a request that is refused, and records it. Returns whether the client has taken the answer.
async fn answer(
    stream: &mut ClientStream,
    mut ctx: RequestContext,
    limits: &Limits,
    rejection: &Rejection,
    after: After,
    bodiless: bool,
) -> bool {
    ctx.refuse(rejection);
    // Nobody else has to wait for a client to take its answer.
    ctx.permit = None;
    let refusal = Answer::refuse(rejection, &ctx.policy.realm, &ctx.request_id);
    let body = if bodiless { 0 } else { refusal.body.len() as u64 };
    let bytes = refusal.into_bytes(after, bodiless);
    let written = timeout(limits.write_timeout, async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    });
    let is_answered = matches!(written.await, Ok(Ok(())));
    let end = if is_answered {
        End { status: rejection.reason().status(), response_bytes: body, ..End::default() }
    } else {
        End::default()
    };
    ctx.record_end(end).await;
    is_answered
}

/// The largest body of a refused request that is read away, in bytes.
const UNREAD_BODY_MAX: u64 = 64 * 1024;

/// How long that may take.
const UNREAD_BODY_TIMEOUT: Duration = Duration::from_secs(2);
