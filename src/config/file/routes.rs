//! What becomes of a request that does not pass, and the requests that are an exception.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a request that does not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "mode")]
pub(crate) enum Mode {
    #[default]
    Enforce,
    Report,
}

/// How much the answer to a refused request tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "choice")]
pub(crate) enum Refusals {
    #[default]
    Full,
    Reason,
    Bare,
}

/// Requests that need no token.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicRoute {
    /// The exact path, or with `/*` at its end everything below it. No other patterns, no escapes, no `..`.
    #[schemars(example = "/healthz")]
    pub path: String,
    /// The methods that need no token on this path. Others do.
    #[schemars(example = ["GET"])]
    pub methods: Vec<String>,
}

/// Requests that are only reported.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportRoute {
    /// The exact path. No patterns, no escapes, no `..`.
    #[schemars(example = "/send")]
    pub path: String,
    /// The methods that are only reported on this path. Others are refused as `mode` says.
    #[schemars(example = ["POST"])]
    pub methods: Vec<String>,
}
