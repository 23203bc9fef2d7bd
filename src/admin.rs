//! The operator's listener: a page, the status, metrics, liveness and readiness, answered from memory. Two things can be changed here, and only from
//! this machine: `/drain` lets the connections end, as the first step of a stop, and `/reload` reads the configuration again.

mod exchange;
mod page;
mod state;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::jwks_refresh::{IssuerStatus, JwksRefresher};
use crate::metrics::Metrics;
use crate::replay_store::StoreStatus;
use crate::status::Board;

pub use exchange::{Answer, Read, Request, read, write};

/// What is answered on the admin port.
pub struct Admin {
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// What keeps the keys of the configuration in force.
    pub keys: Box<dyn Fn() -> Arc<JwksRefresher> + Send + Sync>,
    /// How the store of proofs is, if there is one.
    pub replay_store: Box<dyn Fn() -> Option<StoreStatus> + Send + Sync>,
    /// How many bytes the remembered tokens take.
    pub cache_bytes: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Set when the process is on its way out: then it is not ready, and still alive.
    pub draining: Arc<AtomicBool>,
    /// What was noted for the status.
    pub board: Arc<Board>,
    /// Whether people are shown a page.
    pub page: bool,
    /// Where a reload is asked for.
    pub reloads: mpsc::Sender<ReloadRequest>,
}

/// Asks for a reload. The answer says in words what is in force now: the new configuration, or the old one and why.
pub type ReloadRequest = oneshot::Sender<Result<String, String>>;

/// The body of `/readyz`.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    stopping: bool,
    /// Whose keys it takes to be ready: `all` or `any`.
    readiness: &'static str,
    issuers: Vec<IssuerReadiness>,
}

/// One issuer in it: enough to see at night what is wrong with its keys.
#[derive(Serialize)]
struct IssuerReadiness {
    issuer: String,
    required: bool,
    ready: bool,
    keys: usize,
    age_seconds: Option<u64>,
    next_refresh_seconds: Option<u64>,
    failures: u32,
    detail: Option<String>,
}

impl From<IssuerStatus> for IssuerReadiness {
    fn from(status: IssuerStatus) -> Self {
        let waiting = || (!status.ready).then(|| "the first fetch has not ended yet".to_owned());
        Self {
            detail: status.detail().or_else(waiting),
            issuer: status.issuer,
            required: status.required,
            ready: status.ready,
            keys: status.kids.len(),
            age_seconds: status.age.map(|age| age.as_secs()),
            next_refresh_seconds: status.next_refresh.map(|next| next.as_secs()),
            failures: status.failures,
        }
    }
}

impl Admin {
    fn readiness(&self) -> Readiness {
        let keys = (self.keys)();
        let stopping = self.draining.load(Ordering::Relaxed);
        Readiness {
            ready: !stopping && keys.is_ready(),
            stopping,
            readiness: keys.readiness().as_str(),
            issuers: keys.status().into_iter().map(IssuerReadiness::from).collect(),
        }
    }

    /// From now on every answer ends its connection, and `/readyz` says no. Requests are served as before.
    fn drain(&self, from: Origin) -> (StatusCode, &'static str, Vec<u8>) {
        match from {
            Origin::Elsewhere => (StatusCode::FORBIDDEN, TEXT, b"only this machine may ask for that\n".to_vec()),
            Origin::Here => {
                if !self.draining.swap(true, Ordering::Relaxed) {
                    tracing::info!("Callgate is draining: each connection ends with its next answer.");
                }
                (StatusCode::OK, TEXT, b"draining\n".to_vec())
            }
        }
    }

    /// Reads the configuration again, and answers when it is in force or was refused.
    async fn reload(&self, from: Origin) -> (StatusCode, &'static str, Vec<u8>) {
        let (status, text) = match from {
            Origin::Elsewhere => (StatusCode::FORBIDDEN, "only this machine may ask for that".to_owned()),
            Origin::Here => {
                let (answer, answered) = oneshot::channel();
                let asked = async {
                    self.reloads.send(answer).await.ok()?;
                    answered.await.ok()
                };
                match tokio::time::timeout(RELOAD_TIME, asked).await {
                    Ok(Some(Ok(text))) => (StatusCode::OK, text),
                    Ok(Some(Err(text))) => (StatusCode::UNPROCESSABLE_ENTITY, text),
                    Ok(None) | Err(_) => {
                        (StatusCode::SERVICE_UNAVAILABLE, "no reload is possible now; see the log".to_owned())
                    }
                }
            }
        };
        (status, TEXT, (text + "\n").into_bytes())
    }

    /// Answers a request.
    pub async fn answer(&self, request: &Request, from: Origin) -> Answer {
        // A page whose domain was made to mean this machine (DNS rebinding) reads what its own domain answers, and names it.
        let is_rebound = from == Origin::Here && request.names_domain;
        let from = if request.is_from_browser { Origin::Elsewhere } else { from };
        let (status, content_type, body) = match (request.method.as_str(), request.path.as_str()) {
            _ if is_rebound => {
                (StatusCode::MISDIRECTED_REQUEST, TEXT, b"ask for this by an address or localhost\n".to_vec())
            }
            ("POST", "/drain") => self.drain(from),
            ("POST", "/reload") => self.reload(from).await,
            ("GET" | "HEAD", path) => self.show(path),
            _ => (StatusCode::METHOD_NOT_ALLOWED, TEXT, b"only GET is served here\n".to_vec()),
        };
        let security = if content_type == PAGE { page::SECURITY } else { NOT_KEPT };
        let (is_bodiless, keeps) = (request.method == "HEAD", request.persists);
        Answer { status, content_type, security, body, is_bodiless, keeps }
    }

    fn show(&self, path: &str) -> (StatusCode, &'static str, Vec<u8>) {
        match path {
            "/livez" => (StatusCode::OK, TEXT, b"ok\n".to_vec()),
            "/readyz" => {
                let readiness = self.readiness();
                let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let mut body = serde_json::to_vec(&readiness).unwrap_or_default();
                body.push(b'\n');
                (status, "application/json", body)
            }
            "/" if self.page => (StatusCode::OK, PAGE, page::PAGE.as_bytes().to_vec()),
            "/status" => {
                let is_stopping = self.draining.load(Ordering::Relaxed);
                let (keys, cache_bytes) = ((self.keys)(), (self.cache_bytes)());
                let mut status = state::status(&self.board, &self.metrics, &keys, cache_bytes, is_stopping);
                status.replay_store = (self.replay_store)().map(state::replay_store);
                let mut body = serde_json::to_vec(&status).unwrap_or_default();
                body.push(b'\n');
                (StatusCode::OK, "application/json", body)
            }
            "/metrics" => {
                self.metrics.tasks().set(alive_tasks());
                match self.metrics.encode() {
                    Ok(text) => (StatusCode::OK, METRICS, text),
                    Err(error) => {
                        tracing::error!(%error, "The metrics cannot be encoded.");
                        let text = b"the metrics cannot be encoded; see the log\n".to_vec();
                        (StatusCode::INTERNAL_SERVER_ERROR, TEXT, text)
                    }
                }
            }
            _ => (StatusCode::NOT_FOUND, TEXT, b"there are /status, /metrics, /livez and /readyz\n".to_vec()),
        }
    }
}

/// How many tasks the runtime has that runs this one.
fn alive_tasks() -> i64 {
    let tasks = Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks());
    i64::try_from(tasks).unwrap_or(i64::MAX)
}

/// Where a connection comes from. In a pod, "here" is every container: they share their network. No header can make a request
/// local, and `Origin` makes it foreign: a page in the browser of somebody who forwards this port to their own machine comes from
/// here too, and browsers name the page's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Another machine or pod, or a page in a browser.
    Elsewhere,
    /// This machine or pod.
    Here,
}

impl Origin {
    /// Loopback at both ends. The same address at both ends is not enough: a proxy of a mesh that runs in the pod, and a node that
    /// rewrites the sources of what it lets in, make strangers come from our own address.
    #[must_use]
    pub fn between(client: Option<IpAddr>, server: Option<IpAddr>) -> Self {
        match (client.map(|ip| ip.to_canonical()), server.map(|ip| ip.to_canonical())) {
            (Some(client), Some(server)) if client.is_loopback() && client == server => Self::Here,
            _ => Self::Elsewhere,
        }
    }
}

/// How long a reload may take: longer than a new issuer may take to give its keys.
const RELOAD_TIME: Duration = Duration::from_secs(15);

/// What is true now is not to be shown later, and is what it says it is.
const NOT_KEPT: &str = "cache-control: no-store\r\nx-content-type-options: nosniff\r\n";

const PAGE: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_at_both_ends_is_here() {
        let ip = |text: &str| Some(text.parse().unwrap());
        let here = |client, server| Origin::between(client, server) == Origin::Here;
        assert!(here(ip("127.0.0.1"), ip("127.0.0.1")));
        assert!(here(ip("::1"), ip("::1")));
        assert!(here(ip("::ffff:127.0.0.1"), ip("127.0.0.1")));
        assert!(!here(ip("198.51.100.2"), ip("198.51.100.2")));
        assert!(!here(ip("198.51.100.1"), ip("127.0.0.1")));
        assert!(!here(ip("198.51.100.1"), ip("198.51.100.2")));
        assert!(!here(ip("127.0.0.1"), ip("198.51.100.2")));
        assert!(!here(None, None));
    }
}
