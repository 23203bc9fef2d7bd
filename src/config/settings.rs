//! What a configuration means: values that were checked, in the types of those who use them. They are made by `compile` only,
//! and never change.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

pub use super::file::{Closing, Format as LogFormat, Level as LogLevel, Protocol, RequestId, WhenFull};
use super::problem::Problem;
use crate::identity::{CallerRule, ClaimPath, Naming};
use crate::keys::jwks::KeyUse;
use crate::keys::source::{ClientCertificate, JwksHost, ProxyUse};
use crate::mode::Modes;
use crate::requirement::Requirement;
use crate::revocation::list::DenyList;
use crate::route::PublicRoutes;

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Where requests come in.
    pub listen: ListenAddress,
    /// TLS there.
    pub tls: Option<Tls>,
    pub upstream: Upstream,
    /// Where operators look. Port 0 means any.
    pub admin: SocketAddr,
    /// The trusted issuers, at least one, with different names.
    pub issuers: Vec<Issuer>,
    pub caller: CallerRule,
    /// Whether the upstream gets the token itself.
    pub forward_token: bool,
    pub public: PublicRoutes,
    /// The deny-list's file and what it said, if there is one.
    pub revocation: Option<Revocation>,
    pub forwarding: Forwarding,
    /// What is refused and what is only reported.
    pub modes: Modes,
    pub limits: Limits,
    /// The bytes for accepted tokens; 0 for none.
    pub cache: u64,
    pub audit: Audit,
    pub log: Log,
    /// `None` if nothing is traced.
    pub tracing: Option<Tracing>,
    pub reload: Reload,
    pub shutdown: Shutdown,
    /// What is allowed and somebody should know, ordered by place.
    pub warnings: Vec<Problem>,
}

/// Where clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Port 0 means any.
    Tcp(SocketAddr),
    /// The absolute path of a socket, and the permissions of its file.
    Unix { path: PathBuf, mode: u32 },
}

/// The service behind us.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub address: UpstreamAddress,
    pub protocol: Protocol,
    pub connect_timeout: Duration,
    pub read_timeout: Duration,
    pub write_timeout: Duration,
    pub idle_timeout: Duration,
}

/// Where the upstream listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// A name to be resolved at start.
    Host {
        name: String,
        port: u16,
    },
    Ip(SocketAddr),
    /// The absolute path of a socket.
    Unix(PathBuf),
}

/// A trusted issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// What its tokens must fulfil.
    pub requirement: Requirement,
    pub keys: Keys,
    /// How its callers are named, if not by the common rule.
    pub naming: Option<Naming>,
    /// The claims that the audit records, each under a name.
    pub recorded: Vec<(String, ClaimPath)>,
    /// Its table with everything in it that goes without saying: defaults, and what its preset stands for.
    pub expanded: String,
}

/// Where an issuer's keys come from and how they are kept fresh.
#[derive(Clone, Debug)]
pub struct Keys {
    pub source: KeySource,
    /// The time between two fetches.
    pub refresh: Duration,
    /// How long keys are good after their last fetch.
    pub stale_limit: Duration,
    /// The shortest pause between two fetches that tokens with unknown keys cause.
    pub unknown_key_cooldown: Duration,
    /// The longest time a fetch may take.
    pub timeout: Duration,
    /// PEM certificates to trust instead of the machine's own.
    pub ca_file: Option<PathBuf>,
    /// A bearer token to present.
    pub token_file: Option<PathBuf>,
    /// A certificate to present.
    pub client: Option<ClientCertificate>,
    /// The host to fetch from instead of the discovered one.
    pub jwks_host: Option<JwksHost>,
    /// What the keys must be meant for.
    pub usage: KeyUse,
    /// Whether the environment's proxies are used.
    pub proxy: ProxyUse,
    /// Where the last fetched keys are kept.
    pub snapshot_dir: Option<PathBuf>,
    /// Which URLs may be fetched; it also holds for redirects and for what a discovery document says.
    pub transport: Transport,
}

/// Where a key set is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The URL of the discovery document that names the key set's URL.
    Discovery(Url),
    File(PathBuf),
    Url(Url),
}

/// Over what keys may be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `https`, and `http` within this machine.
    Https,
    /// Also plain `http`, since the configuration says so.
    HttpAllowed,
}

/// What is refused although it is valid.
#[derive(Clone, Debug)]
pub struct Revocation {
    pub file: PathBuf,
    /// The list at the time when the configuration was read.
    pub list: DenyList,
}

/// Bounds on what clients can make us do. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest token that is looked at.
    pub token_size: usize,
    /// How many client connections may be open at once.
    pub connections: usize,
    /// How long a request may wait for a key.
    pub key_wait: Duration,
    /// How many requests may be in progress at once.
    pub requests: usize,
    /// How many requests one connection may carry.
    pub requests_per_connection: u32,
    /// The largest head of a request, and the most fields in it.
    pub head_size: usize,
    pub header_count: usize,
    /// How long a head may take.
    pub head_time: Duration,
    /// How long a connection may wait for a request.
    pub idle_time: Duration,
    /// How long a client may be silent within a body.
    pub read_timeout: Duration,
    /// How long a client may take to accept a piece of an answer.
    pub write_timeout: Duration,
    /// The largest body of a request.
    pub body_size: u64,
    pub close_at_expiry: Closing,
}

/// What the upstream is told about where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding {
    /// How many proxies in front of us are trusted to say so.
    pub trusted_hops: usize,
    pub request_id: RequestId,
}

/// TLS for the callers, as files of PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Whoever has no certificate of these is not listened to.
    pub client_ca: Option<PathBuf>,
}

/// Where the audit records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// `None` is standard output.
    pub file: Option<PathBuf>,
    /// How many records may wait.
    pub queue: usize,
    pub when_full: WhenFull,
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracing {
    /// Where spans are posted: `/v1/traces` of the endpoint.
    pub url: Url,
    /// How many of a hundred requests without a trace are traced.
    pub sample: u8,
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
    pub level: LogLevel,
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

impl Transport {
    /// Whether keys may be fetched from this URL.
    #[must_use]
    pub fn permits(self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => self == Self::HttpAllowed || is_loopback(url),
            _ => false,
        }
    }
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
            Self::Host { name, port } if name == "localhost" => Some((Ipv4Addr::LOCALHOST.into(), *port)),
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

impl fmt::Display for KeySource {
    /// The URL or path that is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovery(url) => write!(f, "{url} (discovery)"),
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

/// Whether a URL leads to this machine itself. Of names only `localhost` does for sure (RFC 6761 §6.3).
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
