//! What the log says about an upstream that fails. Every request that fails has its audit record; the log has the first failure
//! at once, then their number at intervals, and at last that the upstream answers again.

use std::sync::Arc;
use std::time::Instant;

use pingora::{Error, ErrorType};

use crate::outage::Outage;
use crate::rejection::Reason;

/// The upstream's failures. Clones share their state.
#[derive(Clone, Default)]
pub(super) struct OutageLog(Arc<Outage>);

impl OutageLog {
    /// A request has failed because of the upstream.
    pub(super) fn failed(&self, reason: Reason, error: &Error, request_id: &str) {
        if let Some(failures) = self.0.failed(Instant::now()) {
            let (reason, error) = (reason.as_str(), description(error.etype()));
            tracing::warn!(reason, error, request_id, failures, "The upstream did not answer.");
        }
    }

    /// The upstream has answered a request.
    pub(super) fn answered(&self) {
        if let Some(failures) = self.0.answered(Instant::now()) {
            tracing::info!(failures, "The upstream answers again.");
        }
    }
}

/// What has failed, in words of ours: Pingora's are names of its source.
fn description(error: &ErrorType) -> &'static str {
    use ErrorType::{
        ConnectError, ConnectNoRoute, ConnectRefused, ConnectTimedout, ConnectionClosed, H1Error, H2Error,
        InvalidHTTPHeader, ReadError, ReadTimedout, WriteError, WriteTimedout,
    };
    match error {
        ConnectRefused => "the connection was refused",
        ConnectTimedout => "no connection within upstream.connect_timeout",
        ConnectNoRoute => "there is no route to the upstream",
        ConnectError => "the connection failed",
        ConnectionClosed => "the connection was closed before the answer was complete",
        ReadTimedout => "no answer within upstream.read_timeout",
        WriteTimedout => "the request was not taken within upstream.write_timeout",
        ReadError => "the answer could not be read",
        WriteError => "the request could not be written",
        InvalidHTTPHeader | H1Error | H2Error => "the answer is not valid HTTP",
        _ => "the exchange failed",
    }
}
