//! A client's stream: the socket or TLS stream, the bytes that were read from it and belong to nobody yet, and the time that the
//! client may take to accept what is written. HTTP/2 reads and writes through it; the session of HTTP/1 uses its buffer.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf as _, Bytes, BytesMut};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::lingering_close::lingering_close;
use super::stream_info::ConnectionInfo;

/// A client's stream.
pub struct ClientStream {
    inner: Stream,
    buffer: BytesMut,
    /// Whether the client has closed its side.
    ended: bool,
    connection: Arc<ConnectionInfo>,
    digest: Arc<Digest>,
    /// How long the client may accept nothing, and the timer of the write that waits.
    write_timeout: Duration,
    write_timer: Option<Pin<Box<Sleep>>>,
    /// HTTP/2: how many bytes may still be read in this turn.
    turn: usize,
    /// What says that the next turn has come, while it is waited for.
    next_turn: Option<oneshot::Receiver<()>>,
}

impl ClientStream {
    /// Takes a stream over.
    #[must_use]
    pub fn new(inner: Stream, connection: Arc<ConnectionInfo>, write_timeout: Duration) -> Self {
        let digest = Digest {
            ssl_digest: inner.get_ssl_digest(),
            timing_digest: inner.get_timing_digest(),
            proxy_digest: None,
            socket_digest: inner.get_socket_digest(),
        };
        Self {
            inner,
            buffer: BytesMut::new(),
            ended: false,
            connection,
            digest: Arc::new(digest),
            write_timeout,
            write_timer: None,
            turn: TURN,
            next_turn: None,
        }
    }

    /// The connection it is the stream of.
    #[must_use]
    pub fn connection(&self) -> &Arc<ConnectionInfo> {
        &self.connection
    }

    /// What Pingora wants to know of the connection.
    #[must_use]
    pub fn digest(&self) -> &Arc<Digest> {
        &self.digest
    }

    /// What was read and not yet taken.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Whether the client has closed its side: nothing more comes than what is buffered.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// The buffer, to take from its beginning.
    pub(super) fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Takes a head of that many bytes.
    #[must_use]
    pub fn take_head(&mut self, length: usize) -> Bytes {
        self.buffer.split_to(length.min(self.buffer.len())).freeze()
    }

    /// Takes all that is buffered.
    #[must_use]
    pub fn take_buffered(&mut self) -> Bytes {
        self.take_head(usize::MAX)
    }

    /// Reads a head, or a part of it, with what has come of the body behind it. The buffer grows by what has come, so that whoever is
    /// waited for takes no memory. No byte means that the client has closed its side.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn fill_buffer(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let mut space = [const { MaybeUninit::uninit() }; HEAD_READ];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut read))?;
        let read = read.filled();
        self.ended = read.is_empty();
        self.buffer.extend_from_slice(read);
        Poll::Ready(Ok(read.len()))
    }

    /// Reads a part of a body, of which so many bytes are to come, into the buffer.
    pub(super) async fn fill_for_body(&mut self, left: u64) -> io::Result<usize> {
        // A small rest of the buffer would make for small reads, and a large one for each read would not be filled.
        if self.buffer.capacity() - self.buffer.len() < BODY_READ_MIN {
            self.buffer.reserve(usize::try_from(left).unwrap_or(usize::MAX).clamp(BODY_READ_MIN, BODY_READ));
        }
        if self.ended {
            return Ok(0);
        }
        let count = self.inner.read_buf(&mut self.buffer).await?;
        self.ended = count == 0;
        Ok(count)
    }

    /// Reads that many bytes and discards them.
    ///
    /// # Errors
    /// If the connection is broken, or the client closes its side before.
    pub async fn discard(&mut self, count: u64) -> io::Result<()> {
        let mut left = count;
        loop {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            self.buffer.advance(here);
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            if self.fill_buffer().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Waits until the client closes its side, and reads of the next request what may wait here meanwhile.
    pub(super) async fn closed(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            while !self.ended {
                if self.buffer.len() > NEXT_MAX - HEAD_READ {
                    return Poll::Pending;
                }
                ready!(self.poll_fill(cx))?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Lets others go first, if no caller was proven on this connection.
    pub async fn next_turn(&mut self) {
        poll_fn(|cx| self.poll_next_turn(cx)).await;
    }

    /// Waits for the next turn; `false` if the connection needs none.
    fn poll_next_turn(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.next_turn.is_none() {
            self.next_turn = self.connection.slot().next_turn();
        }
        let Some(next) = &mut self.next_turn else { return Poll::Ready(false) };
        // An error is a turn too: nobody is left to wait for.
        let _ = ready!(Pin::new(next).poll(cx));
        self.next_turn = None;
        Poll::Ready(true)
    }

    /// Reads at most what is left of the turn. Where a kilobyte may stand for a head of hundreds of fields, the protocol's code must
    /// not go on for as long as there are bytes.
    fn poll_turn(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.turn == 0 {
            self.turn = if ready!(self.poll_next_turn(cx)) { TURN } else { usize::MAX };
        }
        let before = buffer.filled().len();
        let read = if self.turn < buffer.remaining() {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(self.turn));
            let read = Pin::new(&mut self.inner).poll_read(cx, &mut part);
            let count = part.filled().len();
            buffer.advance(count);
            read
        } else {
            Pin::new(&mut self.inner).poll_read(cx, buffer)
        };
        self.turn -= buffer.filled().len() - before;
        if read.is_pending() {
            // Nothing is left to read: what comes later begins a turn of its own.
            self.turn = self.turn.max(TURN);
        }
        read
    }

    /// Gives back the memory that a request needed: what has not come yet of the next one takes none.
    pub(super) fn shrink_buffer(&mut self) {
        self.buffer = BytesMut::from(self.buffer.as_ref());
    }

    /// Fails a write that the client does not accept in time.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_timer = None;
            return written;
        }
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.write_timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client accepts nothing")))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.buffer.is_empty() {
            return this.poll_turn(cx, buffer);
        }
        let length = this.buffer.len().min(buffer.remaining());
        buffer.put_slice(this.buffer.get(..length).unwrap_or_default());
        this.buffer.advance(length);
        if this.buffer.is_empty() {
            this.buffer = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.in_time(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.in_time(cx, closed)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        // A stream that cannot be closed in order is closed without.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if self.connection.lingers()
            && !self.ended
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let inner = std::mem::replace(&mut self.inner, Box::new(io::Cursor::new(Vec::new())));
            runtime.spawn(lingering_close(inner, Arc::clone(&self.connection)));
        }
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for ClientStream {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}

impl Peek for ClientStream {}

impl fmt::Debug for ClientStream {
    /// Without a byte of what was read: it may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

/// How much is read at once of a head, in bytes. Most heads fit with their token and a short body.
const HEAD_READ: usize = 8 * 1024;

/// HTTP/2: how many bytes of a connection without a proven caller are read before others have their turn.
const TURN: usize = 2 * 1024;

/// How much is read at once of a body, in bytes.
const BODY_READ_MIN: usize = 2 * 1024;
const BODY_READ: usize = 32 * 1024;

/// How much of the next request may wait while the current one is answered, in bytes.
const NEXT_MAX: usize = 16 * 1024;
