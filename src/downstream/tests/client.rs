//! A client whose end of the connection a test holds: what it sends, when it stops to read, where a write breaks.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client's end: what it sends, and what it has got.
#[derive(Clone, Default)]
pub(super) struct Client(Arc<Mutex<Wire>>);

#[derive(Default)]
pub(super) struct Wire {
    pub(super) sends: VecDeque<u8>,
    has_closed: bool,
    is_reset: bool,
    pub(super) got: Vec<u8>,
    /// Each call of the kernel, and how many bytes it took.
    pub(super) writes: Vec<usize>,
    /// After so many bytes in all a write fails.
    pub(super) takes: Option<usize>,
    /// After so many bytes in all a write waits.
    pub(super) stalls: Option<usize>,
    pub(super) was_shut_down: bool,
    pub(super) was_dropped: bool,
    reader: Option<Waker>,
}

pub(super) struct Socket(pub(super) Client);

impl Client {
    pub(super) fn send(&self, bytes: impl AsRef<[u8]>) {
        let mut wire = self.0.lock().unwrap();
        wire.sends.extend(bytes.as_ref());
        wire.reader.take().into_iter().for_each(Waker::wake);
    }

    pub(super) fn close(&self) {
        let mut wire = self.0.lock().unwrap();
        wire.has_closed = true;
        wire.reader.take().into_iter().for_each(Waker::wake);
    }

    pub(super) fn reset(&self) {
        let mut wire = self.0.lock().unwrap();
        wire.is_reset = true;
        wire.reader.take().into_iter().for_each(Waker::wake);
    }

    pub(super) fn got(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().got.clone()).unwrap()
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Wire) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.0.lock().unwrap();
        if wire.is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if wire.sends.is_empty() && !wire.has_closed {
            wire.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = wire.sends.len().min(buffer.remaining());
        wire.sends.drain(..count).for_each(|byte| buffer.put_slice(&[byte]));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.0.0.lock().unwrap();
        let room = |bound: Option<usize>, got: usize| bound.map_or(usize::MAX, |bound| bound - got);
        let got = wire.got.len();
        let count = bytes.len().min(room(wire.takes, got)).min(room(wire.stalls, got));
        if count == 0 && wire.stalls == Some(got) {
            return Poll::Pending;
        }
        if count == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        wire.got.extend_from_slice(&bytes[..count]);
        wire.writes.push(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.with(|wire| wire.was_shut_down = true);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.with(|wire| wire.was_dropped = true);
    }
}

#[async_trait]
impl Shutdown for Socket {
    async fn shutdown(&mut self) {}
}

impl UniqueID for Socket {
    fn id(&self) -> i32 {
        0
    }
}

impl GetTimingDigest for Socket {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Socket {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Socket {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Ssl for Socket {}
impl Peek for Socket {}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Socket")
    }
}
