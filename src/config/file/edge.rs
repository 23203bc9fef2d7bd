//! The mirror of the keys about HTTP itself: bounds on clients, forwarding headers, TLS on the listener.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, Size, duration};

/// Bounds on what clients can make Callgate do.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The longest token that is looked at. 256B to 64KiB.
    pub token_size: Size,
    /// How many client connections may be open at once. 1 to 1000000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: u32,
    /// How long a request may wait for a key that is not at hand before it is refused. 0s to 30s.
    pub key_wait: Duration,
    /// How many requests may be in progress at once; others get 503 and may try again. 1 to 1000000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests: u32,
    /// How many requests one connection may carry before it is closed. 1 to 1000000000.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub requests_per_connection: u32,
    /// The largest head of a request, its line and its fields. 1KiB to 256KiB.
    pub head_size: Size,
    /// The most header fields in it. 10 to 250.
    #[schemars(range(min = 10, max = 250))]
    pub header_count: u32,
    /// How long a head may take from its first byte to its last. 100ms to 5m.
    pub head_time: Duration,
    /// How long a connection may wait for its next request. 100ms to 1h.
    pub idle_time: Duration,
    /// How long a client may be silent while its request's body is awaited. 100ms to 1h.
    pub read_timeout: Duration,
    /// How long a client may take to accept a piece of its answer. 100ms to 1h.
    pub write_timeout: Duration,
    /// The largest body of a request; it is counted as it passes. 0B to 1048576MiB.
    pub body_size: Size,
    /// Which streams end when the token that opened them expires: `upgrades` (WebSockets), `always`, or `never`.
    pub close_at_expiry: Closing,
}

/// What is remembered of tokens that were accepted.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "cache")]
pub struct TokenCache {
    /// The memory for accepted tokens, about 1 KiB each: one that is shown again costs no signature. What it was accepted for is
    /// asked again at every use: time, keys, deny-list. With `0B` every request is verified. 0B, or 64KiB to 1024MiB.
    pub size: Size,
}

/// What the upstream is told about where a request came from.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Forwarding {
    /// How many proxies in front of Callgate are trusted to say where a request came from. With 0, whatever a client sends as
    /// `X-Forwarded-For`, `-Proto` or `-Host` is replaced. 0 to 10.
    #[schemars(range(max = 10))]
    pub trusted_hops: u32,
    /// Whose `X-Request-Id` is used, also in the audit: `make` a new one, or `keep` a client's if it has one.
    pub request_id: RequestId,
}

/// TLS for the callers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The path of the certificate chain as PEM, relative to this file. It is read again when it changes.
    #[schemars(example = "tls.crt")]
    pub cert: String,
    /// The path of its private key as PEM, relative to this file.
    #[schemars(example = "tls.key")]
    pub key: String,
    /// The path of the PEM certificates of which a client must have one, relative to this file. If absent, clients need no
    /// certificate.
    pub client_ca: Option<String>,
}

/// What is spoken with the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "protocol")]
pub enum Protocol {
    #[default]
    Http1,
    H2c,
}

/// Which streams end with the token that opened them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "choice")]
pub enum Closing {
    Always,
    Never,
    #[default]
    Upgrades,
}

/// Whose request ids are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "choice")]
pub enum RequestId {
    Keep,
    #[default]
    Make,
}

impl Default for TokenCache {
    fn default() -> Self {
        Self { size: size("16MiB") }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            token_size: size("8KiB"),
            connections: 10_000,
            key_wait: duration("1s"),
            requests: 1024,
            requests_per_connection: 10_000,
            head_size: size("32KiB"),
            header_count: 100,
            head_time: duration("10s"),
            idle_time: duration("2m"),
            read_timeout: duration("30s"),
            write_timeout: duration("30s"),
            body_size: size("64MiB"),
            close_at_expiry: Closing::Upgrades,
        }
    }
}

fn size(text: &str) -> Size {
    Size(text.to_owned())
}
