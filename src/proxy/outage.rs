//! What the log says about an upstream that fails. Every request that fails has its audit record; the log has the first failure
//! at once, then their number at intervals, and at last that the upstream answers again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pingora::{Error, ErrorType};

use crate::rejection::Reason;

/// The upstream's failures. Clones share their state.
#[derive(Clone, Default)]
pub(super) struct OutageLog(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether there is something to say once the upstream answers.
    is_failing: AtomicBool,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    last: Option<Instant>,
    /// The failures since the last line.
    failures: u64,
}

impl OutageLog {
    /// A request has failed because of the upstream.
    pub(super) fn failed(&self, reason: Reason, error: &Error, request_id: &str) {
        if let Some(failures) = self.0.failed(Instant::now()) {
            let (reason, error) = (reason.as_str(), description(error.etype()));
            tracing::warn!(reason, error, request_id, failures, "The upstream did not answer.");
        }
    }

    /// The upstream has answered a request.
    pub(super) fn answered(&self) {
        if self.0.is_failing.load(Ordering::Relaxed)
            && let Some(failures) = self.0.answered(Instant::now())
        {
            tracing::info!(failures, "The upstream answers again.");
        }
    }
}

impl Shared {
    /// The failures to log now, if any.
    fn failed(&self, now: Instant) -> Option<u64> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.failures += 1;
        self.is_failing.store(true, Ordering::Relaxed);
        lines.take(now)
    }

    /// The failures that were not logged yet, once the upstream answers. `None` if that is logged later or was logged already.
    fn answered(&self, now: Instant) -> Option<u64> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = self.is_failing.load(Ordering::Relaxed).then(|| lines.take(now)).flatten()?;
        self.is_failing.store(false, Ordering::Relaxed);
        Some(failures)
    }
}

impl Lines {
    /// The number of failures, if the last line is old enough for another.
    fn take(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.failures))
    }
}

/// What has failed, in words of ours: Pingora's are names of its source.
fn description(error: &ErrorType) -> &'static str {
    use ErrorType::{
        ConnectError, ConnectNoRoute, ConnectRefused, ConnectTimedout, ConnectionClosed, H1Error, H2Error,
        InvalidHTTPHeader, ReadError, ReadTimedout, WriteError, WriteTimedout,
    };
    match error {
        ConnectRefused => "the connection was refused",
        ConnectTimedout => "no connection within upstream.connect_timeout",
        ConnectNoRoute => "there is no route to the upstream",
        ConnectError => "the connection failed",
        ConnectionClosed => "the connection was closed before the answer was complete",
        ReadTimedout => "no answer within upstream.read_timeout",
        WriteTimedout => "the request was not taken within upstream.write_timeout",
        ReadError => "the answer could not be read",
        WriteError => "the request could not be written",
        InvalidHTTPHeader | H1Error | H2Error => "the answer is not valid HTTP",
        _ => "the exchange failed",
    }
}

/// The time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_one_line_at_once_then_a_number_at_intervals_and_one_line_at_its_end() {
        let (log, began) = (Shared::default(), Instant::now());
        let at = |millis| began + Duration::from_millis(millis);
        assert_eq!(log.failed(at(0)), Some(1));
        assert!((1..1000).all(|millis| log.failed(at(millis)).is_none()));
        assert_eq!(log.failed(at(10_000)), Some(1000));
        assert_eq!(log.failed(at(10_001)), None);
        assert_eq!(log.answered(at(20_000)), Some(1));
        assert_eq!(log.answered(at(40_000)), None, "it is said once");
        assert_eq!(log.failed(at(40_001)), Some(1));
    }

    #[test]
    fn an_upstream_that_fails_now_and_then_does_not_fill_the_log() {
        let (log, began) = (Shared::default(), Instant::now());
        let lines = (0..10_000).filter(|millis| {
            let now = began + Duration::from_millis(*millis);
            log.failed(now).is_some() || log.answered(now).is_some()
        });
        assert_eq!(lines.count(), 1);
    }
}
