//! Another configuration while requests run. It is compiled whole, checked, given the keys that it needs, and then swapped in
//! one step; a request is judged by the one that was there when it came. What cannot be used changes nothing and is said.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ServerFault;
use super::change::Changes;
use super::log::Volume;
use super::plan::Plan;
use crate::config::{self, Compiled, Problems, Shutdown};
use crate::keys::refresh::KeyKeeper;
use crate::metrics::Metrics;
use crate::metrics::revocation::RevocationMetrics;
use crate::proxy::Policy;
use crate::revocation::DenyListSlot;
use crate::watch::Watch;

/// The configuration in force, and the file that it comes from.
pub struct Reloader {
    path: PathBuf,
    running: Mutex<Compiled>,
    policy: Arc<ArcSwap<Policy>>,
    /// Keeps the deny-list of the policy.
    deny: Mutex<Option<Watch>>,
    deny_metrics: RevocationMetrics,
    metrics: Arc<Metrics>,
    volume: Volume,
}

/// Why another configuration cannot come into force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadFault {
    #[error("it has {} errors", .0.errors())]
    Config(Problems),
    #[error("{} cannot change without a restart", .0.join(", "))]
    Fixed(Vec<&'static str>),
    #[error("there are no usable keys of {issuer}: {detail}")]
    Keys { issuer: String, detail: String },
    #[error(transparent)]
    Start(#[from] ServerFault),
    #[error("the reload broke off")]
    Unfinished,
}

/// What asks for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    Change,
    Signal,
}

impl Reloader {
    /// Brings the first configuration into force.
    ///
    /// # Errors
    /// If the metrics of the deny-list cannot be registered.
    pub fn new(
        path: PathBuf,
        running: Compiled,
        mut plan: Plan,
        metrics: Arc<Metrics>,
        volume: Volume,
    ) -> Result<Self, ServerFault> {
        let keeper = Arc::new(KeyKeeper::start(std::mem::take(&mut plan.sources), metrics.registry())?);
        let deny_metrics = RevocationMetrics::register(metrics.registry())?;
        let deny = Mutex::new(watched(plan.revocation.take(), &deny_metrics));
        let policy = Arc::new(ArcSwap::from_pointee(plan.into_policy(keeper)));
        metrics.config.started(SystemTime::now().into());
        tell(&running, &metrics);
        Ok(Self { path, running: Mutex::new(running), policy, deny, deny_metrics, metrics, volume })
    }

    /// The policy in force.
    pub const fn policy(&self) -> &Arc<ArcSwap<Policy>> {
        &self.policy
    }

    /// The configuration in force.
    fn running<T>(&self, look: impl FnOnce(&mut Compiled) -> T) -> T {
        look(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How to stop.
    pub fn shutdown(&self) -> Shutdown {
        self.running(|running| running.shutdown)
    }

    /// What is only reported, in words; nothing if all is enforced.
    pub fn reported(&self) -> Vec<String> {
        self.running(|running| running.modes.reported().iter().map(ToString::to_string).collect())
    }

    /// Reloads at each signal, and at each change of the file if it is watched. It never ends.
    pub async fn run(&self, mut hangups: Signal) {
        let mut watch = self.running(|running| running.reload.watch).then(|| Changes::new(&self.path));
        loop {
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            let occasion = tokio::select! {
                _ = hangups.recv() => Occasion::Signal,
                () = changed => Occasion::Change,
            };
            self.reload(occasion).await;
        }
    }

    /// Tries to bring the file as it is now into force.
    pub async fn reload(&self, occasion: Occasion) {
        let file = self.path.display();
        match self.attempt().await {
            Ok(warnings) => {
                self.metrics.config.succeeded(SystemTime::now().into());
                tracing::info!(%file, ?occasion, warnings, "The configuration was loaded again and is in force.");
            }
            Err(fault) => {
                self.metrics.config.failed();
                if let ReloadFault::Config(problems) = &fault {
                    for problem in problems {
                        tracing::error!(%problem, "The configuration has a problem.");
                    }
                }
                tracing::error!(%file, ?occasion, error = %fault, "The configuration was not loaded again; the old one stays in force.");
            }
        }
    }

    async fn attempt(&self) -> Result<usize, ReloadFault> {
        let next = load(&self.path).await?;
        let fixed = self.running(|running| running.fixed_changes(&next));
        if !fixed.is_empty() {
            return Err(ReloadFault::Fixed(fixed));
        }
        let before = self.policy.load_full();
        let mut plan = Plan::new(next.clone(), Some(&before.keeper)).await?;
        let keeper = before.keeper.successor(std::mem::take(&mut plan.sources)).map_err(ServerFault::Keys)?;
        keeper.first_attempts(NEW_KEYS).await;
        // What has keys now must not lose them to a slip in an address, and an issuer that is new must be able to speak.
        if let Some(status) = keeper.newcomers_without_keys(&before.keeper).into_iter().next() {
            let detail =
                status.fault.map_or_else(|| "they were not fetched in time".to_owned(), |fault| fault.to_string());
            return Err(ReloadFault::Keys { issuer: status.issuer, detail });
        }
        let keeper = Arc::new(keeper);
        let deny = watched(plan.revocation.take(), &self.deny_metrics);
        let policy = Arc::new(plan.into_policy(Arc::clone(&keeper)));
        keeper.take_over();
        tell(&next, &self.metrics);
        self.volume.set(next.log.level);
        self.policy.store(policy);
        *self.deny.lock().unwrap_or_else(PoisonError::into_inner) = deny;
        for warning in &next.warnings {
            tracing::warn!(%warning, "The configuration is allowed, and worth a thought.");
        }
        let warnings = next.warnings.len();
        self.running(|running| *running = next);
        Ok(warnings)
    }
}

/// Makes the metrics say what a configuration says.
fn tell(config: &Compiled, metrics: &Metrics) {
    metrics.report.scopes(&config.modes.reported());
    metrics.requests_limit().set(i64::try_from(config.limits.requests).unwrap_or(i64::MAX));
}

/// Keeps a deny-list as its file says, if there is one.
fn watched(revocation: Option<(PathBuf, Arc<DenyListSlot>)>, metrics: &RevocationMetrics) -> Option<Watch> {
    if revocation.is_none() {
        metrics.serving(0);
    }
    revocation.map(|(file, slot)| Watch::start(file, slot, metrics.clone()))
}

/// Compiles a file on a thread where waiting for a disk delays nobody.
async fn load(path: &Path) -> Result<Compiled, ReloadFault> {
    let path = path.to_owned();
    let loading = tokio::task::spawn_blocking(move || config::load(&path));
    loading.await.map_err(|_| ReloadFault::Unfinished)?.map_err(ReloadFault::Config)
}

/// Takes over SIGHUP, which would end the process otherwise.
pub fn hangups() -> Result<Signal, ServerFault> {
    signal(SignalKind::hangup()).map_err(|error| ServerFault::System("signal handlers", error))
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").field("path", &self.path).finish_non_exhaustive()
    }
}

/// How long a new configuration may wait for the first answers of the issuers that are new in it.
const NEW_KEYS: Duration = Duration::from_secs(5);
