//! How the upstream learns who is calling.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the upstream learns who is calling.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Caller {
    /// The request header that carries the caller's name. Whatever a client sends under it is removed.
    pub header: String,
    /// The claim that holds the caller's name. `/a/b` is a JSON pointer into nested claims.
    pub claim: String,
    /// What becomes of characters that a name cannot have, such as a space or a comma: `refuse` the token, or `percent`: they are
    /// percent-encoded, and so is `%`.
    pub encode: Encode,
    /// More claims as request headers, such as `{ X-Caller-Team = "team" }`: strings, integers, booleans and lists of strings.
    pub forward: BTreeMap<String, String>,
    /// Whether the upstream also gets the token itself, in the header it came in.
    pub forward_token: bool,
}

/// How the callers of one issuer are named.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerCaller {
    /// The claim that holds the caller's name, instead of `caller.claim`. `/a/b` is a JSON pointer into nested claims.
    pub claim: Option<String>,
    /// The form the claim must have, such as `system:serviceaccount:{namespace}:{name}`: a variable in braces stands for letters,
    /// digits, `-`, `_` and `.`, and `*` at the end for anything. A token of another form is refused.
    pub pattern: Option<String>,
    /// The caller's name, made of the variables: `{namespace}/{name}`. Without it, the whole claim is the name.
    pub name: Option<String>,
    /// What becomes of characters that a name cannot have, if not what `caller.encode` says.
    pub encode: Option<Encode>,
}

/// What becomes of characters that a caller's name cannot have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "choice")]
pub(crate) enum Encode {
    #[default]
    Refuse,
    Percent,
}

impl Default for Caller {
    fn default() -> Self {
        let (header, claim) = ("X-Caller-Service".to_owned(), "sub".to_owned());
        Self { header, claim, encode: Encode::Refuse, forward: BTreeMap::new(), forward_token: true }
    }
}
