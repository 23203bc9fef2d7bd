//! Bounds on what clients can make Callgate do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::{Duration, Size, duration, size};

/// Bounds on what clients can make Callgate do.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// The longest token that is looked at. 256B to 64KiB.
    pub token_size: Size,
    /// How many client connections may be open at once. One more takes the place of one that waits for a request. 1 to 1000000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: u32,
    /// How long a request may wait for a key that is not in the current key set, before it is refused. 0s to 30s.
    pub key_wait: Duration,
    /// How many requests may be in progress at once; others get 503 and may try again. 1 to 1000000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests: u32,
    /// How many requests one connection may carry before it is closed. 1 to 1000000000.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub requests_per_connection: u32,
    /// The largest header section of a request, with its request line. 1KiB to 256KiB.
    pub head_size: Size,
    /// The most headers of a request. 10 to 250.
    #[schemars(range(min = 10, max = 250))]
    pub header_count: u32,
    /// How long the headers of a request may take from their first byte to their last, and a new connection until its first byte.
    /// 100ms to 5m.
    pub head_time: Duration,
    /// How long a connection may wait for its next request. 100ms to 1h.
    pub idle_time: Duration,
    /// How long a client may be silent while its request's body is awaited. 100ms to 1h.
    pub read_timeout: Duration,
    /// How long a client may take to accept a piece of its answer. 100ms to 1h.
    pub write_timeout: Duration,
    /// How long both sides of a WebSocket may send nothing before it is closed. 1s to 24h.
    pub tunnel_idle_time: Duration,
    /// The largest body of a request; it is counted as it passes. 0B to 1048576MiB.
    pub body_size: Size,
    /// Which streams end when the token that opened them expires: `upgrades` (WebSockets), `always`, or `never`.
    pub close_at_expiry: Closing,
}

/// What is remembered of tokens that were accepted.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "cache")]
pub(crate) struct TokenCache {
    /// The memory for accepted tokens, about 1 KiB each: a token is remembered when it is shown the second time, and not
    /// verified again after that. What it was accepted for is asked again at every use: time, keys, deny-list. With `0B` every
    /// request is verified. 0B, or 64KiB to 1024MiB.
    pub size: Size,
}

/// Which streams end with the token that opened them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "choice")]
pub(crate) enum Closing {
    Always,
    Never,
    #[default]
    Upgrades,
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
            connections: 4096,
            key_wait: duration("1s"),
            requests: 1024,
            requests_per_connection: 10_000,
            head_size: size("32KiB"),
            header_count: 100,
            head_time: duration("10s"),
            idle_time: duration("2m"),
            read_timeout: duration("30s"),
            write_timeout: duration("30s"),
            tunnel_idle_time: duration("1h"),
            body_size: size("64MiB"),
            close_at_expiry: Closing::Upgrades,
        }
    }
}
