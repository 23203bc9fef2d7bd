//! What is told about a request when it has ended.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::context::SpanContext;

/// What is told about a request when it has ended.
#[derive(Debug)]
pub struct Span {
    /// Its trace, its own id and its parent's.
    pub place: SpanContext,
    /// As sent.
    pub method: String,
    /// Without query, bounded.
    pub path: String,
    /// The host and port that the request names, which is the client's word.
    pub authority: Option<String>,
    /// The version of HTTP, if the head could be read.
    pub protocol_version: Option<&'static str>,
    /// 0 if there was no answer.
    pub status: u16,
    /// As in the audit record.
    pub decision: &'static str,
    /// The word of the refusal, if there was one.
    pub reason: Option<&'static str>,
    /// The proven name; `None` without an accepted token.
    pub caller: Option<String>,
    /// As in the audit record and the answer.
    pub request_id: String,
    /// The peer's address and port.
    pub client: Option<Arc<str>>,
    /// The end of the answer.
    pub ended: SystemTime,
    /// From the request's head to that.
    pub took: Duration,
    /// Of that, the time of the decision, at the beginning.
    pub authentication: Duration,
}
