//! An answer of ours on its way to a client. Pingora writes its head and its body one after the other and says when they shall
//! go; kept together until then, they cost one call to the kernel instead of two. An upstream's answer never waits here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::AsyncWrite;

/// The bytes that wait.
#[derive(Default)]
pub struct Outbox(BytesMut);

impl Outbox {
    /// Takes bytes: a few are kept, more are sent with those that wait.
    pub fn poll_write<W: AsyncWrite>(
        &mut self,
        mut to: Pin<&mut W>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.0.len() + bytes.len() <= KEPT_MAX {
            self.0.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        while !self.0.is_empty() {
            let sent = ready!(to.as_mut().poll_write_vectored(cx, &[IoSlice::new(&self.0), IoSlice::new(bytes)]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let waited = self.0.len();
            self.0.advance(sent.min(waited));
            if sent > waited {
                return Poll::Ready(Ok(sent - waited));
            }
        }
        to.poll_write(cx, bytes)
    }

    /// Sends all that waits, and then goes on.
    pub fn poll_through<W: AsyncWrite, T>(
        &mut self,
        mut to: Pin<&mut W>,
        cx: &mut Context<'_>,
        go_on: impl FnOnce(Pin<&mut W>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        ready!(self.poll_empty(to.as_mut(), cx))?;
        go_on(to, cx)
    }

    /// Sends all that waits.
    pub fn poll_empty<W: AsyncWrite>(&mut self, mut to: Pin<&mut W>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.0.is_empty() {
            let sent = ready!(to.as_mut().poll_write(cx, &self.0))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.0.advance(sent);
        }
        // A connection that waits for its next request holds no memory for it.
        if self.0.capacity() > 0 {
            self.0 = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// How much is kept at most: any answer of ours.
const KEPT_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Takes at most so many bytes at a time, and remembers every call.
    struct Narrow(usize, Vec<Vec<u8>>);

    impl AsyncWrite for Narrow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.0);
            self.1.push(bytes[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            pieces: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
            self.poll_write(cx, &all)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn send(outbox: &mut Outbox, to: &mut Narrow, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = poll_fn(|cx| outbox.poll_write(Pin::new(to), cx, bytes)).await.unwrap();
            bytes = &bytes[taken..];
        }
    }

    #[tokio::test]
    async fn head_and_short_body_leave_in_one_piece() {
        let (mut outbox, mut to) = (Outbox::default(), Narrow(usize::MAX, Vec::new()));
        send(&mut outbox, &mut to, b"head").await;
        send(&mut outbox, &mut to, b"body").await;
        assert!(to.1.is_empty(), "nothing leaves before it shall");
        poll_fn(|cx| outbox.poll_empty(Pin::new(&mut to), cx)).await.unwrap();
        assert_eq!(to.1, [b"headbody"]);
    }

    #[tokio::test]
    async fn every_byte_arrives_once_and_in_order_however_narrow_the_way() {
        let pieces: Vec<Vec<u8>> = (1..40_u8).map(|n| vec![n; usize::from(n) * 311 % 9000 + 1]).collect();
        for width in [1, 7, 4095, 4096, 4097, usize::MAX] {
            let (mut outbox, mut to) = (Outbox::default(), Narrow(width, Vec::new()));
            for piece in &pieces {
                send(&mut outbox, &mut to, piece).await;
                assert!(outbox.0.len() <= KEPT_MAX);
            }
            poll_fn(|cx| outbox.poll_empty(Pin::new(&mut to), cx)).await.unwrap();
            assert_eq!(to.1.concat(), pieces.concat(), "{width}");
        }
    }

    #[tokio::test]
    async fn client_that_takes_nothing_more_is_an_error_and_no_endless_loop() {
        let (mut outbox, mut to) = (Outbox::default(), Narrow(0, Vec::new()));
        send(&mut outbox, &mut to, b"head").await;
        assert!(poll_fn(|cx| outbox.poll_empty(Pin::new(&mut to), cx)).await.is_err());
        assert!(poll_fn(|cx| outbox.poll_write(Pin::new(&mut to), cx, &[0; 5000])).await.is_err());
    }
}
