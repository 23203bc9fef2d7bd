//! The guarded listener's application: TLS first if there is any, then the proxy.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::protocols;
use pingora::protocols::l4::stream::Stream;
use tokio::time::timeout;

use super::accept::Application;
use super::conn::ConnectionServer;
use super::slots::Slot;
use super::tls::TlsListener;
use crate::proxy::stream_info::{ConnectionSlot as _, Held};

/// What callers connect to.
pub struct Guarded {
    pub connections: ConnectionServer,
    pub tls: Option<Arc<TlsListener>>,
}

#[async_trait]
impl Application for Guarded {
    async fn serve(&self, stream: Stream, slot: Slot) {
        let mut stop = slot.stopped();
        let Some(tls) = &self.tls else {
            return self.serve_http(Box::new(stream), slot).await;
        };
        slot.begin_waiting();
        let accepted = tokio::select! {
            accepted = timeout(self.connections.head_time(), tls.accept(stream)) => accepted,
            _ = stop.wait_for(|stopped| *stopped) => return,
        };
        match accepted {
            Ok(Ok(stream)) => self.serve_http(Box::new(stream), slot).await,
            // A scanner, a client that does not trust us, or one that we do not trust: no request was made.
            Ok(Err(error)) => tracing::debug!(%error, "A TLS handshake failed."),
            Err(_) => tracing::debug!("A TLS handshake did not end in time."),
        }
    }

    async fn cleanup(&self) {
        self.connections.cleanup().await;
    }
}

impl Guarded {
    async fn serve_http(&self, stream: protocols::Stream, slot: Slot) {
        let (stop, slot) = (slot.stopped(), Arc::new(slot));
        tokio::select! {
            biased;
            () = slot.cut() => {}
            () = self.connections.serve(stream, Arc::clone(&slot) as Held, &stop) => {}
        }
    }
}
