//! The memory of proofs that instances share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::{Duration, duration};

/// A store in which the instances of a service tell each other which proofs were shown, so that each counts once across all of them.
/// Without it each instance remembers for itself.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Replay {
    /// Where Valkey or Redis listens: `redis://host:port`, `rediss://` for TLS, with a user before the host (`user@`) and the number of a
    /// database behind it (`/2`) if need be, or `unix:` and the path of a socket. One primary server, no cluster. While it does not
    /// answer, requests with proofs are refused with 503; all others are not concerned.
    #[schemars(example = "redis://valkey.internal.example:6379")]
    pub store: Option<String>,
    /// A file with the password for it, on one line. It is read for each connection.
    pub password_file: Option<String>,
    /// PEM certificates to trust for `rediss://` instead of the machine's own. They are read for each connection.
    pub ca_file: Option<String>,
    /// How long a request may wait for the store in all. 10ms to 5s.
    pub timeout: Duration,
}

impl Default for Replay {
    fn default() -> Self {
        Self { store: None, password_file: None, ca_file: None, timeout: duration("250ms") }
    }
}
