//! The audit record: one JSON line for each request that was answered, written by one thread so that requests never wait for
//! a disk. A record never holds a token, a signature or a query.

use std::io::Write;
use std::thread;
use std::time::SystemTime;

use serde::Serialize;
use tokio::sync::mpsc;

use crate::clock::UnixTime;
use crate::rejection::Reason;

/// What is recorded of a request. The field names are the schema, and `version` is theirs.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    /// When it was answered, RFC 3339 in UTC.
    pub time: String,
    pub event: &'static str,
    pub version: u8,
    pub request_id: &'a str,
    pub decision: Verdict,
    /// Why it was refused, or why the upstream's answer did not come.
    #[serde(serialize_with = "reason")]
    pub reason: Option<Reason>,
    /// Who called; only from a verified token.
    pub caller: Option<&'a str>,
    /// The configured issuer that the token names.
    pub issuer: Option<&'a str>,
    /// The token's `kid` and `alg`, bounded. In a refusal they may be anybody's words.
    pub kid: Option<&'a str>,
    pub alg: Option<&'a str>,
    /// The token's `jti`; only from a verified token.
    pub jti: Option<&'a str>,
    pub method: &'a str,
    /// Without query, at most [`PATH_SHOWN`] characters.
    pub path: &'a str,
    /// The status that was answered; 0 if the client left before there was one.
    pub status: u16,
    /// Body bytes from the client and to it.
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// From the request's head to the end of its answer.
    pub duration_us: u64,
    /// The time spent on deciding, waiting for keys included.
    pub authentication_us: u64,
    /// From the decision to the head of the upstream's answer.
    pub upstream_us: Option<u64>,
    pub client: Option<String>,
}

/// What was decided, as recorded and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Forward,
    Pass,
    Reject,
}

/// The way of the records to their writer.
#[derive(Clone)]
pub struct Audit(mpsc::Sender<Vec<u8>>);

/// The thread that writes. It ends when every [`Audit`] is gone and all their records are written.
pub struct Writer(thread::JoinHandle<()>);

/// How many characters of a path are recorded.
pub const PATH_SHOWN: usize = 1024;

/// How many records may wait. At a few hundred bytes each this is a few MiB.
const QUEUE: usize = 8192;

impl Audit {
    /// Starts the writer. `lost` is called for each record that could not be written.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        output: impl Write + Send + 'static,
        lost: impl Fn() + Send + 'static,
    ) -> std::io::Result<(Self, Writer)> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("audit".into()).spawn(move || write_all(receiver, output, &lost))?;
        Ok((Self(sender), Writer(thread)))
    }

    /// Records a request. When the queue is full the request's end waits: a record is not dropped for being slow to write.
    pub async fn record(&self, record: &Record<'_>) {
        let Ok(mut line) = serde_json::to_vec(record) else { return };
        line.push(b'\n');
        // It fails only when the writer is gone, and that is only after the last request.
        let _ = self.0.send(line).await;
    }
}

impl Writer {
    /// Waits until everything is written.
    pub fn finish(self) {
        let _ = self.0.join();
    }
}

fn write_all(mut lines: mpsc::Receiver<Vec<u8>>, mut output: impl Write, lost: &impl Fn()) {
    let mut broken = false;
    while let Some(line) = lines.blocking_recv() {
        let written = output.write_all(&line).and_then(|()| if lines.is_empty() { output.flush() } else { Ok(()) });
        if let Err(error) = &written {
            lost();
            // Once per outage: a line for each lost record would only fill the log as well.
            if !broken {
                tracing::error!(%error, "An audit record could not be written.");
            }
        }
        broken = written.is_err();
    }
    let _ = output.flush();
}

/// RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn timestamp(time: SystemTime) -> String {
    let millis = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_millis());
    let mut written = UnixTime::from(time).to_string();
    written.pop();
    format!("{written}.{millis:03}Z")
}

fn reason<S: serde::Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.map(Reason::as_str).serialize(serializer)
}

impl Verdict {
    /// The word in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Pass => "pass",
            Self::Reject => "reject",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    fn record(path: &str) -> Record<'_> {
        Record {
            time: timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_599_007)),
            event: "request",
            version: 1,
            request_id: "r1",
            decision: Verdict::Reject,
            reason: Some(Reason::TokenExpired),
            caller: None,
            issuer: Some("https://issuer"),
            kid: None,
            alg: None,
            jti: None,
            method: "GET",
            path,
            status: 401,
            request_bytes: 0,
            response_bytes: 5,
            duration_us: 7,
            authentication_us: 3,
            upstream_us: None,
            client: None,
        }
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn every_record_is_one_line_of_json_in_order() {
        let output = Shared::default();
        let (audit, writer) = Audit::start(output.clone(), || panic!("nothing is lost")).unwrap();
        audit.record(&record("/a\n\"b")).await;
        audit.record(&record("/c")).await;
        drop(audit);
        writer.finish();
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["path"], "/a\n\"b");
        assert_eq!(lines[0]["time"], "2025-12-31T23:59:59.007Z");
        assert_eq!(lines[0]["decision"], "reject");
        assert_eq!(lines[0]["reason"], "token_expired");
        assert_eq!(lines[1]["path"], "/c");
    }

    #[tokio::test]
    async fn records_that_cannot_be_written_are_counted() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lost = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&lost);
        let count = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let (audit, writer) = Audit::start(Broken, count).unwrap();
        audit.record(&record("/a")).await;
        audit.record(&record("/b")).await;
        drop(audit);
        writer.finish();
        assert_eq!(lost.load(Ordering::Relaxed), 2);
    }
}
