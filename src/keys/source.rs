//! Where the keys of an issuer come from and how they may be fetched, as the configuration says it. Addresses are checked
//! here, once for all places an address can come from: the configuration, a discovery document, a redirect.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use super::jwks::KeyUse;
use super::store::KeySlot;
use crate::algorithm::Algorithm;

/// One issuer's keys: whose they are, where they come from, where they go.
pub struct Source {
    /// The issuer's name, exactly as tokens and its discovery document must spell it.
    pub issuer: String,
    /// The algorithms its tokens may use. Keys that fit none of them are left out.
    pub algorithms: Vec<Algorithm>,
    /// What its keys must be meant for.
    pub usage: KeyUse,
    pub location: Location,
    /// Where the keys are published for the requests.
    pub slot: Arc<KeySlot>,
    pub settings: FetchSettings,
}

/// Where a key document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Where the issuer's discovery document says (`jwks_uri`).
    Discovery,
    /// In a file, which is watched.
    File(PathBuf),
    /// At this address.
    Url(String),
}

/// Everything that makes one task differ from another: two sources with the same origin can share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub issuer: String,
    pub algorithms: Vec<Algorithm>,
    pub usage: KeyUse,
    pub location: Location,
    pub settings: FetchSettings,
}

impl fmt::Display for Location {
    /// What tells the source of one issuer from another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovery => f.write_str("discovery"),
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// How a key document is fetched, and for how long it is good. The defaults are those of the configuration.
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
    pub proxy: ProxyUse,
    /// A directory in which the last good document is kept, for a restart while the issuer is down. Not for files.
    pub snapshot_dir: Option<PathBuf>,
}

/// A certificate with its chain and its private key, each a PEM file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    pub certificate: PathBuf,
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

impl Source {
    /// Where its keys come from, and how.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            issuer: self.issuer.clone(),
            algorithms: self.algorithms.clone(),
            usage: self.usage,
            location: self.location.clone(),
            settings: self.settings.clone(),
        }
    }
}

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

/// Reads an address and checks that keys may be fetched from it: by `https`, or by plain `http` from this host or by
/// permission. Who can change the answer on its way can sign tokens.
///
/// # Errors
/// What is wrong with it.
pub fn address(text: &str, allow_http: bool) -> Result<Url, AddressError> {
    let url = Url::parse(text).map_err(|_| AddressError::NotAUrl)?;
    check(&url, allow_http)?;
    Ok(url)
}

/// The rule of [`address`] for an address that was read already.
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
    if url.scheme() == "http" && !allow_http && !is_loopback(url) {
        return Err(AddressError::PlainHttp);
    }
    Ok(())
}

/// The rule for an address that another one led to: besides [`check`], a fetch that began with `https` goes on with it, even
/// on this host. Else whoever
/// writes the first answer could send us to any local port.
pub fn check_next(from: &Url, to: &Url, allow_http: bool) -> Result<(), AddressError> {
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(AddressError::Downgrade);
    }
    check(to, allow_http)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

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
            assert!(address(good, false).is_ok(), "{good}");
        }
        for plain in
            ["http://a.example/k", "http://localhost.a.example/", "http://127.0.0.1.a.example/", "http://[::2]/"]
        {
            assert_eq!(address(plain, false), Err(AddressError::PlainHttp), "{plain}");
            assert!(address(plain, true).is_ok(), "{plain}");
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
            assert_eq!(address(text, true), Err(fault), "{text}");
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
}
