//! The log's way to its output: a bounded queue and one thread that writes. Whoever logs never waits for the output. A pipe
//! that nobody reads would otherwise stop every thread that has something to say. Lines that find the queue full are counted.
//! (`tracing-appender` has such a queue. When it ends with a full one it prints to standard output, which is the audit's, and it
//! does not count what the output refuses.)

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use prometheus::IntCounter;
use tracing_subscriber::fmt::MakeWriter;

use crate::audit::output::Output;

/// The entrance of the queue. Clones lead to the same one.
#[derive(Clone)]
pub struct LogQueue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// A line has come, or one is written.
    changed: Condvar,
    /// In bytes.
    limit: usize,
    dropped: IntCounter,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// The bytes of the lines that wait.
    bytes: usize,
    is_writing: bool,
}

impl LogQueue {
    /// Starts the thread that writes to `output`. At most `limit` bytes wait for it. Lines that are lost are counted in `dropped`.
    /// When the output takes lines again, that thread calls `report` with the number of lines that were lost since the last call.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        output: Output,
        limit: usize,
        dropped: IntCounter,
        report: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), limit, dropped });
        let queue = Self(Arc::clone(&shared));
        let reported = shared.dropped.get();
        thread::Builder::new().name("log".into()).spawn(move || shared.write_all(output, reported, report))?;
        Ok(queue)
    }

    /// Waits until all lines are written, but no longer than this.
    pub fn flush(&self, within: Duration) {
        let is_busy = |state: &mut State| state.is_writing || !state.lines.is_empty();
        // What is not written by then is lost with the process.
        drop(self.0.changed.wait_timeout_while(self.0.lock(), within, is_busy));
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.bytes.saturating_add(line.len()) > self.0.limit {
            self.0.dropped.inc();
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_owned());
        drop(state);
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut output: Output, mut reported: u64, report: impl Fn(u64)) {
        loop {
            let line = self.next();
            if output.write(&line).is_err() {
                self.dropped.inc();
                continue;
            }
            let dropped = self.dropped.get();
            if dropped > reported {
                report(dropped - reported);
                reported = dropped;
            }
        }
    }

    /// Waits for the next line. The one before it has been dealt with.
    fn next(&self) -> Vec<u8> {
        let mut state = self.lock();
        state.is_writing = false;
        self.changed.notify_all();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                state.is_writing = true;
                return line;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// The subscriber writes each line in one piece.
impl Write for &LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::mpsc;

    use super::*;

    const LINE: &[u8] = b"0123456789abcde\n";

    fn counter() -> IntCounter {
        IntCounter::new("dropped", "lines").unwrap()
    }

    #[test]
    fn lines_reach_the_output_in_order_and_flushing_waits_for_them() {
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = LogQueue::start(Output::to(writer), 4096, counter(), |_| ()).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            queue.make_writer().write_all(line.as_bytes()).unwrap();
        }
        queue.flush(Duration::from_secs(10));
        let mut text = [0; 14];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"one\ntwo\nthree\n");
    }

    #[test]
    fn output_that_nobody_reads_stops_nobody_and_lost_lines_are_counted_and_reported() {
        let (mut reader, writer) = io::pipe().unwrap();
        let dropped = counter();
        let (report, reports) = mpsc::channel();
        let report = move |lines| report.send(lines).unwrap();
        let queue = LogQueue::start(Output::to(writer), 4096, dropped.clone(), report).unwrap();
        // More than the pipe (64 KiB) and the queue hold together.
        let count = 2 * 65_536 / LINE.len();
        for _ in 0..count {
            queue.make_writer().write_all(LINE).unwrap();
        }
        queue.flush(Duration::from_millis(10));
        let lost = dropped.get();
        assert!(lost > 0 && lost < count as u64, "{lost}");
        let mut text = vec![0; (count - usize::try_from(lost).unwrap()) * LINE.len()];
        reader.read_exact(&mut text).unwrap();
        assert!(text.chunks(LINE.len()).all(|line| line == LINE), "those that came through are whole");
        queue.flush(Duration::from_secs(10));
        assert_eq!(reports.try_iter().sum::<u64>(), lost);
        assert_eq!(dropped.get(), lost);
    }

    #[test]
    fn closed_output_loses_lines_and_each_is_counted() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let dropped = counter();
        let queue = LogQueue::start(Output::to(writer), 4096, dropped.clone(), |_| ()).unwrap();
        for _ in 0..3 {
            queue.make_writer().write_all(LINE).unwrap();
        }
        queue.flush(Duration::from_secs(10));
        assert_eq!(dropped.get(), 3);
    }
}
