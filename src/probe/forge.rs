//! What can be made of a good token without its key: other parts around an old signature, and signatures by keys that anybody can
//! have. The stranger's key is made anew for each run, trusted by nobody, and written nowhere.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use aws_lc_rs::{error::Unspecified, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// base64url without padding (RFC 7515 section 2).
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An object with one member set.
pub(super) fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    object
}

/// An object without one member.
pub(super) fn without(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.remove(name);
    }
    object
}

/// The text of an object with a member more in front, also one whose name is there already.
pub(super) fn with_text(object: &Value, member: &str) -> String {
    let text = object.to_string();
    format!("{{{member},{}", text.strip_prefix('{').unwrap_or(&text))
}

/// A token of header, claims and the HMAC under this secret (RFC 7518 section 3.2).
pub(super) fn hmac(header: &Value, alg: &str, claims: &str, secret: &[u8]) -> String {
    let algorithm = match alg {
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    let input = format!("{}.{claims}", encode(with(header, "alg", json!(alg)).to_string()));
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), input.as_bytes());
    format!("{input}.{}", encode(tag))
}

/// A key pair that nobody trusts.
pub(super) struct Stranger(EcdsaKeyPair);

impl Stranger {
    /// # Errors
    /// If the system has no randomness.
    pub(super) fn new() -> Result<Self, Unspecified> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self)
    }

    /// The public key.
    pub(super) fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
    }

    /// A token that this key has signed, as ES256 (RFC 7518 section 3.4).
    ///
    /// # Errors
    /// If the system has no randomness.
    pub(super) fn sign(&self, header: &Value, claims: &str) -> Result<String, Unspecified> {
        let input = format!("{}.{claims}", encode(with(header, "alg", json!("ES256")).to_string()));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes())?;
        Ok(format!("{input}.{}", encode(signature)))
    }
}

/// An ECDSA signature of two numbers in DER (RFC 3279 section 2.2.3), from the raw form that JWS has.
pub(super) fn der(raw: &[u8]) -> Vec<u8> {
    let (r, s) = raw.split_at(raw.len() / 2);
    let mut numbers = integer(r);
    numbers.extend(integer(s));
    tagged(0x30, &numbers)
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits = bytes.get(zeros..).unwrap_or_default().to_vec();
    if digits.first().is_none_or(|first| first & 0x80 != 0) {
        digits.insert(0, 0);
    }
    tagged(2, &digits)
}

/// Contents are shorter than 256 bytes: the numbers of P-521 have 66 each.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    let mut bytes = vec![tag];
    if length >= 0x80 {
        bytes.push(0x81);
    }
    bytes.push(length);
    bytes.extend_from_slice(content);
    bytes
}
