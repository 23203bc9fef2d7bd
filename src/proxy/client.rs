//! The client's side of a connection, with our hand on it: the stream that Pingora reads from gives it one request at a time.
//! The head of each is judged before Pingora sees a byte of it, and what comes after its end waits for the next.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf as _, BytesMut};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Sleep;

use outbox::Outbox;

use super::stream_info::StreamInfo;
use crate::http1::chunks::{ChunkFault, Chunks};
use crate::http1::head::Framing;

mod linger;
mod outbox;

/// A client's stream.
pub struct ClientStream {
    inner: Stream,
    /// What has been read and not yet been given on.
    ahead: BytesMut,
    /// Whether the client has sent its last byte.
    ended: bool,
    share: Share,
    out: Outbox,
    pub connection: Arc<StreamInfo>,
    digest: Arc<ProxyDigest>,
    end: Option<Pin<Box<Sleep>>>,
    /// How long the client may take nothing of what it is sent, and the time of the piece that waits.
    write_timeout: Duration,
    untaken: Option<Pin<Box<Sleep>>>,
}

/// What Pingora may read: the current request and nothing of the next.
struct Share {
    /// That many bytes as they are,
    plain: u64,
    /// and then these.
    then: Then,
}

enum Then {
    All,
    Chunks(Chunks),
    Nothing,
}

impl ClientStream {
    /// Takes a stream over. Nothing can be read through it until a share is given.
    ///
    /// # Errors
    /// None that can happen; Pingora's type for its digest asks for a response header.
    pub fn new(inner: Stream, connection: Arc<StreamInfo>, write_timeout: Duration) -> pingora::Result<Self> {
        let digest = connection.digest()?;
        let share = Share { plain: 0, then: Then::Nothing };
        Ok(Self {
            inner,
            ahead: BytesMut::new(),
            ended: false,
            share,
            out: Outbox::default(),
            connection,
            digest,
            end: None,
            write_timeout,
            untaken: None,
        })
    }

    /// What has come and was not given on yet.
    #[must_use]
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Reads more ahead. No byte means that the client has sent its last one.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn read_ahead(&mut self) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        self.ahead.reserve(READ_AHEAD);
        let count = self.inner.read_buf(&mut self.ahead).await?;
        self.ended = count == 0;
        Ok(count)
    }

    /// Reads that many bytes away.
    ///
    /// # Errors
    /// If the connection is broken, or the client has sent its last byte before.
    pub async fn read_away(&mut self, count: u64) -> io::Result<()> {
        let mut left = count;
        loop {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.ahead.len());
            self.ahead.advance(here);
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            if self.read_ahead().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Gives one request on: its head of that many bytes, and what its framing says follows.
    pub fn give(&mut self, head: usize, framing: Framing) {
        let head = head as u64;
        self.share = match framing {
            Framing::Chunked => Share { plain: head, then: Then::Chunks(Chunks::default()) },
            Framing::Length(length) => Share { plain: head.saturating_add(length), then: Then::Nothing },
            Framing::Upgrade => Share { plain: head, then: Then::All },
        };
    }

    /// The request that was given on has ended, and with it what held for it.
    pub fn go_on(&mut self) {
        self.end = None;
        self.connection.go_on();
    }

    /// Gives everything on, for a protocol that frames its requests itself.
    pub fn give_all(&mut self) {
        self.share = Share { plain: 0, then: Then::All };
    }

    /// Reads on while Pingora only wants to know whether the client is still there: what comes is the next request's, and a
    /// part of it may wait here.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.ended && self.ahead.len() < NEXT_MAX {
            let mut space = [0; 512];
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => self.ended = true,
                Poll::Ready(Ok(())) => self.ahead.extend_from_slice(buffer.filled()),
            }
        }
        // A client that has left its next request here and closed its side still waits for the answers.
        if self.ended && self.ahead.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Ends the wait for a client that takes nothing. Pingora bounds the bodies of answers so, and neither their heads nor their ends.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.untaken = None;
            return sent;
        }
        let untaken = self.untaken.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.write_timeout)));
        std::task::ready!(untaken.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(end) = self.connection.end() else { return Ok(()) };
        let sleep = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        match sleep.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::TimedOut, "the stream's time is over")),
            Poll::Pending => Ok(()),
        }
    }
}

impl Share {
    fn is_used_up(&self) -> bool {
        let done = match &self.then {
            Then::All => false,
            Then::Chunks(chunks) => chunks.is_done(),
            Then::Nothing => true,
        };
        done && self.plain == 0
    }

    /// How much may be looked at next. A head comes alone: what is wrong behind it is told to those who have read it.
    fn next(&self) -> usize {
        match self.then {
            Then::Chunks(_) if self.plain > 0 => usize::try_from(self.plain).unwrap_or(usize::MAX),
            _ => usize::MAX,
        }
    }

    /// Takes note of what belongs to the current request; the rest of it is kept for the next.
    fn admit(&mut self, bytes: &[u8]) -> Result<usize, ChunkFault> {
        let plain = usize::try_from(self.plain).unwrap_or(usize::MAX).min(bytes.len());
        self.plain -= plain as u64;
        let rest = bytes.get(plain..).unwrap_or_default();
        match &mut self.then {
            Then::All => Ok(bytes.len()),
            Then::Chunks(chunks) => Ok(plain + chunks.follow(rest)?),
            Then::Nothing => Ok(plain),
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.poll_end(cx)?;
        if this.share.is_used_up() {
            return this.poll_next(cx);
        }
        if !this.ahead.is_empty() {
            let length = this.ahead.len().min(buffer.remaining()).min(this.share.next());
            let here = this.ahead.get(..length).unwrap_or_default();
            let admitted = this.share.admit(here).map_err(|fault| this.connection.set_body_error(fault))?;
            buffer.put_slice(here.get(..admitted).unwrap_or_default());
            this.ahead.advance(admitted);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        let came = buffer.filled().get(before..).unwrap_or_default();
        this.ended = came.is_empty();
        let admitted = this.share.admit(came).map_err(|fault| this.connection.set_body_error(fault))?;
        this.ahead.extend_from_slice(came.get(admitted..).unwrap_or_default());
        buffer.set_filled(before + admitted);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.poll_end(cx)?;
        let sent = if this.connection.is_corked() {
            this.out.poll_write(Pin::new(&mut this.inner), cx, bytes)
        } else {
            this.out.poll_through(Pin::new(&mut this.inner), cx, |inner, cx| inner.poll_write(cx, bytes))
        };
        this.in_time(cx, sent)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.poll_end(cx)?;
        let sent = this.out.poll_through(Pin::new(&mut this.inner), cx, AsyncWrite::poll_flush);
        this.in_time(cx, sent)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let sent = this.out.poll_through(Pin::new(&mut this.inner), cx, AsyncWrite::poll_shutdown);
        this.in_time(cx, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.poll_end(cx)?;
        let sent =
            this.out.poll_through(Pin::new(&mut this.inner), cx, |inner, cx| inner.poll_write_vectored(cx, pieces));
        this.in_time(cx, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        if !self.connection.lingers() {
            // One that cannot be closed in order is closed without.
            let _ = AsyncWriteExt::shutdown(self).await;
        }
    }
}

impl Drop for ClientStream {
    /// Leaves a client that may still be sending to a task of its own.
    fn drop(&mut self) {
        if self.connection.lingers()
            && !self.ended
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let inner = std::mem::replace(&mut self.inner, Box::new(io::Cursor::new(Vec::new())));
            runtime.spawn(linger::linger(inner, Arc::clone(&self.connection)));
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
        Some(Arc::clone(&self.digest))
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
        f.debug_struct("ClientStream").field("ahead", &self.ahead.len()).finish_non_exhaustive()
    }
}

/// How much is read at once while a head is awaited, in bytes. Most heads with their token fit.
const READ_AHEAD: usize = 2048;

/// How much of the next request may wait while the current one is answered, in bytes.
const NEXT_MAX: usize = 16 * 1024;
