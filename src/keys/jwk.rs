//! One JSON Web Key (RFC 7517 §4), as issuers write it. It becomes a [`Key`] only if it is public, for signatures, and sound.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::document::Numbers;
use crate::algorithm::{Algorithm, KeyKind};
use crate::json::{JsonError, Object, Value};
use crate::jwt::parse::KID_MAX;
use crate::jwt::signature::{KeyError, PublicKey, without_leading_zeros};

/// One of an issuer's keys.
#[derive(Debug)]
pub struct Key {
    kid: Option<String>,
    public: PublicKey,
    /// Its `alg`, if it has one.
    own: Option<Algorithm>,
    /// Which tokens it signs.
    signs: Signs,
    /// By these two keys of one name are told apart.
    numbers: Numbers,
}

/// What the keys of a document must be meant for (`use`, RFC 7517 §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyUse {
    /// `jwt-svid`, `sig`, or not said, as in what the SPIFFE Workload API gives: a bundle of the keys of tokens alone.
    JwtBundle,
    /// `jwt-svid` and nothing else, as in a SPIFFE bundle, where the keys of certificates stand beside those of tokens.
    JwtSvid,
    /// `jwt-svid` or `wit-svid` and nothing else: a SPIFFE bundle for tokens of both kinds, each of which has keys of its own.
    Svid,
    /// `sig`, or not said.
    #[default]
    Signature,
}

/// Which tokens a key signs, by its `use`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signs {
    /// All of its issuer.
    All,
    /// All but workload identity tokens.
    NoWorkloadTokens,
    /// Workload identity tokens alone (WIT-SVID §6).
    WorkloadTokens,
}

/// Why one key of a document is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum JwkError {
    #[error("its alg is none of the issuer's configured algorithms that fit such a key")]
    Algorithm,
    #[error(
        "only the first {KEYS_MAX} keys that fit the issuer's tokens are kept, of the first {ENTRIES_MAX} of a document"
    )]
    BeyondLimit,
    #[error("it has a certificate (x5c) and lacks the key itself")]
    CertificateOnly,
    #[error("its curve is not supported")]
    Curve,
    #[error("it is in the document twice")]
    Duplicate,
    #[error("its member {0} is missing or is not base64url")]
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

impl JwkError {
    /// The kind of reason in one word, for those who only have a token.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Algorithm | Self::Curve | Self::Type => "unsupported",
            Self::BeyondLimit => "too many keys",
            Self::Purpose => "other use",
            Self::Duplicate => "duplicate",
            Self::CertificateOnly | Self::Encoding(_) | Self::Kid | Self::Malformed(_) => "malformed",
            Self::Private | Self::Symmetric | Self::Unsound(_) => "unsound",
        }
    }
}

impl Key {
    /// Its name within the set (RFC 7517 §4.5).
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The numbers that it is made of, without leading zeros.
    pub(super) const fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The key itself.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether it signs such tokens: workload identity tokens, or others.
    #[must_use]
    pub const fn signs(&self, workload_tokens: bool) -> bool {
        match self.signs {
            Signs::All => true,
            Signs::NoWorkloadTokens => !workload_tokens,
            Signs::WorkloadTokens => workload_tokens,
        }
    }

    /// Whether it is the same key under the same name, for the same tokens.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.kid == other.kid
            && self.signs == other.signs
            && self.public.kind() == other.public.kind()
            && self.numbers == other.numbers
    }

    /// Whether it is the same key under the same name for the same algorithm.
    pub(super) fn is_duplicate(&self, other: &Self) -> bool {
        self.own == other.own && self.is_same(other)
    }

    /// Reads a JWK, for an issuer whose tokens may use these algorithms.
    pub(super) fn read(jwk: &Object<'_>, usage: KeyUse, allowed: &[Algorithm]) -> Result<Self, JwkError> {
        let kid = kid(jwk)?;
        let kty = member(jwk, "kty").and_then(Value::as_str).ok_or(JwkError::Type)?;
        if kty == "oct" {
            return Err(JwkError::Symmetric);
        }
        if PRIVATE_MEMBERS.iter().any(|name| member(jwk, name).is_some()) {
            return Err(JwkError::Private);
        }
        if !is_for_signatures(jwk, usage) {
            return Err(JwkError::Purpose);
        }
        let curve = member(jwk, "crv").and_then(Value::as_str);
        let kind = match (kty, curve) {
            ("RSA", _) => KeyKind::Rsa,
            ("EC", Some("P-256")) => KeyKind::P256,
            ("EC", Some("P-384")) => KeyKind::P384,
            ("EC", Some("P-521")) => KeyKind::P521,
            ("OKP", Some("Ed25519")) => KeyKind::Ed25519,
            // Its alg says what it is (RFC 9964), and must be there.
            ("AKP", _) => match own_algorithm(jwk)? {
                Some(own @ (Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87)) => own.key_kind(),
                _ => return Err(JwkError::Algorithm),
            },
            ("EC" | "OKP", _) => return Err(JwkError::Curve),
            _ => return Err(JwkError::Type),
        };
        let own = own_algorithm(jwk)?;
        // What its tokens cannot use need not be well formed to be told so.
        algorithms(own, kind, allowed)?;
        let numbers = match kind {
            KeyKind::Ed25519 => [bytes(jwk, "x")?, Vec::new()],
            KeyKind::MlDsa44 | KeyKind::MlDsa65 | KeyKind::MlDsa87 => [bytes(jwk, "pub")?, Vec::new()],
            KeyKind::Rsa => [bytes(jwk, "n")?, bytes(jwk, "e")?],
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => [bytes(jwk, "x")?, bytes(jwk, "y")?],
        };
        let signs = match (usage, member(jwk, "use").and_then(Value::as_str)) {
            (KeyUse::Svid, Some("wit-svid")) => Signs::WorkloadTokens,
            (KeyUse::Svid, _) => Signs::NoWorkloadTokens,
            _ => Signs::All,
        };
        Ok(Self { signs, ..Self::new(kid, own, kind, numbers, allowed)? })
    }

    /// A key made of these numbers.
    pub(super) fn new(
        kid: Option<String>,
        own: Option<Algorithm>,
        kind: KeyKind,
        mut numbers: Numbers,
        allowed: &[Algorithm],
    ) -> Result<Self, JwkError> {
        let algorithms = algorithms(own, kind, allowed)?;
        // An integer is the same with or without leading zeros; the encoded keys of Ed25519 and ML-DSA have a fixed length.
        if matches!(kind, KeyKind::P256 | KeyKind::P384 | KeyKind::P521 | KeyKind::Rsa) {
            numbers = numbers.map(|number| without_leading_zeros(&number).to_vec());
        }
        let [first, second] = &numbers;
        let public = match kind {
            KeyKind::Ed25519 => PublicKey::ed25519(first, &algorithms),
            KeyKind::MlDsa44 | KeyKind::MlDsa65 | KeyKind::MlDsa87 => PublicKey::ml_dsa(kind, first, &algorithms),
            KeyKind::Rsa => PublicKey::rsa(first, second, &algorithms),
            curve => PublicKey::ec(curve, first, second, &algorithms),
        }?;
        Ok(Self { kid, public, own, signs: Signs::All, numbers })
    }
}

/// A member that is there. Serializers write what they do not have as `null`, `[]` or `""`.
fn member<'j, 'a>(jwk: &'j Object<'a>, name: &str) -> Option<&'j Value<'a>> {
    jwk.get(name).filter(|value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    })
}

/// The name of a key, if it has one.
pub(super) fn kid(jwk: &Object<'_>) -> Result<Option<String>, JwkError> {
    match member(jwk, "kid") {
        None => Ok(None),
        Some(Value::String(kid)) if kid.len() <= KID_MAX => Ok(Some(kid.clone().into_owned())),
        Some(_) => Err(JwkError::Kid),
    }
}

/// RFC 7517 §4.2 and §4.3: absent members allow everything; present ones must allow verifying. In a SPIFFE bundle `use` must
/// not be absent (SPIFFE Trust Domain and Bundle §4.2.2).
fn is_for_signatures(jwk: &Object<'_>, wanted: KeyUse) -> bool {
    let usage = member(jwk, "use");
    let by_use = match wanted {
        KeyUse::JwtBundle => usage.is_none_or(|usage| matches!(usage.as_str(), Some("jwt-svid" | "sig"))),
        KeyUse::JwtSvid => usage.is_some_and(|usage| usage.as_str() == Some("jwt-svid")),
        KeyUse::Svid => usage.is_some_and(|usage| matches!(usage.as_str(), Some("jwt-svid" | "wit-svid"))),
        KeyUse::Signature => usage.is_none_or(|usage| usage.as_str() == Some("sig")),
    };
    let by_operations = match member(jwk, "key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation.as_str() == Some("verify")),
        Some(_) => false,
    };
    by_use && by_operations
}

fn own_algorithm(jwk: &Object<'_>) -> Result<Option<Algorithm>, JwkError> {
    match member(jwk, "alg") {
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

fn bytes(jwk: &Object<'_>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    let missing = if member(jwk, "x5c").is_some() { JwkError::CertificateOnly } else { JwkError::Encoding(name) };
    let text = member(jwk, name).ok_or(missing)?.as_str().ok_or(JwkError::Encoding(name))?;
    BASE64URL.decode(text).map_err(|_| JwkError::Encoding(name))
}

/// RFC 7515 §2 has no padding, and some issuers write it. It changes no value here; in a token it would be a second spelling.
pub(super) const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How many entries of a document are looked at, which bounds what is said of those that are left out.
pub const ENTRIES_MAX: usize = 1000;

/// How many keys of a document are kept: the first ones that the issuer's tokens can use. Each costs time at every refresh.
pub const KEYS_MAX: usize = 100;

/// The private and secret members of all key types (RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2; `priv` of `AKP`).
pub(super) const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
