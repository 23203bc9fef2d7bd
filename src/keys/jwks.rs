//! Key documents (JWK Set, RFC 7517 §5) and the key sets made from them. Documents in the wild hold odd keys: each is left
//! out by itself, with its cause, and the rest serves. A key is kept only if it is public, for signatures, and sound.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::algorithm::{Algorithm, KeyKind};
use crate::jwt::json::{JsonError, Object, Value};
use crate::jwt::parse::KID_MAX;
use crate::jwt::signature::{KeyError, PublicKey};

/// The parsed keys of one issuer. It has at least one.
#[derive(Debug)]
pub struct KeySet(Vec<Key>);

/// One of an issuer's keys.
#[derive(Debug)]
pub struct Key {
    kid: Option<String>,
    public: PublicKey,
    /// Its `alg`, if it has one.
    own: Option<Algorithm>,
    /// The numbers it is made of, by which two of one name are told apart.
    numbers: [Vec<u8>; 2],
}

/// What the keys of a document must be meant for (`use`, RFC 7517 §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyUse {
    /// `jwt-svid` and nothing else, as in a SPIFFE bundle, where the keys of certificates stand beside those of tokens.
    JwtSvid,
    /// `sig`, or not said.
    #[default]
    Signature,
}

/// A document that was read: the keys that can be used, and those that cannot.
#[derive(Debug)]
pub struct Reading {
    pub keys: KeySet,
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

/// Why one key of a document is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    #[error("its alg is none of the issuer's configured algorithms that fit such a key")]
    Algorithm,
    #[error("the document has more than {KEYS_MAX} keys")]
    BeyondLimit,
    #[error("it has a certificate (x5c) and lacks the key itself")]
    CertificateOnly,
    #[error("its curve is not supported")]
    Curve,
    #[error("it is in the document twice")]
    Duplicate,
    #[error("its member {0} is missing or is not base64url without padding")]
    Encoding(&'static str),
    #[error("its kid is not a string of at most {KID_MAX} bytes")]
    Kid,
    #[error("it is not a strict JSON object: {0}")]
    Malformed(JsonError),
    #[error("it is not for verifying these tokens (use or key_ops)")]
    Purpose,
    #[error("it contains private key material, and must be considered leaked")]
    Private,
    #[error("it is symmetric, and has no place in a public document")]
    Symmetric,
    #[error("its kty is not supported")]
    Type,
    #[error("{0}")]
    Unsound(#[from] KeyError),
}

/// Why a document is not a usable key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    #[error("no key in it can be used ({} left out)", .0.len())]
    NoKeys(Vec<LeftOut>),
    #[error("it is not a JSON object with a list 'keys'")]
    NotAKeySet,
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
        let document: Document<'_> = serde_json::from_slice(document).map_err(|_| KeySetError::NotAKeySet)?;
        let (mut keys, mut left_out) = (Vec::<Key>::new(), Vec::new());
        for (index, text) in document.keys.iter().enumerate() {
            if index == KEYS_MAX {
                left_out.push(LeftOut { index, kid: None, why: JwkError::BeyondLimit });
                break;
            }
            let jwk = match Object::parse(text.get().as_bytes()) {
                Ok(jwk) => jwk,
                Err(why) => {
                    left_out.push(LeftOut { index, kid: None, why: JwkError::Malformed(why) });
                    continue;
                }
            };
            let is_known = |key: &Key| keys.iter().any(|known| known.own == key.own && known.is_same(key));
            match Key::read(&jwk, usage, allowed) {
                Ok(key) if is_known(&key) => left_out.push(LeftOut { index, kid: key.kid, why: JwkError::Duplicate }),
                Ok(key) => keys.push(key),
                Err(why) => left_out.push(LeftOut { index, kid: kid(&jwk).ok().flatten(), why }),
            }
        }
        if keys.is_empty() { Err(KeySetError::NoKeys(left_out)) } else { Ok(Self { keys: KeySet(keys), left_out }) }
    }
}

impl KeySet {
    /// The keys that a token with this `kid` and algorithm may have been signed with, at most [`CANDIDATES_MAX`]: those
    /// of the same `kid`, then those that have none. A token without `kid` may have been signed with any.
    pub fn candidates<'k>(&'k self, kid: Option<&'k str>, algorithm: Algorithm) -> impl Iterator<Item = &'k Key> {
        let named = self.0.iter().filter(move |key| kid.is_none() || key.kid.as_deref() == kid);
        let nameless = self.0.iter().filter(move |key| kid.is_some() && key.kid.is_none());
        named.chain(nameless).filter(move |key| key.public.fits(algorithm)).take(CANDIDATES_MAX)
    }

    /// The key of this `kid`, whatever it is for.
    #[must_use]
    pub fn named(&self, kid: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.kid.as_deref() == Some(kid))
    }

    /// Whether it has the same keys for the same algorithms, in the same order.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let fits_alike =
            |one: &Key, other: &Key| Algorithm::ALL.iter().all(|it| one.public.fits(*it) == other.public.fits(*it));
        let same = |(one, other): (&Key, &Key)| one.is_same(other) && fits_alike(one, other);
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }

    /// All keys, in the order of the document.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.0
    }
}

impl Key {
    /// Its name within the set (RFC 7517 §4.5).
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The key itself.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether it is the same key under the same name.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.kid == other.kid && self.public.kind() == other.public.kind() && self.numbers == other.numbers
    }

    fn read(jwk: &Object<'_>, usage: KeyUse, allowed: &[Algorithm]) -> Result<Self, JwkError> {
        let kid = kid(jwk)?;
        let kty = jwk.get("kty").and_then(Value::as_str).ok_or(JwkError::Type)?;
        if kty == "oct" {
            return Err(JwkError::Symmetric);
        }
        if PRIVATE_MEMBERS.iter().any(|member| jwk.get(member).is_some()) {
            return Err(JwkError::Private);
        }
        if !is_for_signatures(jwk, usage) {
            return Err(JwkError::Purpose);
        }
        let curve = jwk.get("crv").and_then(Value::as_str);
        let kind = match (kty, curve) {
            ("RSA", _) => KeyKind::Rsa,
            ("EC", Some("P-256")) => KeyKind::P256,
            ("EC", Some("P-384")) => KeyKind::P384,
            ("EC", Some("P-521")) => KeyKind::P521,
            ("OKP", Some("Ed25519")) => KeyKind::Ed25519,
            ("EC" | "OKP", _) => return Err(JwkError::Curve),
            _ => return Err(JwkError::Type),
        };
        let own = own_algorithm(jwk)?;
        let algorithms = algorithms(own, kind, allowed)?;
        let numbers = match kind {
            KeyKind::Ed25519 => [bytes(jwk, "x")?, Vec::new()],
            KeyKind::Rsa => [bytes(jwk, "n")?, bytes(jwk, "e")?],
            _ => [bytes(jwk, "x")?, bytes(jwk, "y")?],
        };
        let [first, second] = &numbers;
        let public = match kind {
            KeyKind::Ed25519 => PublicKey::ed25519(first, &algorithms),
            KeyKind::Rsa => PublicKey::rsa(first, second, &algorithms),
            curve => PublicKey::ec(curve, first, second, &algorithms),
        }?;
        Ok(Self { kid, public, own, numbers })
    }
}

/// The document's frame. Its keys stay text here, so that one of them cannot spoil the others.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

fn kid(jwk: &Object<'_>) -> Result<Option<String>, JwkError> {
    match jwk.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if kid.len() <= KID_MAX => Ok(Some(kid.clone().into_owned())),
        Some(_) => Err(JwkError::Kid),
    }
}

/// RFC 7517 §4.2 and §4.3: absent members allow everything; present ones must allow verifying. In a SPIFFE bundle `use` must
/// not be absent (SPIFFE Trust Domain and Bundle §4.2.2).
fn is_for_signatures(jwk: &Object<'_>, wanted: KeyUse) -> bool {
    let usage = jwk.get("use");
    let by_use = match wanted {
        KeyUse::JwtSvid => usage.is_some_and(|usage| usage.as_str() == Some("jwt-svid")),
        KeyUse::Signature => usage.is_none_or(|usage| usage.as_str() == Some("sig")),
    };
    let by_operations = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation.as_str() == Some("verify")),
        Some(_) => false,
    };
    by_use && by_operations
}

fn own_algorithm(jwk: &Object<'_>) -> Result<Option<Algorithm>, JwkError> {
    match jwk.get("alg") {
        None => Ok(None),
        Some(name) => name.as_str().and_then(Algorithm::from_name).ok_or(JwkError::Algorithm).map(Some),
    }
}

/// The algorithms that a key may be used with: the issuer's that are for its kind, narrowed to its own if it has one.
fn algorithms(own: Option<Algorithm>, kind: KeyKind, allowed: &[Algorithm]) -> Result<Vec<Algorithm>, JwkError> {
    let fitting = |algorithm: &Algorithm| algorithm.key_kind() == kind && own.is_none_or(|own| own == *algorithm);
    let algorithms: Vec<_> = allowed.iter().copied().filter(fitting).collect();
    if algorithms.is_empty() { Err(JwkError::Algorithm) } else { Ok(algorithms) }
}

fn bytes(jwk: &Object<'_>, member: &'static str) -> Result<Vec<u8>, JwkError> {
    let missing = if jwk.get("x5c").is_some() { JwkError::CertificateOnly } else { JwkError::Encoding(member) };
    let text = jwk.get(member).ok_or(missing)?.as_str().ok_or(JwkError::Encoding(member))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwkError::Encoding(member))
}

/// How many keys of a document are read. Each costs a parse at every refresh.
pub const KEYS_MAX: usize = 100;

/// How many keys are tried for one token. Each costs a signature verification, so that it bounds what a bad token costs; and a
/// good token without `kid` is refused if the issuer has more keys that fit it.
pub const CANDIDATES_MAX: usize = 8;

/// The private and secret members of all key types (RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2; `priv` of `AKP`).
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

#[cfg(test)]
mod tests;
