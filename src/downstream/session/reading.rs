//! The session's reads: the body, a tunnel, and the wait for a client that may leave.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use pingora::{Error, ErrorType, OrErr as _, Result};
use tokio::time::{Instant, timeout_at};

use super::{BODY_MALFORMED, Session, TUNNEL_IDLE, given_back};

impl Session {
    /// Reads the next piece of the body, or of a tunnel; none at its end.
    pub(super) async fn read_body(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(stream) = self.stream.as_deref_mut() else { return Err(given_back()) };
            let piece = self.body.take(stream.buffer_mut());
            if let Some(piece) = piece.or_err(BODY_MALFORMED, "the request's body is malformed")? {
                self.last_activity = Instant::now();
                return Ok(Some(piece));
            }
            if self.body.is_done() {
                return Ok(None);
            }
            let is_tunnel = self.body.is_tunnel();
            let (silent_until, late) = if is_tunnel {
                (self.last_activity + self.limits.tunnel, TUNNEL_IDLE)
            } else {
                (Instant::now() + self.limits.body, ErrorType::ReadTimedout)
            };
            let until = self.deadline().map_or(silent_until, |deadline| deadline.min(silent_until));
            let left = self.body.left().unwrap_or(u64::MAX);
            match timeout_at(until, self.stream()?.fill_for_body(left)).await {
                Ok(Ok(0)) if is_tunnel => self.body.end(),
                Ok(Ok(0)) => return Error::e_explain(ErrorType::ConnectionClosed, "the client left within the body"),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Error::e_because(ErrorType::ReadError, "reading the body", error),
                Err(_) => return Err(self.late(late)),
            }
        }
    }

    /// Waits until the client leaves, or the token's time is over. A client that only says that it will send nothing more
    /// (`shutdown` of its side) does not leave.
    pub(super) async fn idle(&mut self) -> Result<Option<Bytes>> {
        let deadline = self.deadline();
        let watch = async {
            if self.is_half_closed.is_none() {
                self.stream()?.closed().await.or_err(ErrorType::ReadError, "waiting for the response")?;
            }
            if self.waits_for_responses() { pending().await } else { Ok(()) }
        };
        let ended: Result<()> = match deadline {
            None => watch.await,
            Some(deadline) => match timeout_at(deadline, watch).await {
                Ok(ended) => ended,
                Err(_) => return Err(self.late(ErrorType::InternalError)),
            },
        };
        ended?;
        Error::e_explain(ErrorType::ConnectionClosed, "the client left before its response was complete")
    }

    /// Decides once about a client that has closed its side of the connection: whether it still waits for responses. One that does
    /// has sent its next requests already, or closes its side right after its last request; one that closes it later, within its
    /// request's body, or when the response has begun, is gone.
    fn waits_for_responses(&mut self) -> bool {
        let buffered = self.stream.as_deref().map_or(0, |stream| stream.buffered().len() as u64);
        // What is buffered may be this request's body, which nobody has asked for yet.
        let (is_whole, has_next) = match self.body.left() {
            Some(left) => (buffered >= left, buffered > left),
            None => (true, self.body.is_done() && buffered > 0),
        };
        let is_in_time = self.written.is_none() && self.last_activity.elapsed() < HALF_CLOSE_TIME;
        *self.is_half_closed.get_or_insert(has_next || (is_whole && is_in_time))
    }

    /// Looks whether the client has closed its side before a response begins, after which that means something else.
    pub(super) async fn note_half_close(&mut self) -> Result<()> {
        if self.is_half_closed.is_some() || !self.body.is_done() {
            return Ok(());
        }
        let is_closed = {
            let mut closed = pin!(self.stream()?.closed());
            poll_fn(|cx| Poll::Ready(matches!(closed.as_mut().poll(cx), Poll::Ready(Ok(()))))).await
        };
        if is_closed {
            self.waits_for_responses();
        }
        Ok(())
    }
}

/// How soon after its last request a client that still waits for the response closes its side.
const HALF_CLOSE_TIME: Duration = Duration::from_secs(1);
