//! The way of spans to their receiver: a bounded queue and one task that posts what has come, once a second. Nothing waits
//! for it; what cannot be sent is dropped and counted.

use std::time::Duration;

use prometheus::IntCounter;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::context::{Context, SpanContext};
use super::environment::Environment;
use super::otlp::{self, Origin};
use super::span::Span;

/// Where requests leave their spans.
#[derive(Clone)]
pub struct Tracer {
    queue: mpsc::Sender<Span>,
    sample: u8,
    meters: SpanMeters,
}

/// What is counted about spans.
#[derive(Clone)]
pub struct SpanMeters {
    /// The receiver took them.
    pub exported: IntCounter,
    /// The queue was full, or the receiver did not take them.
    pub dropped: IntCounter,
}

/// Where spans go, and what holds for all of them.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Of OTLP over HTTP, with the path of traces.
    pub url: Url,
    /// How many of a hundred requests without a trace are traced.
    pub sample: u8,
    /// Whether the proxy variables of the environment are obeyed.
    pub use_proxy_env: bool,
    /// `http` or `https`: what callers speak to us.
    pub scheme: &'static str,
}

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum StartError {
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    #[error("OTEL_EXPORTER_OTLP_HEADERS has something that is no header field")]
    Headers,
}

/// Starts to send spans to an OTLP receiver over HTTP, within a tokio runtime and after rustls was given its provider. The
/// task ends when every [`Tracer`] is gone and the last spans were sent.
///
/// # Errors
/// If the client cannot be made.
pub fn start(
    receiver: Receiver,
    environment: &Environment,
    meters: SpanMeters,
) -> Result<(Tracer, JoinHandle<()>), StartError> {
    let Receiver { url, sample, use_proxy_env, scheme } = receiver;
    let timeout = environment.timeout.unwrap_or(TIMEOUT);
    let mut client = Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none());
    client = client.default_headers(headers(&environment.headers)?);
    if !use_proxy_env {
        client = client.no_proxy();
    }
    let client = client.build()?;
    let (queue, spans) = mpsc::channel(QUEUE);
    let origin = Origin::new(&environment.resource, scheme);
    let task = tokio::spawn(export(client, url, origin, spans, meters.clone()));
    Ok((Tracer { queue, sample, meters }, task))
}

impl Tracer {
    /// The place of a request in a trace, if it is traced.
    #[must_use]
    pub fn place(&self, context: Option<&Context>) -> Option<SpanContext> {
        SpanContext::take(context, self.sample)
    }

    /// Takes the span of a request that has ended.
    pub fn record(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.meters.dropped.inc();
        }
    }
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, StartError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| StartError::Headers)?;
        let mut value = HeaderValue::from_str(value).map_err(|_| StartError::Headers)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

async fn export(client: Client, url: Url, origin: Origin, mut queue: mpsc::Receiver<Span>, meters: SpanMeters) {
    let mut spans = Vec::new();
    let mut is_broken = false;
    while queue.recv_many(&mut spans, BATCH).await > 0 {
        let count = spans.len() as u64;
        match post(&client, &url, &origin, &spans).await {
            Ok(()) => {
                meters.exported.inc_by(count);
                is_broken = false;
            }
            Err(error) => {
                meters.dropped.inc_by(count);
                if !is_broken {
                    tracing::warn!(error, "Spans are dropped: their receiver does not take them.");
                }
                is_broken = true;
            }
        }
        spans.clear();
        // Spans that come meanwhile go together; the last ones are not waited for any longer than that.
        if !queue.is_closed() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn post(client: &Client, url: &Url, origin: &Origin, spans: &[Span]) -> Result<(), String> {
    let body = otlp::request(origin, spans).to_string();
    let post = client.post(url.clone()).header("content-type", "application/json").body(body);
    let answer = post.send().await.map_err(|error| error.without_url().to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("it answers {}", answer.status())) }
}

/// How many spans may wait.
const QUEUE: usize = 4096;

/// How many are sent in one request at most.
const BATCH: usize = 512;

const PAUSE: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(5);
