//! Why a refresh failed, in our own words: short, bounded, and without anything that a server or a library said. They may
//! stand in logs and in `/readyz`. The one exception is the issuer that a discovery document names, shortened and cleaned.

use std::error::Error;
use std::io;

use reqwest::Url;

use crate::file_watcher::FileError;
use crate::keys::jwks::KeySetError;
use crate::keys::source::AddressError;

/// Why a refresh brought no key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum FetchError {
    #[error("the SPIFFE Workload API {0}")]
    Agent(AgentError),
    #[error("the certificate of the key server is not accepted: {0}")]
    Certificate(&'static str),
    #[error("the connection was refused")]
    ConnectionRefused,
    #[error("the connection failed")]
    Connection,
    #[error("the discovery document {0}")]
    Discovery(&'static str),
    #[error("the document cannot be used: {0}")]
    Document(KeySetError),
    #[error("the answer is compressed (Content-Encoding: {0}), though only identity was asked for")]
    Encoded(&'static str),
    #[error("{what} cannot be used: {why}")]
    File { what: &'static str, why: FileError },
    #[error("the name of the host cannot be resolved")]
    HostUnknown,
    #[error("the address of the keys in the discovery document is refused: {0}")]
    JwksUri(AddressError),
    #[error("the answer is not proper HTTP, or broke off")]
    Protocol,
    #[error("a redirect leads to an address that is refused: {0}")]
    Redirect(AddressError),
    #[error("the fetch cannot be set up")]
    Setup,
    #[error("HTTP {0}")]
    Status(u16),
    #[error("no complete answer within the time limit")]
    Timeout,
    #[error("the answer is larger than {BODY_MAX} bytes")]
    TooLarge,
    #[error("the discovery document names the issuer {found}, and the configured one is {wanted}")]
    OtherIssuer { found: String, wanted: String },
    #[error("more than {REDIRECTS_MAX} redirects")]
    TooManyRedirects,
}

/// Why the SPIFFE Workload API gives no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum AgentError {
    #[error("has a socket that this user may not open")]
    Closed,
    #[error("gives this workload nothing (PermissionDenied)")]
    Denied,
    #[error("has no bundle of the trust domain")]
    NoBundle,
    #[error("has no socket there")]
    NoSocket,
    #[error("does not listen at its socket")]
    NotListening,
    #[error("is not what answers at the socket (Unimplemented)")]
    Unimplemented,
}

/// What a fetch asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What was to be had there, in words.
    pub what: &'static str,
    /// Where, without query and shortened.
    pub url: String,
}

impl Asked {
    /// A document by this name at this URL.
    #[must_use]
    pub fn new(what: &'static str, url: &Url) -> Self {
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        Self::at(what, url.as_str())
    }

    /// A document by this name at this place.
    #[must_use]
    pub fn at(what: &'static str, place: &str) -> Self {
        Self { what, url: place.chars().take(URL_SHOWN).collect() }
    }
}

impl FetchError {
    /// What to do about it, unless the error says it itself.
    #[must_use]
    pub const fn next_step(&self) -> Option<&'static str> {
        Some(match self {
            Self::Agent(AgentError::Closed) => "let the user of this process open the agent's socket",
            Self::Agent(AgentError::Denied) => "register this workload with the agent's server",
            Self::Agent(AgentError::NoBundle) => "check trust_domain, and whether the agent's server federates with it",
            Self::Agent(AgentError::NoSocket) => "mount the directory of the agent's socket, and check the path",
            Self::Agent(AgentError::NotListening) => "look at the agent's own log",
            Self::Agent(AgentError::Unimplemented) => "check that the path is that of the agent's Workload API",
            Self::Certificate(_) => {
                "set ca_file to the authority of the server's certificate, or have the certificate renewed"
            }
            Self::ConnectionRefused => "nothing listens there: check host and port",
            Self::Connection => "check the network policy, and that the port speaks TLS if the URL is https",
            Self::Discovery(_) => "compare issuer with the document, or give keys.url instead of keys.discovery",
            Self::Document(_) => return None,
            Self::Encoded(_) => "the server must answer without compression when asked for identity",
            Self::File { .. } => "check that the file is mounted and that this user may read it",
            Self::HostUnknown => "check the host's name and the DNS of this machine",
            Self::JwksUri(_) => "give keys.url, or set jwks_host",
            Self::OtherIssuer { .. } => "write its name as issuer if it is the right one: tokens have it as iss",
            Self::Protocol => "if the port speaks TLS, the URL must be https",
            Self::Redirect(_) | Self::TooManyRedirects => "give the URL to which the redirects lead",
            Self::Setup => "check the proxy variables of the environment, or unset use_proxy_env",
            Self::Status(401 | 403) => "the server wants credentials: set token_file or client_cert",
            Self::Status(404) => "no document there: check the URL; without a discovery document give keys.url",
            Self::Status(500..) => "the server fails: look at the issuer's own log",
            Self::Status(_) => "the server answers with no document: check the URL",
            Self::Timeout => "check network policies and the issuer's load; timeout is the limit",
            Self::TooLarge => "this is no key set: check the URL",
        })
    }

    /// All that is known of a failure, as one sentence for logs, `/readyz` and `explain`: the error with its class, what was asked
    /// where, and the next step.
    #[must_use]
    pub fn detail(&self, asked: Option<&Asked>) -> String {
        let mut text = format!("{self} ({})", self.class());
        if let Some(Asked { what, url }) = asked {
            text += &format!(", asked for the {what} at {url}");
        }
        if let Some(step) = self.next_step() {
            text += &format!("; {step}");
        }
        text
    }

    /// The class it is counted under: one of a few stable words.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Certificate(_) => "certificate",
            Self::ConnectionRefused | Self::Connection | Self::HostUnknown => "unreachable",
            Self::Discovery(_) | Self::JwksUri(_) | Self::OtherIssuer { .. } => "discovery",
            Self::Document(_) => "document",
            Self::File { .. } | Self::Setup => "file",
            Self::Encoded(_) | Self::Protocol | Self::TooLarge => "answer",
            Self::Redirect(_) | Self::TooManyRedirects => "redirect",
            Self::Status(_) => "status",
            Self::Timeout => "timeout",
        }
    }

    /// Every word of [`Self::class`].
    pub const CLASSES: [&'static str; 10] = [
        "agent",
        "answer",
        "certificate",
        "discovery",
        "document",
        "file",
        "redirect",
        "status",
        "timeout",
        "unreachable",
    ];
}

impl From<reqwest::Error> for FetchError {
    /// Looks for the cause that an operator can act on.
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        if error.is_dns() {
            return Self::HostUnknown;
        }
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(fault) = error.downcast_ref::<Self>() {
                return fault.clone();
            }
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Self::from(error);
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                if error.kind() == io::ErrorKind::ConnectionRefused {
                    return Self::ConnectionRefused;
                }
                // The source of an io::Error skips the error that it wraps.
                cause = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
                continue;
            }
            cause = error.source();
        }
        match () {
            () if error.is_builder() => Self::Setup,
            () if error.is_connect() => Self::Connection,
            () => Self::Protocol,
        }
    }
}

impl From<&rustls::Error> for FetchError {
    fn from(error: &rustls::Error) -> Self {
        use rustls::CertificateError;
        let rustls::Error::InvalidCertificate(flaw) = error else { return Self::Connection };
        Self::Certificate(match flaw {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "it is for another host"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
            CertificateError::Revoked => "it is revoked",
            CertificateError::UnknownIssuer => "its authority is not trusted",
            _ => "it is not sound",
        })
    }
}

/// How many characters of a URL are shown.
const URL_SHOWN: usize = 200;

/// How many bytes a key document, a discovery document or a file that belongs to a fetch may have.
pub const BODY_MAX: usize = 1024 * 1024;

/// How many redirects are followed for one document.
pub const REDIRECTS_MAX: usize = 3;
