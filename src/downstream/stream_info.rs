//! What the client's side and the filters tell each other about one connection or one request. `StreamInfo` has the table.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use pingora::http::RequestHeader;
use pingora::protocols::l4::socket::SocketAddr;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

/// A connection's place among those that may be open, which is given back when it is dropped. When all are taken, connections that
/// wait for a request are closed to make room.
pub trait ConnectionSlot: Send + Sync {
    /// The connection has no request in progress: it waits for the whole head of one.
    fn begin_waiting(&self);

    /// So many bytes of an unfinished head are kept. All connections share a budget for them; beyond it the connection is closed that
    /// has waited longest.
    fn head_grows(&self, bytes: usize);

    /// It has a request. `false` if it is being closed to make room, and must not begin one.
    #[must_use]
    fn end_waiting(&self) -> bool;

    /// It has carried a request of a proven caller.
    fn caller_proven(&self);

    /// What says when the connection, which has much to read, may go on; nothing if it need not wait.
    fn next_turn(&self) -> Option<oneshot::Receiver<()>>;
}

/// The slot, shared by the streams of a connection.
pub type Held = Arc<dyn ConnectionSlot>;

/// The address of a client, written once for all requests of a connection.
#[derive(Clone, Default)]
pub struct Peer {
    /// As it is recorded.
    pub client: Option<Arc<str>>,
    /// The IP address alone, if there is one; an IPv4-mapped IPv6 address as the IPv4 address.
    pub address: Option<Arc<str>>,
}

/// One client connection.
pub struct ConnectionInfo {
    slot: Held,
    /// Who connected.
    pub peer: Peer,
    lingers: AtomicBool,
}

/// One request of a connection, in HTTP/2 one stream. It travels as an extension of the request's head. Nothing of it, or of its
/// `ConnectionInfo`, is ever reset.
///
/// | what | written by | read by |
/// |---|---|---|
/// | `slot` | the server, while the connection waits for a request; the filters, when a caller was proven | the server, which closes waiting connections to make room |
/// | `peer` | the server, when the connection begins | the filters, for the record and for `X-Forwarded-For` |
/// | `lingers` | the session or the server, when the client may still be sending | the stream, when it is dropped |
/// | `deadline` | the filters, when a token limits its stream | the session in each read and write; the HTTP/2 server, which drops the stream |
/// | `closing` | the filters and the server, when no further request may follow | the session, when it writes the head of the response |
/// | `too_many_fields` | the HTTP/2 server, before it hands over the head | the filters, which refuse the request |
/// | `unread` | the filters, when the client's window does not take a refusal | the HTTP/2 server, which resets the stream in time |
pub struct StreamInfo {
    connection: Arc<ConnectionInfo>,
    began: Instant,
    /// When the stream must end, in milliseconds after it began; 0 if it need not.
    deadline: AtomicU64,
    deadline_set: Notify,
    closing: AtomicBool,
    too_many_fields: AtomicBool,
    unread: Mutex<Option<SendStream<Bytes>>>,
}

impl Peer {
    /// The peer with that address.
    #[must_use]
    pub fn at(address: &SocketAddr) -> Self {
        let ip = address.as_inet().map(|address| address.ip().to_canonical().to_string().into());
        Self { client: Some(address.to_string().into()), address: ip }
    }
}

impl ConnectionInfo {
    /// A connection that begins now. The slot is dropped when it has ended.
    #[must_use]
    pub fn new(slot: Held, peer: Peer) -> Self {
        Self { slot, peer, lingers: AtomicBool::new(false) }
    }

    /// Lets the client finish sending, for a moment, when the connection is closed.
    pub fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    /// Whether the client may still send what nobody will read.
    #[must_use]
    pub fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// The connection's slot.
    #[must_use]
    pub const fn slot(&self) -> &Held {
        &self.slot
    }
}

impl StreamInfo {
    /// A request that begins now.
    #[must_use]
    pub fn new(connection: Arc<ConnectionInfo>) -> Self {
        Self {
            connection,
            began: Instant::now(),
            deadline: AtomicU64::new(0),
            deadline_set: Notify::new(),
            closing: AtomicBool::new(false),
            too_many_fields: AtomicBool::new(false),
            unread: Mutex::default(),
        }
    }

    /// That of a request.
    #[must_use]
    pub fn of(head: &RequestHeader) -> Option<Arc<Self>> {
        head.extensions.get::<Arc<Self>>().cloned()
    }

    /// Lets the filters find it.
    pub fn attach_to(self: &Arc<Self>, head: &mut RequestHeader) {
        head.extensions_mut().insert(Arc::clone(self));
    }

    /// Who sent the request.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.connection.peer
    }

    /// The connection it came on.
    #[must_use]
    pub fn connection(&self) -> &Arc<ConnectionInfo> {
        &self.connection
    }

    /// How long ago the request began.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends the stream after that time.
    pub fn end_after(&self, left: Duration) {
        let deadline = self.began.elapsed().saturating_add(left).as_millis();
        self.deadline.store(u64::try_from(deadline).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
        self.deadline_set.notify_one();
    }

    /// When the stream must end.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.deadline.load(Ordering::Relaxed) {
            0 => None,
            millis => self.began.checked_add(Duration::from_millis(millis)),
        }
    }

    /// Waits until the deadline, which may never come.
    pub async fn expired(&self) {
        let deadline = loop {
            match self.deadline() {
                Some(deadline) => break deadline,
                None => self.deadline_set.notified().await,
            }
        };
        sleep_until(deadline).await;
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// HTTP/2: notes that the head had more fields than it may have, and that they are gone.
    pub fn set_too_many_fields(&self) {
        self.too_many_fields.store(true, Ordering::Relaxed);
    }

    /// Whether it had.
    #[must_use]
    pub fn has_too_many_fields(&self) -> bool {
        self.too_many_fields.load(Ordering::Relaxed)
    }

    /// HTTP/2: leaves a refusal that the client's window has not taken to the connection, which resets its stream in time.
    pub fn set_unread(&self, refusal: SendStream<Bytes>) {
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    /// That refusal, once.
    #[must_use]
    pub fn take_unread(&self) -> Option<SendStream<Bytes>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Lets no further request follow on this connection. Streams of HTTP/2 do not look at it: their connection has `GOAWAY`.
    pub fn close_connection(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Whether the connection ends with this request.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}
