//! The trusted issuers, and what their tokens must fulfil.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::IssuerCaller;
use super::keys::Keys;
use super::routes::Mode;
use super::unit::{Duration, duration};

/// A trusted issuer, and what its tokens must fulfil.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-unless-other" = [("issuer", "trust_domain")], "x-unless-preset" = ["algorithms", "keys"], "x-instead" = INSTEAD))]
pub(crate) struct Issuer {
    /// The `iss` of its tokens, compared exactly, character by character. Required, unless `trust_domain` stands for it;
    /// with `preset = "kubernetes"` it can be read from the pod's own token.
    #[schemars(example = &"https://auth.internal.example")]
    pub issuer: Option<String>,
    /// Settings for issuers of a known kind; settings next to the preset override it. `kubernetes`: service-account tokens of the
    /// cluster this runs in. `spiffe`: JWT-SVIDs. `rfc9068`: OAuth 2.0 access tokens. `txn-token`: transaction
    /// tokens, which also says `token`. `callgate check --expand` prints them.
    pub preset: Option<Preset>,
    /// The SPIFFE trust domain of the callers, for `preset = "spiffe"`. Without `issuer`, tokens are found by it: by the trust domain of
    /// their `sub`, whatever their `iss`, which SPIRE leaves out.
    pub trust_domain: Option<String>,
    /// The names of this service. A token's `aud` must hold at least one of them. For an issuer that writes no `aud`, another claim
    /// can stand for it: `{ claim = "client_id", values = ["…"] }`.
    #[schemars(example = ["email-service"])]
    pub audiences: Audiences,
    /// The signature algorithms its tokens may use; required, unless a preset has them. `none` and the `HS` family do not exist
    /// here.
    #[schemars(example = ["ES256"])]
    pub algorithms: Option<Vec<Algorithm>>,
    /// What becomes of its tokens that do not pass, if not what `mode` says. With `report`, a request whose token names this issuer
    /// is never refused, whatever else is wrong with it.
    pub mode: Option<Mode>,
    /// Whether the instance needs this issuer's keys to be ready; `readiness` says how. With `false`, an outage of the issuer
    /// concerns its own callers only, and a reload goes through without its keys.
    #[serde(default = "default_required")]
    pub required: bool,
    /// By how much the issuer's clock and ours may differ, in whole seconds. 0s to 5m.
    #[serde(default = "default_leeway")]
    pub leeway: Duration,
    /// The longest life a token may have been given, from `iat` to `exp`, in whole seconds. If set, `iat` is required.
    pub max_lifetime: Option<Duration>,
    /// The longest time since a token was issued (`iat`), in whole seconds. If set, `iat` is required.
    pub max_age: Option<Duration>,
    /// The accepted `typ` values, such as `["at+jwt"]`; a token without `typ` is then refused. If absent: `JWT`, `at+jwt` or no
    /// `typ`.
    pub typ: Option<Vec<String>>,
    /// Claims that every token must have with exactly this value, such as `{ env = "production" }`.
    #[serde(default)]
    pub required_claims: BTreeMap<String, ClaimValue>,
    /// Claims that every token must have, whatever their value, such as `["client_id"]`. `iss`, `aud` and `exp` always are.
    #[serde(default)]
    pub present_claims: Vec<String>,
    /// The proofs with which its bound tokens (`cnf`) pass. `certificate`: the client has opened the connection with the
    /// certificate that the token is bound to (RFC 8705), for which `listen.tls.client_ca` must be set. `dpop`: it sends a proof of the key
    /// that the token is bound to (RFC 9449), for which `forwarding.external_urls` must be set. `wimse` (experimental): a workload
    /// identity token in `Workload-Identity-Token`, with a proof of its key in `Workload-Proof-Token` (draft-ietf-wimse-wpt-02), for which
    /// `forwarding.external_urls` must be set too; `bearer` says whether other tokens pass as well. Without one here every bound
    /// token is refused, since it would be worth no more than a bearer token.
    #[serde(default)]
    pub binding: Vec<Proof>,
    /// Whether its tokens pass that are bound to nothing. With `false`, a stolen token of this issuer is worth nothing.
    #[serde(default = "default_bearer")]
    pub bearer: bool,
    /// How its callers are named, if not by the common `caller.claim`.
    pub caller: Option<IssuerCaller>,
    /// Claims of accepted tokens that the audit records under `claims`, each under a name of its own, such as
    /// `{ pod = "/kubernetes.io/pod/name" }`.
    #[serde(default)]
    pub record: BTreeMap<String, String>,
    /// Where its public keys come from: exactly one of `url`, `discovery` and `file`; required, unless a preset has it.
    #[schemars(example = Example { url: "https://auth.internal.example/.well-known/jwks.json" })]
    pub keys: Option<Keys>,
}

/// Whom tokens must be for.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Audiences {
    /// By `aud`.
    List(Vec<String>),
    /// By another claim.
    Claim(AudienceClaim),
}

/// Another claim than `aud` that says whom a token is for.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AudienceClaim {
    /// Its name.
    #[schemars(example = &"client_id")]
    pub claim: String,
    /// The values of which a token must have at least one.
    #[schemars(example = ["email-service"])]
    pub values: Vec<String>,
}

/// Settings for issuers of a known kind. They are what could be written by hand; `callgate check --expand` prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "preset")]
pub(crate) enum Preset {
    Kubernetes,
    Rfc9068,
    Spiffe,
    #[serde(rename = "txn-token")]
    TxnToken,
}

/// How a client proves that a bound token is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "proof")]
pub(crate) enum Proof {
    Certificate,
    Dpop,
    Wimse,
}

/// Whose missing keys make an instance not ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "readiness")]
pub(crate) enum Readiness {
    #[default]
    All,
    Any,
}

/// The value a required claim must have.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ClaimValue {
    String(String),
    Integer(i64),
    Boolean(bool),
}

/// A digital signature algorithm (RFC 7518 §3.1, RFC 9864 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(title = "algorithm", extend("x-never" = NEVER))]
pub(crate) enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "RS384")]
    Rs384,
    #[serde(rename = "RS512")]
    Rs512,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "PS384")]
    Ps384,
    #[serde(rename = "PS512")]
    Ps512,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "ES384")]
    Es384,
    #[serde(rename = "ES512")]
    Es512,
    #[serde(rename = "Ed25519")]
    Ed25519,
    #[serde(rename = "EdDSA")]
    EdDsa,
    #[serde(rename = "ML-DSA-44")]
    MlDsa44,
    #[serde(rename = "ML-DSA-65")]
    MlDsa65,
    #[serde(rename = "ML-DSA-87")]
    MlDsa87,
}

/// A value of `keys` for the documentation.
#[derive(Serialize)]
struct Example {
    url: &'static str,
}

/// What other products call these keys, with what to write here: an extension of the schema for the shape check.
const INSTEAD: [(&str, &str); 6] = [
    ("clock_skew", "leeway = \"30s\""),
    ("clock_skew_seconds", "leeway = \"30s\""),
    ("clock_tolerance", "leeway = \"30s\""),
    ("jwks", "keys = { url = \"https://…\" }"),
    ("jwks_uri", "keys = { url = \"https://…\" }"),
    ("jwks_url", "keys = { url = \"https://…\" }"),
];

/// What people write as an algorithm and never may, with the reason: an extension of the schema for the shape check.
const NEVER: [(&str, &str); 4] =
    [("none", "a token without a signature proves nothing"), ("HS256", HMAC), ("HS384", HMAC), ("HS512", HMAC)];

const HMAC: &str = "with a shared secret every service that can verify a token can also make one";

fn default_leeway() -> Duration {
    duration("30s")
}

const fn default_bearer() -> bool {
    true
}

fn default_required() -> bool {
    true
}
