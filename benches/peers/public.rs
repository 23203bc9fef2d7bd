//! Public keys out of the JWKs that `keys.rs` makes, for what wants another form of them.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The key of a JWK, ready to verify.
pub(crate) fn parsed(jwk: &Value) -> ParsedPublicKey {
    let part = |name: &str| decode(jwk[name].as_str().expect("a member of the JWK"));
    let key = match jwk["alg"].as_str() {
        Some("RS256") => {
            RsaPublicKeyComponents { n: part("n"), e: part("e") }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        }
        Some("ES256") => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [vec![4], part("x"), part("y")].concat()),
        Some("EdDSA") => ParsedPublicKey::new(&ED25519, part("x")),
        other => panic!("no key for {other:?}"),
    };
    key.expect("a sound key")
}

/// base64url without padding (RFC 7515 section 2).
pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}
