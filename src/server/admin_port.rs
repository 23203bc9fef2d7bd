//! The admin port's connections. They are few and short; one that says nothing makes room for a probe or a scrape.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use pingora::protocols::GetSocketDigest as _;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;

use super::accept::Application;
use super::slots::Slot;
use crate::admin::{Admin, Answer, Origin, Read, read, write};
use crate::downstream::stream_info::ConnectionSlot as _;

/// Serves the operators.
pub(super) struct AdminPort(pub Admin);

#[async_trait]
impl Application for AdminPort {
    async fn serve(&self, mut stream: Stream, slot: Slot) {
        let from = origin(&stream);
        let mut stop = slot.stopped();
        let mut buffer = Vec::new();
        let mut idle = FIRST_TIME;
        loop {
            slot.begin_waiting();
            let read = tokio::select! {
                biased;
                read = read(&mut stream, &mut buffer, idle) => read,
                _ = stop.wait_for(|stopped| *stopped) => return,
            };
            if !slot.end_waiting() {
                return;
            }
            let answer = match read {
                Read::Request(request) => self.0.answer(&request, from).await,
                Read::Refused(status) => refusal(status),
                Read::Gone => return,
            };
            if write(&mut stream, &answer).await.is_err() || !answer.keeps {
                return;
            }
            idle = IDLE_TIME;
        }
    }

    async fn cleanup(&self) {}
}

/// Where a connection comes from, by its own two addresses.
fn origin(stream: &Stream) -> Origin {
    let digest = stream.get_socket_digest();
    let ip = |address: Option<&SocketAddr>| -> Option<IpAddr> { Some(address?.as_inet()?.ip()) };
    let (client, server) =
        digest.as_ref().map_or((None, None), |digest| (ip(digest.peer_addr()), ip(digest.local_addr())));
    Origin::between(client, server)
}

fn refusal(status: StatusCode) -> Answer {
    let body = b"this is no request that is served here\n".to_vec();
    let content_type = "text/plain; charset=utf-8";
    Answer { status, content_type, security: "", body, is_bodiless: false, keeps: false }
}

/// How long a new connection may say nothing.
const FIRST_TIME: Duration = Duration::from_secs(5);

/// How long a connection is kept for the next scrape.
const IDLE_TIME: Duration = Duration::from_secs(120);
