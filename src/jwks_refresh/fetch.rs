//! How a key document is got, seen from the task that wants it: one operation, with an answer or a [`FetchError`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;

use super::error::{Asked, FetchError};
use crate::keys::source::Origin;

/// A way to get an issuer's key document.
pub(crate) trait Fetch: Send {
    /// Gets the document, or learns that the accepted one is still right. The caller sets the time limit.
    fn fetch<'f>(&'f mut self, cause: Cause, known: Option<&'f Validators>) -> Fetching<'f>;

    /// Returns once the source has said by itself that there is something new, which the next fetch then gets. It may be given up
    /// and begun again at any time. Most sources only answer.
    fn changed(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }

    /// Learns that the document of the latest fetch is a usable key set.
    fn accepted(&mut self) {}

    /// What the latest fetch asked for last, if it asked a server.
    fn asked(&self) -> Option<&Asked> {
        None
    }

    /// Drops what was kept from earlier fetches, after one was given up.
    fn forget(&mut self) {}
}

/// Makes the fetcher of a source.
pub(crate) type Fetchers = Arc<dyn Fn(&Origin) -> Box<dyn Fetch> + Send + Sync>;

/// A fetch under way.
pub(crate) type Fetching<'f> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'f>>;

/// What a refresh is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A request needs a key that is not at hand.
    Request,
    /// It is time.
    Schedule,
}

/// What came back.
pub(crate) enum Fetched {
    Document {
        document: Vec<u8>,
        validators: Option<Validators>,
        /// For how long the issuer says it stays as it is.
        fresh_for: Option<Duration>,
    },
    /// The known document is still the issuer's.
    NotModified { fresh_for: Option<Duration> },
}

/// By what a server recognises the version of a document that we have (RFC 9110 §8.8.3). A time of modification would not do:
/// it is the same for two documents of one second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Validators {
    /// The address they are valid for.
    pub url: Url,
    pub etag: HeaderValue,
}
