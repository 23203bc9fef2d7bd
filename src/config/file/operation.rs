//! The tables for those who operate Callgate, key by key: audit, log, tracing, reload, shutdown. As in the rest of the mirror
//! there is no logic here, and the comments are the documentation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::{Duration, duration};

/// Where the audit records go.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    /// The path of a file to append to, relative to this file; it is opened anew when it was moved away. If absent: stdout.
    pub file: Option<String>,
    /// How many records may wait to be written. 1 to 1000000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue: u32,
    /// What happens when so many wait: `wait` holds requests back at their end, `drop` goes on and counts the lost records.
    pub when_full: WhenFull,
}

/// Callgate's own log.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// The least important lines that are written.
    pub level: Level,
    /// How lines look. `auto` is `human` on a terminal, and `json` otherwise.
    pub format: Format,
}

/// Traces for OpenTelemetry.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tracing {
    /// The URL of an OTLP receiver over HTTP; spans go to `/v1/traces` there. `https`, or `http` to a loopback address. If
    /// absent, nothing is traced.
    #[schemars(example = "http://127.0.0.1:4318")]
    pub endpoint: Option<String>,
    /// How many of a hundred requests are traced that come without a trace. Those in a trace follow its decision. 0 to 100.
    #[schemars(range(min = 0, max = 100))]
    pub sample: u8,
    /// Whether the receiver is reached through the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name.
    pub use_proxy_env: bool,
}

/// How a changed configuration comes into force.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reload {
    /// Whether this file is watched, and loaded again when its content has changed and settled.
    pub watch: bool,
}

/// What happens between SIGTERM and the end of the process.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shutdown {
    /// How long requests are still accepted after SIGTERM while `/readyz` says no, so that load balancers can leave. 0s to 5m.
    pub lame_duck: Duration,
    /// How long requests in flight may take to end after that. The process ends with the last of them. 0s to 1h.
    pub drain: Duration,
}

/// What happens when too many audit records wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "choice")]
#[allow(missing_docs, reason = "each is explained at its key in the published schema")]
pub enum WhenFull {
    Drop,
    Wait,
}

/// The importance of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "level")]
#[allow(missing_docs, reason = "each is explained at its key in the published schema")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "format")]
#[allow(missing_docs, reason = "each is explained at its key in the published schema")]
pub enum Format {
    Auto,
    Human,
    Json,
}

impl Default for Audit {
    fn default() -> Self {
        Self { file: None, queue: 8192, when_full: WhenFull::Wait }
    }
}

impl Default for Tracing {
    fn default() -> Self {
        Self { endpoint: None, sample: 100, use_proxy_env: false }
    }
}

impl Default for Reload {
    fn default() -> Self {
        Self { watch: true }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, format: Format::Auto }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { lame_duck: duration("0s"), drain: duration("30s") }
    }
}
