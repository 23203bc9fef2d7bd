//! A connection that speaks HTTP/1: heads are read and judged here, within their time and size, and only a request that may pass
//! is handed to Pingora. One request follows another; each is judged on its own.

use pingora::apps::HttpServerApp as _;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};

use super::patience::{Patience, Wait};
use super::{Door, REFUSAL_TIME};
use crate::proxy::ClientLimits;
use crate::proxy::answer::{After, Answer};
use crate::proxy::client::ClientStream;
use crate::proxy::exchange::{End, Exchange};
use crate::proxy::head::{Told, request_head_on_wire, said_length_on_wire};
use crate::proxy::judged::Judged;
use crate::proxy::refusal::{UNREAD_BODY_MAX, UNREAD_BODY_TIMEOUT};
use crate::rejection::{Reason, Rejection};
use crate::wire::head::{Framing, Head, Search, Sketch, judge};

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
pub async fn serve(door: &Door, mut stream: Box<ClientStream>, mut patience: Patience, stop: &ShutdownWatch) {
    let mut served = 0;
    loop {
        let limits = door.gate.limits();
        let length = match arrival(&mut stream, &limits, &mut patience).await {
            Arrival::Head(length) => length,
            Arrival::Gone => return,
            Arrival::Refused(rejection) => return turn_away(door, &mut stream, &rejection).await,
        };
        served += 1;
        let is_last = served >= limits.requests_per_connection;
        let framing = match meet(door, &mut stream, length, &limits, is_last).await {
            Course::Pass(framing) => framing,
            Course::ReadAway(count) => match timeout(UNREAD_BODY_TIMEOUT, stream.read_away(count)).await {
                Ok(Ok(())) => continue,
                _ => return,
            },
            Course::End => return,
        };
        stream.give(length, framing);
        let mut session = ServerSession::new_http1(stream);
        session.set_read_timeout(Some(limits.read_timeout));
        session.set_write_timeout(Some(limits.write_timeout));
        if is_last {
            session.set_keepalive_reuses_remaining(Some(0));
        }
        let Some(reused) = door.proxy.process_new_http(session, stop).await else { return };
        let (returned, _) = reused.consume();
        let Ok(returned) = returned.into_any().downcast::<ClientStream>() else { return };
        stream = returned;
        stream.go_on();
    }
}

/// Judges the request at the beginning of what has come, and answers it if it may not pass.
async fn meet(door: &Door, stream: &mut ClientStream, length: usize, limits: &ClientLimits, is_last: bool) -> Course {
    let head = match judge(stream.ahead().get(..length).unwrap_or_default(), limits.header_count) {
        Ok(head) => head,
        Err(rejection) => {
            turn_away(door, stream, &rejection).await;
            return Course::End;
        }
    };
    let mut exchange = door.gate.begin();
    exchange.meet(&Told::on_wire(&head), stream.connection.peer().client.clone());
    let judged = request_head_on_wire(&head);
    let Err(rejection) = door.gate.judge(&judged, said_length_on_wire(&head), &mut exchange).await else {
        stream.connection.hand_on(Judged::by(&judged, exchange));
        return Course::Pass(head.framing);
    };
    let rest = unread(&head).filter(|_| head.persists && !is_last && !door.gate.is_draining());
    let bodiless = head.method == "HEAD";
    let after = if rest.is_some() { After::Keep } else { After::Close };
    let is_answered = answer(stream, exchange, &rejection, after, bodiless).await;
    match rest.filter(|_| is_answered) {
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

async fn arrival(stream: &mut ClientStream, limits: &ClientLimits, patience: &mut Patience) -> Arrival {
    let mut search = Search::default();
    let mut latest = Instant::now() + limits.idle_time;
    let mut begun = false;
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
        if !begun && !ahead.is_empty() {
            begun = true;
            latest = Instant::now() + limits.head_time;
        }
        match patience.wait(stream, latest).await {
            Wait::Came => {}
            Wait::Late if begun => {
                let detail = "the request's head did not come in time";
                return Arrival::Refused(Rejection::new(Reason::RequestTimeout, detail));
            }
            Wait::Gone | Wait::Late => return Arrival::Gone,
        }
    }
}

/// Answers what is no request, closes the connection, and records it.
async fn turn_away(door: &Door, stream: &mut ClientStream, rejection: &Rejection) {
    let Sketch { method, path } = Sketch::of(stream.ahead());
    let mut exchange = door.gate.begin();
    let told = Told { method: &method, path: &path, request_id: None, traceparent: None };
    exchange.meet(&told, stream.connection.peer().client.clone());
    answer(stream, exchange, rejection, After::Close, method == "HEAD").await;
}

/// Answers a request that is refused, and records it. Returns whether the client has taken the answer.
async fn answer(
    stream: &mut ClientStream,
    mut exchange: Exchange,
    rejection: &Rejection,
    after: After,
    bodiless: bool,
) -> bool {
    exchange.refuse(rejection);
    if after == After::Close {
        stream.connection.linger();
    }
    let answer = Answer::refuse(rejection, &exchange.policy.realm, &exchange.request_id);
    let body = if bodiless { 0 } else { answer.body.len() as u64 };
    let bytes = answer.into_bytes(after, bodiless);
    let written = timeout(REFUSAL_TIME, async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    });
    let is_answered = matches!(written.await, Ok(Ok(())));
    let end = if is_answered {
        End { status: rejection.reason().status(), response_bytes: body, ..End::default() }
    } else {
        End::default()
    };
    exchange.record_end(end).await;
    is_answered
}
