//! The port of the service, which callers connect to: TLS first if there is any, then the proxy.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::protocols;
use pingora::protocols::l4::stream::Stream;
use tokio::time::timeout;

use super::accept::Application;
use super::conn::ConnectionServer;
use super::slots::Slot;
use super::tls::TlsListener;
use crate::downstream::stream_info::Held;

pub(super) struct ServicePort {
    pub connections: ConnectionServer,
    pub tls: Option<Arc<TlsListener>>,
}

#[async_trait]
impl Application for ServicePort {
    async fn serve(&self, stream: Stream, slot: Slot) {
        let stream: protocols::Stream = match &self.tls {
            None => Box::new(stream),
            // In a box of its own, which is gone with the handshake.
            Some(tls) => match Box::pin(self.handshake(tls, stream, &slot)).await {
                Some(stream) => stream,
                None => return,
            },
        };
        let (stop, slot) = (slot.stopped(), Arc::new(slot));
        tokio::select! {
            biased;
            () = slot.cut() => {}
            () = self.connections.serve(stream, Arc::clone(&slot) as Held, &stop) => {}
        }
    }

    async fn cleanup(&self) {
        self.connections.cleanup().await;
    }
}

impl ServicePort {
    /// The stream within TLS, if the handshake succeeds in time.
    async fn handshake(&self, tls: &TlsListener, stream: Stream, slot: &Slot) -> Option<protocols::Stream> {
        let mut stop = slot.stopped();
        let accepted = tokio::select! {
            accepted = timeout(self.connections.head_time(), tls.accept(stream)) => accepted,
            _ = stop.wait_for(|stopped| *stopped) => return None,
        };
        match accepted {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            // A scanner, a client that does not trust us, or one that we do not trust: no request was made.
            Ok(Err(error)) => {
                tracing::debug!(%error, "A TLS handshake failed.");
                None
            }
            Err(_) => {
                tracing::debug!("A TLS handshake did not end in time.");
                None
            }
        }
    }
}
