//! The network of a world: key servers that do as the model says, with whatever can be wrong with an answer.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use tokio::time::sleep;

use super::faults::{Fault, with_old_keys};
use super::model::{self, NamedKey, Reply};
use super::stage::Stage;
use super::tokens::{document, entity_tag};
use crate::jwks_refresh::error::FetchError;
use crate::jwks_refresh::fetch::{Cause, Fetch, Fetched, Fetchers, Fetching, Validators};
use crate::keys::source::{Location, Origin};

/// The address of a server's key set.
pub(super) fn address(server: usize) -> String {
    format!("https://s{server}.example/keys")
}

/// The ways to the servers of a world.
pub(super) fn fetchers(stage: &Arc<Stage>) -> Fetchers {
    let stage = Arc::clone(stage);
    Arc::new(move |origin| Box::new(Connection::to(origin, &stage)))
}

/// One task's way to its server.
struct Connection {
    stage: Arc<Stage>,
    /// The model's number of the task.
    task: usize,
    url: Url,
    fetches: usize,
    /// All keys that ever came, for a fault.
    arrived: Vec<NamedKey>,
}

impl Connection {
    fn to(origin: &Origin, stage: &Arc<Stage>) -> Self {
        let Location::Url(url) = &origin.location else { panic!("the issuers of a world have URLs") };
        let task = stage.model().begin(stage.now(), &origin.issuer);
        Self { stage: Arc::clone(stage), task, url: url.as_url().clone(), fetches: 0, arrived: Vec::new() }
    }

    /// What comes back.
    fn answer(&mut self, reply: Reply, cause: Cause, known: Option<&Validators>) -> Result<Fetched, FetchError> {
        let Some(mut keys) = reply.keys else { return self.failure() };
        let with_old = with_old_keys(&mut self.arrived, &keys);
        if self.stage.strikes(Fault::StaleKey) {
            keys = with_old;
        }
        let fresh_for = reply.fresh_for.map(Duration::from_millis);
        let etag = HeaderValue::from_str(&entity_tag(&keys)).expect("an entity tag");
        // Some servers give no tags.
        let validators = (!self.task.is_multiple_of(3)).then(|| Validators { url: self.url.clone(), etag });
        if cause == Cause::Schedule && known.is_some() && known == validators.as_ref() {
            return Ok(Fetched::NotModified { fresh_for });
        }
        Ok(Fetched::Document { document: document(&keys), validators, fresh_for })
    }

    /// Something that is no key set, in turn.
    fn failure(&self) -> Result<Fetched, FetchError> {
        let document = |text: &[u8]| {
            Ok(Fetched::Document {
                document: text.to_vec(),
                validators: None,
                fresh_for: Some(Duration::from_secs(3600)),
            })
        };
        match (self.fetches + self.task) % 10 {
            0 => Err(FetchError::ConnectionRefused),
            1 => Err(FetchError::Status(500)),
            2 => Err(FetchError::Status(404)),
            3 => Err(FetchError::TooLarge),
            4 => Err(FetchError::Encoded("gzip")),
            5 => document(b"<!DOCTYPE html><html><body>Sorry</body></html>"),
            6 => document(br#"{"keys":[]}"#),
            7 => document(br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"c2hvcnQ","kid":"k1"}]}"#),
            8 => document(&[0xff; 64]),
            _ => Err(FetchError::OtherIssuer {
                found: "https://other.example".into(),
                wanted: "https://i.example".into(),
            }),
        }
    }
}

impl Fetch for Connection {
    fn fetch<'f>(&'f mut self, cause: Cause, known: Option<&'f Validators>) -> Fetching<'f> {
        self.fetches += 1;
        let (stage, task) = (Arc::clone(&self.stage), self.task);
        let why = match cause {
            Cause::Request => model::Cause::Request,
            Cause::Schedule => model::Cause::Schedule,
        };
        let begin = move || {
            let now = stage.now();
            let reply = stage.model().fetch_begins(now, task, why);
            stage.note(|| format!("task {task} fetches for a {why:?}: {:?} after {:?} ms", reply.keys, reply.after));
            reply
        };
        let reply = begin();
        if self.stage.strikes(Fault::AskedTwice) {
            begin();
        }
        let flight = Flight { stage: Arc::clone(&self.stage), task };
        Box::pin(async move {
            match reply.after {
                Some(after) => sleep(Duration::from_millis(after)).await,
                None => pending().await,
            }
            let answer = self.answer(reply, cause, known);
            flight.end();
            answer
        })
    }
}

/// A fetch that has not ended.
struct Flight {
    stage: Arc<Stage>,
    task: usize,
}

impl Flight {
    fn end(&self) {
        let now = self.stage.now();
        self.stage.model().fetch_ends(now, self.task);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let now = self.stage.now();
        // After its end it is a fetch no more.
        self.stage.model().fetch_is_dropped(now, self.task);
    }
}
