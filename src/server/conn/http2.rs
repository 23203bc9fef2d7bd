//! A connection that speaks HTTP/2: its streams are requests, each in a task of its own. Framing and header compression are the
//! protocol's, and checked where it is read; the gate judges what comes out like any other request.
//!
//! Every end of a connection is announced with GOAWAY (RFC 9113 §6.8), and none waits for the client's consent: one that does not
//! acknowledge it within `GOAWAY_GRACE` opens no further stream, and is closed once its open streams have ended.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::header::CONTENT_TYPE;
use pingora::apps::HttpServerApp as _;
use pingora::http::RequestHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, H2Options, HttpSession, default_h2_options, handshake};
use pingora::server::ShutdownWatch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::request_server::RequestServer;
use crate::downstream::stream::ClientStream;
use crate::downstream::stream_info::{ConnectionInfo, StreamInfo};
use crate::limits::Limits;

/// Serves the streams of a connection until either side closes.
pub(super) async fn serve(server: &RequestServer, stream: ClientStream, stop: &ShutdownWatch) {
    let limits = server.gate.limits();
    let held = Arc::clone(stream.connection());
    let digest = Arc::clone(stream.digest());
    let handshake = timeout(limits.head_time, handshake(Box::new(stream), Some(options(&limits))));
    let Ok(Ok(connection)) = handshake.await else { return };
    let mut streams = Streams::begin(server, stop, connection, limits, Arc::clone(&held));
    let mut stopping = stop.clone();
    let end = loop {
        let deadline = streams.deadline();
        // The next request, once the audit takes the records of those that have ended: they would pile up otherwise, as many as the
        // client cares to send. What the other streams are answered goes on meanwhile.
        let next = async {
            while server.gate.audit().is_full() {
                tokio::select! {
                    () = server.gate.audit().room() => {}
                    _ = poll_fn(|cx| streams.connection.poll_closed(cx)) => return Ok(None),
                }
            }
            HttpSession::from_h2_conn(&mut streams.connection, Arc::clone(&digest)).await
        };
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping), if streams.announced.is_none() => streams.announce_end(),
            accepted = next => match accepted {
                Ok(Some(H2Accept::Session(session))) => {
                    streams.serve(session);
                }
                Ok(Some(H2Accept::Rejected)) => {
                    if let Some(reason) = streams.count_malformed() {
                        break Some(reason);
                    }
                }
                Ok(None) | Err(_) => break None,
            },
            Some(ended) = streams.tasks.join_next() => {
                if let Some(reason) = streams.ended(ended) {
                    break Some(reason);
                }
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                if let Some(reason) = streams.late() {
                    break Some(reason);
                }
            }
        }
    };
    if end.is_some() {
        held.linger();
    }
    streams.close(end).await;
    drop(held);
}

/// What is announced to a client. A window is as much as a client may send before it is read; the connection's has room for
/// those of all its streams, so that no stream that is not read stops the others. What is not read stays in memory: at most a
/// stream's window for each request in progress (`limits.requests`).
fn options(limits: &Limits) -> H2Options {
    let mut options = default_h2_options();
    options.max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX));
    options.max_concurrent_streams(STREAMS_MAX);
    options.initial_window_size(STREAM_WINDOW);
    options.initial_connection_window_size(STREAM_WINDOW * STREAMS_MAX);
    options
}

/// The streams of one connection.
struct Streams<'a> {
    server: &'a RequestServer,
    stop: &'a ShutdownWatch,
    connection: h2::server::Connection<Stream, Bytes>,
    /// Those of the beginning, which were announced and hold to the end.
    limits: Limits,
    info: Arc<ConnectionInfo>,
    /// A task returns a refusal whose body the client's window has not taken.
    tasks: JoinSet<Option<SendStream<Bytes>>>,
    /// Such refusals, and when their streams are reset.
    unread: VecDeque<(Instant, SendStream<Bytes>)>,
    served: u32,
    malformed: u32,
    /// Since when there is no task.
    idle_since: Instant,
    /// When the client was told that no more requests are taken, and how many came since then.
    announced: Option<Instant>,
    since_announced: u32,
}

impl<'a> Streams<'a> {
    fn begin(
        server: &'a RequestServer,
        stop: &'a ShutdownWatch,
        connection: h2::server::Connection<Stream, Bytes>,
        limits: Limits,
        info: Arc<ConnectionInfo>,
    ) -> Self {
        info.slot().begin_waiting();
        Self {
            server,
            stop,
            connection,
            limits,
            info,
            tasks: JoinSet::new(),
            unread: VecDeque::new(),
            served: 0,
            malformed: 0,
            idle_since: Instant::now(),
            announced: None,
            since_announced: 0,
        }
    }

    /// Tells the client that no more requests are taken. Those that are on their way are still served.
    fn announce_end(&mut self) {
        if self.announced.is_none() {
            self.announced = Some(Instant::now());
            self.connection.graceful_shutdown();
        }
    }

    /// Serves a stream in a task of its own, or refuses it if there is no room for another, or the connection has ended.
    fn serve(&mut self, mut session: HttpSession) {
        let is_late = self.announced.is_some_and(|announced| announced.elapsed() > GOAWAY_GRACE);
        self.since_announced += u32::from(self.announced.is_some());
        // A stream that was reset is none any more for the protocol, and its task may still have something to do.
        if is_late || self.since_announced > STREAMS_MAX || self.tasks.len() >= STREAMS_MAX as usize {
            session.shutdown_with_reason(Reason::REFUSED_STREAM);
            return;
        }
        self.served += 1;
        // Only unfinished heads of HTTP/1 are cut off.
        let _ = self.info.slot().end_waiting();
        let limits = self.server.gate.limits();
        // As a response of HTTP/1 says it with `Connection: close`.
        if self.served >= limits.requests_per_connection || limits != self.limits || self.server.gate.is_draining() {
            self.announce_end();
        }
        let info = Arc::new(StreamInfo::new(Arc::clone(&self.info)));
        bound_fields(&mut session, &info, limits.header_count);
        info.attach_to(session.req_header_mut());
        let (proxy, stop) = (Arc::clone(&self.server.proxy), self.stop.clone());
        self.tasks.spawn(async move {
            let mut session = ServerSession::new_http2(session);
            session.set_write_timeout(Some(limits.write_timeout));
            tokio::select! {
                _ = proxy.process_new_http(session, &stop) => {}
                // What is dropped here is recorded, and its stream reset.
                () = info.expired() => {}
            }
            info.take_unread()
        });
    }

    /// Counts a request that is none. A client that sends many is told to end, and then closed.
    fn count_malformed(&mut self) -> Option<Reason> {
        self.malformed += 1;
        if self.malformed >= MALFORMED_MAX {
            self.announce_end();
        }
        (self.malformed >= 2 * MALFORMED_MAX).then_some(Reason::ENHANCE_YOUR_CALM)
    }

    /// Takes the end of a task.
    fn ended(&mut self, ended: Result<Option<SendStream<Bytes>>, JoinError>) -> Option<Reason> {
        self.idle_since = Instant::now();
        if self.tasks.is_empty() {
            self.info.slot().begin_waiting();
        }
        if let Ok(Some(unread)) = ended {
            self.unread.push_back((self.idle_since + UNREAD_TIME, unread));
        }
        (self.unread.len() > UNREAD_MAX).then_some(Reason::ENHANCE_YOUR_CALM)
    }

    /// When something must be done if nothing happens.
    fn deadline(&self) -> Option<Instant> {
        let unread = self.unread.front().map(|(deadline, _)| *deadline);
        let idle = self.tasks.is_empty().then(|| match self.announced {
            Some(announced) => announced.max(self.idle_since) + GOAWAY_GRACE,
            None => self.idle_since + self.limits.idle_time,
        });
        idle.into_iter().chain(unread).min()
    }

    /// Does it. The result is an end of the connection.
    fn late(&mut self) -> Option<Reason> {
        let now = Instant::now();
        while let Some((_, mut unread)) = self.unread.pop_front_if(|(deadline, _)| *deadline <= now) {
            // Nothing, if its answer has left meanwhile.
            unread.send_reset(Reason::CANCEL);
        }
        if !self.tasks.is_empty() || self.deadline().is_some_and(|deadline| deadline > now) {
            return None;
        }
        if self.connection.has_streams() {
            // Their last bytes are on their way; a client that does not take them ends with its stream's `write_timeout`.
            self.idle_since = now;
            return None;
        }
        let is_announced = self.announced.is_some();
        self.announce_end();
        is_announced.then_some(Reason::NO_ERROR)
    }

    /// Ends the connection, at once if there is a reason, and waits until every request has ended.
    async fn close(mut self, reason: Option<Reason>) {
        if let Some(reason) = reason {
            self.connection.abrupt_shutdown(reason);
            // A client that does not take it hears nothing.
            let _ = timeout(GOAWAY_GRACE, poll_fn(|cx| self.connection.poll_closed(cx))).await;
        }
        let Self { connection, unread, mut tasks, .. } = self;
        drop((connection, unread));
        // Without their connection they end by themselves, and are recorded.
        while tasks.join_next().await.is_some() {}
    }
}

/// Gives up a head with too many fields, before it waits for its turn: a few bytes of compressed references can stand for a
/// hundred times as much memory. The request is refused with what is left, `head_too_large`.
fn bound_fields(session: &mut HttpSession, info: &StreamInfo, limit: usize) {
    let head = session.req_header_mut();
    if head.headers.len() <= limit {
        return;
    }
    let mut bare = http::Request::new(()).into_parts().0;
    (bare.method, bare.uri, bare.version) = (head.method.clone(), head.uri.clone(), head.version);
    if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
        bare.headers.insert(CONTENT_TYPE, content_type.clone());
    }
    *head = RequestHeader::from(bare);
    info.set_too_many_fields();
}

/// How many requests may be in progress on one connection, which is what RFC 9113 §6.5.2 has for the least.
const STREAMS_MAX: u32 = 100;

/// How many bytes of a body a client may send before any are read: what a client expects that has not read our settings.
const STREAM_WINDOW: u32 = 65_535;

/// How long a client may take to acknowledge that no more requests are taken.
const GOAWAY_GRACE: Duration = Duration::from_secs(1);

/// How many malformed requests one connection may send before it is told to end; when twice as many have come it is closed. As many
/// as Pingora's own server allows.
const MALFORMED_MAX: u32 = 32;

/// How long a client may take to open its window for the body of a refusal, and how many such refusals may wait on a connection.
const UNREAD_TIME: Duration = Duration::from_secs(1);
const UNREAD_MAX: usize = 16;
