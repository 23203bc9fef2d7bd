//! The way of spans to their receiver: a bounded queue and one task that posts what has come, once a second. Nothing waits
//! for it; what cannot be sent is dropped and counted.

use std::time::Duration;

use prometheus::IntCounter;
use reqwest::{Client, Url};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::otlp;
use super::{Context, Place, Span};

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
    pub exported: IntCounter,
    /// The queue was full, or the receiver did not take them.
    pub dropped: IntCounter,
}

/// Starts to send spans to an OTLP receiver over HTTP, within a tokio runtime and after rustls was given its provider. The
/// task ends when every [`Tracer`] is gone and the last spans were sent. The proxy variables of the environment are obeyed only with
/// `use_proxy_env`.
///
/// # Errors
/// If the client cannot be made.
pub fn start(
    url: Url,
    sample: u8,
    use_proxy_env: bool,
    meters: SpanMeters,
) -> Result<(Tracer, JoinHandle<()>), reqwest::Error> {
    let mut client = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    if !use_proxy_env {
        client = client.no_proxy();
    }
    let client = client.build()?;
    let (queue, spans) = mpsc::channel(QUEUE);
    let task = tokio::spawn(export(client, url, spans, meters.clone()));
    Ok((Tracer { queue, sample, meters }, task))
}

impl Tracer {
    /// The place of a request in a trace, if it is traced.
    #[must_use]
    pub fn place(&self, context: Option<&Context>) -> Option<Place> {
        Place::take(context, self.sample)
    }

    /// Takes the span of a request that has ended.
    pub fn record(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.meters.dropped.inc();
        }
    }
}

async fn export(client: Client, url: Url, mut queue: mpsc::Receiver<Span>, meters: SpanMeters) {
    let mut spans = Vec::new();
    let mut is_broken = false;
    while queue.recv_many(&mut spans, BATCH).await > 0 {
        let count = spans.len() as u64;
        match post(&client, &url, &spans).await {
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

async fn post(client: &Client, url: &Url, spans: &[Span]) -> Result<(), String> {
    let body = otlp::request(spans).to_string();
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
