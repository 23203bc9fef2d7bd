//! Proofs of workloads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::issuers::Algorithm;
use super::unit::{Duration, duration};

/// Experimental. What proofs of workloads must fulfil (WPT, draft-ietf-wimse-wpt-02), where `issuers[].binding` accepts them. They are
/// remembered in `dpop.memory`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wimse {
    /// The signature algorithms that proofs may use. The key in a workload's token says which of them it is.
    pub algorithms: Vec<Algorithm>,
    /// How long a proof may be good when it comes (`exp`), in whole seconds; clocks of workloads may go ahead by 10 seconds. 5s to 10m.
    pub window: Duration,
}

impl Default for Wimse {
    fn default() -> Self {
        Self { algorithms: vec![Algorithm::Es256, Algorithm::Ed25519], window: duration("5m") }
    }
}
