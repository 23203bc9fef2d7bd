//! What is told about a request when it has ended.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::context::SpanContext;

/// What is told about a request when it has ended.
#[derive(Debug)]
pub struct Span {
    pub place: SpanContext,
    pub method: String,
    pub path: String,
    /// The host and port that the request names, which is the client's word.
    pub authority: Option<String>,
    /// The version of HTTP, if the head could be read.
    pub protocol_version: Option<&'static str>,
    pub status: u16,
    pub decision: &'static str,
    pub reason: Option<&'static str>,
    pub caller: Option<String>,
    pub request_id: String,
    pub client: Option<Arc<str>>,
    pub ended: SystemTime,
    pub took: Duration,
    /// Of that, the time of the decision, at the beginning.
    pub authentication: Duration,
}
