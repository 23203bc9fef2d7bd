//! One `GET`, with an answer that is read as far as its bound and no further.

use std::time::Duration;

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue,
    IF_NONE_MATCH,
};
use reqwest::{Client, StatusCode, Url};

use super::lifetime;
use crate::jwks_refresh::error::{BODY_MAX, FetchError};
use crate::jwks_refresh::fetch::Cause;

/// What goes with a request.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub client: &'a Client,
    pub credentials: Option<&'a HeaderValue>,
    /// The version that we have.
    pub etag: Option<&'a HeaderValue>,
    pub cause: Cause,
}

/// What came back.
pub(super) enum HttpDocument {
    Document { body: Vec<u8>, etag: Option<HeaderValue>, fresh_for: Option<Duration> },
    NotModified { fresh_for: Option<Duration> },
}

impl Request<'_> {
    pub(super) async fn get(self, url: Url) -> Result<HttpDocument, FetchError> {
        let mut request = self.client.get(url).header(ACCEPT, HeaderValue::from_static(ACCEPTED));
        request = request.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(credentials) = self.credentials {
            request = request.header(AUTHORIZATION, credentials);
        }
        if let Some(etag) = self.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if self.cause == Cause::Request {
            // A cache on the way knows the new key as little as we do.
            request = request.header(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        let mut response = request.send().await?;
        let fresh_for = lifetime::stated(response.headers());
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if self.etag.is_some() => return Ok(HttpDocument::NotModified { fresh_for }),
            other => return Err(FetchError::Status(other.as_u16())),
        }
        if let Some(coding) = content_coding(response.headers()) {
            return Err(FetchError::Encoded(coding));
        }
        let etag = etag(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > BODY_MAX {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpDocument::Document { body, etag, fresh_for })
    }
}

fn etag(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(ETAG).filter(|etag| etag.len() <= ETAG_MAX).cloned()
}

/// The coding of the body (RFC 9110 §8.4), if it has one: none was asked for.
fn content_coding(headers: &HeaderMap) -> Option<&'static str> {
    let coding = headers.get(CONTENT_ENCODING)?.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    match coding.as_str() {
        "" | "identity" => None,
        known => {
            Some(["br", "compress", "deflate", "gzip", "zstd"].into_iter().find(|it| *it == known).unwrap_or("other"))
        }
    }
}

/// Servers that know no type for key sets send any other; what the document is decides.
const ACCEPTED: &str = "application/jwk-set+json, application/json, */*;q=0.1";

/// The longest entity tag that is kept, in bytes.
const ETAG_MAX: usize = 256;
