//! Getting a key document by HTTP, directly or through discovery. What a server may cost us is bounded: the size of its answer
//! in [`document`], its time by who waits. Redirects and discovery lead only to addresses that [`super::source`] allows.

mod client;
mod document;
mod lifetime;

use reqwest::header::HeaderValue;
use reqwest::{Client, Url};

use self::client::TlsMaterial;
use self::document::{HttpDocument, Request};
use super::discovery;
use super::error::{Asked, FetchError};
use super::fetch::{Cause, Fetch, Fetched, Fetching, Validators};
use super::file::read;
use crate::file_watcher::FileError;
use crate::keys::source::{FetchSettings, check, discovery_documents};

/// A key document on a server.
pub(super) struct KeyServer {
    start: Start,
    settings: FetchSettings,
    /// Kept while it works. A new one resolves names and reads the system's roots again.
    client: Option<(TlsMaterial, Client)>,
    /// Where the discovery document said that the keys are.
    discovered: Option<Url>,
    asked: Option<Asked>,
}

/// Where a fetch begins.
pub(super) enum Start {
    /// At the discovery document of this issuer, under this address.
    Discovery { issuer: String, base: Url },
    /// At the key document.
    Keys(Url),
}

impl KeyServer {
    pub(super) const fn new(start: Start, settings: FetchSettings) -> Self {
        Self { start, settings, client: None, discovered: None, asked: None }
    }

    async fn attempt(&mut self, cause: Cause, known: Option<&Validators>) -> Result<Fetched, FetchError> {
        let client = self.client().await?;
        let credentials = self.credentials().await?;
        let url = self.keys_address(&client, cause, credentials.as_ref()).await?;
        let request = Request {
            client: &client,
            credentials: credentials.as_ref().filter(|_| self.is_trusted(&url)),
            // For a request that lacks a key, "not modified" would be no help, whoever says it: the server or a cache.
            etag: match cause {
                Cause::Request => None,
                Cause::Schedule => known.filter(|known| known.url == url).map(|known| &known.etag),
            },
            cause,
        };
        self.asked = Some(Asked::new("key set", &url));
        Ok(match request.get(url.clone()).await? {
            HttpDocument::Document { body, etag, fresh_for } => {
                let validators = etag.map(|etag| Validators { url, etag });
                Fetched::Document { document: body, validators, fresh_for }
            }
            HttpDocument::NotModified { fresh_for } => Fetched::NotModified { fresh_for },
        })
    }

    /// Discovers the address of the keys, or takes the one discovered before when a request is waiting: then only the
    /// fetch of the keys can help it.
    async fn keys_address(
        &mut self,
        client: &Client,
        cause: Cause,
        credentials: Option<&HeaderValue>,
    ) -> Result<Url, FetchError> {
        let (issuer, base) = match (&self.start, &self.discovered, cause) {
            (Start::Keys(url), ..) => return Ok(url.clone()),
            (_, Some(url), Cause::Request) => return Ok(url.clone()),
            (Start::Discovery { issuer, base }, ..) => (issuer, base),
        };
        let request = Request { client, credentials, etag: None, cause };
        let [openid, oauth] = discovery_documents(base);
        self.asked = Some(Asked::new("discovery document", &openid));
        let (from, page) = match request.get(openid.clone()).await {
            Err(FetchError::Status(404)) => {
                self.asked = Some(Asked::new("discovery document", &oauth));
                (oauth.clone(), request.get(oauth).await?)
            }
            found => (openid, found?),
        };
        let HttpDocument::Document { body, .. } = page else { return Err(FetchError::Status(304)) };
        let mut url = discovery::jwks_uri(&body, issuer, &from, self.settings.allow_http)?;
        if let Some(host) = &self.settings.jwks_host {
            host.replace(&mut url).and_then(|()| check(&url, self.settings.allow_http)).map_err(FetchError::JwksUri)?;
        }
        self.discovered = Some(url.clone());
        Ok(url)
    }

    /// Whether our credentials may be shown to this address: only if the configuration names its host.
    fn is_trusted(&self, url: &Url) -> bool {
        match &self.start {
            Start::Keys(_) => true,
            Start::Discovery { base, .. } => self.settings.jwks_host.is_some() || url.origin() == base.origin(),
        }
    }

    async fn credentials(&self) -> Result<Option<HeaderValue>, FetchError> {
        let Some(path) = &self.settings.token_file else { return Ok(None) };
        let unusable = || FetchError::File { what: TOKEN_FILE, why: FileError::Content };
        let content = read(TOKEN_FILE, path).await?;
        let token = content.trim_ascii();
        if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
            return Err(unusable());
        }
        let mut header = HeaderValue::from_bytes(&[b"Bearer ", token].concat()).map_err(|_| unusable())?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    /// The client, made anew when one of its files changed or the last fetch failed.
    async fn client(&mut self) -> Result<Client, FetchError> {
        let materials = TlsMaterial::read(&self.settings).await?;
        if let Some((made_with, client)) = &self.client
            && *made_with == materials
        {
            return Ok(client.clone());
        }
        let (Start::Keys(url) | Start::Discovery { base: url, .. }) = &self.start;
        let client = client::build(&materials, &self.settings, url).await?;
        self.client = Some((materials, client.clone()));
        Ok(client)
    }
}

impl Fetch for KeyServer {
    fn fetch<'f>(&'f mut self, cause: Cause, known: Option<&'f Validators>) -> Fetching<'f> {
        Box::pin(async move {
            let answer = self.attempt(cause, known).await;
            if answer.is_err() {
                self.forget();
            }
            answer
        })
    }

    fn asked(&self) -> Option<&Asked> {
        self.asked.as_ref()
    }

    fn forget(&mut self) {
        (self.client, self.discovered) = (None, None);
    }
}

const TOKEN_FILE: &str = "token_file";

#[cfg(test)]
mod tests;
