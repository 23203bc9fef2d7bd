//! Where issuers' keys come from and how they are kept fresh.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::{Duration, duration};

/// Where an issuer's public keys come from and how they are kept fresh.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("x-instead" = INSTEAD))]
pub(crate) struct Keys {
    /// The URL of the issuer's JWK Set. `https`, or `http` to a loopback address.
    pub url: Option<String>,
    /// Whether to find that URL in the issuer's discovery document: `issuer` + `/.well-known/openid-configuration`.
    pub discovery: bool,
    /// The path of a JWK Set on this machine, relative to this file. It is watched.
    pub file: Option<String>,
    /// The socket of the SPIFFE Workload API (`unix:/path`) that gives the bundle of `trust_domain`, for `preset = "spiffe"`; `true`:
    /// the socket that `SPIFFE_ENDPOINT_SOCKET` names. What the agent says by itself counts at once.
    pub workload_api: Option<WorkloadApi>,
    /// How often fetched keys are fetched again, at the latest; `Cache-Control` and `Expires` can make it more often, down to 10s.
    /// A file is looked at every second, whatever this says. 100ms to 1d.
    pub refresh: Duration,
    /// How long the last keys are trusted while they cannot be fetched again, in whole seconds. Not shorter than `refresh`, at
    /// most 30d. Not for a file.
    pub stale_limit: Duration,
    /// The shortest pause between two fetches that tokens with unknown keys can cause. Together with the time of a fetch it
    /// should stay below `limits.key_wait`: then a token signed with a brand-new key never has to be refused. 100ms to 1h.
    pub unknown_key_cooldown: Duration,
    /// The longest time a fetch may take, with discovery and redirects. 1ms to 1m.
    pub timeout: Duration,
    /// The path of the PEM certificates to trust for the fetch instead of the machine's own, relative to this file.
    pub ca_file: Option<String>,
    /// The path of a bearer token to fetch with, relative to this file. It is read again for each fetch, and shown only to hosts
    /// that are named here.
    pub token_file: Option<String>,
    /// The path of a PEM certificate (with its chain) to fetch with, relative to this file. Needs `client_key`.
    pub client_cert: Option<String>,
    /// The path of its private key, relative to this file. Needs `client_cert`.
    pub client_key: Option<String>,
    /// The host, or `host:port`, to fetch the keys from, instead of the one in the discovery document: clusters often name an
    /// address there that nobody can reach.
    pub jwks_host: Option<String>,
    /// What the keys must be meant for. `sig`: signatures, or not said. `jwt-svid`: the tokens of a SPIFFE bundle; with
    /// `wimse` in `binding` its `wit-svid` keys too, which then sign workload identity tokens alone.
    #[serde(rename = "use")]
    pub usage: KeyUse,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the environment are obeyed.
    pub use_proxy_env: bool,
    /// Whether the keys may be fetched by plain `http` from another machine. Whoever can change that traffic can then make
    /// tokens.
    pub allow_http: bool,
}

/// Where the SPIFFE Workload API is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum WorkloadApi {
    /// Where the environment says, if this is `true`.
    Environment(bool),
    /// At this socket.
    Socket(String),
}

/// What holds for the keys of all issuers.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AllKeys {
    /// A directory, relative to this file, in which the last fetched keys are kept, so that a restart while an issuer is down
    /// serves at once. It is made if it is missing. Without it, nothing is kept.
    pub snapshot_dir: Option<String>,
}

/// What the keys of a document must be meant for (`use`, RFC 7517 §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(title = "use")]
pub(crate) enum KeyUse {
    #[serde(rename = "jwt-svid")]
    JwtSvid,
    #[default]
    #[serde(rename = "sig")]
    Signature,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            url: None,
            discovery: false,
            file: None,
            workload_api: None,
            refresh: duration("5m"),
            stale_limit: duration("24h"),
            unknown_key_cooldown: duration("500ms"),
            timeout: duration("5s"),
            ca_file: None,
            token_file: None,
            client_cert: None,
            client_key: None,
            jwks_host: None,
            usage: KeyUse::Signature,
            use_proxy_env: false,
            allow_http: false,
        }
    }
}

/// What other products call these keys, with what to write here: an extension of the schema for the shape check.
const INSTEAD: [(&str, &str); 5] = [
    ("jwks", "url = \"https://…\" for a key set on the network, or file = \"…\" for one on this machine"),
    ("jwks_uri", "url = \"https://…\""),
    ("jwks_url", "url = \"https://…\""),
    ("path", "file = \"…\""),
    ("timeout_seconds", "timeout = \"5s\""),
];
