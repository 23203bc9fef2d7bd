//! What is counted about audit records, and which of them are lost. A loss is told in the audit itself when it can be written again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use prometheus::{IntCounter, IntGauge};

/// What is counted about records.
#[derive(Clone)]
pub struct Meters {
    /// Records that wait to be written.
    pub queued: IntGauge,
    /// Records that the output took whole.
    pub written: IntCounter,
    /// Lost because the queue was full, or the process ended before they were written.
    pub lost_queue_full: IntCounter,
    /// Lost because the output did not take them.
    pub lost_write_failed: IntCounter,
}

/// The records that were lost and not yet told of in the audit.
pub(super) struct Losses {
    pub meters: Meters,
    pub untold: AtomicU64,
    /// So that an outage is logged once and not once per request.
    pub is_logged: AtomicBool,
}

/// Why a record is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    QueueFull,
    WriteFailed,
}

impl Losses {
    /// Nothing is lost yet.
    pub(super) const fn none(meters: Meters) -> Self {
        Self { meters, untold: AtomicU64::new(0), is_logged: AtomicBool::new(false) }
    }

    pub(super) fn count(&self, records: u64, cause: Cause) {
        self.untold.fetch_add(records, Ordering::Relaxed);
        match cause {
            Cause::QueueFull => {
                self.meters.lost_queue_full.inc_by(records);
                if !self.is_logged.swap(true, Ordering::Relaxed) {
                    tracing::error!("Audit records are lost: the queue is full and its output does not take them.");
                }
            }
            Cause::WriteFailed => self.meters.lost_write_failed.inc_by(records),
        }
    }
}
