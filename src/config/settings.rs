//! What a configuration means: values that were checked, in the types of those who use them. They are made by `compile` only,
//! and never change.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

pub use super::file::{Format as LogFormat, Level as LogLevel, Protocol, WhenFull};
use super::problem::Problem;
use crate::authenticator;
use crate::client_certificate::CertificateHops;
use crate::forwarding::ForwardingPolicy;
use crate::identity::CallerRule;
use crate::issuers::PerIssuer;
use crate::keys::readiness::Readiness;
use crate::keys::source::{Origin, is_loopback};
use crate::limits::Limits;
use crate::mode::Modes;
use crate::proof::store::StoreSettings;
use crate::proof::{ProofRules, WorkloadProofRules};
use crate::protected_resource::ResourceIdentifier;
use crate::rejection::Disclosure;
use crate::request::TokenField;
use crate::revocation::list::DenyList;
use crate::route::PublicRoutes;

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Where requests come in.
    pub listen: ListenAddress,
    /// Whether HTTP/2 is spoken there.
    pub http2: bool,
    /// TLS there.
    pub tls: Option<Tls>,
    /// Where accepted requests go.
    pub upstream: Upstream,
    /// Where operators look. Port 0 means any.
    pub admin: SocketAddr,
    /// Whether they are shown a page, and the latest refusals.
    pub page: bool,
    /// The trusted issuers, at least one, with different names.
    pub issuers: PerIssuer<Issuer>,
    /// The files of our own tokens from which issuers take their names.
    pub own_tokens: Vec<OwnToken>,
    /// The field that carries the token.
    pub token: TokenField,
    /// How callers are named, and in which headers.
    pub caller: CallerRule,
    /// What needs no token.
    pub public: PublicRoutes,
    /// The deny-list's file and what it said, if there is one.
    pub revocation: Option<Revocation>,
    /// What the upstream is told about a request besides its caller's name.
    pub forwarding: ForwardingPolicy,
    /// The proxies that tell clients' certificates, if there are any.
    pub certificate_hops: Option<CertificateHops>,
    /// What proofs of keys must fulfil, if an issuer accepts them.
    pub dpop: Option<Dpop>,
    /// The store in which instances tell each other of proofs, if there is one and proofs are accepted.
    pub replay: Option<StoreSettings>,
    /// What proofs of workloads must fulfil, if an issuer accepts them.
    pub wimse: Option<Wimse>,
    /// What is refused and what is only reported.
    pub modes: Modes,
    /// Whose missing keys make the instance not ready.
    pub readiness: Readiness,
    /// How much an answer tells about a refusal.
    pub refusals: Disclosure,
    /// What the service is called outside, if clients are told.
    pub protected_resource: Option<ResourceIdentifier>,
    /// The bounds on requests and connections.
    pub limits: Limits,
    /// The bytes for accepted tokens; 0 for none.
    pub cache: u64,
    /// Where records go.
    pub audit: Audit,
    /// What is logged, and how.
    pub log: Log,
    /// `None` if nothing is traced.
    pub tracing: Option<Tracing>,
    /// When the configuration is loaded again.
    pub reload: Reload,
    /// What happens after SIGTERM.
    pub shutdown: Shutdown,
    /// What is allowed and somebody should know, ordered by place.
    pub warnings: Vec<Problem>,
}

/// Where clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Port 0 means any.
    Tcp(SocketAddr),
    /// A socket.
    Unix {
        /// Absolute.
        path: PathBuf,
        /// The permissions of its file.
        mode: u32,
    },
}

/// The service behind us.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: UpstreamAddress,
    /// What is spoken with it.
    pub protocol: Protocol,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long it may be silent while its answer is awaited or read.
    pub read_timeout: Duration,
    /// How long it may take none of what is sent.
    pub write_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
}

/// Where the upstream listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// A name to be resolved at start.
    Host {
        /// As in the file: a name of DNS.
        name: String,
        /// From 1.
        port: u16,
    },
    /// An address that is used as it is.
    Ip(SocketAddr),
    /// The absolute path of a socket.
    Unix(PathBuf),
}

/// A trusted issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// What its tokens must fulfil, and how its callers are named.
    pub rules: authenticator::Issuer,
    /// Where its keys come from.
    pub origin: Origin,
    /// Whether the instance needs its keys to be ready.
    pub required: bool,
    /// Its table with all defaults and preset values.
    pub expanded: String,
}

/// A token of our own that names its issuer, which is ours to trust as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnToken {
    /// Where it is, and replaced from time to time.
    pub path: PathBuf,
    /// What it named when the configuration was read; `None` if there was no token.
    pub issuer: Option<String>,
}

/// What is refused although it is valid.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// Where the list is. It is watched.
    pub file: PathBuf,
    /// The list at the time when the configuration was read.
    pub list: DenyList,
}

/// TLS for the callers, as files of PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate with its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// A client without a certificate of one of these authorities is refused.
    pub client_ca: Option<PathBuf>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// Proofs of keys.
#[derive(Clone, Debug)]
pub struct Dpop {
    /// What a proof must fulfil.
    pub rules: ProofRules,
    /// The bytes for proofs that were shown.
    pub memory: u64,
}

/// Proofs of workloads.
#[derive(Clone, Debug)]
pub struct Wimse {
    /// What a proof must fulfil.
    pub rules: WorkloadProofRules,
    /// The bytes for proofs that were shown, which are those for all proofs.
    pub memory: u64,
}

/// Where the audit records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// `None` is standard output.
    pub file: Option<PathBuf>,
    /// How many records may wait.
    pub queue: usize,
    /// What happens to a record beyond that.
    pub when_full: WhenFull,
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracing {
    /// Where spans are posted: `/v1/traces` of the endpoint.
    pub url: Url,
    /// How many of a hundred requests without a trace are traced.
    pub sample: u8,
    /// Whether the proxy that the environment names is used.
    pub use_proxy_env: bool,
}

/// How a changed configuration comes into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Whether the file is watched.
    pub watch: bool,
}

/// Our own log.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// The least important lines that are written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// What happens after SIGTERM.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    /// How long requests are still accepted.
    pub lame_duck: Duration,
    /// How long those in flight may then take.
    pub drain: Duration,
}

impl ListenAddress {
    /// The permissions of its file, if it has one.
    #[must_use]
    pub const fn mode(&self) -> Option<u32> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix { mode, .. } => Some(*mode),
        }
    }
}

impl UpstreamAddress {
    /// The IP address and port, if it is a port of this machine that can be told without asking the network.
    #[must_use]
    pub fn local(&self) -> Option<(IpAddr, u16)> {
        match self {
            Self::Ip(address) if address.ip().is_loopback() => Some((address.ip(), address.port())),
            Self::Host { name, port } if is_loopback(Host::Domain(name)) => Some((Ipv4Addr::LOCALHOST.into(), *port)),
            _ => None,
        }
    }
}

impl fmt::Display for ListenAddress {
    /// As it is written in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for UpstreamAddress {
    /// As it is written in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { name, port } => write!(f, "{name}:{port}"),
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
