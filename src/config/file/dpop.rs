//! Proofs of keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::issuers::Algorithm;
use super::unit::{Duration, Size, duration, size};

/// What proofs of keys must fulfil (DPoP, RFC 9449), where `issuers[].binding` accepts them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dpop {
    /// The signature algorithms that proofs may use. Clients choose theirs by what the challenge names.
    pub algorithms: Vec<Algorithm>,
    /// How long after it was made (`iat`) a proof is good, in whole seconds; clocks of clients may go ahead by 10 seconds. 5s to 10m.
    pub window: Duration,
    /// The memory for proofs that were shown, so that each counts once: 80 bytes for each, from when it is shown until 20 seconds after it
    /// is no longer good. Where it is full, a request with a proof is answered with 503. Each instance has its own. 64KiB to 1024MiB.
    pub memory: Size,
    /// Whether each proof must hold a nonce of this service, so that none can be made long before it is used. A client learns it from the
    /// `DPoP-Nonce` field of an answer. Each instance gives out its own.
    pub nonce: bool,
}

impl Default for Dpop {
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::Es256, Algorithm::Ed25519],
            window: duration("60s"),
            memory: size("16MiB"),
            nonce: false,
        }
    }
}
