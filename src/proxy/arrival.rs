//! What is known of a request from its beginning, whatever becomes of it.

use std::sync::Arc;

use http::HeaderValue;

use super::policy::Policy;
use super::request_summary::RequestSummary;
use crate::audit::PATH_SHOWN;
use crate::trace::{Context, SpanContext, Tracer};

pub(super) struct Arrival {
    pub method: String,
    /// Without query, at most [`PATH_SHOWN`] characters.
    pub path: String,
    /// The peer's address and port.
    pub client: Option<Arc<str>>,
    /// Where the trusted proxies say that it came from.
    pub forwarded_for: Option<String>,
    pub context: Option<Context>,
    /// Its own place in the trace, if it is traced.
    pub span_context: Option<SpanContext>,
    /// For the span alone.
    pub authority: Option<String>,
    pub protocol_version: Option<&'static str>,
}

impl Arrival {
    /// Takes down what the request is.
    pub(super) fn of(
        summary: &RequestSummary<'_>,
        client: Option<Arc<str>>,
        policy: &Policy,
        tracer: Option<&Tracer>,
    ) -> Self {
        let context = Context::read(summary.traceparent.into_iter());
        let span_context = tracer.and_then(|tracer| tracer.place(context.as_ref()));
        let forwarded_for = summary.headers.and_then(|headers| {
            let lines = headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes);
            policy.forward.first_address(lines)
        });
        let path = summary.path;
        // Hardly any path is longer, and one with no more bytes has no more characters.
        let path = if path.len() <= PATH_SHOWN { path.to_owned() } else { path.chars().take(PATH_SHOWN).collect() };
        let authority = span_context.as_ref().and(summary.authority).map(str::to_owned);
        Self {
            method: summary.method.to_owned(),
            path,
            client,
            forwarded_for,
            context,
            span_context,
            authority,
            protocol_version: summary.protocol_version,
        }
    }

    /// Where the request came from, without a port.
    pub(super) fn address(&self) -> &str {
        let peer = self.client.as_deref().map(|client| client.rsplit_once(':').map_or(client, |(address, _)| address));
        self.forwarded_for.as_deref().or(peer).unwrap_or("unknown")
    }
}
