//! The mirror of `sidecar.toml`: what may be written, key by key. There is no logic here; the rules are in `compile`. The
//! comments are the documentation of the keys: `callgate schema` and the table in the README are made from them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod edge;
mod issuer;
mod operation;

pub use edge::{Closing, Forwarding, Limits, Protocol, RequestId, Tls};
pub use issuer::{AllKeys, IssuerCaller, KeyUse, Preset};
pub use operation::{Audit, Format, Level, Log, Reload, Shutdown, Tracing, WhenFull};

/// The configuration of Callgate. Unknown keys are errors.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "sidecar.toml")]
pub struct File {
    /// Where requests come in.
    pub listen: Listen,
    /// The service behind Callgate.
    pub upstream: Upstream,
    /// Where operators look: `/metrics`, `/livez` and `/readyz`.
    pub admin: Admin,
    /// What becomes of a request that does not pass: `enforce` refuses it, `report` forwards it without a caller's name and
    /// counts and records it as one that would be refused. `report` protects nothing: it is for finding out.
    #[serde(default)]
    pub mode: Mode,
    /// The trusted issuers of tokens, one `[[issuers]]` for each. At least one.
    pub issuers: Vec<Issuer>,
    /// How the upstream learns who is calling.
    #[serde(default)]
    pub caller: Caller,
    /// What holds for the keys of all issuers.
    #[serde(default)]
    pub keys: AllKeys,
    /// The requests that need no token, one `[[public]]` for each path. Everything else is protected.
    #[serde(default)]
    pub public: Vec<PublicRoute>,
    /// What is refused although it is valid.
    #[serde(default)]
    pub revocation: Revocation,
    /// What the upstream is told about where a request came from.
    #[serde(default)]
    pub forwarding: Forwarding,
    /// Requests that are only reported, whatever `mode` says, one `[[report]]` for each path.
    #[serde(default)]
    pub report: Vec<ReportRoute>,
    /// Bounds on what clients can make Callgate do.
    #[serde(default)]
    pub limits: Limits,
    /// Where the audit record of each request goes. It has no switch.
    #[serde(default)]
    pub audit: Audit,
    /// Callgate's own log, on stderr.
    #[serde(default)]
    pub log: Log,
    /// Traces for OpenTelemetry: off without `endpoint`.
    #[serde(default)]
    pub tracing: Tracing,
    /// How a changed configuration comes into force without a restart. SIGHUP always asks for it.
    #[serde(default)]
    pub reload: Reload,
    /// What happens between SIGTERM and the end of the process.
    #[serde(default)]
    pub shutdown: Shutdown,
}

/// Where requests come in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// IP address and port, or `unix:` and the absolute path of a socket. Port 0 takes any free port.
    #[schemars(example = "0.0.0.0:8080")]
    pub address: String,
    /// Who may connect to that socket: the permissions of its file, in octal digits. If absent, `0660`: its owner and its group.
    pub socket_mode: Option<String>,
    /// TLS for the callers. If absent, they speak plain HTTP.
    pub tls: Option<Tls>,
}

/// The service behind Callgate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// `IP:PORT`, `HOST:PORT` (resolved at start), or `unix:` and the absolute path of a socket.
    #[schemars(example = "127.0.0.1:3000")]
    pub address: String,
    /// What is spoken with the upstream: `http1`, or `h2c` (HTTP/2 without TLS, as gRPC needs it).
    #[serde(default)]
    pub protocol: Protocol,
    /// The longest wait for a connection to the upstream. 1ms to 1m.
    #[serde(default = "default::connect_timeout")]
    pub connect_timeout: Duration,
    /// The longest silence of the upstream while its answer is awaited or read. 1ms to 1h.
    #[serde(default = "default::read_timeout")]
    pub read_timeout: Duration,
    /// The longest time the upstream may take to accept a piece of the request. 1ms to 1h.
    #[serde(default = "default::write_timeout")]
    pub write_timeout: Duration,
    /// How long an unused connection is kept. Stay below the keep-alive timeout of the upstream (Node.js: 5s), or requests
    /// meet connections that it is about to close. 1ms to 1h.
    #[serde(default = "default::idle_timeout")]
    pub idle_timeout: Duration,
}

/// Where operators look.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// IP address and port, another port than that of `listen`. It asks for no token: keep it inside the cluster.
    #[schemars(example = "0.0.0.0:9901")]
    pub address: String,
}

/// A trusted issuer, and what its tokens must fulfil.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-unless-preset" = ["algorithms", "keys"]))]
pub struct Issuer {
    /// The `iss` of its tokens, compared exactly, character by character.
    #[schemars(example = "https://auth.internal.example")]
    pub issuer: String,
    /// Settings for issuers of a known kind; what is written beside them goes before them. `kubernetes`: service-account tokens of
    /// the cluster this runs in. `spiffe`: JWT-SVIDs. `rfc9068`: OAuth 2.0 access tokens. `callgate check --expand` prints them.
    pub preset: Option<Preset>,
    /// The SPIFFE trust domain of the callers, for `preset = "spiffe"`.
    pub trust_domain: Option<String>,
    /// The names of this service. A token's `aud` must hold at least one of them.
    #[schemars(example = ["email-service"])]
    pub audiences: Vec<String>,
    /// The signature algorithms its tokens may use; required, unless a preset has them. `none` and the `HS` family do not exist
    /// here.
    #[schemars(example = ["ES256"])]
    pub algorithms: Option<Vec<Algorithm>>,
    /// What becomes of its tokens that do not pass, if not what `mode` says. Whoever names an issuer that is only reported is
    /// only reported.
    pub mode: Option<Mode>,
    /// By how much the issuer's clock and ours may differ, in whole seconds. 0s to 5m.
    #[serde(default = "default::leeway")]
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

/// Where an issuer's public keys come from and how they are kept fresh.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// The URL of the issuer's JWK Set. `https`, or `http` to a loopback address.
    pub url: Option<String>,
    /// Whether to find that URL in the issuer's discovery document: `issuer` + `/.well-known/openid-configuration`.
    pub discovery: bool,
    /// The path of a JWK Set on this machine, relative to this file. It is watched.
    pub file: Option<String>,
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
    /// What the keys must be meant for. `sig`: signatures, or not said. `jwt-svid`: the tokens of a SPIFFE bundle.
    #[serde(rename = "use")]
    pub usage: KeyUse,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the environment are obeyed.
    pub use_proxy_env: bool,
    /// Whether the keys may be fetched by plain `http` from another machine. Whoever can change that traffic can then make
    /// tokens.
    pub allow_http: bool,
}

/// How the upstream learns who is calling.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Caller {
    /// The request header that carries the caller's name. Whatever a client sends under it is removed.
    pub header: String,
    /// The claim that holds the caller's name. `/a/b` is a JSON pointer into nested claims.
    pub claim: String,
    /// More claims as request headers, such as `{ X-Caller-Team = "team" }`: strings, integers, booleans and lists of strings.
    pub forward: BTreeMap<String, String>,
    /// Whether the upstream also gets the token itself, in `Authorization`.
    pub forward_token: bool,
}

/// Requests that need no token.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublicRoute {
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
pub struct ReportRoute {
    /// The exact path. No patterns, no escapes, no `..`.
    #[schemars(example = "/send")]
    pub path: String,
    /// The methods that are only reported on this path. Others are refused as `mode` says.
    #[schemars(example = ["POST"])]
    pub methods: Vec<String>,
}

/// What is refused although it is valid.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Revocation {
    /// The path of the deny-list, relative to this file: one JSON object per line with `jti`, `kid` or `sub`, and `issuer` and
    /// `until` if need be. It is read again whenever it changes.
    pub file: Option<String>,
}

/// A length of time: a whole number and one unit of ms, s, m, h, d.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "duration", extend("pattern" = "^[0-9]+(ms|s|m|h|d)$", "examples" = ["30s"]))]
pub struct Duration(pub String);

/// A number of bytes: a whole number and one unit of B, KiB, MiB.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "size", extend("pattern" = "^[0-9]+(B|KiB|MiB)$", "examples" = ["8KiB"]))]
pub struct Size(pub String);

/// The value a required claim must have.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ClaimValue {
    String(String),
    Integer(i64),
    Boolean(bool),
}

/// A digital signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(title = "algorithm", extend("x-never" = NEVER))]
pub enum Algorithm {
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
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// What becomes of a request that does not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "mode")]
pub enum Mode {
    #[default]
    Enforce,
    Report,
}

/// A value of `keys` for the documentation.
#[derive(Serialize)]
struct Example {
    url: &'static str,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            url: None,
            discovery: false,
            file: None,
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

impl Default for Caller {
    fn default() -> Self {
        let (header, claim) = ("X-Caller-Service".to_owned(), "sub".to_owned());
        Self { header, claim, forward: BTreeMap::new(), forward_token: true }
    }
}

/// The defaults of keys in tables that also have required ones.
mod default {
    use super::{Duration, duration};

    pub fn connect_timeout() -> Duration {
        duration("2s")
    }

    pub fn read_timeout() -> Duration {
        duration("60s")
    }

    pub fn write_timeout() -> Duration {
        duration("60s")
    }

    pub fn idle_timeout() -> Duration {
        duration("4s")
    }

    pub fn leeway() -> Duration {
        duration("30s")
    }
}

fn duration(text: &str) -> Duration {
    Duration(text.to_owned())
}

/// What people write as an algorithm and never may, with the reason: an extension of the schema for the shape check.
const NEVER: [(&str, &str); 4] =
    [("none", "a token without a signature proves nothing"), ("HS256", HMAC), ("HS384", HMAC), ("HS512", HMAC)];

const HMAC: &str = "with a shared secret every service that can verify a token can also make one";
