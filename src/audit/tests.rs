use std::io::{self, Write};
use std::sync::{Condvar, Mutex};

use prometheus::{IntCounter, IntGauge};

use super::*;
use crate::rejection::Reason;

fn record(path: &str) -> Record<'_> {
    Record {
        time: std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_599_007),
        event: record::EVENT,
        version: record::VERSION,
        request_id: "r1",
        trace_id: None,
        decision: RecordedDecision::Reject,
        reason: Some(Reason::TokenExpired),
        caller: None,
        claimed_caller: None,
        issuer: Some("https://issuer"),
        kid: None,
        alg: None,
        jti: None,
        claims: &[],
        method: "GET",
        path,
        status: 401,
        request_bytes: 0,
        response_bytes: 5,
        duration_us: 7,
        authentication_us: 3,
        upstream_us: None,
        client: None,
        forwarded_for: None,
    }
}

fn meters() -> Meters {
    let counter = |name: &str| IntCounter::new(name, "help").unwrap();
    Meters {
        queued: IntGauge::new("queued", "help").unwrap(),
        written: counter("written"),
        lost_queue_full: counter("lost_queue_full"),
        lost_write_failed: counter("lost_write_failed"),
    }
}

/// An output that fails or waits as a test tells it to.
#[derive(Clone, Default)]
struct Shared(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    is_full: bool,
    /// Takes this many more bytes of a write before it is full.
    room: Option<usize>,
    is_blocked: bool,
    /// Writes that were begun.
    begun: usize,
}

impl Shared {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn begun(&self) -> usize {
        self.0.0.lock().unwrap().begun
    }

    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.0.lock().unwrap().bytes.clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.0.lock().unwrap();
        state.begun += 1;
        let mut state = self.0.1.wait_while(state, |state| state.is_blocked).unwrap();
        if let Some(room) = state.room.take() {
            state.is_full = true;
            let room = room.min(bytes.len());
            state.bytes.extend_from_slice(&bytes[..room]);
            return Ok(room);
        }
        if state.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

async fn until(condition: impl Fn() -> bool) {
    tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("in time");
}

#[tokio::test]
async fn every_record_is_one_line_of_json_in_order() {
    let (output, meters) = (Shared::default(), meters());
    let (audit, writer) = Audit::start(Output::to(output.clone()), 8, WhenFull::Wait, meters.clone()).unwrap();
    audit.record(&record("/a\n\"b")).await;
    audit.record(&record("/c")).await;
    drop(audit);
    writer.finish(PATIENCE);
    let lines: Vec<serde_json::Value> = output.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["path"], "/a\n\"b");
    assert_eq!(lines[0]["time"], "2025-12-31T23:59:59.007Z");
    assert_eq!(lines[0]["decision"], "reject");
    assert_eq!(lines[0]["reason"], "token_expired");
    assert_eq!(lines[1]["path"], "/c");
    assert_eq!((meters.written.get(), meters.queued.get(), meters.lost_queue_full.get()), (2, 0, 0));
}

#[tokio::test]
async fn full_disk_loses_records_which_are_counted_and_told_of_when_there_is_room_again() {
    let (output, meters) = (Shared::default(), meters());
    let (audit, writer) = Audit::start(Output::to(output.clone()), 8, WhenFull::Wait, meters.clone()).unwrap();
    // The first line is torn in its middle.
    output.set(|state| state.room = Some(10));
    audit.record(&record("/torn")).await;
    until(|| meters.lost_write_failed.get() == 1).await;
    audit.record(&record("/lost")).await;
    until(|| meters.lost_write_failed.get() == 2).await;
    output.set(|state| state.is_full = false);
    audit.record(&record("/kept")).await;
    drop(audit);
    writer.finish(PATIENCE);
    let lines = output.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(serde_json::from_str::<serde_json::Value>(&lines[0]).is_err(), "what was torn stays alone: {lines:?}");
    let lost: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!((lost["event"].as_str(), lost["records"].as_u64()), (Some("lost"), Some(2)));
    assert!(lines[2].contains("/kept"), "{lines:?}");
    assert_eq!((meters.written.get(), meters.lost_write_failed.get()), (1, 2));
}

#[tokio::test]
async fn blocked_output_makes_requests_wait_or_drops_and_counts_as_chosen() {
    for when_full in [WhenFull::Wait, WhenFull::Drop] {
        let (output, meters) = (Shared::default(), meters());
        output.set(|state| state.is_blocked = true);
        let (audit, writer) = Audit::start(Output::to(output.clone()), 2, when_full, meters.clone()).unwrap();
        audit.record(&record("/0")).await;
        until(|| output.begun() == 1).await;
        // One is being written; two more wait.
        audit.record(&record("/1")).await;
        audit.record(&record("/2")).await;
        let further = async {
            for _ in 0..3 {
                audit.record(&record("/more")).await;
            }
        };
        match when_full {
            WhenFull::Wait => {
                let release = async {
                    until(|| meters.queued.get() == 3).await;
                    tokio::task::yield_now().await;
                    output.set(|state| state.is_blocked = false);
                };
                tokio::join!(further, release);
                drop(audit);
                writer.finish(PATIENCE);
                assert_eq!((output.lines().len(), meters.written.get(), meters.lost_queue_full.get()), (6, 6, 0));
            }
            WhenFull::Drop => {
                further.await;
                assert_eq!(meters.lost_queue_full.get(), 3);
                output.set(|state| state.is_blocked = false);
                drop(audit);
                writer.finish(PATIENCE);
                let lines = output.lines();
                assert_eq!(lines.len(), 4, "{lines:?}");
                assert!(lines.iter().any(|line| line.contains("\"event\":\"lost\"") && line.contains("\"records\":3")));
            }
        }
    }
}

#[tokio::test]
async fn output_that_stays_blocked_does_not_hold_the_end_back() {
    let (output, meters) = (Shared::default(), meters());
    output.set(|state| state.is_blocked = true);
    let (audit, writer) = Audit::start(Output::to(output.clone()), 8, WhenFull::Wait, meters.clone()).unwrap();
    for _ in 0..3 {
        audit.record(&record("/a")).await;
    }
    drop(audit);
    writer.finish(Duration::from_millis(50));
    assert_eq!(meters.lost_queue_full.get(), 3, "those that waited are counted");
}

#[test]
fn file_that_was_moved_away_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (path, moved) = (directory.path().join("audit.log"), directory.path().join("audit.log.1"));
    let mut output = Output::file(&path).unwrap();
    assert!(output.write(b"one\n").is_ok());
    std::fs::rename(&path, &moved).unwrap();
    let deadline = std::time::Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(std::time::Instant::now() < deadline, "a new file comes");
        assert!(output.write(b"two\n").is_ok());
        thread::sleep(Duration::from_millis(20));
    }
    assert!(std::fs::read_to_string(&moved).unwrap().starts_with("one\ntwo\n"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    assert!(Output::file(&directory.path().join("nowhere/audit.log")).is_err());
}
