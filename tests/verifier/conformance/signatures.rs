//! Signatures that are none: of the wrong form or length, of numbers that make the mathematics collapse, of another's key.

use super::{Case, case};
use testkit::signing::{encode, pair};
use testkit::token::{by, token};

const KEYS: [(&str, &str); 6] = [
    ("rsa", "RS256"),
    ("p256", "ES256"),
    ("p384", "ES384"),
    ("p521", "ES512"),
    ("ed25519", "EdDSA"),
    ("mldsa44", "ML-DSA-44"),
];

#[rustfmt::skip]
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("RFC 7515 3.4", "a signature in DER", token().signed_in_der("p256"), "signature_invalid"),
        case("RFC 7518 3.4", "a signature in raw form", token(), "-> billing"),
        case("RFC 7518 3.5", "a salt as long as the hash", by("rsa", "PS256").signed_with_salt(32), "-> billing"),
        case("RFC 7518 3.5", "no salt", by("rsa", "PS256").signed_with_salt(0), "signature_invalid"),
        case("RFC 7518 3.5", "a salt of 20 bytes", by("rsa", "PS256").signed_with_salt(20), "signature_invalid"),
        case("RFC 7518 3.5", "a salt of 31 bytes", by("rsa", "PS256").signed_with_salt(31), "signature_invalid"),
        case("RFC 7518 3.5", "a salt of 33 bytes", by("rsa", "PS256").signed_with_salt(33), "signature_invalid"),
        case("RFC 7518 3.5", "a salt of 222 bytes, the longest", by("rsa", "PS256").signed_with_salt(222), "signature_invalid"),
        // JWS does not ask for the smaller s (unlike Bitcoin): n - s is a signature too. Nothing here may take the signature for
        // the token's identity; the deny-list goes by jti, sub and kid.
        case("own", "ES256 with n - s for s", token().signature(|s| other_s(&s, &N_P256)), "-> billing"),
        case("own", "ES256 with n - r for r", token().signature(|s| [complement(&s[..32], &N_P256), s[32..].to_vec()].concat()), "signature_invalid"),
        case("own", "r and s exchanged", token().signature(|s| [&s[32..], &s[..32]].concat()), "signature_invalid"),
        case("RFC 8032 5.1.7", "EdDSA with s + L for s", by("ed25519", "EdDSA").signature(plus_l), "signature_invalid"),
        case("RFC 8032 5.1.7", "EdDSA with R = identity and s = 0", by("ed25519", "EdDSA").signature(|_| [&[1][..], &[0; 63]].concat()), "signature_invalid"),
        case("own", "an RSA signature that is the modulus", by("rsa", "RS256").signature(|_| pair("rsa").public_bytes()), "signature_invalid"),
        case("own", "an RSA signature of 1", by("rsa", "RS256").signature(|s| one(s.len())), "signature_invalid"),
        case("own", "another token's signature", token().signature(|_| pair("p256").sign("ES256", b"another token")), "signature_invalid"),
        case("RFC 7515 5.1", "a signature over the payload alone", token().text(|t| resigned(&t, |_, payload| payload)), "signature_invalid"),
        case("RFC 7515 5.1", "a signature over the decoded parts", token().text(|t| resigned(&t, |header, payload| format!("{}.{}", plain(&header), plain(&payload)))), "signature_invalid"),
        case("RFC 7515 5.1", "a signature over payload and header", token().text(|t| resigned(&t, |header, payload| format!("{payload}.{header}"))), "signature_invalid"),
        case("RFC 7515 5.1", "a signature over header and payload", token().text(|t| resigned(&t, |header, payload| format!("{header}.{payload}"))), "-> billing"),
        case("RFC 8725 3.8", "signed with another issuer's key, with its kid", token().signed_by("other-p256", "ES256"), "signature_invalid"),
        case("RFC 8725 3.8", "the other issuer's own token", token().claim("iss", r#""https://other.test""#).signed_by("other-p256", "ES256"), "-> billing"),
        case("RFC 8725 3.8", "the other issuer's name, signed by this one's key", token().claim("iss", r#""https://other.test""#), "signature_invalid"),
        case("own", "signed by a stranger", token().signed_by("eve-p256", "ES256"), "signature_invalid"),
        case("own", "signed by a stranger, without kid", token().signed_by("eve-p256", "ES256").without_head("kid"), "signature_invalid"),
        case("own", "signed by another key of the issuer than kid says", by("p384", "ES384").head("kid", r#""p521""#), "algorithm_refused"),
        case("RFC 7515 4.1.4", "without kid, by the only key of its kind", by("p384", "ES384").without_head("kid"), "-> billing"),
        case("RFC 7517 4.5", "a kid for keys without", by("p256", "ES256").claim("iss", r#""https://nameless.test""#), "-> billing"),
        case("RFC 7517 4.5", "no kid for keys without", by("rsa", "RS256").claim("iss", r#""https://nameless.test""#).without_head("kid"), "-> billing"),
        case("RFC 7517 4.5", "a kid for keys without, signed by a stranger", token().claim("iss", r#""https://nameless.test""#).signed_by("eve-p256", "ES256"), "key_unknown"),
        case("RFC 7517 4.5", "an algorithm for which the issuer has no key", by("p384", "ES384").claim("iss", r#""https://nameless.test""#), "key_unknown"),
        case("own", "an issuer whose keys were never fetched", token().claim("iss", r#""https://keyless.test""#), "keys_unavailable"),
        case("own", "an issuer whose keys are stale", token().claim("iss", r#""https://stale.test""#), "keys_unavailable"),
        case("own", "a refused algorithm of an issuer without keys", by("rsa", "RS256").claim("iss", r#""https://keyless.test""#), "algorithm_refused"),
    ];
    for (key, alg) in KEYS {
        let bent = |what: &str, edit: fn(Vec<u8>) -> Vec<u8>| case("own", format!("{alg}: {what}"), by(key, alg).signature(edit), "signature_invalid");
        cases.extend([
            bent("no signature", |_| Vec::new()),
            bent("one byte", |s| s[..1].to_vec()),
            bent("half a signature", |s| s[..s.len() / 2].to_vec()),
            bent("the last byte missing", |s| s[..s.len() - 1].to_vec()),
            bent("the first byte missing", |s| s[1..].to_vec()),
            bent("a byte more", |s| [&s[..], &[0]].concat()),
            bent("a zero before", |s| [&[0], &s[..]].concat()),
            bent("twice", |s| [&s[..], &s[..]].concat()),
            bent("a bit of the first byte", |mut s| { s[0] ^= 1; s }),
            bent("a bit of the last byte", |mut s| { *s.last_mut().expect("a byte") ^= 1; s }),
            bent("a bit in the middle", |mut s| { let middle = s.len() / 2; s[middle] ^= 0x80; s }),
            bent("all zero (CVE-2022-21449)", |s| vec![0; s.len()]),
            bent("all ones", |s| vec![0xff; s.len()]),
            bent("reversed", |s| s.into_iter().rev().collect()),
            bent("a megabyte would not fit, a kilobyte does", |s| [&s[..], &[7; 1024]].concat()),
        ]);
    }
    // CVE-2022-21449, "psychic signatures": numbers from outside 1..n-1.
    for (key, alg, n) in [("p256", "ES256", &N_P256[..]), ("p384", "ES384", &N_P384), ("p521", "ES512", &N_P521)] {
        let zero = vec![0; n.len()];
        let numbers: [(&str, Vec<u8>); 5] = [("0", zero.clone()), ("1", one(n.len())), ("n", n.to_vec()), ("n + 1", add_one(n)), ("the largest", vec![0xff; n.len()])];
        for (r_name, r) in &numbers {
            for (s_name, s) in &numbers {
                let signature = [&r[..], &s[..]].concat();
                let token = by(key, alg).signature(move |_| signature.clone());
                cases.push(case("CVE-2022-21449", format!("{alg}: r = {r_name}, s = {s_name}"), token, "signature_invalid"));
            }
        }
    }
    cases
}

/// The token with its signature made anew by the same key over something else.
fn resigned(token: &str, over: fn(String, String) -> String) -> String {
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    let signature = pair("p256").sign("ES256", over(parts[0].clone(), parts[1].clone()).as_bytes());
    format!("{}.{}.{}", parts[0], parts[1], encode(signature))
}

fn plain(part: &str) -> String {
    String::from_utf8(testkit::signing::decode(part)).expect("text")
}

fn other_s(signature: &[u8], n: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(n.len());
    [r, &complement(s, n)].concat()
}

/// n − x, big-endian.
fn complement(x: &[u8], n: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference: Vec<u8> = n
        .iter()
        .rev()
        .zip(x.iter().rev())
        .map(|(n, x)| {
            let digit = i16::from(*n) - i16::from(*x) - borrow;
            borrow = i16::from(digit < 0);
            u8::try_from(digit.rem_euclid(256)).expect("a byte")
        })
        .collect();
    difference.reverse();
    difference
}

/// The signature with the group's order added to s, little-endian (RFC 8032 §5.1).
fn plus_l(signature: Vec<u8>) -> Vec<u8> {
    let l = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    let s = signature[32..].iter().zip(l).map(|(s, l)| {
        let sum = u16::from(*s) + l + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    });
    signature[..32].iter().copied().chain(s.collect::<Vec<_>>()).collect()
}

fn one(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[length - 1] = 1;
    bytes
}

fn add_one(n: &[u8]) -> Vec<u8> {
    let mut sum = n.to_vec();
    *sum.last_mut().expect("a byte") += 1;
    sum
}

/// The order of P-256 (FIPS 186-4 D.1.2.3).
const N_P256: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The order of P-384 (FIPS 186-4 D.1.2.4).
const N_P384: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0,
    0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// The order of P-521 (FIPS 186-4 D.1.2.5).
const N_P521: [u8; 66] = [
    0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfa, 0x51, 0x86, 0x87, 0x83,
    0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc, 0x01, 0x48, 0xf7, 0x09, 0xa5, 0xd0, 0x3b, 0xb5, 0xc9, 0xb8, 0x89, 0x9c, 0x47,
    0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38, 0x64, 0x09,
];
