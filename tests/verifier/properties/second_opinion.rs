//! Other opinions about the same tokens. aws-lc-rs, with a key that it parsed itself, judges every signature. `jsonwebtoken`'s
//! `decode` with the same expectations is the more lenient reader: what it refuses, Callgate never accepts. It reads the clock
//! itself, so these tokens are made for now, away from the edges. One thing is left out: it parses keys that a token carries
//! (`jwk`, `x5c`, …) and refuses odd ones, and Callgate never looks at any.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ML_DSA_44, ML_DSA_65,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callgate::authenticator::{Authenticator, Decision};
use callgate::rejection::Reason;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, jwk::Jwk};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use testkit::signing::pair;
use testkit::token::{TokenSpec, by};
use testkit::world::{ISSUER, LEEWAY, judge_at, verdict, world};

static WORLD: LazyLock<Authenticator> = LazyLock::new(world);

/// Every algorithm that both know, with its key.
const KEYS: [(&str, &str, Algorithm); 9] = [
    ("rsa", "RS256", Algorithm::RS256),
    ("rsa", "RS384", Algorithm::RS384),
    ("rsa", "RS512", Algorithm::RS512),
    ("rsa", "PS256", Algorithm::PS256),
    ("rsa", "PS384", Algorithm::PS384),
    ("rsa", "PS512", Algorithm::PS512),
    ("p256", "ES256", Algorithm::ES256),
    ("p384", "ES384", Algorithm::ES384),
    ("ed25519", "EdDSA", Algorithm::EdDSA),
];

/// Every key and algorithm.
fn all_keys() -> Vec<(&'static str, &'static str)> {
    KEYS.iter()
        .map(|(key, alg, _)| (*key, *alg))
        .chain([("p521", "ES512"), ("ed25519", "Ed25519"), ("mldsa44", "ML-DSA-44"), ("mldsa65", "ML-DSA-65")])
        .collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn second_opinion(key: &str, algorithm: Algorithm, token: &[u8]) -> bool {
    let jwk: Jwk = serde_json::from_value(pair(key).jwk(Some(key))).expect("a JWK");
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_audience(&["email-service", "mail"]);
    validation.set_issuer(&[ISSUER]);
    let key = DecodingKey::from_jwk(&jwk).expect("a key");
    jsonwebtoken::decode::<Value>(token, &key, &validation).is_ok()
}

/// Whether the issuer's key of the token's algorithm made its signature, by aws-lc-rs; `None` for what is no token.
fn is_signed(token: &[u8]) -> Option<bool> {
    let rsa = |parameters: &'static RsaParameters| {
        let modulus = pair("rsa").public_bytes();
        RsaPublicKeyComponents { n: &modulus[..], e: &[1, 0, 1] }.to_parsed_public_key(parameters).expect("a key")
    };
    let other = |key, verification: &'static dyn VerificationAlgorithm| {
        ParsedPublicKey::new(verification, pair(key).public_bytes()).expect("a key")
    };
    let token = std::str::from_utf8(token).ok()?;
    let (message, signature) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let read = |text| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    let header = read(header)?;
    // The other issuer names its key by the same kid.
    let is_other = read(claims).is_some_and(|claims| claims["iss"] == "https://other.test");
    let key = match header["alg"].as_str()? {
        "RS256" => rsa(&RSA_PKCS1_2048_8192_SHA256),
        "RS384" => rsa(&RSA_PKCS1_2048_8192_SHA384),
        "RS512" => rsa(&RSA_PKCS1_2048_8192_SHA512),
        "PS256" => rsa(&RSA_PSS_2048_8192_SHA256),
        "PS384" => rsa(&RSA_PSS_2048_8192_SHA384),
        "PS512" => rsa(&RSA_PSS_2048_8192_SHA512),
        "ES256" => other(if is_other { "other-p256" } else { "p256" }, &ECDSA_P256_SHA256_FIXED),
        "ES384" => other("p384", &ECDSA_P384_SHA384_FIXED),
        "ES512" => other("p521", &ECDSA_P521_SHA512_FIXED),
        "EdDSA" | "Ed25519" => other("ed25519", &ED25519),
        "ML-DSA-44" => other("mldsa44", &ML_DSA_44),
        "ML-DSA-65" => other("mldsa65", &ML_DSA_65),
        _ => return None,
    };
    Some(key.verify_sig(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).is_ok())
}

/// A change to a good token, which may leave it good.
fn change() -> impl Strategy<Value = fn(TokenSpec) -> TokenSpec> {
    let changes: Vec<fn(TokenSpec) -> TokenSpec> = vec![
        |token| token,
        |token| token.claim("exp", &(now() + 20).to_string()),
        |token| token.claim("exp", &(now() - 10).to_string()),
        |token| token.claim("exp", &(now() - 100).to_string()),
        |token| token.claim("exp", "253402300799"),
        |token| token.claim("exp", &format!("{}.5", now() + 60)),
        |token| token.claim("exp", "1e10"),
        |token| token.claim("exp", "\"1\""),
        |token| token.claim("exp", "null"),
        |token| token.without("exp"),
        |token| token.claim("nbf", &(now() + 10).to_string()),
        |token| token.claim("nbf", &(now() + 100).to_string()),
        |token| token.claim("nbf", "0"),
        |token| token.claim("nbf", "\"0\""),
        |token| token.claim("iat", &(now() + 100).to_string()),
        |token| token.without("iat"),
        |token| token.claim("aud", r#""mail""#),
        |token| token.claim("aud", r#"["x","mail"]"#),
        |token| token.claim("aud", r#"["x"]"#),
        |token| token.claim("aud", "[]"),
        |token| token.claim("aud", "7"),
        |token| token.without("aud"),
        |token| token.claim("iss", r#""https://other.test""#),
        |token| token.claim("iss", r#"["https://issuer.test"]"#),
        |token| token.without("iss"),
        |token| token.claim("cnf", r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#),
        |token| token.claim("sub", "7"),
        |token| token.more_claims(r#""sub""#, r#""admin""#),
        |token| token.more_claims(r#""x""#, "1").more_claims(r#""x""#, "2"),
        |token| token.more_head(r#""kid""#, r#""x""#),
        |token| token.head("typ", "\"at+jwt\""),
        |token| token.head("typ", "1"),
        |token| token.head("alg", "\"RS256\""),
        |token| token.head("alg", "\"ES256\""),
        |token| token.head("alg", "\"none\""),
        |token| token.head("alg", "\"HS256\""),
        |token| token.head("crit", "[\"exp\"]"),
        |token| token.without_head("kid"),
        |token| {
            token.signature(|mut bytes| {
                bytes[3] ^= 4;
                bytes
            })
        },
        |token| token.signature(|bytes| bytes[1..].to_vec()),
        |token| token.text(|text| text + "="),
        |token| token.text(|text| text.replacen('e', "f", 1)),
        |token| token.signed_by("eve-p256", "ES256"),
    ];
    prop::sample::select(changes)
}

#[test]
fn nothing_is_accepted_that_the_second_opinion_refuses() {
    let accepted = Cell::new(0);
    let tokens = (prop::sample::select(KEYS.to_vec()), prop::collection::vec(change(), 0..3));
    let judged = TestRunner::new(super::cases(400)).run(&tokens, |((key, alg, algorithm), changes)| {
        let now = now();
        let token = by(key, alg).claim("iat", &(now - 10).to_string()).claim("exp", &(now + 300).to_string());
        let token = changes.into_iter().fold(token, |token, change| change(token)).build();
        let decision = judge_at(&WORLD, &[b"Bearer ", &token[..]].concat(), now);
        if matches!(decision, Decision::Forward(..)) {
            accepted.set(accepted.get() + 1);
            prop_assert!(second_opinion(key, algorithm, &token), "{}", String::from_utf8_lossy(&token));
        }
        Ok(())
    });
    judged.unwrap();
    let accepted = accepted.get();
    assert!(accepted >= 60, "{accepted} tokens were accepted");
}

/// Reasons that only a token whose signature holds can meet.
const BEHIND_THE_SIGNATURE: [Reason; 6] = [
    Reason::AudienceMismatch,
    Reason::LifetimeExceeded,
    Reason::TokenBound,
    Reason::TokenExpired,
    Reason::TokenNotYetValid,
    Reason::TypeRefused,
];

#[test]
fn aws_lc_rs_comes_to_the_same_verdict_on_every_signature() {
    let (held, failed) = (Cell::new(0), Cell::new(0));
    let tokens = (prop::sample::select(all_keys()), prop::collection::vec(change(), 0..3));
    let judged = TestRunner::new(super::cases(400)).run(&tokens, |((key, alg), changes)| {
        let now = now();
        let token = by(key, alg).claim("iat", &(now - 10).to_string()).claim("exp", &(now + 300).to_string());
        let token = changes.into_iter().fold(token, |token, change| change(token)).build();
        let reason = match judge_at(&WORLD, &[b"Bearer ", &token[..]].concat(), now) {
            Decision::Reject(refused) => Some(refused.rejection.reason()),
            _ => None,
        };
        if reason.is_none_or(|reason| BEHIND_THE_SIGNATURE.contains(&reason)) {
            held.set(held.get() + 1);
            prop_assert_eq!(is_signed(&token), Some(true), "{}", String::from_utf8_lossy(&token));
        }
        if reason == Some(Reason::SignatureInvalid) {
            failed.set(failed.get() + 1);
            prop_assert_eq!(is_signed(&token), Some(false), "{}", String::from_utf8_lossy(&token));
        }
        Ok(())
    });
    judged.unwrap();
    let (held, failed) = (held.get(), failed.get());
    assert!(held >= 60 && failed >= 5, "{held} signatures held and {failed} did not");
}

#[test]
fn tokens_that_jsonwebtoken_signs_are_accepted() {
    for (key, alg, algorithm) in KEYS {
        let der = pair(key).private_der();
        let encoding = match key {
            "rsa" => jsonwebtoken::EncodingKey::from_rsa_der(&rsa_private_key(&der)),
            "ed25519" => jsonwebtoken::EncodingKey::from_ed_der(&der),
            _ => jsonwebtoken::EncodingKey::from_ec_der(&der),
        };
        let claims = serde_json::json!({"iss": ISSUER, "aud": "mail", "sub": "billing", "exp": now() + 60});
        let header = Header { kid: Some(key.to_owned()), ..Header::new(algorithm) };
        let token = jsonwebtoken::encode(&header, &claims, &encoding).expect("a token");
        let decision = judge_at(&WORLD, format!("Bearer {token}").as_bytes(), now());
        assert_eq!(verdict(&decision), "-> billing", "{alg}");
        assert!(second_opinion(key, algorithm, token.as_bytes()), "{alg}");
    }
}

/// The `RSAPrivateKey` within a PKCS #8 document: the last octet string (RFC 5958 §2).
fn rsa_private_key(pkcs8: &[u8]) -> Vec<u8> {
    let start = (20..40).find(|at| pkcs8[*at] == 0x04 && pkcs8[at + 1] == 0x82).expect("an octet string");
    pkcs8[start + 4..].to_vec()
}
