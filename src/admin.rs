//! The operator's listener: metrics, liveness and readiness. It answers from memory and changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::{Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use serde::Serialize;

use crate::keys::refresh::IssuerStatus;
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
        let (status, content_type, body) = self.answer(&head.method, head.uri.path());
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

const TEXT: &str = "text/plain; charset=utf-8";
/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
