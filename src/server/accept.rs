//! The accept loop: one application on every accepted stream. Pingora's own server binds late, hides the port it got, and on
//! SIGTERM closes its listener at once and then sleeps; here the listener, the limit and the drain are ours.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::l4::stream::Stream;
use pingora::server::ShutdownWatch;
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::listen::Listener;

/// What serves connections.
#[async_trait]
pub trait Application: Send + Sync + 'static {
    /// Serves one connection to its end. It counts as open until `open` is dropped. `stop` says when to take no more requests.
    async fn serve(&self, stream: Stream, open: Open, stop: ShutdownWatch);

    /// Ends the connections that only wait for a request.
    async fn cleanup(&self);
}

/// An application of Pingora's own kind, as it is.
pub struct Plain<A>(pub Arc<A>);

/// A listener with the connections it has accepted.
pub struct Acceptor<A> {
    app: Arc<A>,
    /// One permit for each connection that may be open.
    permits: Arc<Semaphore>,
    limit: usize,
    open: IntGauge,
    stop: watch::Sender<bool>,
}

/// A connection, as long as it is open: counted, and within the limit.
pub struct Open {
    count: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl<A: Application> Acceptor<A> {
    /// Serves at most `limit` connections at a time, counted in `open`. Further ones wait in the kernel's queue.
    pub fn new(app: A, limit: usize, open: IntGauge) -> Self {
        let permits = Arc::new(Semaphore::new(limit));
        Self { app: Arc::new(app), permits, limit, open, stop: watch::Sender::new(false) }
    }

    /// Accepts until the future is dropped.
    pub async fn accept(&self, listener: &Listener) {
        loop {
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else { return };
            match listener.accept().await {
                Ok(stream) => self.serve(stream, permit),
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    // Out of file descriptors or memory: what is open goes on, and accepting again at once would spin.
                    tracing::error!(%error, "A connection could not be accepted.");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Takes the connections that the kernel has accepted for us already: with the listener they would be reset. Then the
    /// listener is closed.
    pub fn close(&self, listener: Listener) {
        let Ok(queue) = listener.into_queue() else { return };
        while let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            match queue.next() {
                Ok(stream) => self.serve(stream, permit),
                Err(error) if is_about_one_connection(&error) => {}
                Err(_) => return,
            }
        }
    }

    fn serve(&self, stream: Stream, permit: OwnedSemaphorePermit) {
        let app = Arc::clone(&self.app);
        let stop: ShutdownWatch = self.stop.subscribe();
        let open = Open::count(&self.open, permit);
        // It is closed when the connection ends, also by a panic in its task.
        tokio::spawn(async move { app.serve(stream, open, stop).await });
    }

    /// Lets the requests in flight finish, then ends idle connections, and returns when all are gone. Those that are idle
    /// live a moment longer: a request may be on its way on them, and its answer ends the connection in order.
    ///
    /// # Errors
    /// The number of connections that were still open after `within`.
    pub async fn drain(&self, within: Duration) -> Result<(), usize> {
        let limit = u32::try_from(self.limit).unwrap_or(u32::MAX);
        let drained = async {
            if tokio::time::timeout(LINGER, self.permits.acquire_many(limit)).await.is_err() {
                self.stop.send_replace(true);
                self.app.cleanup().await;
                // It fails only if the semaphore is closed, which nobody does.
                let _ = self.permits.acquire_many(limit).await;
            }
        };
        if tokio::time::timeout(within, drained).await.is_ok() {
            return Ok(());
        }
        Err(usize::try_from(self.open.get()).unwrap_or_default())
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> Application for Plain<A> {
    async fn serve(&self, stream: Stream, open: Open, stop: ShutdownWatch) {
        self.0.process_new(Box::new(stream), &stop).await;
        drop(open);
    }

    async fn cleanup(&self) {
        self.0.cleanup().await;
    }
}

impl Open {
    fn count(open: &IntGauge, permit: OwnedSemaphorePermit) -> Self {
        open.inc();
        Self { count: open.clone(), _permit: permit }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.dec();
    }
}

/// A client that left between its SYN and our accept is no trouble of the listener's.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// How long an idle connection is kept when a drain begins: longer than a request needs that was sent before.
const LINGER: Duration = Duration::from_millis(300);

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
