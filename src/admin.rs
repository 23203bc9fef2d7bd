//! The operator's listener: metrics, liveness and readiness, answered from memory. One thing can be changed here, and only from
//! this machine: `/drain` lets the connections end, as the first step of a stop.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::{Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::socket::SocketAddr;
use serde::Serialize;

use crate::jwks_refresh::IssuerStatus;
use crate::metrics::Metrics;

/// The admin application.
pub struct Admin {
    pub metrics: Arc<Metrics>,
    /// How the keys of the configuration in force are doing.
    pub keys: Box<dyn Fn() -> Vec<IssuerStatus> + Send + Sync>,
    /// Set when the process is on its way out: then it is not ready, and still alive.
    pub draining: Arc<AtomicBool>,
}

/// The body of `/readyz`.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    stopping: bool,
    issuers: Vec<IssuerReadiness>,
}

/// One issuer in it: enough to see at night what is wrong with its keys.
#[derive(Serialize)]
struct IssuerReadiness {
    issuer: String,
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
            detail: status.fault.as_ref().map(ToString::to_string).or_else(waiting),
            issuer: status.issuer,
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
        let issuers: Vec<_> = (self.keys)().into_iter().map(IssuerReadiness::from).collect();
        let stopping = self.draining.load(Ordering::Relaxed);
        Readiness { ready: !stopping && issuers.iter().all(|issuer| issuer.ready), stopping, issuers }
    }

    /// From now on every answer ends its connection, and `/readyz` says no. Requests are served as before.
    fn drain(&self, asked: Asked) -> (StatusCode, &'static str, Vec<u8>) {
        match asked {
            Asked::FromElsewhere => (StatusCode::FORBIDDEN, TEXT, b"only this machine may ask for that\n".to_vec()),
            Asked::FromHere => {
                if !self.draining.swap(true, Ordering::Relaxed) {
                    tracing::info!("Callgate is draining: each connection ends with its next answer.");
                }
                (StatusCode::OK, TEXT, b"draining\n".to_vec())
            }
        }
    }

    fn answer(&self, method: &http::Method, path: &str) -> (StatusCode, &'static str, Vec<u8>) {
        if !matches!(*method, http::Method::GET | http::Method::HEAD) {
            return (StatusCode::METHOD_NOT_ALLOWED, TEXT, b"only GET is served here\n".to_vec());
        }
        match path {
            "/livez" => (StatusCode::OK, TEXT, b"ok\n".to_vec()),
            "/readyz" => {
                let readiness = self.readiness();
                let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                (status, "application/json", serde_json::to_vec(&readiness).unwrap_or_default())
            }
            "/metrics" => match self.metrics.encode() {
                Ok(text) => (StatusCode::OK, METRICS, text),
                Err(error) => {
                    tracing::error!(%error, "The metrics cannot be encoded.");
                    (StatusCode::INTERNAL_SERVER_ERROR, TEXT, b"the metrics cannot be encoded; see the log\n".to_vec())
                }
            },
            _ => (StatusCode::NOT_FOUND, TEXT, b"there are /metrics, /livez and /readyz\n".to_vec()),
        }
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let (status, content_type, body) = match (&head.method, head.uri.path()) {
            (&http::Method::POST, "/drain") => self.drain(Asked::of(session)),
            (method, path) => self.answer(method, path),
        };
        let length = body.len();
        let body = if head.method == http::Method::HEAD { Vec::new() } else { body };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_LENGTH, length.into());
        response
    }
}

/// Where a request comes from. In a pod, "here" is every container: they share their network.
#[derive(Clone, Copy)]
enum Asked {
    FromElsewhere,
    FromHere,
}

impl Asked {
    /// The connection's own addresses decide. No header can make a request local, and one makes it foreign: a page in the browser
    /// of somebody who forwards this port to their own machine comes from here too, and browsers name the page's origin.
    fn of(session: &ServerSession) -> Self {
        if session.req_header().headers.contains_key(header::ORIGIN) {
            return Self::FromElsewhere;
        }
        let ip =
            |address: Option<&SocketAddr>| address.and_then(SocketAddr::as_inet).map(|inet| inet.ip().to_canonical());
        Self::between(ip(session.client_addr()), ip(session.server_addr()))
    }

    /// Loopback at both ends. The same address at both ends is not enough: a proxy of a mesh that runs in the pod, and a node that
    /// rewrites the sources of what it lets in, make strangers come from our own address.
    fn between(client: Option<IpAddr>, server: Option<IpAddr>) -> Self {
        match (client, server) {
            (Some(client), Some(server)) if client.is_loopback() && client == server => Self::FromHere,
            _ => Self::FromElsewhere,
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_at_both_ends_is_here() {
        let ip = |text: &str| Some(text.parse().unwrap());
        let here = |client, server| matches!(Asked::between(client, server), Asked::FromHere);
        assert!(here(ip("127.0.0.1"), ip("127.0.0.1")));
        assert!(here(ip("::1"), ip("::1")));
        assert!(!here(ip("198.51.100.2"), ip("198.51.100.2")));
        assert!(!here(ip("198.51.100.1"), ip("127.0.0.1")));
        assert!(!here(ip("198.51.100.1"), ip("198.51.100.2")));
        assert!(!here(ip("127.0.0.1"), ip("198.51.100.2")));
        assert!(!here(None, None));
    }
}
