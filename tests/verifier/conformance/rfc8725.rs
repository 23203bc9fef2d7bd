//! The best current practices of RFC 8725 section 3, item by item. The other tables hold many more cases for most of them; here
//! is at least one acceptance or refusal for each, so that none is forgotten.

use callgate::algorithm::Algorithm;
use callgate::jwt::signature::KeyError;
use callgate::keys::jwks::{JwkError, KeySetError, Reading};
use serde_json::{Value, json};

use super::header::strict;
use super::{Case, case};
use testkit::signing::{encode, pair};
use testkit::token::{by, token};

#[rustfmt::skip]
pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("RFC 8725 3.1", "algorithm verification: the issuer's list and the key decide, not the token", token().head("alg", r#""ES384""#), "algorithm_refused"),
        case("RFC 8725 3.1", "algorithm verification: each key is for one kind of algorithm", by("p256", "ES256"), "-> billing"),
        case("RFC 8725 3.2", "appropriate algorithms: none is none", token().head("alg", r#""none""#), "algorithm_refused"),
        case("RFC 8725 3.2", "appropriate algorithms: RSA PKCS #1 v1.5 encryption is none", token().head("alg", r#""RSA1_5""#), "algorithm_refused"),
        case("RFC 8725 3.3", "all operations: what is signed twice is refused, not verified once", token().claims_text(String::from_utf8(token().build()).expect("text")), "token_malformed"),
        case("RFC 8725 3.3", "all operations: an invalid signature refuses the whole", token().signature(|_| vec![1; 64]), "signature_invalid"),
        case("RFC 8725 3.4", "cryptographic inputs: numbers out of range", token().signature(|_| vec![0; 64]), "signature_invalid"),
        case("RFC 8725 3.5", "key entropy: no passwords, hence no HMAC", token().hmac("HS256", b"password".to_vec()), "algorithm_refused"),
        case("RFC 8725 3.6", "no compression", token().head("zip", r#""DEF""#), "token_malformed"),
        case("RFC 8725 3.7", "UTF-8: other encodings are refused", token().claims_text([0xff, 0xfe, b'{', 0, b'}', 0]), "token_malformed"),
        case("RFC 8725 3.8", "issuer and subject: the key is the issuer's", token().signed_by("other-p256", "ES256"), "signature_invalid"),
        case("RFC 8725 3.8", "issuer and subject: a subject that names somebody", token().without("sub"), "caller_unusable"),
        case("RFC 8725 3.9", "audience: it must be there", token().without("aud"), "claim_missing"),
        case("RFC 8725 3.9", "audience: it must be ours", token().claim("aud", r#""somebody-else""#), "audience_mismatch"),
        case("RFC 8725 3.9", "audience: ours", token().claim("aud", r#""mail""#), "-> billing"),
        case("RFC 8725 3.10", "received claims: kid is a name, not a path", token().head("kid", r#""../../p256""#), "key_unknown"),
        case("RFC 8725 3.10", "received claims: jku is never followed", token().head("jku", r#""https://eve.test/""#).signed_by("eve-p256", "ES256"), "signature_invalid"),
        case("RFC 8725 3.11", "explicit typing: the type that is asked", strict(), "-> billing"),
        case("RFC 8725 3.11", "explicit typing: another type", strict().head("typ", r#""logout+jwt""#), "type_refused"),
        case("RFC 8725 3.12", "exclusive rules: a security event is no access token", token().head("typ", r#""secevent+jwt""#), "type_refused"),
        case("RFC 8725 3.12", "exclusive rules: other issuers have other audiences and claims", strict().claim("iss", r#""https://other.test""#), "key_unknown"),
    ]
}

#[test]
fn every_item_of_rfc_8725_section_3_has_its_cases() {
    let cases = cases();
    for item in 1..=12 {
        assert!(cases.iter().any(|case| case.source == format!("RFC 8725 3.{item}")), "3.{item}");
    }
}

/// RFC 8725 3.4 and 3.5 for keys: what is weak, or no key at all, never becomes one.
#[test]
fn weak_and_unsound_keys_are_left_out() {
    let with = |mut jwk: Value, member: &str, value: String| {
        jwk[member] = json!(value);
        jwk
    };
    let rsa = pair("rsa").jwk(None);
    let modulus = pair("rsa").public_bytes();
    let ec = pair("p256").jwk(None);
    let ed = pair("ed25519").jwk(None);
    let short = |bytes: usize| [&[0xc1][..], &vec![1; bytes - 1]].concat();
    let small_order = |first: u8, middle: u8, last: u8| {
        let mut y = [middle; 32];
        (y[0], y[31]) = (first, last);
        with(ed.clone(), "x", encode(y))
    };
    let fault = |fault| JwkError::Unsound(fault);
    let cases = [
        ("RSA of 1024 bits", with(rsa.clone(), "n", encode(short(128))), fault(KeyError::RsaTooSmall { bits: 1024 })),
        ("RSA of 2040 bits", with(rsa.clone(), "n", encode(short(255))), fault(KeyError::RsaTooSmall { bits: 2040 })),
        ("RSA of 8200 bits", with(rsa.clone(), "n", encode(short(1025))), fault(KeyError::RsaTooLarge { bits: 8200 })),
        ("RSA with e = 1", with(rsa.clone(), "e", "AQ".into()), fault(KeyError::RsaExponent)),
        ("RSA with e = 0", with(rsa.clone(), "e", "AA".into()), fault(KeyError::RsaExponent)),
        ("RSA with an even e", with(rsa.clone(), "e", encode([1, 0, 0])), fault(KeyError::RsaExponent)),
        ("RSA with a long e", with(rsa.clone(), "e", encode([1, 0, 0, 0, 1])), fault(KeyError::RsaExponent)),
        ("RSA with an even n", with(rsa, "n", encode([&modulus[..255], &[2]].concat())), fault(KeyError::Unsound)),
        ("a point off the curve", with(ec.clone(), "x", encode([5; 32])), fault(KeyError::Unsound)),
        (
            "the point 0, 0",
            with(with(ec.clone(), "x", encode([0; 32])), "y", encode([0; 32])),
            fault(KeyError::Unsound),
        ),
        ("a coordinate beyond p", with(ec.clone(), "x", encode([0xff; 32])), fault(KeyError::Unsound)),
        ("a short coordinate", with(ec.clone(), "x", encode([5; 31])), fault(KeyError::Unsound)),
        ("a long coordinate", with(ec.clone(), "y", encode([5; 33])), fault(KeyError::CoordinateLength { wanted: 32 })),
        ("a P-256 point called P-384", with(ec, "crv", "P-384".into()), fault(KeyError::Unsound)),
        (
            "a short Ed25519 key",
            with(ed.clone(), "x", encode([5; 31])),
            fault(KeyError::CoordinateLength { wanted: 32 }),
        ),
        ("Ed25519 of order 1", small_order(1, 0, 0), fault(KeyError::SmallOrder)),
        ("Ed25519 of order 1 with the sign bit", small_order(1, 0, 0x80), fault(KeyError::SmallOrder)),
        ("Ed25519 of order 2", small_order(0xec, 0xff, 0x7f), fault(KeyError::SmallOrder)),
        ("Ed25519 of order 4", small_order(0, 0, 0), fault(KeyError::SmallOrder)),
        ("Ed25519 of order 4, written as p", small_order(0xed, 0xff, 0x7f), fault(KeyError::SmallOrder)),
        ("Ed25519 of order 1, written as p + 1", small_order(0xee, 0xff, 0xff), fault(KeyError::SmallOrder)),
    ];
    for (what, jwk, why) in cases {
        let document = json!({"keys": [jwk]}).to_string();
        let Err(KeySetError::NoKeys(left_out)) = Reading::parse(document.as_bytes(), &Algorithm::ALL) else {
            panic!("{what} was taken for a key")
        };
        assert_eq!(left_out[0].why, why, "{what}");
    }
}
