//! Getting a key document by HTTP, directly or through discovery. What a server may cost us is bounded: the size of its answer
//! here, its time by who waits. Redirects and discovery lead only to addresses that [`super::source`] allows.

use reqwest::header::{ACCEPT, CACHE_CONTROL, HeaderValue};
use reqwest::{Certificate, Client, StatusCode, Url, redirect};

use super::discovery;
use super::fault::{BODY_MAX, Fault, FileFlaw, REDIRECTS_MAX};
use super::fetch::{Answer, Fetch, Known, Occasion};
use super::file::read;
use super::source::{FetchSettings, check_next};

/// A key document on a server.
pub(super) struct KeyServer {
    start: Start,
    settings: FetchSettings,
    /// Kept while it works. A new one looks at everything anew: files, names, the system's roots.
    client: Option<(Materials, Client)>,
    /// Where the discovery document said that the keys are.
    discovered: Option<Url>,
}

/// Where a fetch begins.
pub(super) enum Start {
    /// At the discovery document of this issuer, under this address.
    Discovery { issuer: String, base: Url },
    /// At the key document.
    Keys(Url),
}

/// The content of the files that a client is made with.
#[derive(PartialEq, Eq)]
struct Materials {
    authorities: Option<Vec<u8>>,
}

impl KeyServer {
    pub const fn new(start: Start, settings: FetchSettings) -> Self {
        Self { start, settings, client: None, discovered: None }
    }

    async fn attempt(&mut self, occasion: Occasion) -> Result<Answer, Fault> {
        let client = self.client().await?;
        let keys = self.keys_address(&client, occasion).await?;
        let document = get(&client, keys, occasion).await?;
        Ok(Answer::Document { document, validators: None, fresh_for: None })
    }

    /// Discovers the address of the keys, or takes the one discovered before when a request is waiting: then only the
    /// fetch of the keys can help it.
    async fn keys_address(&mut self, client: &Client, occasion: Occasion) -> Result<Url, Fault> {
        let (issuer, base) = match (&self.start, &self.discovered, occasion) {
            (Start::Keys(url), ..) => return Ok(url.clone()),
            (_, Some(url), Occasion::Asked) => return Ok(url.clone()),
            (Start::Discovery { issuer, base }, ..) => (issuer, base),
        };
        let [openid, oauth] = discovery::addresses(base);
        let (from, document) = match get(client, openid.clone(), occasion).await {
            Err(Fault::Status(404)) => (oauth.clone(), get(client, oauth, occasion).await?),
            found => (openid, found?),
        };
        let url = discovery::jwks_uri(&document, issuer, &from, self.settings.allow_http)?;
        self.discovered = Some(url.clone());
        Ok(url)
    }

    async fn client(&mut self) -> Result<Client, Fault> {
        let authorities = match &self.settings.ca_file {
            Some(path) => Some(read(CA_FILE, path).await?),
            None => None,
        };
        let materials = Materials { authorities };
        if let Some((made_with, client)) = &self.client
            && *made_with == materials
        {
            return Ok(client.clone());
        }
        let allow_http = self.settings.allow_http;
        let is_plain =
            matches!(&self.start, Start::Keys(url) | Start::Discovery { base: url, .. } if url.scheme() == "http");
        // Reading the system's roots takes a while.
        let made = tokio::task::spawn_blocking(move || {
            let client = build(&materials, allow_http, is_plain)?;
            Ok((materials, client))
        });
        let (materials, client) = made.await.unwrap_or(Err(Fault::Setup))?;
        self.client = Some((materials, client.clone()));
        Ok(client)
    }
}

impl Fetch for KeyServer {
    async fn fetch(&mut self, occasion: Occasion, _: Option<Known<'_>>) -> Result<Answer, Fault> {
        let answer = self.attempt(occasion).await;
        if answer.is_err() {
            (self.client, self.discovered) = (None, None);
        }
        answer
    }
}

fn build(materials: &Materials, allow_http: bool, is_plain: bool) -> Result<Client, Fault> {
    let builder = || {
        Client::builder().no_proxy().referer(false).user_agent(USER_AGENT).redirect(redirect::Policy::custom(
            move |attempt| match judge_redirect(attempt.previous(), attempt.url(), allow_http) {
                Ok(()) => attempt.follow(),
                Err(fault) => attempt.error(fault),
            },
        ))
    };
    if let Some(pem) = &materials.authorities {
        let flaw = || Fault::File { what: CA_FILE, why: FileFlaw::Content };
        let certificates = Certificate::from_pem_bundle(pem).map_err(|_| flaw())?;
        if certificates.is_empty() {
            return Err(flaw());
        }
        return builder().tls_certs_only(certificates).build().map_err(|_| flaw());
    }
    match builder().build() {
        // A container without any roots can still fetch by plain http.
        Err(_) if is_plain => Ok(builder().tls_certs_only([]).build()?),
        built => Ok(built?),
    }
}

fn judge_redirect(previous: &[Url], next: &Url, allow_http: bool) -> Result<(), Fault> {
    if previous.len() > REDIRECTS_MAX {
        return Err(Fault::TooManyRedirects);
    }
    match previous.last() {
        Some(from) => check_next(from, next, allow_http).map_err(Fault::Redirect),
        None => Err(Fault::Protocol),
    }
}

async fn get(client: &Client, url: Url, occasion: Occasion) -> Result<Vec<u8>, Fault> {
    let mut request = client.get(url).header(ACCEPT, HeaderValue::from_static(ACCEPTED));
    if occasion == Occasion::Asked {
        // A cache on the way that does not know the new key either is of no use.
        request = request.header(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    let mut response = request.send().await?;
    if response.status() != StatusCode::OK {
        return Err(Fault::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(Fault::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

const CA_FILE: &str = "ca_file";
const ACCEPTED: &str = "application/jwk-set+json, application/json";
const USER_AGENT: &str = concat!("callgate/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests;
