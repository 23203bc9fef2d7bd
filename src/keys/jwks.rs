//! JWK Sets (RFC 7517 §5) and the key sets made from them. Documents in the wild hold odd keys: each is left out by itself, with
//! its cause, and the rest serves. A key is kept only if it is public, for signatures, and sound.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::document::{DocumentKind, pem_keys, without_bom};
use super::jwk::kid;
pub use super::jwk::{ENTRIES_MAX, JwkError, KEYS_MAX, Key, KeyUse};
use crate::algorithm::Algorithm;
use crate::json::Object;

/// The parsed keys of one issuer. It has at least one.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    /// The names of keys that are in the document and cannot be used, each with the kind of reason.
    left_out: Vec<(String, &'static str)>,
}

/// A document that was read: the keys that can be used, and those that cannot. There are at most [`KEYS_MAX`] of the former, the
/// first ones that fit, and the first [`ENTRIES_MAX`] entries are looked at.
#[derive(Debug)]
pub struct Reading {
    /// The keys that can be used.
    pub keys: KeySet,
    /// The others, in the order of the document.
    pub left_out: Vec<LeftOut>,
}

/// A key of a document that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its place in the document's `keys`, from 0.
    pub index: usize,
    /// Its `kid`, if it has a sound one.
    pub kid: Option<String>,
    /// Why it is not used.
    pub why: JwkError,
}

/// Why a document is not a usable key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum KeySetError {
    #[error("no key in it can be used ({} left out)", .0.len())]
    NoKeys(Vec<LeftOut>),
    #[error("{}", .0.advice())]
    NotAKeySet(DocumentKind),
}

impl Reading {
    /// Reads a document, for an issuer whose tokens may use these algorithms.
    ///
    /// # Errors
    /// If it is not a key set, or none of its keys can be used.
    pub fn parse(document: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        Self::parse_for(KeyUse::Signature, document, allowed)
    }

    /// Reads a document, as [`Self::parse`] does, for keys of this use.
    ///
    /// # Errors
    /// If it is not a key set, or none of its keys can be used.
    pub fn parse_for(usage: KeyUse, document: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        let document = without_bom(document);
        let set: Document<'_> =
            serde_json::from_slice(document).map_err(|_| KeySetError::NotAKeySet(DocumentKind::of(document)))?;
        let mut found = Found::default();
        for text in set.keys.iter().take(ENTRIES_MAX) {
            found.add_jwk(text.get().as_bytes(), usage, allowed);
        }
        if set.keys.len() > ENTRIES_MAX {
            found.left_out.push(LeftOut { index: ENTRIES_MAX, kid: None, why: JwkError::BeyondLimit });
        }
        found.read()
    }

    /// Reads a file that the operator wrote, for keys of this use: a key set, a single JWK, or public keys in PEM, which have
    /// neither `kid` nor `use`.
    ///
    /// # Errors
    /// If it is none of them, or none of its keys can be used.
    pub fn parse_file(usage: KeyUse, document: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        let mut found = Found::default();
        match Self::parse_for(usage, document, allowed) {
            Err(KeySetError::NotAKeySet(DocumentKind::Jwk)) => found.add_jwk(without_bom(document), usage, allowed),
            Err(KeySetError::NotAKeySet(DocumentKind::PublicKey)) => {
                for key in pem_keys(document).into_iter().take(ENTRIES_MAX) {
                    let key = match (usage, key) {
                        (KeyUse::JwtBundle | KeyUse::JwtSvid | KeyUse::Svid, _) => Err(JwkError::Purpose),
                        (KeyUse::Signature, None) => Err(JwkError::Type),
                        (KeyUse::Signature, Some((kind, numbers))) => Key::new(None, None, kind, numbers, allowed),
                    };
                    found.add(key, None);
                }
            }
            other => return other,
        }
        found.read()
    }
}

/// What was found so far in a document.
#[derive(Default)]
struct Found {
    keys: Vec<Key>,
    left_out: Vec<LeftOut>,
}

impl Found {
    fn add_jwk(&mut self, text: &[u8], usage: KeyUse, allowed: &[Algorithm]) {
        match Object::parse(text) {
            Ok(jwk) => self.add(Key::read(&jwk, usage, allowed), kid(&jwk).ok().flatten()),
            Err(why) => self.add(Err(JwkError::Malformed(why)), None),
        }
    }

    fn add(&mut self, key: Result<Key, JwkError>, kid: Option<String>) {
        let index = self.keys.len() + self.left_out.len();
        let why = match key {
            Ok(key) if self.keys.iter().any(|known| known.is_duplicate(&key)) => JwkError::Duplicate,
            Ok(_) if self.keys.len() == KEYS_MAX => JwkError::BeyondLimit,
            Ok(key) => return self.keys.push(key),
            Err(why) => why,
        };
        self.left_out.push(LeftOut { index, kid, why });
    }

    fn read(self) -> Result<Reading, KeySetError> {
        let Self { keys, left_out } = self;
        if keys.is_empty() {
            return Err(KeySetError::NoKeys(left_out));
        }
        let named = left_out.iter().filter_map(|left_out| Some((left_out.kid.clone()?, left_out.why.word())));
        Ok(Reading { keys: KeySet { keys, left_out: named.collect() }, left_out })
    }
}

impl KeySet {
    /// The keys that a token with this `kid` and algorithm is tried with, at most [`CANDIDATES_MAX`]: those of the same `kid`, then
    /// those that have none. A token without `kid` may have been signed with any.
    pub fn candidates<'k>(&'k self, kid: Option<&'k str>, algorithm: Algorithm) -> impl Iterator<Item = &'k Key> {
        self.fitting(kid, algorithm).take(CANDIDATES_MAX)
    }

    /// All keys that a token with this `kid` and algorithm may have been signed with.
    pub fn fitting<'k>(&'k self, kid: Option<&'k str>, algorithm: Algorithm) -> impl Iterator<Item = &'k Key> {
        let named = self.keys.iter().filter(move |key| kid.is_none() || key.kid() == kid);
        let nameless = self.keys.iter().filter(move |key| kid.is_some() && key.kid().is_none());
        named.chain(nameless).filter(move |key| key.public().fits(algorithm))
    }

    /// The names of keys that are in the document and not used, each with the kind of reason, in a word or two.
    #[must_use]
    pub fn left_out_keys(&self) -> &[(String, &'static str)] {
        &self.left_out
    }

    /// Why the key of this `kid`, which is in the document, is not used.
    #[must_use]
    pub fn left_out(&self, kid: &str) -> Option<&'static str> {
        self.left_out.iter().find(|(name, _)| name == kid).map(|(_, why)| *why)
    }

    /// The key of this `kid`, whatever it is for.
    #[must_use]
    pub fn named(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid() == Some(kid))
    }

    /// Whether it has the same keys for the same algorithms, in the same order.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let fits_alike =
            |one: &Key, other: &Key| Algorithm::ALL.iter().all(|it| one.public().fits(*it) == other.public().fits(*it));
        let same = |(one, other): (&Key, &Key)| one.is_same(other) && fits_alike(one, other);
        self.left_out == other.left_out
            && self.keys.len() == other.keys.len()
            && self.keys.iter().zip(&other.keys).all(same)
    }

    /// All keys, in the order of the document.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
}

/// The document's frame. Its keys stay text here, so that one of them cannot spoil the others.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// How many keys are tried for one token. Each costs a signature verification, so that it bounds what a bad token costs; and a
/// good token without `kid` is refused if the issuer has more keys that fit it.
pub const CANDIDATES_MAX: usize = 8;

/// How many keys that are left out are named one by one; of the others the number is told.
pub const LEFT_OUT_NAMED: usize = 10;

#[cfg(test)]
mod tests;
