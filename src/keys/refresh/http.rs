//! Getting a key document by HTTP, directly or through discovery. What a server may cost us is bounded: the size of its answer
//! in [`page`], its time by who waits. Redirects and discovery lead only to addresses that [`super::source`] allows.

mod client;
mod lifetime;
mod page;

use reqwest::header::HeaderValue;
use reqwest::{Client, Url};

use self::client::Materials;
use self::page::{Page, Request};
use super::discovery;
use super::fault::{Fault, FileFlaw};
use super::fetch::{Answer, Fetch, Known, Occasion, Validators};
use super::file::read;
use super::source::{FetchSettings, check};

/// A key document on a server.
pub(super) struct KeyServer {
    start: Start,
    settings: FetchSettings,
    /// Kept while it works. A new one looks at everything anew: names, the system's roots.
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

impl KeyServer {
    pub const fn new(start: Start, settings: FetchSettings) -> Self {
        Self { start, settings, client: None, discovered: None }
    }

    async fn attempt(&mut self, occasion: Occasion, known: Option<&Validators>) -> Result<Answer, Fault> {
        let client = self.client().await?;
        let credentials = self.credentials().await?;
        let url = self.keys_address(&client, occasion, credentials.as_ref()).await?;
        let request = Request {
            client: &client,
            credentials: credentials.as_ref().filter(|_| self.is_trusted(&url)),
            // For a request that lacks a key, "not modified" would be no help, whoever says it: the server or a cache.
            etag: match occasion {
                Occasion::Asked => None,
                Occasion::Scheduled => known.filter(|known| known.url == url).map(|known| &known.etag),
            },
            occasion,
        };
        Ok(match request.get(url.clone()).await? {
            Page::Document { body, etag, fresh_for } => {
                let validators = etag.map(|etag| Validators { url, etag });
                Answer::Document { document: body, validators, fresh_for }
            }
            Page::NotModified { fresh_for } => Answer::NotModified { fresh_for },
        })
    }

    /// Discovers the address of the keys, or takes the one discovered before when a request is waiting: then only the
    /// fetch of the keys can help it.
    async fn keys_address(
        &mut self,
        client: &Client,
        occasion: Occasion,
        credentials: Option<&HeaderValue>,
    ) -> Result<Url, Fault> {
        let (issuer, base) = match (&self.start, &self.discovered, occasion) {
            (Start::Keys(url), ..) => return Ok(url.clone()),
            (_, Some(url), Occasion::Asked) => return Ok(url.clone()),
            (Start::Discovery { issuer, base }, ..) => (issuer, base),
        };
        let request = Request { client, credentials, etag: None, occasion };
        let [openid, oauth] = discovery::addresses(base);
        let (from, page) = match request.get(openid.clone()).await {
            Err(Fault::Status(404)) => (oauth.clone(), request.get(oauth).await?),
            found => (openid, found?),
        };
        let Page::Document { body, .. } = page else { return Err(Fault::Status(304)) };
        let mut url = discovery::jwks_uri(&body, issuer, &from, self.settings.allow_http)?;
        if let Some(host) = &self.settings.jwks_host {
            host.replace(&mut url).and_then(|()| check(&url, self.settings.allow_http)).map_err(Fault::JwksUri)?;
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

    async fn credentials(&self) -> Result<Option<HeaderValue>, Fault> {
        let Some(path) = &self.settings.token_file else { return Ok(None) };
        let unusable = || Fault::File { what: TOKEN_FILE, why: FileFlaw::Content };
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
    async fn client(&mut self) -> Result<Client, Fault> {
        let materials = Materials::read(&self.settings).await?;
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
    async fn fetch(&mut self, occasion: Occasion, known: Option<Known<'_>>) -> Result<Answer, Fault> {
        let answer = self.attempt(occasion, known.and_then(|known| known.validators)).await;
        if answer.is_err() {
            self.forget();
        }
        answer
    }

    fn forget(&mut self) {
        (self.client, self.discovered) = (None, None);
    }
}

const TOKEN_FILE: &str = "token_file";

#[cfg(test)]
mod tests;
