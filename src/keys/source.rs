//! Where the keys of an issuer come from and how they may be fetched, as the configuration says it. Addresses are checked
//! here, once for all places an address can come from: the configuration, a discovery document, a redirect.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use super::jwks::{KeySetError, KeyUse, Reading};
use super::store::KeySlot;
use crate::algorithm::Algorithm;

/// One issuer's keys: where they come from, where they go.
pub struct Source {
    /// Where they come from.
    pub origin: Origin,
    /// Where the keys are published for the requests.
    pub slot: Arc<KeySlot>,
    /// Whether the instance needs its keys to be ready.
    pub required: bool,
}

/// Where a key document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Where the discovery document of the issuer at this URL says (`jwks_uri`).
    Discovery(FetchUrl),
    /// In a file, which is watched.
    File(PathBuf),
    /// At this URL.
    Url(FetchUrl),
    /// In what the SPIFFE Workload API at this socket says of a trust domain.
    WorkloadApi {
        /// Its absolute path.
        socket: PathBuf,
        /// Its name, without `spiffe://`.
        trust_domain: String,
    },
}

/// A URL that keys may be fetched from: by `https`, or by plain `http` from this machine or by permission. Whoever can change the
/// document on its way can sign tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchUrl(Url);

/// Where one issuer's keys come from, and how. Sources of the same origin can share one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The issuer's name, exactly as tokens and its discovery document must spell it.
    pub issuer: String,
    /// The algorithms its tokens may use. Keys that fit none of them are left out.
    pub algorithms: Vec<Algorithm>,
    /// What its keys must be meant for.
    pub usage: KeyUse,
    /// Where the document with the keys is.
    pub location: Location,
    /// How and how often it is fetched.
    pub settings: FetchSettings,
}

impl Origin {
    /// Reads a document that came from here. An operator's file may have other forms than what is fetched.
    ///
    /// # Errors
    /// If it holds no key that can be used.
    pub fn read(&self, document: &[u8]) -> Result<Reading, KeySetError> {
        match self.location {
            Location::File(_) => Reading::parse_file(self.usage, document, &self.algorithms),
            Location::Discovery(_) | Location::Url(_) | Location::WorkloadApi { .. } => {
                Reading::parse_for(self.usage, document, &self.algorithms)
            }
        }
    }
}

impl Location {
    /// The URL or path that is read first, for people.
    #[must_use]
    pub fn document(&self) -> String {
        match self {
            Self::Discovery(issuer) => {
                let [openid, _] = discovery_documents(issuer.as_url());
                format!("{openid} (discovery)")
            }
            Self::File(_) | Self::Url(_) | Self::WorkloadApi { .. } => self.to_string(),
        }
    }
}

impl Origin {
    /// Whether keys of the one are keys of the other: the same document, got from a server that is trusted for the same
    /// reasons, and read in the same way. Only how often and with which credentials it is fetched may differ.
    #[must_use]
    pub fn has_keys_of(&self, other: &Self) -> bool {
        let trust = |origin: &Self| {
            let FetchSettings { ca_file, allow_http, jwks_host, proxy, .. } = &origin.settings;
            (ca_file.clone(), *allow_http, jwks_host.clone(), *proxy)
        };
        self.issuer == other.issuer
            && self.algorithms == other.algorithms
            && self.usage == other.usage
            && self.location == other.location
            && trust(self) == trust(other)
    }

    /// The document and why its server is trusted, as text: two origins with the same text
    /// [have the same document](Self::has_keys_of).
    #[must_use]
    pub fn identity(&self) -> String {
        let FetchSettings { ca_file, allow_http, jwks_host, proxy, .. } = &self.settings;
        let mut text = self.location.to_string();
        if let Some(JwksHost { name, port }) = jwks_host {
            text += &format!(" jwks_host={name}:{}", port.unwrap_or_default());
        }
        if let Some(path) = ca_file {
            text += &format!(" ca_file={}", path.display());
        }
        if *allow_http {
            text += " allow_http";
        }
        if *proxy == ProxyUse::Environment {
            text += " use_proxy_env";
        }
        text
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovery(_) => f.write_str("discovery"),
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url.as_url().as_str()),
            Self::WorkloadApi { socket, trust_domain } => {
                write!(f, "the bundle of {trust_domain} from the Workload API at unix:{}", socket.display())
            }
        }
    }
}

/// How a key document is fetched, and for how long it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSettings {
    /// Time between two refreshes, at most; the issuer may ask for less. Not for files.
    pub refresh: Duration,
    /// How long keys may be used after the issuer last confirmed them. Not for files.
    pub stale_limit: Duration,
    /// The least time between two refreshes for unknown keys. A token signed with a brand-new key can wait for the next
    /// refresh only if this and the time of a fetch are together less than the time that a request may wait.
    pub unknown_key_cooldown: Duration,
    /// How long one refresh may take, with discovery and redirects.
    pub timeout: Duration,
    /// The certificate authorities (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Allows plain `http` to hosts other than this one.
    pub allow_http: bool,
    /// A bearer token to present, read again at each fetch: such tokens are replaced while we run. It is presented to the
    /// configured host only, not to one that a redirect or a discovery document names.
    pub token_file: Option<PathBuf>,
    /// A certificate to present.
    pub client: Option<ClientCertificate>,
    /// The host to fetch the keys from, instead of the one in the discovery document.
    pub jwks_host: Option<JwksHost>,
    /// Whether a proxy may be in between.
    pub proxy: ProxyUse,
    /// A directory in which the last good document is kept, for a restart while the issuer is down. Not for files.
    pub snapshot_dir: Option<PathBuf>,
}

/// A certificate with its chain and its private key, each a PEM file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and then its chain.
    pub certificate: PathBuf,
    /// The private key of the former.
    pub key: PathBuf,
}

/// Whether `HTTPS_PROXY` and its kin are obeyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyUse {
    /// Hosts are connected to directly, whatever the environment says.
    #[default]
    Direct,
    /// As `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    Environment,
}

/// A host, with a port if it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksHost {
    name: String,
    port: Option<u16>,
}

impl JwksHost {
    /// Reads `host` or `host:port`.
    ///
    /// # Errors
    /// If it is something else.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        // A URL with the host alone is read by the rules that the finished URL must obey.
        let url = Url::parse(&format!("https://{text}/")).map_err(|_| AddressError::NotAUrl)?;
        let is_plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        match url.host_str() {
            Some(name) if is_plain && url.username().is_empty() && url.password().is_none() && !text.contains('/') => {
                Ok(Self { name: name.to_owned(), port: url.port() })
            }
            _ => Err(AddressError::NotAUrl),
        }
    }

    /// Puts this host in the place of the URL's.
    pub fn replace(&self, url: &mut Url) -> Result<(), AddressError> {
        url.set_host(Some(&self.name)).map_err(|_| AddressError::NotAUrl)?;
        url.set_port(self.port).map_err(|()| AddressError::NotAUrl)
    }
}

impl FetchUrl {
    /// Reads a URL and checks that keys may be fetched from it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, AddressError> {
        Self::new(Url::parse(text).map_err(|_| AddressError::NotAUrl)?, allow_http)
    }

    /// Checks that keys may be fetched from a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(url: Url, allow_http: bool) -> Result<Self, AddressError> {
        check(&url, allow_http)?;
        Ok(Self(url))
    }

    /// The URL itself.
    #[must_use]
    pub const fn as_url(&self) -> &Url {
        &self.0
    }
}

/// The settings that the tests of fetching begin with.
#[cfg(test)]
impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(5 * 60),
            stale_limit: Duration::from_secs(24 * 60 * 60),
            unknown_key_cooldown: Duration::from_millis(500),
            timeout: Duration::from_secs(5),
            ca_file: None,
            allow_http: false,
            token_file: None,
            client: None,
            jwks_host: None,
            proxy: ProxyUse::Direct,
            snapshot_dir: None,
        }
    }
}

/// Why an address is not one to fetch keys from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum AddressError {
    #[error("it contains credentials")]
    Credentials,
    #[error("it is plain http, and what led to it was https")]
    Downgrade,
    #[error("it is not an absolute URL with a host")]
    NotAUrl,
    #[error("it is plain http to another host, which allow_http = true would permit")]
    PlainHttp,
    #[error("it is neither https nor http")]
    Scheme,
}

/// The rule of [`FetchUrl`].
///
/// # Errors
/// What is wrong with it.
pub fn check(url: &Url, allow_http: bool) -> Result<(), AddressError> {
    if !matches!(url.scheme(), "https" | "http") {
        return Err(AddressError::Scheme);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(AddressError::NotAUrl);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Credentials);
    }
    if url.scheme() == "http" && !allow_http && !url.host().is_some_and(is_loopback) {
        return Err(AddressError::PlainHttp);
    }
    Ok(())
}

/// The rule for a URL that another one led to: besides [`check`], a fetch that began with `https` goes on with it, even on this
/// machine. Else whoever writes the first document could send us to any local port.
///
/// # Errors
/// What is wrong with it.
pub fn check_next(from: &Url, to: &Url, allow_http: bool) -> Result<(), AddressError> {
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(AddressError::Downgrade);
    }
    check(to, allow_http)
}

/// Whether a host is this machine itself. Of names only `localhost` is for sure (RFC 6761 §6.3).
#[must_use]
pub fn is_loopback(host: Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

/// The URLs of an issuer's discovery document: of OpenID Connect Discovery 1.0 §4, then of RFC 8414 §3, which puts the well-known
/// part before the issuer's path.
#[must_use]
pub fn discovery_documents(issuer: &Url) -> [Url; 2] {
    let path = issuer.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        url
    };
    [at(format!("{path}{OPENID}")), at(format!("{OAUTH}{path}"))]
}

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_allowed_and_plain_http_only_to_this_host_or_by_permission() {
        for good in [
            "https://a.example/k",
            "http://127.0.0.1:1/k",
            "http://127.9.9.9/k",
            "http://localhost/",
            "http://[::1]:80/",
        ] {
            assert!(FetchUrl::parse(good, false).is_ok(), "{good}");
        }
        for plain in
            ["http://a.example/k", "http://localhost.a.example/", "http://127.0.0.1.a.example/", "http://[::2]/"]
        {
            assert_eq!(FetchUrl::parse(plain, false), Err(AddressError::PlainHttp), "{plain}");
            assert!(FetchUrl::parse(plain, true).is_ok(), "{plain}");
        }
    }

    #[test]
    fn what_is_no_plain_web_address_is_refused_even_with_permission() {
        let cases = [
            ("", AddressError::NotAUrl),
            ("/keys", AddressError::NotAUrl),
            ("https://", AddressError::NotAUrl),
            ("a.example/keys", AddressError::NotAUrl),
            ("file:///etc/keys", AddressError::Scheme),
            ("ftp://a.example/", AddressError::Scheme),
            ("https://user@a.example/", AddressError::Credentials),
            ("https://user:secret@a.example/", AddressError::Credentials),
        ];
        for (text, fault) in cases {
            assert_eq!(FetchUrl::parse(text, true), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_host_replaces_name_and_port() {
        let replaced = |host: &str| {
            let mut url = Url::parse("https://172.18.0.2:6443/openid/v1/jwks").expect("a URL");
            JwksHost::parse(host).and_then(|host| host.replace(&mut url)).map(|()| String::from(url))
        };
        assert_eq!(replaced("kubernetes.default.svc").as_deref(), Ok("https://kubernetes.default.svc/openid/v1/jwks"));
        assert_eq!(replaced("a.example:8443").as_deref(), Ok("https://a.example:8443/openid/v1/jwks"));
        assert_eq!(replaced("[::1]:1").as_deref(), Ok("https://[::1]:1/openid/v1/jwks"));
        for wrong in ["", "a/b", "a/", "https://a", "user@a", "a?b", "a#b", "a:b", "a:99999"] {
            assert_eq!(replaced(wrong), Err(AddressError::NotAUrl), "{wrong}");
        }
    }

    #[test]
    fn one_never_falls_from_https_to_http() {
        let url = |text| Url::parse(text).expect("a URL");
        let (secure, local) = (url("https://a.example/"), url("http://127.0.0.1/"));
        assert_eq!(check_next(&secure, &local, false), Err(AddressError::Downgrade));
        assert_eq!(check_next(&secure, &local, true), Err(AddressError::Downgrade));
        assert_eq!(check_next(&local, &local, false), Ok(()));
        assert_eq!(check_next(&local, &secure, false), Ok(()));
    }

    #[test]
    fn the_well_known_part_comes_after_the_path_and_for_oauth_before_it() {
        let cases = [
            ("https://a.example", ["https://a.example{oidc}", "https://a.example{oauth}"]),
            ("https://a.example/", ["https://a.example{oidc}", "https://a.example{oauth}"]),
            ("https://a.example/t/1", ["https://a.example/t/1{oidc}", "https://a.example{oauth}/t/1"]),
            ("https://a.example/t/", ["https://a.example/t{oidc}", "https://a.example{oauth}/t"]),
            ("https://a.example:8443/t?x=1#y", ["https://a.example:8443/t{oidc}", "https://a.example:8443{oauth}/t"]),
        ];
        for (issuer, wanted) in cases {
            let found = discovery_documents(&Url::parse(issuer).expect("a URL")).map(String::from);
            let wanted = wanted.map(|text| text.replace("{oidc}", OPENID).replace("{oauth}", OAUTH));
            assert_eq!(found, wanted);
        }
    }
}
