//! What is known of one client connection, or of one stream of HTTP/2, shared by those who see bytes and the filters, which see
//! requests. It decides nothing.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::raw_connect::ProxyDigest;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::judged::Judged;
use crate::http1::chunks::ChunkFault;

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
}

/// The slot, shared by the streams of a connection.
pub type Held = Arc<dyn ConnectionSlot>;

/// Who is at the other end, written once for all requests of a connection.
#[derive(Clone, Default)]
pub struct Peer {
    /// As it is recorded.
    pub client: Option<Arc<str>>,
    /// The IP address alone, if there is one: an IPv4 address that is dressed as an IPv6 one is written plainly.
    pub address: Option<Arc<str>>,
}

/// One client connection.
pub struct StreamInfo {
    slot: Held,
    peer: Peer,
    began: Instant,
    /// Why the body of the current request cannot be read without doubt.
    fault: OnceLock<ChunkFault>,
    /// When the current stream must end, in milliseconds after the connection began; 0 if it may go on.
    end: AtomicU64,
    deadline_set: Notify,
    /// Whether the client may still be sending what nobody will read.
    lingers: AtomicBool,
    /// Whether what is written now shall leave in one piece.
    is_corked: AtomicBool,
    /// The request that was judged at the door and not yet taken up behind it.
    judged: Mutex<Option<Judged>>,
    /// HTTP/2: the head had more fields than it may have, and they are gone.
    too_many_fields: AtomicBool,
    /// HTTP/2: a refusal whose body the client's window has not taken.
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

impl StreamInfo {
    /// A connection that begins now.
    #[must_use]
    pub fn begin(slot: Held, peer: Peer) -> Self {
        Self {
            slot,
            peer,
            began: Instant::now(),
            fault: OnceLock::new(),
            end: AtomicU64::new(0),
            deadline_set: Notify::new(),
            lingers: AtomicBool::new(false),
            is_corked: AtomicBool::new(false),
            judged: Mutex::default(),
            too_many_fields: AtomicBool::new(false),
            unread: Mutex::default(),
        }
    }

    /// The way by which it reaches the filters: Pingora passes a digest along.
    ///
    /// # Errors
    /// None that can happen; the digest asks for a response header.
    pub fn digest(self: &Arc<Self>) -> pingora::Result<Arc<ProxyDigest>> {
        let unused = Box::new(ResponseHeader::build(200, Some(0))?);
        Ok(Arc::new(ProxyDigest::new(unused, Some(Box::new(Arc::clone(self))))))
    }

    /// The connection that a request came on.
    #[must_use]
    pub fn of(session: &ServerSession) -> Option<Arc<Self>> {
        let digest = session.digest()?.proxy_digest.as_ref()?;
        digest.user_data.as_ref()?.downcast_ref::<Arc<Self>>().cloned()
    }

    /// Who sent a request, as it is recorded.
    #[must_use]
    pub fn client_of(session: &ServerSession) -> Option<Arc<str>> {
        Self::of(session)?.peer.client.clone()
    }

    /// Hands a request that was judged on to the filters.
    pub fn hand_on(&self, judged: Judged) {
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = Some(judged);
    }

    /// The request that was handed on, once.
    #[must_use]
    pub fn handed_on(&self) -> Option<Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The connection's slot.
    #[must_use]
    pub const fn slot(&self) -> &Held {
        &self.slot
    }

    /// Notes that the head had more fields than it may have.
    pub fn set_too_many_fields(&self) {
        self.too_many_fields.store(true, Ordering::Relaxed);
    }

    /// Whether it had.
    #[must_use]
    pub fn has_too_many_fields(&self) -> bool {
        self.too_many_fields.load(Ordering::Relaxed)
    }

    /// Leaves a refusal that the client's window has not taken to the connection, which resets its stream in time.
    pub fn set_unread(&self, refusal: SendStream<Bytes>) {
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    /// That refusal, once.
    #[must_use]
    pub fn take_unread(&self) -> Option<SendStream<Bytes>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Notes that the body cannot be read on, and says so to the reader. Nothing is read from the connection afterwards.
    pub fn set_body_error(&self, fault: ChunkFault) -> io::Error {
        // Only the first one counts.
        let _ = self.fault.set(fault);
        io::Error::new(io::ErrorKind::InvalidData, fault)
    }

    /// Why the body could not be read on.
    #[must_use]
    pub fn body_error(&self) -> Option<ChunkFault> {
        self.fault.get().copied()
    }

    /// Ends the stream of the current request after that time.
    pub fn end_after(&self, left: Duration) {
        let end = self.began.elapsed().saturating_add(left).as_millis();
        self.end.store(u64::try_from(end).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
        self.deadline_set.notify_one();
    }

    /// The current request has ended, and with it what held for it.
    pub fn go_on(&self) {
        self.end.store(0, Ordering::Relaxed);
    }

    /// When the stream of the current request must end.
    #[must_use]
    pub fn end(&self) -> Option<Instant> {
        match self.end.load(Ordering::Relaxed) {
            0 => None,
            millis => self.began.checked_add(Duration::from_millis(millis)),
        }
    }

    /// Waits until the time of the stream is over, which may be never.
    pub async fn over(&self) {
        let end = loop {
            match self.end() {
                Some(end) => break end,
                None => self.deadline_set.notified().await,
            }
        };
        sleep_until(end).await;
    }

    /// Whether the stream was, or should be, ended by now.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.end().is_some_and(|end| end <= Instant::now())
    }

    /// Lets the client finish sending for a moment before the connection is closed: closed at once, the kernel would answer what
    /// still comes with a reset, and that can take our answer away from the client.
    pub fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    /// Whether to do so.
    #[must_use]
    pub fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// Says whether what is written from now on shall leave in one piece, once it is whole. Only for an answer that is at hand
    /// whole: of any other, what has come must leave at once.
    pub fn cork(&self, is_corked: bool) {
        self.is_corked.store(is_corked, Ordering::Relaxed);
    }

    /// Whether it shall.
    #[must_use]
    pub fn is_corked(&self) -> bool {
        self.is_corked.load(Ordering::Relaxed)
    }
}
