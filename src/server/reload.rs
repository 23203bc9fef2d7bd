//! Another configuration while requests run. It is compiled whole, checked, given the keys that it needs, and then swapped in
//! one step; a request is judged by the one that was there when it came. What cannot be used changes nothing and is said.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::assembly::Assembly;
use super::error::ServerError;
use super::in_force::in_force;
use super::log::LevelHandle;
use crate::admin::ReloadRequest;
use crate::clock::brief;
use crate::config::{self, Compiled, Problems, Shutdown};
use crate::file_watcher::{Content, FileWatcher};
use crate::metrics::Metrics;
use crate::proof::ProofState;
use crate::proxy::policy::Policy;
use crate::revocation::watcher::DenyListWatcher;
use crate::status::{Board, Reload};

/// The configuration in force, and the file that it comes from.
pub(super) struct Reloader {
    path: PathBuf,
    running: Mutex<Compiled>,
    policy: Arc<ArcSwap<Policy>>,
    /// What is known of proofs, whatever the configuration.
    proofs: Arc<ProofState>,
    told: Told,
    log_level: LevelHandle,
    /// Keeps the deny-list in force.
    deny_list: Mutex<Option<DenyListWatcher>>,
}

/// Who hears of a reload.
pub(super) struct Told {
    pub(super) metrics: Arc<Metrics>,
    pub(super) board: Arc<Board>,
    /// Where requests come in, whatever the file says meanwhile.
    pub(super) listen: String,
}

/// Why another configuration cannot come into force.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    #[error("{}", counted(.0.errors(), "error"))]
    Config(Problems),
    #[error("{} cannot change without a restart", .0.join(", "))]
    Fixed(Vec<&'static str>),
    #[error("there are no usable keys of {issuer}: {detail}")]
    Keys { issuer: String, detail: String },
    #[error(transparent)]
    Start(#[from] ServerError),
    #[error("the reload broke off")]
    Unfinished,
}

/// An attempt to come.
struct Retry {
    at: Instant,
    /// How long after the one before.
    pause: Duration,
    /// The file as it was then; `None` if it could not be read.
    content: Option<Vec<u8>>,
}

/// What asks for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReloadTrigger {
    Change,
    /// The pod's own token names another issuer.
    Renewal,
    /// `callgate reload`.
    Request,
    /// The one before failed for a reason that may pass.
    Retry,
    Signal,
}

impl ReloadTrigger {
    /// The word in the log.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Renewal => "renewal",
            Self::Request => "request",
            Self::Retry => "retry",
            Self::Signal => "signal",
        }
    }
}

impl Reloader {
    /// Watches over the configuration that is in force as `policy`.
    pub(super) const fn new(
        path: PathBuf,
        running: Compiled,
        policy: Arc<ArcSwap<Policy>>,
        proofs: Arc<ProofState>,
        told: Told,
        log_level: LevelHandle,
        deny_list: Option<DenyListWatcher>,
    ) -> Self {
        Self { path, running: Mutex::new(running), policy, proofs, told, log_level, deny_list: Mutex::new(deny_list) }
    }

    /// The configuration in force.
    fn running<T>(&self, look: impl FnOnce(&mut Compiled) -> T) -> T {
        look(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How to stop.
    pub(super) fn shutdown(&self) -> Shutdown {
        self.running(|running| running.shutdown)
    }

    /// What is only reported, in words; nothing if all is enforced.
    pub(super) fn reported(&self) -> Vec<String> {
        self.running(|running| running.modes.reported().iter().map(ToString::to_string).collect())
    }

    /// Reloads at each signal and request, and at each change of the file if it is watched. What failed for want of an issuer's keys
    /// is tried again as long as the file stays as it was. It never ends.
    pub(super) async fn run(&self, mut hangups: Signal, mut requests: mpsc::Receiver<ReloadRequest>) {
        let is_watched = self.running(|running| running.reload.watch);
        let mut watch = is_watched.then(|| FileWatcher::from_now([self.path.clone()], FILE_MAX));
        let mut renewals = is_watched.then(|| self.own_tokens());
        let mut retry: Option<Retry> = None;
        loop {
            let changed = async {
                match &mut watch {
                    Some(watch) => drop(watch.changed().await),
                    None => std::future::pending().await,
                }
            };
            let due = async {
                match &retry {
                    Some(retry) => sleep_until(retry.at).await,
                    None => std::future::pending().await,
                }
            };
            let renewed = async {
                match &mut renewals {
                    Some(renewals) => renewals.changed().await,
                    None => std::future::pending().await,
                }
            };
            let (trigger, request) = tokio::select! {
                _ = hangups.recv() => {
                    // Those that follow within a moment mean the same.
                    let _ = timeout(MOMENT, async { while hangups.recv().await.is_some() {} }).await;
                    (ReloadTrigger::Signal, None)
                }
                () = changed => (ReloadTrigger::Change, None),
                tokens = renewed => match self.has_other_issuer(&tokens) {
                    true => (ReloadTrigger::Renewal, None),
                    false => continue,
                },
                Some(request) = requests.recv() => (ReloadTrigger::Request, Some(request)),
                () = due => (ReloadTrigger::Retry, None),
            };
            let content = content(&self.path).await;
            let failed = retry.take().filter(|_| trigger == ReloadTrigger::Retry);
            if failed.as_ref().is_some_and(|failed| failed.content != content) {
                // Nobody has asked for what stands there now.
                continue;
            }
            let pause = failed.map_or(RETRY_FIRST, |failed| (failed.pause * 2).min(RETRY_MAX));
            let (outcome, may_pass) = self.reload(trigger, pause).await;
            retry = may_pass.then(|| Retry { at: Instant::now() + pause, pause, content });
            if outcome.is_ok() {
                // It may name others. After a failure the same tokens are no news.
                renewals = is_watched.then(|| self.own_tokens());
            }
            if let Some(request) = request {
                // Whoever asked may have left.
                let _ = request.send(outcome);
            }
        }
    }

    /// Watches the tokens from which issuers take their names. It looks at them at once: they may have been renewed meanwhile.
    fn own_tokens(&self) -> FileWatcher {
        let paths: Vec<_> = self.running(|running| running.own_tokens.iter().map(|own| own.path.clone()).collect());
        FileWatcher::new(paths, FILE_MAX)
    }

    /// Whether one of the tokens, as they are now, names another issuer. One that is gone names nobody, and changes nothing.
    fn has_other_issuer(&self, tokens: &[Content]) -> bool {
        self.running(|running| {
            running.own_tokens.iter().zip(tokens).any(|(own, token)| {
                let issuer = token.as_ref().ok().and_then(|token| config::own_issuer(token));
                issuer.is_some() && issuer != own.issuer
            })
        })
    }

    /// Tries to bring the file as it is now into force. Returns what is in force then, in words, and whether another attempt after
    /// the pause may succeed with the same file.
    async fn reload(&self, trigger: ReloadTrigger, pause: Duration) -> (Result<String, String>, bool) {
        let file = self.path.display();
        let (outcome, detail, may_pass) = match self.attempt().await {
            Ok(warnings) => {
                self.told.metrics.config.succeeded(SystemTime::now().into());
                tracing::info!(%file, trigger = trigger.as_str(), warnings, "The configuration was loaded again and is in force.");
                let said = format!("{file} is in force, with {}", counted(warnings, "warning"));
                (Ok(said.clone()), said, false)
            }
            Err(error) => {
                self.told.metrics.config.failed();
                let may_pass = matches!(error, ReloadError::Keys { .. });
                let mut said = format!("{file} is not in force, the configuration before it is: {error}");
                if may_pass {
                    said += &format!("; it is tried again in {}", brief(pause));
                }
                // Whoever may look at the status need not see the lines of the file.
                let mut shown = said.clone();
                if let ReloadError::Config(problems) = &error {
                    for problem in problems {
                        tracing::error!(%problem, "The configuration has a problem.");
                        said += &format!("\n{problem:#}");
                        shown += &format!("\n{problem}");
                    }
                }
                tracing::error!(%file, trigger = trigger.as_str(), error = %error, retry_seconds = may_pass.then_some(pause.as_secs()), "The configuration was not loaded again; the old one stays in force.");
                (Err(said), shown, may_pass)
            }
        };
        self.told.board.reloaded(Reload { time: SystemTime::now().into(), successful: outcome.is_ok(), detail });
        (outcome, may_pass)
    }

    /// Brings the file as it is now into force. Returns how many warnings it has.
    pub(super) async fn attempt(&self) -> Result<usize, ReloadError> {
        let next = load(&self.path).await?;
        let fixed = self.running(|running| running.fixed_changes(&next));
        if !fixed.is_empty() {
            return Err(ReloadError::Fixed(fixed));
        }
        let before = self.policy.load_full();
        let mut assembly = Assembly::new(&next, &before.refresher, &self.proofs).await?;
        assembly.refresher.first_attempts(NEW_KEYS).await;
        // What has keys now must not lose them to a slip in an address, and an issuer that is new must be able to speak.
        if let Some(status) = assembly.refresher.newcomers_without_keys(&before.refresher).into_iter().next() {
            let detail = status.detail().unwrap_or_else(|| "they were not fetched in time".to_owned());
            return Err(ReloadError::Keys { issuer: status.issuer, detail });
        }
        if let Some((file, _)) = &assembly.deny_list
            && self.running(|running| running.revocation.as_ref().is_some_and(|running| running.file == *file))
        {
            assembly.keep_deny_list(before.authenticator.revoked());
        }
        let (policy, watcher) = assembly.activate(&next, &self.told.metrics, before.replay_store.as_ref());
        self.log_level.set(next.log.level);
        self.policy.store(Arc::clone(&policy));
        self.told.board.replace(in_force(&self.path, &next, self.told.listen.clone()));
        // From here on what was replaced has no say any more, even where a stream keeps it in memory.
        before.refresher.retire(&policy.refresher);
        before.authenticator.forget_tokens();
        if let Some(store) = &before.replay_store
            && !policy.replay_store.as_ref().is_some_and(|kept| Arc::ptr_eq(store, kept))
        {
            store.retire(policy.replay_store.as_deref());
        }
        *self.deny_list.lock().unwrap_or_else(PoisonError::into_inner) = watcher;
        for warning in &next.warnings {
            tracing::warn!(%warning, "Configuration warning.");
        }
        let warnings = next.warnings.len();
        self.running(|running| *running = next);
        Ok(warnings)
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The bytes of a file, read where waiting for a disk delays nobody.
async fn content(path: &Path) -> Option<Vec<u8>> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || std::fs::read(path).ok()).await.ok().flatten()
}

/// Compiles a file on a thread where waiting for a disk delays nobody.
async fn load(path: &Path) -> Result<Compiled, ReloadError> {
    let path = path.to_owned();
    let loading = tokio::task::spawn_blocking(move || config::load(&path));
    loading.await.map_err(|_| ReloadError::Unfinished)?.map_err(ReloadError::Config)
}

/// Takes over SIGHUP, which would end the process otherwise.
pub(super) fn hangups() -> Result<Signal, ServerError> {
    signal(SignalKind::hangup()).map_err(|error| ServerError::System("signal handlers", error))
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").field("path", &self.path).finish_non_exhaustive()
    }
}

/// How long a new configuration may wait for its issuers' first answers.
const NEW_KEYS: Duration = Duration::from_secs(5);

/// Signals within this time count as one.
const MOMENT: Duration = Duration::from_millis(100);

/// The time to the first attempt that nobody asked for; it doubles with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(2);

/// The longest time between two of them.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The largest configuration that is watched, in bytes; a larger one is not read either.
const FILE_MAX: u64 = 1024 * 1024;
