//! What is counted about the issuers' keys. The label `issuer` has the configured names, so its values are bounded.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::clock::UnixTime;
use crate::keys::store::KeySlot;

/// The metrics of all issuers' keys.
#[derive(Clone)]
pub struct KeyMetrics {
    keys: IntGaugeVec,
    last_success: IntGaugeVec,
    next_refresh: IntGaugeVec,
    refreshes: IntCounterVec,
    waits: IntCounterVec,
    wait_seconds: Histogram,
    waiting: IntGaugeVec,
    snapshot_failures: IntCounterVec,
    watched: Watched,
}

/// The issuers of the configuration in force, with their keys.
type Watched = Arc<Mutex<Vec<(String, Arc<KeySlot>)>>>;

/// The metrics of one issuer's keys.
pub struct IssuerKeyMetrics {
    issuer: String,
    keys: IntGauge,
    last_success: IntGauge,
    next_refresh: IntGauge,
    waiting: IntGauge,
    snapshot_failures: IntCounter,
    refreshes: IntCounterVec,
}

/// What can only be said at the moment of a scrape: keys become stale without anything happening.
struct AtScrape {
    watched: Watched,
    clock: Box<dyn Fn() -> UnixTime + Send + Sync>,
    age: IntGaugeVec,
    usable: IntGaugeVec,
}

impl KeyMetrics {
    /// Registers the metrics, also what is worked out at each scrape: whether keys are usable, and how old they are.
    ///
    /// # Errors
    /// If metrics of these names are registered already.
    pub fn register(registry: &Registry, clock: impl Fn() -> UnixTime + Send + Sync + 'static) -> Result<Self, Error> {
        let watched = Watched::default();
        let metrics = Self {
            watched: Arc::clone(&watched),
            keys: gauges("callgate_key_set_keys", "Usable keys in the issuer's key set.")?,
            last_success: gauges(
                "callgate_key_set_last_success_timestamp_seconds",
                "When the issuer's keys were last fetched or confirmed.",
            )?,
            next_refresh: gauges(
                "callgate_key_set_next_refresh_timestamp_seconds",
                "When the issuer's keys will be refreshed at the latest.",
            )?,
            refreshes: IntCounterVec::new(
                Opts::new(
                    "callgate_key_set_refreshes_total",
                    "Refreshes of the issuer's keys by result: changed, unchanged, or the kind of failure.",
                ),
                &["issuer", "result"],
            )?,
            waits: IntCounterVec::new(
                Opts::new("callgate_key_waits_total", "Requests that asked for fresher keys, by what they learned."),
                &["issuer", "result"],
            )?,
            snapshot_failures: IntCounterVec::new(
                Opts::new(
                    "callgate_key_snapshot_write_failures_total",
                    "Snapshots of the issuer's keys that could not be written into keys.snapshot_dir.",
                ),
                &["issuer"],
            )?,
            waiting: gauges("callgate_key_waiting_requests", "Requests that wait for the issuer's keys now.")?,
            wait_seconds: Histogram::with_opts(
                HistogramOpts::new("callgate_key_wait_seconds", "Time that requests waited for fresher keys.")
                    .buckets(vec![0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]),
            )?,
        };
        registry.register(Box::new(metrics.snapshot_failures.clone()))?;
        registry.register(Box::new(metrics.waiting.clone()))?;
        registry.register(Box::new(metrics.keys.clone()))?;
        registry.register(Box::new(metrics.last_success.clone()))?;
        registry.register(Box::new(metrics.next_refresh.clone()))?;
        registry.register(Box::new(metrics.refreshes.clone()))?;
        registry.register(Box::new(metrics.waits.clone()))?;
        registry.register(Box::new(metrics.wait_seconds.clone()))?;
        registry.register(Box::new(AtScrape {
            watched,
            clock: Box::new(clock),
            age: gauges(
                "callgate_key_set_age_seconds",
                "Time since the issuer's keys were last fetched or confirmed.",
            )?,
            usable: gauges("callgate_key_set_usable", "1 if the issuer has keys that are not stale, else 0.")?,
        }))?;
        Ok(metrics)
    }

    /// From now on these are the issuers that the metrics are about.
    pub fn watch(&self, issuers: Vec<(String, Arc<KeySlot>)>) {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = issuers;
    }

    /// Ends the time series of an issuer whose task has ended, unless it is one of those that are watched.
    pub fn forget(&self, issuer: &str) {
        if self.watched.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|(watched, _)| watched == issuer) {
            return;
        }
        for gauge in [&self.keys, &self.last_success, &self.next_refresh, &self.waiting] {
            // It fails only if there is none.
            let _ = gauge.remove_label_values(&[issuer]);
        }
    }

    /// Those of one issuer. All its results are there from the start, so that a first failure is seen as a rise.
    #[must_use]
    pub fn issuer(&self, issuer: &str, failures: &[&str]) -> IssuerKeyMetrics {
        for result in ["changed", "unchanged"].iter().chain(failures) {
            self.refreshes.with_label_values(&[issuer, result]);
        }
        IssuerKeyMetrics {
            issuer: issuer.to_owned(),
            keys: self.keys.with_label_values(&[issuer]),
            last_success: self.last_success.with_label_values(&[issuer]),
            next_refresh: self.next_refresh.with_label_values(&[issuer]),
            waiting: self.waiting.with_label_values(&[issuer]),
            snapshot_failures: self.snapshot_failures.with_label_values(&[issuer]),
            refreshes: self.refreshes.clone(),
        }
    }

    /// Counts a request that asked for fresher keys.
    pub fn waited(&self, issuer: &str, result: &str, seconds: f64) {
        self.waits.with_label_values(&[issuer, result]).inc();
        self.wait_seconds.observe(seconds);
    }
}

impl IssuerKeyMetrics {
    /// Counts the snapshots that could not be written.
    #[must_use]
    pub const fn snapshot_failures(&self) -> &IntCounter {
        &self.snapshot_failures
    }

    /// How many requests wait for the keys.
    #[must_use]
    pub const fn waiting(&self) -> &IntGauge {
        &self.waiting
    }

    /// A refresh brought this many keys, other ones than before or the same.
    pub fn succeeded(&self, result: &str, keys: usize, now: UnixTime, next: UnixTime) {
        self.refreshes.with_label_values(&[self.issuer.as_str(), result]).inc();
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.last_success.set(seconds(now));
        self.next_refresh.set(seconds(next));
    }

    /// A refresh failed.
    pub fn failed(&self, class: &str, next: UnixTime) {
        self.refreshes.with_label_values(&[self.issuer.as_str(), class]).inc();
        self.next_refresh.set(seconds(next));
    }
}

impl Collector for AtScrape {
    fn desc(&self) -> Vec<&Desc> {
        [self.age.desc(), self.usable.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = (self.clock)();
        self.age.reset();
        self.usable.reset();
        for (issuer, slot) in self.watched.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let published = slot.latest();
            let is_usable = published.as_ref().is_some_and(|published| published.usable(now).is_some());
            self.usable.with_label_values(&[issuer]).set(i64::from(is_usable));
            if let Some(published) = published.as_ref() {
                let age = now.since(published.confirmed).as_secs();
                self.age.with_label_values(&[issuer]).set(i64::try_from(age).unwrap_or(i64::MAX));
            }
        }
        [self.age.collect(), self.usable.collect()].concat()
    }
}

fn gauges(name: &str, help: &str) -> Result<IntGaugeVec, Error> {
    IntGaugeVec::new(Opts::new(name, help), &["issuer"])
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
