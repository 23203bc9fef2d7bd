//! The guarded listener's application: TLS first if there is any, then one connection after another.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::protocols::l4::stream::Stream;
use pingora::server::ShutdownWatch;
use tokio::time::timeout;

use super::accept::{Application, Open};
use super::conn::ConnectionServer;
use super::tls::TlsListener;

/// What callers connect to.
pub struct Guarded {
    pub connections: ConnectionServer,
    pub tls: Option<Arc<TlsListener>>,
}

#[async_trait]
impl Application for Guarded {
    async fn serve(&self, stream: Stream, open: Open, stop: ShutdownWatch) {
        let Some(tls) = &self.tls else { return self.connections.serve(Box::new(stream), Box::new(open), &stop).await };
        match timeout(self.connections.head_time(), tls.accept(stream)).await {
            Ok(Ok(stream)) => self.connections.serve(Box::new(stream), Box::new(open), &stop).await,
            // A scanner, a client that does not trust us, or one that we do not trust: no request was made.
            Ok(Err(error)) => tracing::debug!(%error, "A TLS handshake failed."),
            Err(_) => tracing::debug!("A TLS handshake did not end in time."),
        }
    }

    async fn cleanup(&self) {
        self.connections.cleanup().await;
    }
}
