//! From a compiled configuration to a running process: bind, fetch the first keys, serve, stop in order. Nothing is bound
//! before the configuration is whole.

pub mod accept;
mod guarded;
mod log;
mod plan;
mod stop;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::net::TcpListener;

use crate::admin::Admin;
use crate::audit::{self, Audit};
use crate::config::{Compiled, Shutdown};
use crate::keys::refresh::{KeyKeeper, StartFault};
use crate::metrics::Metrics;
use crate::metrics::revocation::RevocationMetrics;
use crate::proxy::door::Door;
use crate::proxy::{Gate, Policy};
use crate::watch::Watch;

pub use plan::Judge;

use accept::{Acceptor, Plain};
use guarded::Guarded;
use plan::{Plan, client_limits, expiring};
use stop::StopSignals;
use tls::{TlsFault, TlsListener};

/// Why the sidecar could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerFault {
    #[error("{key} {address} cannot be bound: {source}")]
    Bind { key: &'static str, address: SocketAddr, source: io::Error },
    #[error("the keys cannot be kept: {0}")]
    Keys(#[from] StartFault),
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the operating system refused {0}: {1}")]
    System(&'static str, io::Error),
    #[error("listen.tls: {0}")]
    Tls(#[from] TlsFault),
    #[error("upstream.address {0} cannot be resolved: {1}")]
    Upstream(String, io::Error),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every request was answered.
    Orderly,
    /// Connections were cut: the time to drain was over, or a second signal came.
    Cut,
}

/// Runs until a signal ends it.
///
/// # Errors
/// If it cannot start.
pub fn run(config: Compiled) -> Result<Ending, ServerFault> {
    log::install(config.log);
    for warning in &config.warnings {
        tracing::warn!(warning = %warning, "The configuration is allowed, and worth a thought.");
    }
    prepare_tls();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("callgate")
        .build()
        .map_err(|error| ServerFault::System("the worker threads", error))?;
    let served = runtime.block_on(serve(config));
    // Ends the connections that were cut, which still hold on to the audit, before its last lines are waited for.
    runtime.shutdown_timeout(CUT_CONNECTIONS);
    let (ending, audit) = served?;
    audit.finish();
    tracing::info!(orderly = ending == Ending::Orderly, "Callgate has stopped.");
    Ok(ending)
}

/// One implementation of TLS for listeners, upstreams and key fetches.
pub fn prepare_tls() {
    // It fails only if one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn serve(config: Compiled) -> Result<(Ending, audit::Writer), ServerFault> {
    let signals = StopSignals::install().map_err(|error| ServerFault::System("signal handlers", error))?;
    let listener = bind("listen.address", config.listen).await?;
    let admin_listener = bind("admin.address", config.admin).await?;

    let tls = config.tls.clone().map(TlsListener::new).transpose()?;

    let metrics = Arc::new(Metrics::new()?);
    let lost = metrics.audit_lost().clone();
    let (audit, audit_writer) =
        Audit::start(io::stdout(), move || lost.inc()).map_err(|error| ServerFault::System("a thread", error))?;
    let draining = Arc::new(AtomicBool::new(false));
    let Plan { authenticator, sources, upstream, realm, revocation, limits, forward, shutdown } =
        Plan::new(config).await?;
    let keeper = Arc::new(KeyKeeper::start(sources, metrics.registry())?);
    let revocation_metrics = RevocationMetrics::register(metrics.registry())?;
    let _watch = revocation.map(|(file, slot)| Watch::start(file, slot, revocation_metrics));
    announce(&listener, &admin_listener, &keeper);

    let admin = Admin { metrics: Arc::clone(&metrics), keeper: Arc::clone(&keeper), draining: Arc::clone(&draining) };
    let admin_connections = IntGauge::new("callgate_admin_connections", "Open admin connections.")?;
    let admin = Acceptor::new(Plain(Arc::new(admin)), ADMIN_CONNECTIONS, admin_connections);

    let policy = Policy {
        authenticator,
        keeper: Arc::clone(&keeper),
        upstream,
        realm,
        key_wait: limits.key_wait,
        limits: client_limits(&limits),
        forward,
        close_at_expiry: expiring(&limits),
    };
    let gate = Gate::new(policy, Arc::clone(&metrics), audit, Arc::clone(&draining));
    let guarded = Guarded { door: Door::new(gate), tls: tls.clone(), handshake_time: limits.head_time };
    let acceptor = Acceptor::new(guarded, limits.connections, metrics.connections().clone());

    // The admin listener serves until the very end, so that a drain can be watched.
    let ending = tokio::select! {
        ending = Service { acceptor, keeper, draining, shutdown }.run(listener, signals) => ending,
        () = admin.accept(&admin_listener) => Ending::Cut,
        () = follow(tls) => Ending::Cut,
    };
    Ok((ending, audit_writer))
}

async fn follow(tls: Option<Arc<TlsListener>>) {
    match tls {
        Some(tls) => tls.follow_changes().await,
        None => std::future::pending().await,
    }
}

/// The guarded listener from its first connection to its last.
struct Service {
    acceptor: Acceptor<Guarded>,
    keeper: Arc<KeyKeeper>,
    draining: Arc<AtomicBool>,
    shutdown: Shutdown,
}

impl Service {
    async fn run(self, listener: TcpListener, mut signals: StopSignals) -> Ending {
        {
            let accepting = async {
                self.keeper.first_attempts(FIRST_KEYS).await;
                self.acceptor.accept(&listener).await;
            };
            tokio::pin!(accepting);
            tokio::select! {
                () = &mut accepting => {}
                signal = signals.next() => tracing::info!(signal, "Callgate is stopping."),
            }
            self.draining.store(true, Ordering::Relaxed);
            tokio::select! {
                _ = tokio::time::timeout(self.shutdown.lame_duck, accepting) => {}
                signal = signals.next() => return cut_by(signal),
            }
        }
        drop(listener);
        tokio::select! {
            drained = self.acceptor.drain(self.shutdown.drain) => match drained {
                Ok(()) => Ending::Orderly,
                Err(connections) => {
                    tracing::warn!(connections, "Connections are cut: they are still open at the end of shutdown.drain.");
                    Ending::Cut
                }
            },
            signal = signals.next() => cut_by(signal),
        }
    }
}

fn cut_by(signal: &'static str) -> Ending {
    tracing::warn!(signal, "Connections are cut by a second signal.");
    Ending::Cut
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ServerFault> {
    TcpListener::bind(address).await.map_err(|source| ServerFault::Bind { key, address, source })
}

/// One line that says where everything is.
fn announce(listener: &TcpListener, admin: &TcpListener, keeper: &KeyKeeper) {
    let address = |listener: &TcpListener| listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        listen = address(listener),
        admin = address(admin),
        issuers = keeper.status().len(),
        "Callgate is listening."
    );
}

/// How long the first request may wait for the issuers' first answers. Not long: an issuer that hangs must not keep the callers
/// of another out, and a request that needs keys waits for them by itself.
const FIRST_KEYS: Duration = Duration::from_secs(1);

/// Scrapers and probes need a few; more would let the admin port use up the process.
const ADMIN_CONNECTIONS: usize = 64;

/// How long the tasks of cut connections may take to notice.
const CUT_CONNECTIONS: Duration = Duration::from_millis(100);
