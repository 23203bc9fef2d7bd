//! What may be written about an issuer besides what its tokens must fulfil.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings for issuers of a known kind. They are what could be written by hand; `callgate check --expand` prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "preset")]
pub enum Preset {
    Kubernetes,
    Rfc9068,
    Spiffe,
}

/// How the callers of one issuer are named.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerCaller {
    /// The claim that holds the caller's name, instead of `caller.claim`. `/a/b` is a JSON pointer into nested claims.
    pub claim: Option<String>,
    /// The form the claim must have, such as `system:serviceaccount:{namespace}:{name}`: a variable in braces stands for letters,
    /// digits, `-`, `_` and `.`, and `*` at the end for anything. A token of another form is refused.
    pub pattern: Option<String>,
    /// The caller's name, made of the variables: `{namespace}/{name}`. Without it, the whole claim is the name.
    pub name: Option<String>,
}

/// What holds for the keys of all issuers.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AllKeys {
    /// A directory, relative to this file, in which the last fetched keys are kept, so that a restart while an issuer is down
    /// serves at once. It is made if it is missing. Without it, nothing is kept.
    pub snapshot_dir: Option<String>,
}

/// What the keys of a document must be meant for (`use`, RFC 7517 §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(title = "use")]
pub enum KeyUse {
    #[serde(rename = "jwt-svid")]
    JwtSvid,
    #[default]
    #[serde(rename = "sig")]
    Signature,
}
