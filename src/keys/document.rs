//! What a document is that should hold keys: a wrong address or file is named for what it is, with what to write instead. And the
//! public keys of a PEM file, which hold the same numbers as a JWK.

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::algorithm::KeyKind;
use crate::jwt::signature::rsa_components;

/// What a document is that is not a JWK Set (RFC 7517 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the advice for each says what it is")]
pub enum DocumentKind {
    Certificate,
    CertificateMap,
    Der,
    Discovery,
    Empty,
    Gzip,
    Html,
    Jwk,
    JwkList,
    Jwt,
    PrivateKey,
    PublicKey,
    /// JSON of another kind.
    OtherJson,
    Other,
    Utf16,
}

/// What a public key is made of: the modulus and exponent of RSA, the coordinates of a point, or its encoded form alone.
pub(super) type Numbers = [Vec<u8>; 2];

impl DocumentKind {
    /// What these bytes are, which are not a JWK Set.
    #[must_use]
    pub fn of(document: &[u8]) -> Self {
        let text = without_bom(document).trim_ascii();
        let has = |words: &str| text.windows(words.len()).any(|window| window.eq_ignore_ascii_case(words.as_bytes()));
        match text {
            [] => Self::Empty,
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Self::Utf16,
            [0x30, 0x80..=0x84, ..] => Self::Der,
            [b'{' | b'[', ..] => Self::of_json(text),
            [b'<', ..] => Self::Html,
            _ if has("-----BEGIN CERTIFICATE-----") => Self::Certificate,
            _ if has("PRIVATE KEY-----") => Self::PrivateKey,
            _ if has("-----BEGIN PUBLIC KEY-----") => Self::PublicKey,
            [b'e', b'y', ..] if text.iter().filter(|byte| **byte == b'.').count() == 2 => Self::Jwt,
            _ => Self::Other,
        }
    }

    fn of_json(text: &[u8]) -> Self {
        let is_key = |value: &Value| value.get("kty").is_some();
        let is_pem = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("-----BEGIN "));
        match serde_json::from_slice(text) {
            Ok(Value::Array(items)) if !items.is_empty() && items.iter().all(is_key) => Self::JwkList,
            Ok(Value::Object(members)) if members.contains_key("keys") => Self::OtherJson,
            Ok(Value::Object(members)) if members.contains_key("kty") => Self::Jwk,
            Ok(Value::Object(members)) if members.contains_key("jwks_uri") => Self::Discovery,
            Ok(Value::Object(members)) if !members.is_empty() && members.values().all(is_pem) => Self::CertificateMap,
            _ => Self::OtherJson,
        }
    }

    /// What it is, and what to write instead.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Certificate => {
                "it is a certificate, not a JWK Set; give the issuer's JWKS URL, or as a file the certificate's public key in PEM \
                 (openssl x509 -pubkey -noout)"
            }
            Self::CertificateMap => {
                "it is a map of certificates or keys in PEM, not a JWK Set; give the issuer's JWKS URL, which its discovery document \
                 names as jwks_uri"
            }
            Self::Der => {
                "it is a certificate or a key in DER, not a JWK Set; give the issuer's JWKS URL, or a public key in PEM as a file"
            }
            Self::Discovery => {
                "it is a discovery document, not a JWK Set; write keys = { discovery = true }, or give its jwks_uri as keys.url"
            }
            Self::Empty => "it is empty",
            Self::Gzip => "it is compressed with gzip; the issuer must send it without Content-Encoding",
            Self::Html => {
                "it is HTML, not a JSON object with a list 'keys'; the address is that of a page, or a proxy answered"
            }
            Self::Jwk => {
                "it is a single JWK, not a JWK Set; write {\"keys\": [...]} around it, or give it as keys.file"
            }
            Self::JwkList => "it is a list of JWKs, not a JWK Set; write {\"keys\": ...} around it",
            Self::Jwt => "it is a JWT, not a JWK Set",
            Self::PrivateKey => {
                "it is a private key, which must be considered leaked if others can read it; give the public key (openssl pkey -pubout)"
            }
            Self::PublicKey => "it is a public key in PEM, not a JWK Set; PEM is read from keys.file only",
            Self::Other | Self::OtherJson => "it is not a JSON object with a list 'keys'",
            Self::Utf16 => "it is UTF-16; JSON is exchanged in UTF-8 (RFC 8259 section 8.1)",
        }
    }
}

/// The text without the byte order mark that some editors put before it. A parser may ignore it (RFC 8259 §8.1).
pub(super) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// The public keys of a PEM text, in its order (SubjectPublicKeyInfo, RFC 5280 §4.1.2.7); `None` for one of a kind that is not
/// supported.
pub(super) fn pem_keys(text: &[u8]) -> Vec<Option<(KeyKind, Numbers)>> {
    SubjectPublicKeyInfoDer::pem_slice_iter(text).map(|key| public_key(key.ok()?.as_ref())).collect()
}

/// All but RSA keys are a fixed beginning, which names the kind, and the key (RFC 5480 §2, RFC 8410 §4, RFC 9881 §4).
fn public_key(der: &[u8]) -> Option<(KeyKind, Numbers)> {
    for (kind, beginning, length) in BEGINNINGS {
        if let Some(point) = der.strip_prefix(*beginning)
            && let (x, y) = point.split_at_checked(*length)?
        {
            return Some((*kind, [x.to_vec(), y.to_vec()]));
        }
    }
    Some((KeyKind::Rsa, rsa_components(der)?))
}

/// Kinds of keys, with what stands before the key in DER, and the length of its first part. A point is uncompressed (SEC 1 §2.3.3).
const BEGINNINGS: &[(KeyKind, &[u8], usize)] = &[
    (KeyKind::Ed25519, &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00], 32),
    (
        KeyKind::MlDsa44,
        &[
            0x30, 0x82, 0x05, 0x32, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11, 0x03,
            0x82, 0x05, 0x21, 0x00,
        ],
        1312,
    ),
    (
        KeyKind::MlDsa65,
        &[
            0x30, 0x82, 0x07, 0xb2, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12, 0x03,
            0x82, 0x07, 0xa1, 0x00,
        ],
        1952,
    ),
    (
        KeyKind::MlDsa87,
        &[
            0x30, 0x82, 0x0a, 0x32, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13, 0x03,
            0x82, 0x0a, 0x21, 0x00,
        ],
        2592,
    ),
    (
        KeyKind::P256,
        &[
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
            0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
        ],
        32,
    ),
    (
        KeyKind::P384,
        &[
            0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
            0x00, 0x22, 0x03, 0x62, 0x00, 0x04,
        ],
        48,
    ),
    (
        KeyKind::P521,
        &[
            0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
            0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00, 0x04,
        ],
        66,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_named_for_what_it_is() {
        for (document, kind) in [
            (&b""[..], DocumentKind::Empty),
            (b" \r\n", DocumentKind::Empty),
            (b"\xef\xbb\xbf", DocumentKind::Empty),
            (b"\x1f\x8b\x08\0", DocumentKind::Gzip),
            (b"\xff\xfe{\0", DocumentKind::Utf16),
            (b"\x30\x82\x01\x22", DocumentKind::Der),
            (b"<!doctype html><title>Sign in</title>", DocumentKind::Html),
            (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", DocumentKind::Certificate),
            (b"# ours\n-----BEGIN PUBLIC KEY-----\nMIIB", DocumentKind::PublicKey),
            (b"-----BEGIN EC PRIVATE KEY-----\nMIIB", DocumentKind::PrivateKey),
            (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB", DocumentKind::PrivateKey),
            (b"eyJhbGciOiJFUzI1NiJ9.e30.c2ln", DocumentKind::Jwt),
            (br#"{"kty":"EC","crv":"P-256"}"#, DocumentKind::Jwk),
            (br#"[{"kty":"EC"},{"kty":"RSA"}]"#, DocumentKind::JwkList),
            (br#"{"issuer":"https://a.test","jwks_uri":"https://a.test/jwks"}"#, DocumentKind::Discovery),
            (
                br#"{"a1":"-----BEGIN CERTIFICATE-----\nMIIB","b2":"-----BEGIN CERTIFICATE-----\n"}"#,
                DocumentKind::CertificateMap,
            ),
            (br#"{"a1":"-----BEGIN CERTIFICATE-----\nMIIB","b2":5}"#, DocumentKind::OtherJson),
            (br#"{"keys":null,"jwks_uri":"x"}"#, DocumentKind::OtherJson),
            (b"{}", DocumentKind::OtherJson),
            (b"[]", DocumentKind::OtherJson),
            (b"{\"keys\":[", DocumentKind::OtherJson),
            (b"no keys today", DocumentKind::Other),
        ] {
            assert_eq!(DocumentKind::of(document), kind, "{}", String::from_utf8_lossy(document));
            assert!(!kind.advice().is_empty());
        }
    }
}
