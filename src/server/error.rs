//! Why the sidecar cannot start or go on.

use std::io;

use super::listen::ListenError;
use super::tls::TlsError;
use crate::config::ListenAddress;

/// Why the sidecar could not start or go on.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum ServerError {
    #[error("the audit cannot be written to {0}: {1}")]
    Audit(String, io::Error),
    #[error("{key} {address} cannot be bound: {source}")]
    Bind { key: &'static str, address: ListenAddress, source: ListenError },
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the operating system refused {0}: {1}")]
    System(&'static str, io::Error),
    #[error("listen.tls: {0}")]
    Tls(#[from] TlsError),
    #[error("the traces cannot be sent: {0}")]
    Tracing(String),
    #[error("upstream.address {0} cannot be resolved: {1}")]
    Upstream(String, io::Error),
}
