//! The audit: one JSON line for each request, in a bounded queue to one thread that writes, so that requests do not wait for a
//! disk. A record that is lost all the same is counted, logged, and told in the audit itself when it can be written again.

mod line;
mod losses;
pub mod output;
pub mod record;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

pub use losses::Meters;
pub use record::{PATH_SHOWN, Record, RecordedDecision, timestamp};

use losses::{Cause, Losses};
use output::Output;

/// The way of the records to their writer.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Vec<u8>>,
    when_full: WhenFull,
    /// Records of ended requests that wait for room in the queue.
    waiting: Arc<AtomicUsize>,
    losses: Arc<Losses>,
}

/// What happens to a record that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is lost and counted.
    Drop,
    /// Its request waits at its end.
    Wait,
}

/// The thread that writes. It ends when every [`Audit`] is gone and all their records are written.
pub struct Writer {
    thread: thread::JoinHandle<()>,
    ended: std::sync::mpsc::Receiver<()>,
    losses: Arc<Losses>,
}

impl Audit {
    /// Starts the writer. At most `queue` records wait for it.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(output: Output, queue: usize, when_full: WhenFull, meters: Meters) -> std::io::Result<(Self, Writer)> {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let (end, ended) = std::sync::mpsc::channel();
        let losses = Arc::new(Losses::none(meters));
        let writers = Arc::clone(&losses);
        let thread = thread::Builder::new().name("audit".into()).spawn(move || {
            writer::write_all(receiver, output, &writers);
            // Nobody listens any more if the end took too long.
            let _ = end.send(());
        })?;
        let waiting = Arc::default();
        Ok((Self { queue: sender, when_full, waiting, losses: Arc::clone(&losses) }, Writer { thread, ended, losses }))
    }

    /// Records a request.
    pub async fn record(&self, record: &Record<'_>) {
        let Ok(line) = record.line() else { return };
        if self.when_full == WhenFull::Drop {
            return self.try_send(line);
        }
        // Nothing is counted before there is room: the request may be cut while it waits.
        let reserved = match self.queue.try_reserve() {
            Err(TrySendError::Full(())) => {
                let _waiting = Waiting::begin(&self.waiting);
                self.queue.reserve().await.ok()
            }
            reserved => reserved.ok(),
        };
        match reserved {
            Some(place) => {
                self.losses.meters.queued.inc();
                place.send(line);
            }
            None => self.losses.count(1, Cause::QueueFull),
        }
    }

    /// Whether requests that have ended wait for their records to be taken. While they do, no connection that carries many
    /// requests may begin another: those that have ended would pile up without bound.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Waits until the records that wait now are taken.
    pub async fn room(&self) {
        // Whoever came before has been served when a place is given to us; it is given back at once. Without a writer there is no
        // room to wait for.
        drop(self.queue.reserve().await);
    }

    /// Records a request whose end nobody can wait for: it was cut.
    pub fn record_now(&self, record: &Record<'_>) {
        if let Ok(line) = record.line() {
            self.try_send(line);
        }
    }

    fn try_send(&self, line: Vec<u8>) {
        self.losses.meters.queued.inc();
        if self.queue.try_send(line).is_err() {
            self.losses.meters.queued.dec();
            self.losses.count(1, Cause::QueueFull);
        }
    }
}

/// A record that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Writer {
    /// Waits until everything is written, but not longer than this. What is left then is counted and logged as lost.
    pub fn finish(self, within: Duration) {
        if self.ended.recv_timeout(within).is_ok() {
            let _ = self.thread.join();
            return;
        }
        let left = u64::try_from(self.losses.meters.queued.get()).unwrap_or_default();
        self.losses.meters.lost_queue_full.inc_by(left);
        tracing::error!(records = left, "Audit records are lost at the end: the output does not take them.");
    }
}

#[cfg(test)]
mod tests;
