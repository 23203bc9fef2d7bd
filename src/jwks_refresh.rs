//! Fetching the issuers' keys and keeping them fresh. Every issuer has a task of its own, so that none delays another. Requests
//! read what the tasks published; a request whose key is missing asks for a refresh and waits a bounded time. Nothing from a
//! token chooses an address.

mod discovery;
pub mod error;
pub(crate) mod fetch;
mod file;
mod http;
mod negative_cache;
mod refresh_log;
mod schedule;
mod shared_refresh;
mod snapshot;
mod task;
mod waiting_room;
mod workload_api;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus::Registry;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use self::error::{Asked, FetchError};
use self::fetch::{Fetch, Fetchers};
use self::file::KeyFile;
use self::http::{KeyServer, Start};
use self::refresh_log::RefreshLog;
use self::schedule::Schedule;
pub use self::shared_refresh::Freshness;
use self::shared_refresh::{KeyRequest, SharedRefresh};
use self::snapshot::Snapshot;
pub(crate) use self::task::Clock;
use self::task::{Aging, Task};
use self::waiting_room::WaitingRoom;
use self::workload_api::WorkloadApi;
use crate::clock::UnixTime;
use crate::file_watcher::INTERVAL;
use crate::issuers::{IssuerIndex, PerIssuer};
use crate::keys::readiness::Readiness;
use crate::keys::source::{Location, Origin, Source};
use crate::keys::store::{KeySlot, Published};
use crate::metrics::keys::KeyMetrics;

/// Keeps the keys of all issuers of one configuration fresh, as long as it lives. The next configuration has a refresher of its
/// own, which shares the tasks of the issuers that stay as they are.
pub struct JwksRefresher {
    issuers: PerIssuer<Arc<IssuerTask>>,
    /// Whether each of them is required.
    required: PerIssuer<bool>,
    /// How many issuers the configuration has.
    configured: usize,
    readiness: Readiness,
    metrics: KeyMetrics,
    clock: Clock,
    fetchers: Fetchers,
}

/// The running task of one issuer. It ends when the last refresher that shares it is dropped.
struct IssuerTask {
    origin: Origin,
    slot: Arc<KeySlot>,
    state: Arc<SharedRefresh>,
    handle: AbortHandle,
    metrics: KeyMetrics,
}

/// How an issuer's keys are doing, for whoever asks whether this sidecar is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerStatus {
    /// Its name, as in the configuration.
    pub issuer: String,
    /// Whether the instance needs its keys to be ready.
    pub required: bool,
    /// Whether there are keys that are not stale: tokens can be judged.
    pub ready: bool,
    /// The names of the keys, stale ones too; `None` for a key without.
    pub kids: Vec<Option<String>>,
    /// The named keys of its document that cannot be used, each with the cause.
    pub left_out: Vec<(String, &'static str)>,
    /// How long ago the issuer last confirmed them.
    pub age: Option<Duration>,
    /// When a refresh last succeeded.
    pub last_success: Option<UnixTime>,
    /// In what time the next refresh comes at the latest; `None` while one is under way.
    pub next_refresh: Option<Duration>,
    /// How many refreshes failed since the last success.
    pub failures: u32,
    /// Why the last refresh failed, if it did.
    pub fault: Option<FetchError>,
    /// What it asked for.
    pub asked: Option<Asked>,
}

impl IssuerStatus {
    /// Why the last refresh failed, if it did: [`FetchError::detail`].
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        self.fault.as_ref().map(|fault| fault.detail(self.asked.as_ref()))
    }
}

impl JwksRefresher {
    /// Starts to keep the keys of these issuers, one task each. It must be called within a tokio runtime, after rustls was
    /// given its provider.
    ///
    /// # Errors
    /// If the registry has metrics of these names.
    pub fn start(sources: impl Into<PerIssuer<Source>>, registry: &Registry) -> prometheus::Result<Self> {
        let refresher = Self::new(registry)?.reconfigured(sources);
        refresher.activate_metrics();
        Ok(refresher)
    }

    /// A refresher without issuers: the one that the first configuration [replaces](Self::reconfigured).
    ///
    /// # Errors
    /// If the registry has metrics of these names.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        Self::with(registry, Arc::new(|| SystemTime::now().into()), Arc::new(fetcher))
    }

    /// The same with another clock and other ways to the documents.
    pub(crate) fn with(registry: &Registry, clock: Clock, fetchers: Fetchers) -> prometheus::Result<Self> {
        let at_scrape = Arc::clone(&clock);
        Ok(Self {
            issuers: PerIssuer::default(),
            required: PerIssuer::default(),
            configured: 0,
            readiness: Readiness::All,
            metrics: KeyMetrics::register(registry, move || at_scrape())?,
            clock,
            fetchers,
        })
    }

    /// The refresher for another configuration. Issuers whose source and settings are the same share the running task and its
    /// keys; for the others a task is started. Keys that are [the same source's](Origin::has_keys_of) are there from the
    /// beginning. This refresher goes on as it is until it is [retired](Self::retire).
    #[must_use]
    pub fn reconfigured(&self, sources: impl Into<PerIssuer<Source>>) -> Self {
        let sources = sources.into();
        let mut next = Self {
            issuers: PerIssuer::default(),
            required: PerIssuer::default(),
            configured: sources.iter().count(),
            readiness: self.readiness,
            metrics: self.metrics.clone(),
            clock: Arc::clone(&self.clock),
            fetchers: Arc::clone(&self.fetchers),
        };
        for source in sources {
            let origin = &source.origin;
            match self.issuers.iter().find(|task| task.origin == *origin && Arc::ptr_eq(&task.slot, &source.slot)) {
                Some(task) => next.push(Arc::clone(task), source.required),
                None => {
                    if let Some(task) = self.issuers.iter().find(|task| task.origin.has_keys_of(origin)) {
                        task.copy_keys(&source);
                    }
                    next.begin(source);
                }
            }
        }
        next
    }

    /// The slot of the task that [`Self::reconfigured`] shares for a source of this origin, if there is one.
    #[must_use]
    pub fn slot_for(&self, origin: &Origin) -> Option<Arc<KeySlot>> {
        self.issuers.iter().find(|task| task.origin == *origin).map(|task| Arc::clone(&task.slot))
    }

    /// Ends the tasks that `next` does not share, however long requests of the old configuration go on, and takes the keys of
    /// sources that it does not have away from those requests.
    pub fn retire(&self, next: &Self) {
        for task in self.issuers.iter().filter(|task| !next.shares(task)) {
            task.handle.abort();
            if !next.issuers.iter().any(|other| other.origin.has_keys_of(&task.origin)) {
                task.slot.withdraw();
            }
            task.state.write(|state| state.retired = true);
        }
    }

    fn shares(&self, task: &Arc<IssuerTask>) -> bool {
        self.issuers.iter().any(|own| Arc::ptr_eq(own, task))
    }

    /// Makes the metrics those of this refresher's issuers.
    pub fn activate_metrics(&self) {
        self.metrics.watch(self.slots());
    }

    /// The required issuers that this refresher did not share with an earlier one, and that have no usable keys.
    #[must_use]
    pub fn newcomers_without_keys(&self, earlier: &Self) -> Vec<IssuerStatus> {
        let now = (self.clock)();
        let required = self.issuers.iter().zip(&self.required).filter(|(_, required)| **required);
        let newcomers = required.filter(|(task, _)| !earlier.shares(task));
        newcomers.map(|(task, _)| task.status(true, now)).filter(|status| !status.ready).collect()
    }

    /// Waits until every issuer has keys or had a first refresh without success, but not longer than this.
    pub async fn first_attempts(&self, within: Duration) {
        let all = async {
            for task in &self.issuers {
                task.state.first_attempt().await;
            }
        };
        // What has not ended by now goes on in the background.
        let _ = timeout(within, all).await;
    }

    /// Asks for fresher keys of an issuer for a request whose token was signed by a key
    /// that is not at hand, or whose issuer has no usable keys. `since` is when the decision was begun that said so.
    ///
    /// However many requests ask, there is one fetch, which all of them wait for, and one per cooldown. When this returns
    /// [`Freshness::Changed`], decide again, and if keys are still wanted, ask again with the rest of the time. With
    /// [`Freshness::Failed`], [`Freshness::TimedOut`] and [`Freshness::RoomFull`] nobody can tell whether there is such a key;
    /// with everything else the decision stands.
    pub async fn fresher(&self, issuer: IssuerIndex, kid: Option<&str>, since: Instant, within: Duration) -> Freshness {
        let Some(task) = self.issuers.get(issuer) else { return Freshness::Unchanged };
        let asked = Instant::now();
        let request = KeyRequest { kid, since, within, now: (self.clock)() };
        let freshness = task.state.fresher(&task.slot, request).await;
        self.metrics.waited(&task.origin.issuer, freshness.as_str(), asked.elapsed().as_secs_f64());
        freshness
    }

    /// The same with another rule for [`Self::is_ready`].
    #[must_use]
    pub fn with_readiness(self, readiness: Readiness) -> Self {
        Self { readiness, ..self }
    }

    /// The rule by which the instance is ready.
    #[must_use]
    pub const fn readiness(&self) -> Readiness {
        self.readiness
    }

    /// Whether enough issuers have usable keys for the instance to serve.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let issuers: Vec<_> = self.status().iter().map(|status| (status.required, status.ready)).collect();
        self.readiness.is_met(&issuers)
    }

    /// How the issuers' keys are doing, in the order of the sources.
    #[must_use]
    pub fn status(&self) -> Vec<IssuerStatus> {
        let now = (self.clock)();
        self.issuers.iter().zip(&self.required).map(|(task, required)| task.status(*required, now)).collect()
    }

    fn slots(&self) -> Vec<(String, Arc<KeySlot>)> {
        self.issuers.iter().map(|task| (task.origin.issuer.clone(), Arc::clone(&task.slot))).collect()
    }

    fn push(&mut self, task: Arc<IssuerTask>, required: bool) {
        self.issuers.push(task);
        self.required.push(required);
    }

    /// Starts the task of a source.
    fn begin(&mut self, source: Source) {
        let required = source.required;
        let fetcher = (self.fetchers)(&source.origin);
        let Origin { issuer, location, settings, .. } = &source.origin;
        let (schedule, cooldown) = match location {
            Location::File(_) => (Schedule::Poll(INTERVAL), settings.unknown_key_cooldown.min(INTERVAL / 4)),
            Location::Discovery(_) | Location::Url(_) | Location::WorkloadApi { .. } => {
                (Schedule::Refresh(settings.refresh), settings.unknown_key_cooldown)
            }
        };
        let aging = Aging::of(&source);
        let snapshot = settings.snapshot_dir.as_ref().filter(|_| aging != Aging::Never);
        let (issuer, slot, origin) = (issuer.clone(), Arc::clone(&source.slot), source.origin.clone());
        let metrics = self.metrics.issuer(&issuer, &FetchError::CLASSES);
        let snapshot =
            snapshot.map(|at| Snapshot::new(at, &issuer, &origin.identity(), metrics.snapshot_failures().clone()));
        let room = WaitingRoom::new(self.configured, metrics.waiting().clone());
        let state = SharedRefresh::new(cooldown, room, Instant::now());
        if let Some(published) = slot.latest().as_ref() {
            state.write(|state| state.restored(published.confirmed, Instant::now()));
        }
        let state = Arc::new(state);
        let task = Task {
            fetcher,
            state: Arc::clone(&state),
            schedule,
            aging,
            clock: Arc::clone(&self.clock),
            metrics,
            log: RefreshLog::new(issuer),
            snapshot,
            serving: None,
            source,
        };
        let handle = tokio::spawn(task.run()).abort_handle();
        self.push(Arc::new(IssuerTask { origin, slot, state, handle, metrics: self.metrics.clone() }), required);
    }
}

/// Gets the document of a source from its file, its agent or its server.
pub(crate) fn fetcher(origin: &Origin) -> Box<dyn Fetch> {
    let start = match &origin.location {
        Location::File(path) => return Box::new(KeyFile::new(path.clone())),
        Location::WorkloadApi { socket, trust_domain } => {
            return Box::new(WorkloadApi::new(socket.clone(), trust_domain));
        }
        Location::Discovery(base) => Start::Discovery { issuer: origin.issuer.clone(), base: base.as_url().clone() },
        Location::Url(url) => Start::Keys(url.as_url().clone()),
    };
    Box::new(KeyServer::new(start, origin.settings.clone()))
}

impl IssuerTask {
    /// Publishes its keys for a source that has the same ones, with the age that they have.
    fn copy_keys(&self, source: &Source) {
        if let Some(published) = self.slot.latest().as_ref() {
            let (keys, confirmed) = (Arc::clone(&published.keys), published.confirmed);
            source.slot.publish(Published { keys, confirmed, stale: Aging::of(source).stale(confirmed) });
        }
    }

    fn status(&self, required: bool, now: UnixTime) -> IssuerStatus {
        let published = self.slot.latest();
        let state = self.state.state();
        let keys = published.as_ref().map(|published| published.keys.keys()).unwrap_or_default();
        IssuerStatus {
            issuer: self.origin.issuer.clone(),
            required,
            ready: published.as_ref().is_some_and(|published| published.usable(now).is_some()),
            kids: keys.iter().map(|key| key.kid().map(str::to_owned)).collect(),
            left_out: published.as_ref().map(|published| published.keys.left_out_keys().to_vec()).unwrap_or_default(),
            age: published.as_ref().map(|published| now.since(published.confirmed)),
            last_success: state.last_success,
            next_refresh: (!state.in_flight).then(|| state.scheduled.saturating_duration_since(Instant::now())),
            failures: state.failures,
            fault: state.fault,
            asked: state.asked,
        }
    }
}

impl Drop for IssuerTask {
    fn drop(&mut self) {
        self.handle.abort();
        self.metrics.forget(&self.origin.issuer);
    }
}

#[cfg(test)]
mod tests;
