//! What the service is called outside.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The metadata with which the service tells clients whose tokens it accepts (RFC 9728).
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProtectedResource {
    /// What the service is called outside, as its clients know it: a URL with `https://`, without query and fragment. Callgate then answers
    /// `GET /.well-known/oauth-protected-resource`, followed by the path of this URL, by itself and without a token, and names
    /// that document as `resource_metadata` in every challenge.
    #[schemars(example = "https://mail.example")]
    pub resource: String,
}
