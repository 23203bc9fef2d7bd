//! The HTTP client of one issuer: whom it trusts, who it is, and which redirects it follows.

use reqwest::{Certificate, Client, ClientBuilder, Identity, Url, redirect};

use crate::file_watcher::FileError;
use crate::jwks_refresh::error::{FetchError, REDIRECTS_MAX};
use crate::jwks_refresh::file::read;
use crate::keys::source::{ClientCertificate, FetchSettings, ProxyUse, check_next};

/// The content of the files that a client is made with.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct TlsMaterial {
    authorities: Option<Vec<u8>>,
    /// Certificate and private key, one after the other.
    identity: Option<Vec<u8>>,
}

impl TlsMaterial {
    pub(super) async fn read(settings: &FetchSettings) -> Result<Self, FetchError> {
        let authorities = match &settings.ca_file {
            Some(path) => Some(read(CA_FILE, path).await?),
            None => None,
        };
        let identity = match &settings.client {
            Some(ClientCertificate { certificate, key }) => {
                Some([read(CLIENT_CERT, certificate).await?, read(CLIENT_KEY, key).await?].join(&b'\n'))
            }
            None => None,
        };
        Ok(Self { authorities, identity })
    }
}

/// Makes a client for fetches that begin at this address.
pub(super) async fn build(
    materials: &TlsMaterial,
    settings: &FetchSettings,
    first: &Url,
) -> Result<Client, FetchError> {
    let (materials, allow_http, proxy) = (materials.clone(), settings.allow_http, settings.proxy);
    let trust = match first.scheme() {
        "http" => Trust::IfThereIsAny,
        _ => Trust::Needed,
    };
    // Reading the system's roots takes a while.
    let made = tokio::task::spawn_blocking(move || build_blocking(&materials, allow_http, proxy, trust)).await;
    made.unwrap_or(Err(FetchError::Setup))
}

/// Whether a client without any trusted authority is of use.
#[derive(Clone, Copy)]
enum Trust {
    /// For plain http, in a container that has no certificates at all.
    IfThereIsAny,
    Needed,
}

fn build_blocking(
    materials: &TlsMaterial,
    allow_http: bool,
    proxy: ProxyUse,
    trust: Trust,
) -> Result<Client, FetchError> {
    let builder = || -> Result<ClientBuilder, FetchError> {
        let mut builder = Client::builder().referer(false).user_agent(USER_AGENT).redirect(redirects(allow_http));
        if proxy == ProxyUse::Direct {
            builder = builder.no_proxy();
        }
        if let Some(pem) = &materials.identity {
            builder = builder.identity(Identity::from_pem(pem).map_err(|_| flaw(CLIENT_CERT))?);
        }
        Ok(builder)
    };
    if let Some(pem) = &materials.authorities {
        let certificates = Certificate::from_pem_bundle(pem).map_err(|_| flaw(CA_FILE))?;
        if certificates.is_empty() {
            return Err(flaw(CA_FILE));
        }
        return builder()?.tls_certs_only(certificates).build().map_err(|_| flaw(CA_FILE));
    }
    match (builder()?.build(), trust) {
        (Err(_), Trust::IfThereIsAny) => Ok(builder()?.tls_certs_only([]).build()?),
        (built, _) => Ok(built?),
    }
}

fn redirects(allow_http: bool) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| match check_redirect(attempt.previous(), attempt.url(), allow_http) {
        Ok(()) => attempt.follow(),
        Err(error) => attempt.error(error),
    })
}

fn check_redirect(previous: &[Url], next: &Url, allow_http: bool) -> Result<(), FetchError> {
    if previous.len() > REDIRECTS_MAX {
        return Err(FetchError::TooManyRedirects);
    }
    match previous.last() {
        Some(from) => check_next(from, next, allow_http).map_err(FetchError::Redirect),
        None => Err(FetchError::Protocol),
    }
}

const fn flaw(what: &'static str) -> FetchError {
    FetchError::File { what, why: FileError::Content }
}

const CA_FILE: &str = "ca_file";
const CLIENT_CERT: &str = "client_cert";
const CLIENT_KEY: &str = "client_key";
const USER_AGENT: &str = concat!("callgate/", env!("CARGO_PKG_VERSION"));
