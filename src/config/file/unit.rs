//! Lengths of time and numbers of bytes, as text with a unit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time: a whole number and one unit of ms, s, m, h, d.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "duration", extend("pattern" = "^[0-9]+(ms|s|m|h|d)$", "examples" = ["30s"]))]
pub(crate) struct Duration(pub String);

/// A number of bytes: a whole number and one unit of B, KiB, MiB.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "size", extend("pattern" = "^[0-9]+(B|KiB|MiB)$", "examples" = ["8KiB"]))]
pub(crate) struct Size(pub String);

pub(super) fn duration(text: &str) -> Duration {
    Duration(text.to_owned())
}

pub(super) fn size(text: &str) -> Size {
    Size(text.to_owned())
}
