//! From a compiled configuration to a running process: bind, fetch the first keys, serve, stop in order. Nothing is bound
//! before the configuration is whole.

pub mod accept;
mod admin_port;
mod announce;
mod assembly;
mod conn;
mod descriptors;
mod error;
mod in_force;
mod listen;
mod log;
mod outputs;
mod reload;
mod service_port;
mod slots;
mod stop;
mod tls;
mod turns;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use prometheus::{IntCounter, IntGauge};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::admin::{Admin, ReloadRequest};
use crate::audit;
use crate::config::{Compiled, ListenAddress};
use crate::jwks_refresh::JwksRefresher;
use crate::metrics::Metrics;
use crate::metrics::cache::CacheMetrics;
use crate::metrics::proofs::ProofMetrics;
use crate::proof::ProofState;
use crate::proxy::AuthProxy;
use crate::proxy::policy::Policy;
use crate::proxy::record::RecordSinks;
use crate::status::{Board, INTERVAL, Refusals};

pub use assembly::Verifier;
pub use error::ServerError;
pub use stop::Ending;

use accept::Acceptor;
use admin_port::AdminPort;
use assembly::Assembly;
use conn::ConnectionServer;
use listen::Listener;
use log::LevelHandle;
use outputs::{start_audit, start_tracing};
use reload::{Reloader, Told};
use service_port::ServicePort;
use slots::Slots;
use stop::StopSignals;
use tls::TlsListener;

/// Runs the configuration that `path` holds until a signal ends it.
///
/// # Errors
/// If it cannot start.
pub fn run(path: &Path, config: Compiled) -> Result<Ending, ServerError> {
    let dropped = IntCounter::new("callgate_log_lines_lost_total", "Lines of the log that its output did not take.")?;
    let (level, log) =
        log::install(config.log, dropped.clone()).map_err(|error| ServerError::System("the log's thread", error))?;
    let metrics = Metrics::new()?;
    metrics.registry().register(Box::new(dropped))?;
    let ended = run_logged(path, config, Arc::new(metrics), level);
    log.flush(LAST_LINES);
    ended
}

fn run_logged(path: &Path, config: Compiled, metrics: Arc<Metrics>, level: LevelHandle) -> Result<Ending, ServerError> {
    prepare_tls();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("callgate")
        .build()
        .map_err(|error| ServerError::System("the worker threads", error))?;
    let served = runtime.block_on(serve(path, config, metrics, level));
    // Ends the connections that were cut, which record themselves, before the audit's last lines are waited for.
    runtime.shutdown_timeout(CUT_CONNECTIONS);
    let (ending, audit) = served?;
    if let Some(audit) = audit {
        audit.finish(LAST_RECORDS);
    }
    tracing::info!(orderly = ending == Ending::Orderly, "Callgate has stopped.");
    Ok(ending)
}

/// One implementation of TLS for listeners, upstreams and key fetches.
pub fn prepare_tls() {
    // It fails only if one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn serve(
    path: &Path,
    config: Compiled,
    metrics: Arc<Metrics>,
    level: LevelHandle,
) -> Result<(Ending, Option<audit::Writer>), ServerError> {
    // First of all, so that none is lost, least of all as PID 1.
    let mut signals = StopSignals::install().map_err(|error| ServerError::System("signal handlers", error))?;
    let hangups = reload::hangups()?;
    let started = tokio::select! {
        started = Service::start(path, config, metrics, level) => started?,
        signal = signals.next() => {
            tracing::info!(signal, "Callgate is stopped before it has started.");
            return Ok((Ending::Orderly, None));
        }
    };
    let (service, audit) = started;
    Ok((service.run(signals, hangups).await, Some(audit)))
}

/// Both listeners with what they serve.
struct Service {
    listener: Listener,
    tls: Option<Arc<TlsListener>>,
    acceptor: Acceptor<ServicePort>,
    admin_listener: Listener,
    admin: Acceptor<AdminPort>,
    policy: Arc<ArcSwap<Policy>>,
    reloader: Reloader,
    metrics: Arc<Metrics>,
    board: Arc<Board>,
    /// Reloads that the admin port asks for.
    reloads: mpsc::Receiver<ReloadRequest>,
    draining: Arc<AtomicBool>,
    /// Sends the last spans.
    spans: Option<JoinHandle<()>>,
}

impl Service {
    async fn start(
        path: &Path,
        config: Compiled,
        metrics: Arc<Metrics>,
        level: LevelHandle,
    ) -> Result<(Self, audit::Writer), ServerError> {
        let limit = descriptors::make_room(config.limits.connections, config.limits.requests);
        let listener = bind("listen.address", &config.listen).await?;
        let admin_listener = bind("admin.address", &ListenAddress::Tcp(config.admin)).await?;
        let http2 = config.http2;
        let tls = match config.tls.clone() {
            Some(files) => Some(TlsListener::new(files).await?),
            None => None,
        };
        let (audit, writer) = start_audit(&config.audit, &metrics)?;
        let (tracer, spans) = start_tracing(&config, &metrics)?.unzip();

        let mut secret = [0; 32];
        // From the kernel: at its first use aws-lc-rs measures the jitter of the processor, for 25 ms.
        getrandom::fill(&mut secret).map_err(|error| ServerError::System("random bytes", error.into()))?;
        let proofs = Arc::new(ProofState::new(&secret));
        let none = JwksRefresher::new(metrics.registry())?;
        let (policy, deny_list) = Assembly::new(&config, &none, &proofs).await?.activate(&config, &metrics, None);
        let policy = Arc::new(ArcSwap::new(policy));
        let (watched, cached) = (Arc::clone(&policy), Arc::clone(&policy));
        CacheMetrics::watch(metrics.registry(), move || {
            watched.load().authenticator.cache_usage().map_or((0, 0), |usage| (usage.tokens, usage.bytes))
        })?;
        let shown = Arc::clone(&proofs);
        ProofMetrics::watch(metrics.registry(), move || {
            let usage = shown.memory.usage();
            (usage.proofs, usage.limit)
        })?;
        metrics.config.started(SystemTime::now().into());
        announce::listening(&listener, &admin_listener, &config);

        let refusals = if config.page { Refusals::latest() } else { Refusals::none() };
        let board = Arc::new(Board::new(in_force::in_force(path, &config, listener.to_string()), refusals));
        let draining = Arc::new(AtomicBool::new(false));
        let (keys, asked) = (Arc::clone(&policy), Arc::clone(&policy));
        let (ask_reload, reloads) = mpsc::channel(1);
        let admin = Admin {
            metrics: Arc::clone(&metrics),
            keys: Box::new(move || Arc::clone(&keys.load().refresher)),
            replay_store: Box::new(move || asked.load().replay_store.as_ref().map(|store| store.status())),
            cache_bytes: Box::new(move || cached.load().authenticator.cache_usage().map_or(0, |usage| usage.bytes)),
            draining: Arc::clone(&draining),
            board: Arc::clone(&board),
            page: config.page,
            reloads: ask_reload,
        };
        let admin_connections = IntGauge::new("callgate_admin_connections", "Open admin connections.")?;
        let evicted = metrics.connections_evicted();
        let admin = Acceptor::new(AdminPort(admin), Slots::new(ADMIN_CONNECTIONS, admin_connections, evicted.clone()));

        let sinks = Arc::new(RecordSinks { audit, metrics: Arc::clone(&metrics), board: Arc::clone(&board), tracer });
        let gate = AuthProxy::new(Arc::clone(&policy), sinks, Arc::clone(&draining));
        metrics.connections_limit().set(i64::try_from(limit).unwrap_or(i64::MAX));
        let service = ServicePort { connections: ConnectionServer::new(gate, http2), tls: tls.clone() };
        let slots = Slots::new(limit, metrics.connections().clone(), evicted.clone());
        let acceptor = Acceptor::new(service, slots);
        let told = Told { metrics: Arc::clone(&metrics), board: Arc::clone(&board), listen: listener.to_string() };
        let reloader = Reloader::new(path.to_owned(), config, Arc::clone(&policy), proofs, told, level, deny_list);
        Ok((
            Self {
                listener,
                tls,
                acceptor,
                admin_listener,
                admin,
                policy,
                reloader,
                metrics,
                board,
                reloads,
                draining,
                spans,
            },
            writer,
        ))
    }

    /// Serves until the end. The admin listener serves until the very end, so that a drain can be watched.
    async fn run(self, signals: StopSignals, hangups: Signal) -> Ending {
        let Self { listener, tls, acceptor, admin_listener, admin, policy, reloader, metrics, board, reloads, .. } =
            self;
        let (draining, spans) = (self.draining, self.spans);
        let listening = Listening { acceptor, policy, reloader, draining };
        let asked = Asked { hangups, reloads };
        let ending = tokio::select! {
            ending = listening.run(listener, signals, asked) => ending,
            () = admin.accept(&admin_listener) => Ending::Cut,
            () = follow(tls) => Ending::Cut,
            () = end_intervals(&board, &metrics) => Ending::Cut,
        };
        if let Some(spans) = spans {
            // The last tracer is gone with the last connection.
            let _ = tokio::time::timeout(LAST_SPANS, spans).await;
        }
        ending
    }
}

async fn follow(tls: Option<Arc<TlsListener>>) {
    match tls {
        Some(tls) => tls.follow_changes().await,
        None => std::future::pending().await,
    }
}

/// Tells the status at the end of each interval how many requests there were. It never ends.
async fn end_intervals(board: &Board, metrics: &Metrics) {
    let mut intervals = tokio::time::interval(INTERVAL);
    intervals.tick().await;
    loop {
        intervals.tick().await;
        board.traffic.end_interval(metrics.outcomes());
    }
}

/// What asks for a reload.
struct Asked {
    hangups: Signal,
    reloads: mpsc::Receiver<ReloadRequest>,
}

/// The listener of the service from its first connection to its last.
struct Listening {
    acceptor: Acceptor<ServicePort>,
    policy: Arc<ArcSwap<Policy>>,
    reloader: Reloader,
    draining: Arc<AtomicBool>,
}

impl Listening {
    async fn run(self, listener: Listener, mut signals: StopSignals, asked: Asked) -> Ending {
        {
            let accepting = async {
                self.policy.load_full().refresher.first_attempts(FIRST_KEYS).await;
                self.acceptor.accept(&listener).await;
            };
            tokio::pin!(accepting);
            tokio::select! {
                () = &mut accepting => {}
                () = self.reloader.run(asked.hangups, asked.reloads) => {}
                () = announce::remind(|| self.reloader.reported()) => {}
                signal = signals.next() => {
                    let lame_duck_seconds = self.reloader.shutdown().lame_duck.as_secs_f64();
                    tracing::info!(signal, lame_duck_seconds, "Callgate is stopping.");
                }
            }
            self.draining.store(true, Ordering::Relaxed);
            if let Some(ending) = signals.lame_duck(accepting, self.reloader.shutdown().lame_duck).await {
                return ending;
            }
        }
        self.acceptor.close(listener);
        signals.drain(&self.acceptor, self.reloader.shutdown().drain).await
    }
}

async fn bind(key: &'static str, address: &ListenAddress) -> Result<Listener, ServerError> {
    let bound = Listener::bind(address).await;
    bound.map_err(|source| ServerError::Bind { key, address: address.clone(), source })
}

/// How long the first request may wait for the issuers' first answers. Not long: an issuer that hangs must not keep the callers
/// of another out, and a request that needs keys waits for them by itself.
const FIRST_KEYS: Duration = Duration::from_secs(1);

/// Scrapers and probes need a few; more would let the admin port use up the process.
const ADMIN_CONNECTIONS: usize = 64;

/// How long the tasks of cut connections may take to notice.
const CUT_CONNECTIONS: Duration = Duration::from_millis(100);

/// How long the audit's output may take for the records that wait at the end.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// How long the log's output may take for the lines that wait at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How long the last spans may take.
const LAST_SPANS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
