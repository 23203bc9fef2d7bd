//! What the upstream is told about a request besides its caller's name, as one configuration says it.

/// How a request is changed on its way to the upstream.
#[derive(Clone, Copy, Debug)]
pub struct ForwardingPolicy {
    /// How many proxies before us are trusted to say where a request came from; with 0, only what we see ourselves is said.
    pub trusted_hops: usize,
    /// Whose `X-Request-Id` it is.
    pub request_id: RequestIds,
    /// Whether the upstream gets the token.
    pub token: TokenForwarding,
}

/// Whose request ids are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestIds {
    /// Those of the client, if they are fit for logs; else ours.
    Keep,
    /// Ours.
    Make,
}

/// Whether the token goes on to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForwarding {
    Forward,
    Withhold,
}
