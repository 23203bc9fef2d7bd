//! A connection that speaks HTTP/2: its streams are requests, each in a task of its own. Framing and header compression are the
//! protocol's, and checked where it is read; the gate judges what comes out like any other request.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerApp as _;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, HttpSession, default_h2_options, handshake};
use pingora::protocols::{Digest, GetSocketDigest as _, GetTimingDigest as _, Ssl as _};
use pingora::server::ShutdownWatch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ConnectionServer;
use crate::proxy::client::ClientStream;
use crate::proxy::stream_info::StreamInfo;

/// Serves the streams of a connection until either side has had enough.
pub async fn serve(server: &ConnectionServer, stream: ClientStream, stop: &ShutdownWatch) {
    let limits = server.gate.limits();
    let shared = (stream.get_ssl_digest(), stream.get_timing_digest(), stream.get_socket_digest());
    let peer = stream.connection.peer().clone();
    let slot = Arc::clone(stream.connection.slot());
    // Each stream has a state of its own, which outlives nothing but it.
    let fresh = || {
        let connection = Arc::new(StreamInfo::begin(Arc::clone(&slot), peer.clone()));
        let proxy_digest = connection.digest().ok();
        let (ssl_digest, timing_digest, socket_digest) = shared.clone();
        (connection, Arc::new(Digest { ssl_digest, timing_digest, proxy_digest, socket_digest }))
    };
    let held = Arc::clone(&stream.connection);
    let mut options = default_h2_options();
    options.max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX));
    options.max_concurrent_streams(STREAMS_MAX);
    let handshake = timeout(limits.head_time, handshake(Box::new(stream), Some(options)));
    let Ok(Ok(mut connection)) = handshake.await else { return };

    let mut requests = JoinSet::new();
    let (mut served, mut malformed) = (0, 0);
    let (mut own, mut digest) = fresh();
    let mut stopping = stop.clone();
    let mut ending = false;
    loop {
        let idle = requests.is_empty();
        if idle {
            slot.begin_waiting();
        }
        let deadline = if ending { GOAWAY_GRACE } else { limits.idle_time };
        // The next request, once the audit takes the records of those that have ended: they would pile up otherwise, as many as the
        // client cares to send. What the other streams are answered goes on meanwhile.
        let next = async {
            while server.gate.audit().is_full() {
                tokio::select! {
                    () = server.gate.audit().room() => {}
                    _ = poll_fn(|cx| connection.poll_closed(cx)) => return Ok(None),
                }
            }
            HttpSession::from_h2_conn(&mut connection, Arc::clone(&digest)).await
        };
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping), if !ending => {
                ending = true;
                connection.graceful_shutdown();
            }
            accepted = next => match accepted {
                Ok(Some(H2Accept::Session(session))) => {
                    slot.end_waiting();
                    served += 1;
                    // As an answer of HTTP/1 says it with `Connection: close`.
                    let last = served == limits.requests_per_connection || server.gate.is_draining();
                    if last && !ending {
                        ending = true;
                        connection.graceful_shutdown();
                    }
                    let (proxy, stop) = (Arc::clone(&server.proxy), stop.clone());
                    let of_next = fresh();
                    digest = of_next.1;
                    let own = std::mem::replace(&mut own, of_next.0);
                    requests.spawn(async move {
                        let mut session = ServerSession::new_http2(session);
                        session.set_write_timeout(Some(limits.write_timeout));
                        tokio::select! {
                            _ = proxy.process_new_http(session, &stop) => {}
                            // What is dropped here is recorded, and its stream reset.
                            () = own.over() => {}
                        }
                    });
                }
                Ok(Some(H2Accept::Rejected)) if malformed < MALFORMED_MAX => malformed += 1,
                Ok(Some(H2Accept::Rejected) | None) | Err(_) => break,
            },
            _ = requests.join_next(), if !idle => {}
            () = tokio::time::sleep(deadline), if idle => break,
        }
    }
    drop(connection);
    // Without their connection they end by themselves, and are recorded.
    while requests.join_next().await.is_some() {}
    drop(held);
}

/// How long a client may take to acknowledge that no more requests are taken.
const GOAWAY_GRACE: Duration = Duration::from_secs(1);

/// How many requests may be under way on one connection.
const STREAMS_MAX: u32 = 100;

/// How many malformed requests one connection may send before it is closed.
const MALFORMED_MAX: u32 = 32;
