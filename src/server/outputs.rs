//! Where records and spans go, as a configuration says it.

use reqwest::Url;
use tokio::task::JoinHandle;

use super::error::ServerError;
use crate::audit::output::Output;
use crate::audit::{self, Audit};
use crate::config;
use crate::keys::source::check;
use crate::metrics::Metrics;
use crate::trace::{self, Environment, Receiver};

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

/// Starts to send spans where the configuration says, or else where the environment says, as every program with OpenTelemetry does. An
/// endpoint of the environment that cannot be used is said in the log: it may have been set for other programs.
pub(super) fn start_tracing(config: &config::Compiled, metrics: &Metrics) -> Result<Option<Tracing>, ServerError> {
    let environment = Environment::read(|name| std::env::var(name).ok());
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let receiver = match &config.tracing {
        Some(config::Tracing { url, sample, use_proxy_env }) => {
            Some(Receiver { url: url.clone(), sample: *sample, use_proxy_env: *use_proxy_env, scheme })
        }
        None => environment.endpoint.as_deref().and_then(|endpoint| match from_environment(endpoint, &environment) {
            Ok(url) => Some(Receiver { url, sample: 100, use_proxy_env: false, scheme }),
            Err(why) => {
                tracing::warn!(why, "Nothing is traced: the OTLP endpoint of the environment cannot be used.");
                None
            }
        }),
    };
    match receiver {
        Some(_) if environment.is_disabled => {
            tracing::info!("Nothing is traced: OTEL_SDK_DISABLED is true.");
            Ok(None)
        }
        Some(receiver) => trace::start(receiver, &environment, metrics.spans().clone())
            .map(Some)
            .map_err(|error| ServerError::Tracing(error.to_string())),
        None => Ok(None),
    }
}

/// The same rules as for an endpoint of the configuration.
fn from_environment(endpoint: &str, environment: &Environment) -> Result<Url, &'static str> {
    if environment.is_grpc {
        return Err("OTEL_EXPORTER_OTLP_PROTOCOL is grpc; spans are sent as http/json");
    }
    let url = Url::parse(endpoint).map_err(|_| "it is no URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user name or password in it; OTEL_EXPORTER_OTLP_HEADERS is for secrets");
    }
    check(&url, false).map_err(|_| "it is neither https nor http to this machine")?;
    Ok(url)
}
