//! What is counted about reloads of the configuration. A process that runs has loaded its first one.

use prometheus::{IntCounter, IntGauge};

use super::registrar::Registrar;
use crate::clock::UnixTime;

/// The metrics of reloads.
pub struct ConfigMetrics {
    successful: IntGauge,
    last_success: IntGauge,
    succeeded: IntCounter,
    failed: IntCounter,
}

impl ConfigMetrics {
    pub(super) fn register(registrar: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let reloads = registrar.counters("callgate_config_reloads_total", "Reloads by result.", &["result"])?;
        Ok(Self {
            successful: registrar.gauge(
                "callgate_config_last_reload_successful",
                "1 if the file as it was last read is in force, else 0.",
            )?,
            last_success: registrar.gauge(
                "callgate_config_last_reload_success_timestamp_seconds",
                "When the configuration in force was loaded.",
            )?,
            succeeded: reloads.with_label_values(&["success"]),
            failed: reloads.with_label_values(&["failure"]),
        })
    }

    /// The process starts with its first configuration.
    pub fn started(&self, now: UnixTime) {
        self.successful.set(1);
        self.last_success.set(seconds(now));
    }

    /// Another configuration is in force.
    pub fn succeeded(&self, now: UnixTime) {
        self.succeeded.inc();
        self.started(now);
    }

    /// What was read cannot be used; the configuration stays.
    pub fn failed(&self) {
        self.failed.inc();
        self.successful.set(0);
    }
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
