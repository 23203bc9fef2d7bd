//! The thread between queue and output. It writes what waits in one go, counts what the output did not take, and tells of
//! losses in the audit before the next record that it can write.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use super::losses::{Cause, Losses};
use super::output::Output;
use super::record::{Lost, VERSION};

/// Writes until every sender is gone.
pub(super) fn write_all(mut queue: mpsc::Receiver<Vec<u8>>, mut output: Output, losses: &Losses) {
    let mut is_broken = false;
    let mut batch = Vec::new();
    let pause = if queue.max_capacity() >= ROOMY { PAUSE } else { Duration::ZERO };
    while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
        let count = batch.len() as u64;
        let (note, told) = note(losses);
        let lines = [note, batch.concat()].concat();
        let taken = output.write(&lines);
        losses.meters.queued.sub(i64::try_from(count).unwrap_or_default());
        match taken {
            Ok(()) => {
                losses.meters.written.inc_by(count);
                losses.told(told);
                if is_broken {
                    tracing::info!("The audit is written again.");
                }
                is_broken = false;
            }
            Err(failure) => {
                // Whole lines that came through, less the note before them.
                let whole = lines.iter().take(failure.written).filter(|byte| **byte == b'\n').count() as u64;
                let notes = u64::from(told > 0);
                let written = whole.saturating_sub(notes);
                losses.meters.written.inc_by(written);
                if whole >= notes {
                    losses.told(told);
                }
                losses.count(count.saturating_sub(written), Cause::WriteFailed);
                // Once per outage: a line for each lost record would only fill the log as well.
                if !is_broken {
                    tracing::error!(error = %failure.error, "Audit records are lost: they cannot be written.");
                }
                is_broken = true;
            }
        }
        let is_full = batch.len() >= BATCH;
        batch.clear();
        // While it sleeps nobody needs to wake it: under load that is one batch per pause instead of one wake-up per record.
        if !is_full {
            thread::sleep(pause);
        }
    }
    let (note, told) = note(losses);
    if told > 0 {
        if output.write(&note).is_ok() {
            losses.told(told);
        }
        tracing::error!(records = told, "Audit records were lost.");
    }
}

/// The line that tells of losses, and how many it tells of; empty if there are none.
fn note(losses: &Losses) -> (Vec<u8>, u64) {
    let records = losses.untold.load(Ordering::Relaxed);
    if records == 0 {
        return (Vec::new(), 0);
    }
    let lost = Lost { time: SystemTime::now(), event: "lost", version: VERSION, records };
    let mut note = serde_json::to_vec(&lost).unwrap_or_default();
    note.push(b'\n');
    (note, records)
}

impl Losses {
    /// The audit tells of these losses now.
    fn told(&self, records: u64) {
        if records > 0 {
            self.untold.fetch_sub(records, Ordering::Relaxed);
            self.is_logged.store(false, Ordering::Relaxed);
            tracing::warn!(records, "Audit records were lost; the audit tells of it.");
        }
    }
}

/// How many records are written in one go at most.
const BATCH: usize = 1024;

/// How long a record waits for others.
const PAUSE: Duration = Duration::from_millis(5);

/// A queue with room for so many is not filled within a pause.
const ROOMY: usize = 4096;
