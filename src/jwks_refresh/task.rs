//! One issuer's refresh task: it waits until a refresh is due or a request asks for one, fetches, and publishes the keys. A fetch
//! that fails, or returns no usable key set, never replaces published keys. The task runs until it is aborted.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::error::FetchError;
use super::fetch::{Cause, Fetch, Fetched, Validators};
use super::refresh_log::{RefreshLog, Service};
use super::schedule::Schedule;
use super::shared_refresh::SharedRefresh;
use super::snapshot::{Remembered, Snapshot};
use crate::clock::UnixTime;
use crate::keys::jwks::{KeySetError, Reading};
use crate::keys::source::{Location, Source};
use crate::keys::store::{KeyChange, KeySlot, Published};
use crate::metrics::keys::IssuerKeyMetrics;

/// The time of day.
pub(crate) type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// What one task works with.
pub(super) struct Task {
    pub source: Source,
    pub fetcher: Box<dyn Fetch>,
    pub state: Arc<SharedRefresh>,
    pub schedule: Schedule,
    pub aging: Aging,
    pub clock: Clock,
    pub metrics: IssuerKeyMetrics,
    pub log: RefreshLog,
    /// Where the last good document is kept across restarts.
    pub snapshot: Option<Snapshot>,
    /// The document whose keys are published.
    pub serving: Option<Serving>,
}

/// Whether keys that nobody confirms become stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aging {
    Never,
    StaleAfter(Duration),
}

impl Aging {
    /// That of a source's keys. A file is read every second, so its keys are always confirmed.
    pub(super) const fn of(source: &Source) -> Self {
        match source.origin.location {
            Location::File(_) => Self::Never,
            Location::Discovery(_) | Location::Url(_) | Location::WorkloadApi { .. } => {
                Self::StaleAfter(source.origin.settings.stale_limit)
            }
        }
    }

    /// When keys become stale that were confirmed at this time.
    pub(super) fn stale(self, confirmed: UnixTime) -> UnixTime {
        match self {
            Self::Never => UnixTime::MAX,
            Self::StaleAfter(limit) => confirmed.plus(limit),
        }
    }
}

/// A document that was accepted.
pub(super) struct Serving {
    pub document: Vec<u8>,
    pub validators: Option<Validators>,
}

/// A refresh that succeeded.
struct Success {
    change: KeyChange,
    fresh_for: Option<Duration>,
    keys: usize,
}

impl Task {
    /// Refreshes for ever.
    pub(super) async fn run(mut self) {
        self.restore().await;
        let mut cause = Cause::Schedule;
        loop {
            let started = Instant::now();
            self.refresh(cause, started).await;
            let scheduled = self.state.state().scheduled;
            // A fetch for a request serves the schedule too, and the other way round it may bring what a cache has.
            cause = tokio::select! {
                biased;
                () = self.state.asked(started) => Cause::Request,
                () = sleep_until(scheduled) => Cause::Schedule,
                () = became_stale(&self.source.slot, &self.clock) => Cause::Schedule,
                () = self.fetcher.changed() => Cause::Schedule,
            };
        }
    }

    /// Publishes the keys of the snapshot, if there is one that is fit to serve, until fresher ones come.
    async fn restore(&mut self) {
        let (Some(snapshot), Aging::StaleAfter(limit)) = (&self.snapshot, self.aging) else { return };
        if self.source.slot.latest().is_some() {
            return;
        }
        let remembered = match snapshot.load((self.clock)(), limit).await {
            Ok(Some(remembered)) => remembered,
            Ok(None) => return,
            Err(flaw) => return self.log.snapshot_unusable(&flaw),
        };
        let Remembered { document, confirmed } = remembered;
        match self.publish(Serving { document, validators: None }, confirmed) {
            Ok((_, keys)) => {
                self.state.write(|state| state.restored(confirmed, Instant::now()));
                self.log.restored(confirmed, keys);
            }
            Err(fault) => self.log.snapshot_unusable(&fault),
        }
    }

    async fn refresh(&mut self, cause: Cause, started: Instant) {
        self.state.write(|state| state.in_flight = true);
        let known = self.serving.as_ref().and_then(|serving| serving.validators.as_ref());
        let fetched = timeout(self.source.origin.settings.timeout, self.fetcher.fetch(cause, known)).await;
        let now = (self.clock)();
        let fetched = fetched.unwrap_or_else(|_| {
            self.fetcher.forget();
            Err(FetchError::Timeout)
        });
        let taken = fetched.and_then(|fetched| self.take(fetched, now));
        match taken {
            Ok(success) => {
                self.succeed(cause, started, now, &success);
                self.remember(now).await;
            }
            Err(fault) => self.fail(cause, started, now, fault),
        }
    }

    /// Publishes the keys that were fetched, if they are usable.
    fn take(&mut self, fetched: Fetched, now: UnixTime) -> Result<Success, FetchError> {
        let (serving, fresh_for) = match fetched {
            Fetched::Document { document, validators, fresh_for } => (Serving { document, validators }, fresh_for),
            // 304 without If-None-Match: a protocol error.
            Fetched::NotModified { fresh_for } => (self.serving.take().ok_or(FetchError::Status(304))?, fresh_for),
        };
        let (change, keys) = self.publish(serving, now)?;
        self.fetcher.accepted();
        Ok(Success { change, fresh_for, keys })
    }

    /// Publishes the keys of a document that the issuer confirmed at this time, if it has usable ones. Returns how many.
    fn publish(&mut self, serving: Serving, confirmed: UnixTime) -> Result<(KeyChange, usize), FetchError> {
        let reading = self.source.origin.read(&serving.document);
        match &reading {
            Ok(Reading { left_out, .. }) | Err(KeySetError::NoKeys(left_out)) => self.log.left_out(left_out),
            Err(KeySetError::NotAKeySet(_)) => {}
        }
        let keys = reading.map_err(FetchError::Document)?.keys;

        let previous = self.source.slot.latest();
        self.log.rotation(previous.as_ref().map(|previous| previous.keys.as_ref()), &keys);
        let count = keys.keys().len();
        let stale = self.aging.stale(confirmed);
        let change = self.source.slot.publish(Published { keys: keys.into(), confirmed, stale });
        self.serving = Some(serving);
        Ok((change, count))
    }

    /// Keeps the document for the next start.
    async fn remember(&mut self, now: UnixTime) {
        if let (Some(snapshot), Some(serving)) = (&mut self.snapshot, &self.serving)
            && let Err(flaw) = snapshot.save(&serving.document, now).await
        {
            self.log.snapshot_unwritten(&flaw);
        }
    }

    fn succeed(&mut self, cause: Cause, started: Instant, now: UnixTime, success: &Success) {
        let wait = self.schedule.after_success(success.fresh_for, fastrand::f64());
        let cooled = started + self.state.cooldown();
        let ended = Instant::now();
        self.state.write(|state| {
            state.attempts += 1;
            state.in_flight = false;
            state.confirmed = Some(started);
            if success.change == KeyChange::Changed {
                state.changed = Some(ended);
            }
            (state.failures, state.fault, state.asked) = (0, None, None);
            state.last_success = Some(now);
            state.scheduled = ended + wait;
            if cause == Cause::Request {
                state.cooled = cooled;
            }
            state.permitted = state.cooled;
        });
        self.log.success();
        self.metrics.succeeded(success.change.as_str(), success.keys, now, now.plus(wait));
    }

    fn fail(&mut self, cause: Cause, started: Instant, now: UnixTime, fault: FetchError) {
        let failures = self.state.state().failures.saturating_add(1);
        let wait = self.schedule.after_failure(failures, fastrand::f64());
        let cooled = started + self.state.cooldown();
        let scheduled = Instant::now() + wait;
        self.metrics.failed(fault.class(), now.plus(wait));
        let published = self.source.slot.latest();
        let is_usable = published.as_ref().is_some_and(|published| published.usable(now).is_some());
        let asked = self.fetcher.asked().cloned();
        self.log.failure(&fault, asked.as_ref(), if is_usable { Service::Up } else { Service::Down }, wait);
        self.state.write(|state| {
            state.attempts += 1;
            state.in_flight = false;
            (state.failures, state.fault, state.asked) = (failures, Some(fault), asked);
            state.scheduled = scheduled;
            if cause == Cause::Request {
                state.cooled = cooled;
            }
            // An issuer in trouble is left alone until its next turn, whoever asks.
            state.permitted = state.cooled.max(scheduled);
        });
    }
}

/// Returns once keys that are usable now are so no more. That comes before the next refresh if the clock is set forward, or the
/// machine was suspended: timers notice neither. It never returns if there are no usable keys.
async fn became_stale(slot: &KeySlot, clock: &Clock) {
    let is_usable = || slot.latest().as_ref().is_some_and(|published| published.usable(clock()).is_some());
    if !is_usable() {
        return std::future::pending().await;
    }
    while is_usable() {
        sleep(CLOCK_CHECK).await;
    }
}

/// How often it is checked whether keys have become stale before their time.
const CLOCK_CHECK: Duration = Duration::from_secs(1);
