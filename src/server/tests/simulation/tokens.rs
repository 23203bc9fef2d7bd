//! Keys that are made once, the documents that publish them, and the tokens that they sign.

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::model::{NamedKey, Token};

/// The keys of every world. Their servers publish those before the last, which is a stranger's.
static KEYS: LazyLock<Vec<Ed25519KeyPair>> =
    LazyLock::new(|| (0..=STRANGER).map(|_| Ed25519KeyPair::generate().expect("a key pair")).collect());

/// A key that nobody publishes.
pub(super) const STRANGER: usize = 127;

/// The key set of a server.
pub(super) fn document(keys: &[NamedKey]) -> Vec<u8> {
    let jwk = |named: &NamedKey| {
        let x = URL_SAFE_NO_PAD.encode(KEYS[named.key].public_key());
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{}"}}"#, kid(named.kid))
    };
    let keys: Vec<_> = keys.iter().map(jwk).chain([ODD.to_owned()]).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(",")).into_bytes()
}

/// What stands in every set beside its keys, and is left out.
const ODD: &str = r#"{"kty":"EC","crv":"secp256k1","kid":"odd","x":"AA","y":"AA"}"#;

/// The version of a key set, as an entity tag.
pub(super) fn entity_tag(keys: &[NamedKey]) -> String {
    let versions: Vec<_> = keys.iter().map(|named| format!("{}-{}", named.key, named.kid)).collect();
    format!("\"{}\"", versions.join("."))
}

pub(super) fn kid(number: usize) -> String {
    format!("k{number}")
}

pub(super) fn caller(number: usize) -> String {
    format!("caller-{number}")
}

/// The field that carries a token.
pub(super) fn field(token: &Token) -> String {
    let header = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, kid(token.signed.kid));
    let claims = format!(
        r#"{{"iss":"{}","aud":"mail","sub":"{}","iat":{},"exp":{},"jti":"j{}"}}"#,
        token.issuer,
        caller(token.sub),
        token.issued,
        token.expires,
        token.jti
    );
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(KEYS[token.signed.key].sign(input.as_bytes()));
    format!("Bearer {input}.{signature}")
}
