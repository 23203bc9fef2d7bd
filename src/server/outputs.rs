//! Where records and spans go, as a configuration says it.

use tokio::task::JoinHandle;

use super::ServerError;
use crate::audit::output::Output;
use crate::audit::{self, Audit};
use crate::config;
use crate::metrics::Metrics;
use crate::trace;

pub(super) fn start_audit(config: &config::Audit, metrics: &Metrics) -> Result<(Audit, audit::Writer), ServerError> {
    let output = match &config.file {
        Some(path) => Output::file(path).map_err(|error| ServerError::Audit(path.display().to_string(), error))?,
        None => Output::stdout().unwrap_or_else(|error| {
            tracing::error!(%error, "Audit records are lost: standard output does not take them.");
            Output::nowhere()
        }),
    };
    let when_full = match config.when_full {
        config::WhenFull::Drop => audit::WhenFull::Drop,
        config::WhenFull::Wait => audit::WhenFull::Wait,
    };
    Audit::start(output, config.queue, when_full, metrics.audit().clone())
        .map_err(|error| ServerError::System("a thread", error))
}

pub(super) type Tracing = (trace::Tracer, JoinHandle<()>);

pub(super) fn start_tracing(
    config: Option<&config::Tracing>,
    metrics: &Metrics,
) -> Result<Option<Tracing>, ServerError> {
    let Some(config) = config else { return Ok(None) };
    let started = trace::start(config.url.clone(), config.sample, config.use_proxy_env, metrics.spans().clone());
    started.map(Some).map_err(|error| ServerError::Tracing(error.to_string()))
}
