//! A connection that speaks HTTP/1: heads are read and judged here, within their time and size, and only a sound one is handed to
//! Pingora. One request follows another; each is judged on its own.

use pingora::apps::HttpServerApp as _;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};

use super::{Door, REFUSAL_TIME, Wait, wait};
use crate::proxy::ClientLimits;
use crate::proxy::answer::Answer;
use crate::proxy::client::ClientStream;
use crate::proxy::exchange::End;
use crate::rejection::{Reason, Rejection};
use crate::wire::head::{Framing, Search, Sketch, judge};

/// What came from a client that was waited for.
enum Arrival {
    /// The client left, or never said anything.
    Gone,
    /// A sound head of that length.
    Head(usize, Framing),
    /// What cannot be judged.
    Refused(Rejection),
}

/// Serves request after request until either side has had enough.
pub async fn serve(door: &Door, mut stream: Box<ClientStream>, stop: &ShutdownWatch) {
    let mut served = 0;
    loop {
        let limits = door.gate.limits();
        let (head, framing) = match arrival(&mut stream, &limits, stop).await {
            Arrival::Head(length, framing) => (length, framing),
            Arrival::Gone => return,
            Arrival::Refused(rejection) => return refuse(door, &mut stream, &rejection).await,
        };
        stream.give(head, framing);
        served += 1;
        let mut session = ServerSession::new_http1(stream);
        session.set_read_timeout(Some(limits.read_timeout));
        session.set_write_timeout(Some(limits.write_timeout));
        if served >= limits.requests_per_connection {
            session.set_keepalive_reuses_remaining(Some(0));
        }
        let Some(reused) = door.proxy.process_new_http(session, stop).await else { return };
        let (returned, _) = reused.consume();
        let Ok(returned) = returned.into_any().downcast::<ClientStream>() else { return };
        stream = returned;
    }
}

async fn arrival(stream: &mut ClientStream, limits: &ClientLimits, stop: &ShutdownWatch) -> Arrival {
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
            return match judge(ahead.get(..length).unwrap_or_default(), limits.header_count) {
                Ok(framing) => Arrival::Head(length, framing),
                Err(rejection) => Arrival::Refused(rejection),
            };
        }
        if !begun && !ahead.is_empty() {
            begun = true;
            latest = Instant::now() + limits.head_time;
        }
        match wait(stream, latest, stop).await {
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
async fn refuse(door: &Door, stream: &mut ClientStream, rejection: &Rejection) {
    let mut exchange = door.gate.begin();
    exchange.reason = Some(rejection.reason());
    let Sketch { method, path } = Sketch::of(stream.ahead());
    exchange.arrived_malformed(&method, &path, stream.connection.client());
    let mut end = End::default();
    if let Ok(answer) = Answer::refuse(rejection, &exchange.policy.realm, &exchange.request_id) {
        let bodiless = method == "HEAD";
        stream.connection.linger();
        let body = if bodiless { 0 } else { answer.body.len() };
        let bytes = answer.into_bytes(bodiless);
        let written = timeout(REFUSAL_TIME, async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        });
        if matches!(written.await, Ok(Ok(()))) {
            end.status = rejection.reason().status();
            end.response_bytes = body as u64;
        }
    }
    exchange.record_end(end).await;
}
