//! The accept loop: one application on every accepted stream. Pingora's own server binds late, hides the port it got, and on
//! SIGTERM closes its listener at once and then sleeps; here the listener, the limit and the drain are ours.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pingora::protocols::l4::stream::Stream;

use super::listen::Listener;
use super::slots::{Slot, Slots};

/// What serves connections.
#[async_trait]
pub trait Application: Send + Sync + 'static {
    /// Serves one connection to its end. It counts as open until `slot` is dropped, which also says when to take no more requests.
    async fn serve(&self, stream: Stream, slot: Slot);

    /// Ends the connections that only wait for a request.
    async fn cleanup(&self);
}

/// A listener with the connections it has accepted.
pub struct Acceptor<A> {
    app: Arc<A>,
    slots: Arc<Slots>,
    /// A connection that was accepted and has no place yet.
    waiting: Mutex<Option<Stream>>,
}

impl<A: Application> Acceptor<A> {
    /// Serves as many connections at a time as there are places. One more takes the place of one that waits for a request.
    pub fn new(app: A, slots: Slots) -> Self {
        Self { app: Arc::new(app), slots: Arc::new(slots), waiting: Mutex::new(None) }
    }

    /// Accepts until the future is dropped.
    pub async fn accept(&self, listener: &Listener) {
        loop {
            match listener.accept().await {
                Ok(stream) => {
                    if let Some(slot) = self.slots.try_take() {
                        self.serve(stream, slot);
                        continue;
                    }
                    self.wait(Some(stream));
                    let slot = self.slots.take().await;
                    if let Some(stream) = self.wait(None) {
                        self.serve(stream, slot);
                    }
                }
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
        let mut waiting = self.wait(None);
        while let Some(slot) = self.slots.try_take() {
            match waiting.take().map_or_else(|| queue.next(), Ok) {
                Ok(stream) => self.serve(stream, slot),
                Err(error) if is_about_one_connection(&error) => {}
                Err(_) => return,
            }
        }
    }

    /// Lets another connection wait for a place, and returns the one that has waited.
    fn wait(&self, stream: Option<Stream>) -> Option<Stream> {
        std::mem::replace(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner), stream)
    }

    fn serve(&self, stream: Stream, slot: Slot) {
        let app = Arc::clone(&self.app);
        // The place is given back when the connection ends, also by a panic in its task.
        tokio::spawn(async move { app.serve(stream, slot).await });
    }

    /// Lets the requests in flight finish, then ends idle connections, and returns when all are gone. Those that are idle
    /// live a moment longer: a request may be on its way on them, and its answer ends the connection in order.
    ///
    /// # Errors
    /// The number of connections that were still open after `within`.
    pub async fn drain(&self, within: Duration) -> Result<(), usize> {
        let drained = async {
            if tokio::time::timeout(LINGER, self.slots.empty()).await.is_err() {
                self.slots.stop();
                self.app.cleanup().await;
                self.slots.empty().await;
            }
        };
        if tokio::time::timeout(within, drained).await.is_ok() {
            return Ok(());
        }
        Err(self.slots.open())
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
