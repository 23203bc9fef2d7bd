//! What is counted about the deny-list.

use prometheus::{Error, IntCounterVec, IntGauge, Opts, Registry};

/// The metrics of the deny-list.
#[derive(Clone)]
pub struct RevocationMetrics {
    entries: IntGauge,
    reloads: IntCounterVec,
}

impl RevocationMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// If metrics of these names are registered already.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let metrics = Self {
            entries: IntGauge::new("callgate_deny_list_entries", "Entries of the deny-list that is in force.")?,
            reloads: IntCounterVec::new(
                Opts::new("callgate_deny_list_reloads_total", "Changes of the deny-list's file: changed, or failed."),
                &["result"],
            )?,
        };
        for result in ["changed", "failed"] {
            metrics.reloads.with_label_values(&[result]);
        }
        registry.register(Box::new(metrics.entries.clone()))?;
        registry.register(Box::new(metrics.reloads.clone()))?;
        Ok(metrics)
    }

    /// A list of that many entries is in force.
    pub fn serving(&self, entries: usize) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// The file had a new list.
    pub fn changed(&self) {
        self.reloads.with_label_values(&["changed"]).inc();
    }

    /// The file could not be read or had no list.
    pub fn failed(&self) {
        self.reloads.with_label_values(&["failed"]).inc();
    }
}
