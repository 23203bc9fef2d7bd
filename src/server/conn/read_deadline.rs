//! A read from a client with a deadline. The timer and the shutdown signal are set up once per connection, since most reads end long
//! before their deadline.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use pingora::server::ShutdownWatch;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::downstream::stream::ClientStream;

/// What came of waiting for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Data,
    Eof,
    TimedOut,
}

/// The deadline of the reads on one connection.
pub(super) struct ReadDeadline {
    /// Rings no later than it should, and is set anew if that was too early.
    timer: Pin<Box<Sleep>>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Once the process stops: until when the rest of a head is waited for.
    shutdown_deadline: Option<Instant>,
}

impl ReadDeadline {
    /// A deadline for a connection that begins now, until the process stops.
    pub(super) fn new(stop: &ShutdownWatch) -> Self {
        let mut stop = stop.clone();
        let stopped = async move {
            let _ = stop.wait_for(|stopping| *stopping).await;
        };
        Self { timer: Box::pin(sleep_until(Instant::now())), stopped: Box::pin(stopped), shutdown_deadline: None }
    }

    /// Waits for more bytes of a client. When the process stops, one that has not begun to speak is not waited for, and one that
    /// has begun must be about to end.
    pub(super) async fn wait(&mut self, stream: &mut ClientStream, latest: Instant) -> Read {
        let begun = !stream.buffered().is_empty();
        let mut read = pin!(stream.fill_buffer());
        poll_fn(|cx| {
            // What has come is served first.
            if let Poll::Ready(read) = read.as_mut().poll(cx) {
                return Poll::Ready(if read.is_ok_and(|count| count > 0) { Read::Data } else { Read::Eof });
            }
            if self.shutdown_deadline.is_none() && self.stopped.as_mut().poll(cx).is_ready() {
                self.shutdown_deadline = Some(Instant::now() + SHUTDOWN_GRACE);
            }
            let (latest, wait) = match self.shutdown_deadline {
                Some(_) if !begun => return Poll::Ready(Read::Eof),
                Some(shutdown_deadline) if shutdown_deadline < latest => (shutdown_deadline, Read::Eof),
                _ => (latest, Read::TimedOut),
            };
            if latest < self.timer.deadline() {
                self.timer.as_mut().reset(latest);
            }
            while self.timer.as_mut().poll(cx).is_ready() {
                if latest <= Instant::now() {
                    return Poll::Ready(wait);
                }
                self.timer.as_mut().reset(latest);
            }
            Poll::Pending
        })
        .await
    }
}

/// How long the rest of a head is waited for when the process stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
