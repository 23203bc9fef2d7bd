//! The mirror of `sidecar.toml`: what may be written, key by key, a file for each table. There is no logic here; the rules are in
//! `compile`. The comments are the documentation of the keys: `callgate schema` and the table in the README are made from them.

use schemars::JsonSchema;
use serde::Deserialize;

mod caller;
mod dpop;
mod forwarding;
mod issuers;
mod keys;
mod limits;
mod listen;
mod operation;
mod protected_resource;
mod replay;
mod revocation;
mod routes;
mod token;
mod unit;
mod upstream;
mod wimse;

pub(super) use caller::{Caller, Encode, IssuerCaller};
pub(super) use dpop::Dpop;
pub(super) use forwarding::{ClientCertificate, Forwarding, RequestId};
pub(super) use issuers::{Algorithm, Audiences, ClaimValue, Issuer, Preset, Proof, Readiness};
pub(super) use keys::{AllKeys, KeyUse, Keys, WorkloadApi};
pub(super) use limits::{Closing, Limits, TokenCache};
pub(super) use listen::{Admin, Listen};
pub(super) use operation::{Audit, Log, Reload, Shutdown, Tracing};
pub use operation::{Format, Level, WhenFull};
pub(super) use protected_resource::ProtectedResource;
pub(super) use replay::Replay;
pub(super) use revocation::Revocation;
pub(super) use routes::{Mode, PublicRoute, Refusals, ReportRoute};
pub(super) use token::{Scheme, Token};
pub(super) use unit::{Duration, Size};
pub use upstream::Protocol;
pub(super) use upstream::Upstream;
pub(super) use wimse::Wimse;

/// The configuration of Callgate. Unknown keys are errors.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "sidecar.toml")]
pub(super) struct File {
    /// Where requests come in.
    pub listen: Listen,
    /// The service behind Callgate.
    pub upstream: Upstream,
    /// Where operators look: a page at `/`, and `/status`, `/metrics`, `/livez` and `/readyz`.
    pub admin: Admin,
    /// What becomes of a request that does not pass: `enforce` refuses it, `report` forwards it without a caller's name and
    /// counts and records it as one that would be refused. `report` protects nothing: it is for finding out.
    #[serde(default)]
    pub mode: Mode,
    /// Whose missing keys make the instance not ready: `all`, those of each required issuer; `any`, those of all required issuers
    /// together, so that one whose keys are there is enough.
    #[serde(default)]
    pub readiness: Readiness,
    /// How much the answer to a refused request tells: `full`, the `reason` without what was expected and found, or `bare`, the status
    /// alone. Audit, metrics and `callgate explain` tell all in each.
    #[serde(default)]
    pub refusals: Refusals,
    /// The trusted issuers of tokens, one `[[issuers]]` for each. At least one.
    pub issuers: Vec<Issuer>,
    /// Where the token stands in a request.
    #[serde(default)]
    pub token: Token,
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
    /// What proofs of keys must fulfil (DPoP, RFC 9449), where `issuers[].binding` accepts them.
    #[serde(default)]
    pub dpop: Dpop,
    /// Where the instances of a service tell each other which proofs were shown. Each remembers for itself without it.
    #[serde(default)]
    pub replay: Replay,
    /// Experimental. What proofs of workloads must fulfil (WPT, draft-ietf-wimse-wpt-02), where `issuers[].binding` accepts them.
    #[serde(default)]
    pub wimse: Wimse,
    /// What clients can learn of this service from itself. Off without it.
    pub protected_resource: Option<ProtectedResource>,
    /// Requests that are only reported, whatever `mode` says, one `[[report]]` for each path.
    #[serde(default)]
    pub report: Vec<ReportRoute>,
    /// Bounds on what clients can make Callgate do.
    #[serde(default)]
    pub limits: Limits,
    /// What is remembered of tokens that were accepted.
    #[serde(default)]
    pub cache: TokenCache,
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
