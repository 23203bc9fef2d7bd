//! Where the token stands in a request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the token stands in a request: in exactly one header, and nowhere else.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("x-instead" = INSTEAD))]
pub(crate) struct Token {
    /// The request header that carries the token. With another one than `Authorization`, that one passes untouched and unread.
    pub header: String,
    /// What stands before the token: `Bearer` and a space, or `none`, nothing.
    pub scheme: Scheme,
}

/// What stands before the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(title = "scheme")]
pub(crate) enum Scheme {
    #[default]
    Bearer,
    #[serde(rename = "none")]
    Bare,
}

impl Default for Token {
    fn default() -> Self {
        Self { header: "Authorization".to_owned(), scheme: Scheme::Bearer }
    }
}

/// What other products call these keys, with what to write here: an extension of the schema for the shape check.
const INSTEAD: [(&str, &str); 6] = [
    ("field", "header = \"X-Service-Authorization\""),
    ("from_headers", "header = \"X-Service-Authorization\""),
    ("location", "header = \"X-Service-Authorization\""),
    ("name", "header = \"X-Service-Authorization\""),
    ("prefix", "scheme = \"Bearer\""),
    ("value_prefix", "scheme = \"Bearer\""),
];
