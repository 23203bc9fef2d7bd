//! A connection that speaks HTTP/1: heads are read here, strictly and within their time and size, and each becomes a session of
//! Pingora's. The next request follows when the session has given the stream back.

use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerApp as _;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::time::{Instant, timeout};

use super::read_deadline::{Read, ReadDeadline};
use super::request_server::RequestServer;
use crate::downstream::request_head::RequestHead;
use crate::downstream::session::{Session, SilenceLimits};
use crate::downstream::stream::ClientStream;
use crate::downstream::stream_info::StreamInfo;
use crate::http1::head::Search;
use crate::limits::Limits;
use crate::proxy::error_response::respond_to_malformed;
use crate::rejection::{Reason, Rejection};

/// What came from a client that was waited for.
enum Arrival {
    /// The client left, or never said anything.
    Gone,
    /// A head of that length.
    Head(usize),
    /// What is no head.
    Refused(Rejection),
}

/// Serves request after request until either side closes.
pub(super) async fn serve(
    server: &RequestServer,
    mut stream: Box<ClientStream>,
    mut deadline: ReadDeadline,
    first: Instant,
    stop: &ShutdownWatch,
) {
    let (mut served, mut latest) = (0, first);
    loop {
        let limits = server.gate.limits();
        stream.connection().slot().begin_waiting();
        let length = match arrival(&mut stream, &limits, &mut deadline, latest).await {
            Arrival::Head(length) => length,
            Arrival::Gone => return,
            Arrival::Refused(rejection) => {
                let head = stream.take_buffered();
                let response = respond_to_malformed(&mut stream, &head, &rejection, server.gate.begin());
                // In a box, here and below: a connection that waits has no need of the memory that it takes.
                return Box::pin(response).await;
            }
        };
        if !stream.connection().slot().end_waiting() {
            return;
        }
        let bytes = stream.take_head(length);
        let head = match RequestHead::parse(&bytes, limits.header_count) {
            Ok(head) => head,
            Err(rejection) => {
                let response = respond_to_malformed(&mut stream, &bytes, &rejection, server.gate.begin());
                return Box::pin(response).await;
            }
        };
        // The head has shares of it.
        drop(bytes);
        served += 1;
        let info = Arc::new(StreamInfo::new(Arc::clone(stream.connection())));
        if served >= limits.requests_per_connection {
            info.close_connection();
        }
        let silence = SilenceLimits { body: limits.read_timeout, tunnel: limits.tunnel_idle_time };
        let (session, mut returned) = Session::new(stream, head, info, silence);
        server.proxy.process_new_http(ServerSession::new_custom(Box::new(session)), stop).await;
        let Ok(back) = returned.try_recv() else { return };
        stream = back.stream;
        match timeout(UNREAD_BODY_TIMEOUT, stream.discard(back.unread)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
        // The next request was sent ahead.
        if !stream.buffered().is_empty() {
            stream.next_turn().await;
        }
        latest = Instant::now() + if stream.buffered().is_empty() { limits.idle_time } else { limits.head_time };
    }
}

/// Waits for a head. `latest` is when it must have begun, or if it has, when it must have ended.
async fn arrival(
    stream: &mut ClientStream,
    limits: &Limits,
    deadline: &mut ReadDeadline,
    mut latest: Instant,
) -> Arrival {
    let mut search = Search::default();
    let mut begun = !stream.buffered().is_empty();
    loop {
        let buffered = stream.buffered();
        let found = match search.end(buffered) {
            Ok(found) => found,
            Err(rejection) => return Arrival::Refused(rejection),
        };
        if found.unwrap_or(buffered.len()) > limits.head_size {
            let detail = format!("the request's head has more than {} bytes", limits.head_size);
            return Arrival::Refused(Rejection::new(Reason::HeadTooLarge, detail));
        }
        if let Some(length) = found {
            return Arrival::Head(length);
        }
        if begun {
            stream.connection().slot().head_grows(buffered.len());
        }
        match deadline.wait(stream, latest).await {
            // Most heads come with the first read.
            Read::Data if begun => stream.next_turn().await,
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

/// How long the rest of a request's body that nobody needs may take.
const UNREAD_BODY_TIMEOUT: Duration = Duration::from_secs(2);
