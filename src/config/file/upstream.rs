//! The service behind Callgate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::Duration;

/// The service behind Callgate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// `IP:PORT`, `HOST:PORT` (resolved at start), or `unix:` and the absolute path of a socket.
    #[schemars(example = "127.0.0.1:3000")]
    pub address: String,
    /// What is spoken with the upstream: `http1`, or `h2c` (HTTP/2 without TLS, as gRPC needs it).
    #[serde(default)]
    pub protocol: Protocol,
    /// The longest wait for a connection to the upstream. 1ms to 1m.
    #[serde(default = "default::connect_timeout")]
    pub connect_timeout: Duration,
    /// The longest silence of the upstream while its answer is awaited or read. 1ms to 1h.
    #[serde(default = "default::read_timeout")]
    pub read_timeout: Duration,
    /// The longest time the upstream may take to accept a piece of the request. 1ms to 1h.
    #[serde(default = "default::write_timeout")]
    pub write_timeout: Duration,
    /// How long an unused connection is kept. Stay below the keep-alive timeout of the upstream (Node.js: 5s), or requests
    /// meet connections that it is about to close. 1ms to 1h.
    #[serde(default = "default::idle_timeout")]
    pub idle_timeout: Duration,
}

/// What is spoken with the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "protocol", extend("x-instead" = INSTEAD))]
#[allow(missing_docs, reason = "each is explained at its key in the published schema")]
pub enum Protocol {
    #[default]
    Http1,
    H2c,
}

/// The defaults of keys in a table that also has required ones.
mod default {
    use crate::config::file::unit::{Duration, duration};

    pub(super) fn connect_timeout() -> Duration {
        duration("2s")
    }

    pub(super) fn read_timeout() -> Duration {
        duration("60s")
    }

    pub(super) fn write_timeout() -> Duration {
        duration("60s")
    }

    pub(super) fn idle_timeout() -> Duration {
        duration("4s")
    }
}

/// What people write as a protocol, with what is meant here: an extension of the schema for the shape check.
const INSTEAD: [(&str, &str); 6] =
    [("grpc", H2C), ("h2", H2C), ("http", "\"http1\""), ("http/1.1", "\"http1\""), ("http/2", H2C), ("http2", H2C)];

const H2C: &str = "\"h2c\", which is HTTP/2 without TLS";
