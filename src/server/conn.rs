//! Serving one client connection, from its first byte to its last. It finds out which HTTP is spoken, and hands one request after
//! another to Pingora. What is no request never becomes a session: it is answered and recorded here like any other refusal.

mod http1;
mod http2;
mod read_deadline;
mod request_server;

use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerApp as _;
use pingora::protocols::{ALPN, Stream};
use pingora::server::ShutdownWatch;
use tokio::time::Instant;

use crate::downstream::stream::ClientStream;
use crate::downstream::stream_info::{ConnectionInfo, Held, Peer};
use crate::limits::Limits;
use crate::proxy::AuthProxy;
use read_deadline::{Read, ReadDeadline};
use request_server::RequestServer;

/// The proxy as seen by its listener.
pub(super) struct ConnectionServer {
    requests: RequestServer,
    http2: bool,
}

/// What a connection began with.
enum Beginning {
    /// A request of HTTP/1, or the time in which its head had to come.
    Http1 {
        latest: Instant,
    },
    Http2,
    /// The client left, or said nothing.
    Nothing,
}

impl ConnectionServer {
    /// Lets requests through this gate, in HTTP/2 if that is spoken.
    #[must_use]
    pub(super) fn new(gate: AuthProxy, http2: bool) -> Self {
        Self { requests: RequestServer::new(gate), http2 }
    }

    /// Serves a connection to its end. `held` is let go when it has ended, and not before.
    pub(super) async fn serve(&self, stream: Stream, held: Held, stop: &ShutdownWatch) {
        let negotiated = stream.selected_alpn_proto();
        let peer =
            stream.get_socket_digest().and_then(|digest| Some(Peer::at(digest.peer_addr()?))).unwrap_or_default();
        let limits = self.requests.gate.limits();
        let connection = Arc::new(ConnectionInfo::new(held, peer));
        let mut stream = ClientStream::new(stream, connection, limits.write_timeout);
        let mut deadline = ReadDeadline::new(stop);
        let beginning = match negotiated {
            Some(ALPN::H2) => Beginning::Http2,
            // Without HTTP/2 its preface is a malformed request.
            Some(_) => Beginning::Http1 { latest: Instant::now() + limits.head_time },
            None if !self.http2 => Beginning::Http1 { latest: Instant::now() + limits.head_time },
            None => beginning(&mut stream, &limits, &mut deadline).await,
        };
        // In boxes of their own: a connection that says nothing has no need of the memory that either takes.
        match beginning {
            Beginning::Http1 { latest } => {
                Box::pin(http1::serve(&self.requests, Box::new(stream), deadline, latest, stop)).await;
            }
            Beginning::Http2 => Box::pin(http2::serve(&self.requests, stream, stop)).await,
            Beginning::Nothing => {}
        }
    }

    /// How long a head may take, and so a handshake before it.
    #[must_use]
    pub(super) fn head_time(&self) -> Duration {
        self.requests.gate.limits().head_time
    }

    /// Ends the connections that wait for a request.
    pub(super) async fn cleanup(&self) {
        self.requests.proxy.http_cleanup().await;
    }
}

/// Finds out whether the client speaks HTTP/2 from the start, as one that knows the service may (RFC 9113 §3.3).
async fn beginning(stream: &mut ClientStream, limits: &Limits, deadline: &mut ReadDeadline) -> Beginning {
    // A client that connects has a request to send. It may wait later, between its requests.
    let mut latest = Instant::now() + limits.head_time;
    stream.connection().slot().begin_waiting();
    loop {
        let buffered = stream.buffered();
        let common = buffered.len().min(PREFACE.len());
        if buffered.get(..common) != PREFACE.get(..common) {
            return Beginning::Http1 { latest };
        }
        if common == PREFACE.len() {
            return Beginning::Http2;
        }
        let begun = common > 0;
        match deadline.wait(stream, latest).await {
            Read::Data if begun => {}
            Read::Data => latest = Instant::now() + limits.head_time,
            // It may have been the method of a request.
            Read::TimedOut if begun => return Beginning::Http1 { latest },
            Read::Eof | Read::TimedOut => return Beginning::Nothing,
        }
    }
}

/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
