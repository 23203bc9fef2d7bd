//! The bounds on what clients can make us do, as one configuration sets them. Sizes are in bytes.

use std::time::Duration;

/// What a client, a connection and all of them together may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest token that is read.
    pub token_size: usize,
    /// How many client connections may be open at once.
    pub connections: usize,
    /// How many requests may be in progress at once.
    pub requests: usize,
    /// How many requests one connection may carry.
    pub requests_per_connection: u32,
    /// The largest head of a request, with its request line.
    pub head_size: usize,
    /// The most header fields of a request.
    pub header_count: usize,
    /// How long a head may take from its first byte to its last.
    pub head_time: Duration,
    /// How long a connection may wait for its next request.
    pub idle_time: Duration,
    /// How long a client may be silent within a body.
    pub read_timeout: Duration,
    /// How long a client may take to accept a piece of an answer.
    pub write_timeout: Duration,
    /// How long both sides of a tunnel may be silent.
    pub tunnel_idle_time: Duration,
    /// The largest body of a request.
    pub body_size: u64,
    /// How long a request may wait for keys that are not in the current set.
    pub key_wait: Duration,
    /// What a token's expiry ends.
    pub close_at_expiry: CloseAtExpiry,
}

/// Which streams end when the token that opened them expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseAtExpiry {
    /// All: bodies and answers too.
    Always,
    /// None: a token counts only when the request begins.
    Never,
    /// Upgraded connections, such as WebSockets.
    Upgrades,
}
