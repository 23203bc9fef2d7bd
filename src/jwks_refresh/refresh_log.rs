//! What an operator hears of one issuer's keys: each rotation, each key that is left out, each beginning and end of trouble;
//! once, and not again at every refresh. Names of keys come from the issuer's document and are shortened.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::error::{Asked, FetchError};
use super::snapshot::SnapshotError;
use crate::clock::UnixTime;
use crate::keys::jwks::{JwkError, Key, KeySet, LEFT_OUT_NAMED, LeftOut};
use crate::rejection::quoted;

/// The log of one issuer, and what it said last.
pub(super) struct RefreshLog {
    issuer: String,
    warned: Vec<(Option<String>, JwkError)>,
    trouble: Option<(FetchError, Service)>,
    unwritten: Option<SnapshotError>,
}

/// Whether requests can be served in spite of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// No usable keys: every token of the issuer is answered with `503`.
    Down,
    /// The last known keys stay in use.
    Up,
}

impl RefreshLog {
    pub(super) const fn new(issuer: String) -> Self {
        Self { issuer, warned: Vec::new(), trouble: None, unwritten: None }
    }

    /// Tells which keys came and went, if any did.
    pub(super) fn rotation(&self, before: Option<&KeySet>, after: &KeySet) {
        let came = only_in(after, before);
        let went = before.map(|before| only_in(before, Some(after))).unwrap_or_default();
        if !came.is_empty() || !went.is_empty() {
            let (issuer, keys) = (&self.issuer, after.keys().len());
            tracing::info!(issuer, keys, came = list(&came), went = list(&went), "The keys of an issuer changed.");
        }
    }

    /// Warns of the keys that are left out and were not at the last refresh: of ten by name, of the others by their number.
    pub(super) fn left_out(&mut self, left_out: &[LeftOut]) {
        let issuer = &self.issuer;
        let is_known = |found: &&LeftOut| self.warned.iter().any(|(kid, why)| *kid == found.kid && *why == found.why);
        let news: Vec<_> = left_out.iter().filter(|found| !is_known(found)).collect();
        for LeftOut { index, kid, why } in news.iter().take(LEFT_OUT_NAMED) {
            let kid = kid.as_deref().map_or_else(|| "none".to_owned(), quoted);
            tracing::warn!(issuer, index, kid, why = %why, "A key of an issuer is left out.");
        }
        if let more @ 1.. = news.len().saturating_sub(LEFT_OUT_NAMED) {
            tracing::warn!(issuer, more, "More keys of an issuer are left out.");
        }
        self.warned = left_out.iter().map(|left_out| (left_out.kid.clone(), left_out.why.clone())).collect();
    }

    /// Tells that refreshing fails, if that is news.
    pub(super) fn failure(&mut self, fault: &FetchError, asked: Option<&Asked>, service: Service, wait: Duration) {
        let issuer = &self.issuer;
        let is_known = self.trouble.as_ref().is_some_and(|(known, before)| known == fault && *before == service);
        let detail = fault.detail(asked);
        let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        match service {
            _ if is_known => {
                tracing::debug!(issuer, error = detail, retry_ms, "The keys of an issuer are still not refreshed.")
            }
            Service::Up => {
                tracing::warn!(
                    issuer,
                    error = detail,
                    retry_ms,
                    "The keys of an issuer were not refreshed; the last known keys stay in use."
                );
            }
            Service::Down => {
                tracing::error!(
                    issuer,
                    error = detail,
                    retry_ms,
                    "An issuer has no usable keys; its tokens are answered with 503."
                );
            }
        }
        self.trouble = Some((fault.clone(), service));
    }

    /// Tells that the keys of the last run serve.
    pub(super) fn restored(&self, confirmed: UnixTime, keys: usize) {
        let issuer = &self.issuer;
        tracing::info!(issuer, keys, %confirmed, "The keys of an issuer were restored from their snapshot.");
    }

    /// Warns that there is a snapshot that is not used.
    pub(super) fn snapshot_unusable(&self, error: &dyn Display) {
        tracing::warn!(issuer = self.issuer, %error, "The snapshot of an issuer's keys is not used.");
    }

    /// Warns that no snapshot was written, if that is news.
    pub(super) fn snapshot_unwritten(&mut self, flaw: &SnapshotError) {
        if self.unwritten.replace(*flaw) != Some(*flaw) {
            tracing::warn!(issuer = self.issuer, error = %flaw, "The snapshot of an issuer's keys was not written.");
        }
    }

    /// Tells that refreshing succeeds again, if it failed.
    pub(super) fn success(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!(issuer = self.issuer, "The keys of an issuer are refreshed again.");
        }
    }
}

/// The names of the keys that the other set lacks, in the order of their document; also of those that are other keys there.
fn only_in<'k>(these: &'k KeySet, other: Option<&KeySet>) -> Vec<&'k str> {
    let has = |other: &KeySet, key: &Key| other.keys().iter().any(|known| known.is_same(key));
    let missing = these.keys().iter().filter(|key| other.is_none_or(|other| !has(other, key)));
    missing.map(|key| key.kid().unwrap_or(NAMELESS)).collect()
}

fn list(names: &[&str]) -> String {
    let mut text = String::new();
    for name in names.iter().take(SHOWN_MAX) {
        let separator = if text.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{}", quoted(name));
    }
    if names.len() > SHOWN_MAX {
        let _ = write!(text, " and {} more", names.len() - SHOWN_MAX);
    }
    text
}

/// Stands for a key without `kid`.
const NAMELESS: &str = "";

const SHOWN_MAX: usize = 8;
