//! What is refused although it is valid.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is refused although it is valid.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Revocation {
    /// The path of the deny-list, relative to this file: one JSON object per line with `jti`, `kid` or `sub`, and `issuer` and
    /// `until` if need be. It is read again whenever it changes.
    pub file: Option<String>,
}
