//! Waiting for a client, time after time on one connection. What waiting needs, a timer and an ear for the end of the process, is
//! set up once: most clients are back long before their time is over.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use pingora::server::ShutdownWatch;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::proxy::client::ClientStream;

/// What came of waiting for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Came,
    Gone,
    Late,
}

/// The patience with one client.
pub struct Patience {
    /// Rings no later than it should, and is set anew if that was too early.
    timer: Pin<Box<Sleep>>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Once the process stops: until when the rest of a head is waited for.
    last_words: Option<Instant>,
}

impl Patience {
    /// Patience for a connection that begins now, until the process stops.
    pub fn new(stop: &ShutdownWatch) -> Self {
        let mut stop = stop.clone();
        let stopped = async move {
            let _ = stop.wait_for(|stopping| *stopping).await;
        };
        Self { timer: Box::pin(sleep_until(Instant::now())), stopped: Box::pin(stopped), last_words: None }
    }

    /// Waits for more bytes of a client. When the process stops, one that has not begun to speak is not waited for, and one that
    /// has begun must be about to end.
    pub async fn wait(&mut self, stream: &mut ClientStream, latest: Instant) -> Wait {
        let begun = !stream.ahead().is_empty();
        let mut read = pin!(stream.read_ahead());
        poll_fn(|cx| {
            // What has come is served first.
            if let Poll::Ready(read) = read.as_mut().poll(cx) {
                return Poll::Ready(if read.is_ok_and(|count| count > 0) { Wait::Came } else { Wait::Gone });
            }
            if self.last_words.is_none() && self.stopped.as_mut().poll(cx).is_ready() {
                self.last_words = Some(Instant::now() + LAST_WORDS);
            }
            let (latest, wait) = match self.last_words {
                Some(_) if !begun => return Poll::Ready(Wait::Gone),
                Some(last_words) if last_words < latest => (last_words, Wait::Gone),
                _ => (latest, Wait::Late),
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
const LAST_WORDS: Duration = Duration::from_secs(1);
