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

impl ForwardingPolicy {
    /// The id that the client sent, if it is kept and fit for logs.
    #[must_use]
    pub fn kept_request_id(&self, sent: Option<&[u8]>) -> Option<String> {
        let id = sent.filter(|_| self.request_id == RequestIds::Keep)?;
        let is_sound = (1..=REQUEST_ID_MAX).contains(&id.len())
            && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~+/=:".contains(byte));
        is_sound.then(|| String::from_utf8_lossy(id).into_owned())
    }
}

/// The longest request id that is kept, in characters.
const REQUEST_ID_MAX: usize = 128;
