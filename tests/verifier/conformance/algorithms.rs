//! `alg` and what it may not do: choose the kind of key, choose no signature at all, or turn a public key into a secret.

use super::{Case, case};
use testkit::signing::pair;
use testkit::token::{TokenSpec, by, token};

/// A token of an issuer whose keys say in various ways that they are for Ed25519.
fn ed25519(alg: &'static str, kid: &str) -> TokenSpec {
    by("ed25519", alg).head("kid", &format!("\"{kid}\"")).claim("iss", r#""https://ed25519.test""#)
}

#[rustfmt::skip]
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("RFC 7518 3.3", "RS256", by("rsa", "RS256"), "-> billing"),
        case("RFC 7518 3.3", "RS384", by("rsa", "RS384"), "-> billing"),
        case("RFC 7518 3.3", "RS512", by("rsa", "RS512"), "-> billing"),
        case("RFC 7518 3.4", "ES256", by("p256", "ES256"), "-> billing"),
        case("RFC 7518 3.4", "ES384", by("p384", "ES384"), "-> billing"),
        case("RFC 7518 3.4", "ES512", by("p521", "ES512"), "-> billing"),
        case("RFC 7518 3.5", "PS256", by("rsa", "PS256"), "-> billing"),
        case("RFC 7518 3.5", "PS384", by("rsa", "PS384"), "-> billing"),
        case("RFC 7518 3.5", "PS512", by("rsa", "PS512"), "-> billing"),
        case("RFC 8037 3.1", "EdDSA", by("ed25519", "EdDSA"), "-> billing"),
        case("RFC 9964", "ML-DSA-44", by("mldsa44", "ML-DSA-44"), "-> billing"),
        case("RFC 9964", "ML-DSA-65", by("mldsa65", "ML-DSA-65"), "-> billing"),
        case("RFC 9964", "ML-DSA-87, whose signature has 4,627 bytes", by("mldsa87", "ML-DSA-87"), "-> billing"),
        case("RFC 9964", "ML-DSA-44 without kid", by("mldsa44", "ML-DSA-44").without_head("kid"), "-> billing"),
        case("RFC 9964", "ML-DSA-44 by another hand", by("mldsa44", "ML-DSA-44").signed_by("other-mldsa44", "ML-DSA-44"), "signature_invalid"),
        case("RFC 9964", "ML-DSA-65 said, ML-DSA-44 done, without kid", by("mldsa44", "ML-DSA-65").without_head("kid"), "signature_invalid"),
        case("RFC 9964", "ML-DSA-44 where only ES256 is allowed", by("mldsa44", "ML-DSA-44").claim("iss", r#""https://es-only.test""#), "algorithm_refused"),
        case("RFC 9964", "a token by ML-DSA-87 beyond the limit", by("mldsa87", "ML-DSA-87").claim("x", &format!("\"{}\"", "x".repeat(1500))), "token_too_large"),
        case("RFC 9864 2.2", "Ed25519", by("ed25519", "Ed25519"), "-> billing"),
        case("RFC 9864 2.2", "Ed25519 without kid", by("ed25519", "Ed25519").without_head("kid"), "-> billing"),
        case("RFC 9864 2.2", "Ed25519 by a key whose alg is EdDSA", ed25519("Ed25519", "alg-eddsa"), "-> billing"),
        case("RFC 9864 2.2", "EdDSA by a key whose alg is Ed25519", ed25519("EdDSA", "alg-ed25519"), "-> billing"),
        case("RFC 9864 2.2", "Ed25519 by a key whose alg is Ed25519", ed25519("Ed25519", "alg-ed25519"), "-> billing"),
        case("RFC 9864 2.2", "EdDSA by a key whose alg is EdDSA", ed25519("EdDSA", "alg-eddsa"), "-> billing"),
        case("RFC 9864 2.2", "Ed25519 by a key whose alg is Ed448", ed25519("Ed25519", "alg-ed448"), "key_unknown"),
        case("RFC 9864 2.2", "Ed448, by the right key", ed25519("Ed448", "alg-ed25519"), "algorithm_refused"),
        case("RFC 9864 2.2", "Ed25519 where only ES256 is allowed", by("ed25519", "Ed25519").claim("iss", r#""https://es-only.test""#), "algorithm_refused"),
        case("RFC 9864 2.2", "ES256 where only Ed25519 is allowed", token().claim("iss", r#""https://ed25519.test""#), "algorithm_refused"),
        case("RFC 9864 2.2", "an ES256 signature, called Ed25519, with the kid of the P-256 key", token().head("alg", r#""Ed25519""#), "algorithm_refused"),
        case("RFC 9864 2.2", "an Ed25519 signature, called ES256", by("ed25519", "Ed25519").head("alg", r#""ES256""#), "algorithm_refused"),
        case("RFC 9864 2.2", "a P-256 key whose alg is Ed25519, with its ES256", token().head("kid", r#""p256-ed25519""#).claim("iss", r#""https://ed25519.test""#), "algorithm_refused"),
        case("RFC 9864 2.2", "a P-256 key whose alg is Ed25519, called Ed25519", token().head("kid", r#""p256-ed25519""#).head("alg", r#""Ed25519""#).claim("iss", r#""https://ed25519.test""#), "key_unknown"),
        case("RFC 9864 2.2", "Ed25519 by another hand", by("ed25519", "Ed25519").signed_by("other-ed25519", "Ed25519"), "signature_invalid"),
        case("RFC 7517 4.5", "no kid, by the first of nine keys", token().without_head("kid").signed_by("other-p256", "ES256").claim("iss", r#""https://many.test""#), "-> billing"),
        case("RFC 7517 4.5", "no kid, by the last of nine keys", token().without_head("kid").claim("iss", r#""https://many.test""#), "signature_invalid"),
        case("RFC 7517 4.5", "the kid of the last of nine keys", token().head("kid", r#""ninth""#).claim("iss", r#""https://many.test""#), "-> billing"),
        case("RFC 7517 4.5", "an empty kid, which no key has", token().head("kid", r#""""#).claim("iss", r#""https://many.test""#), "key_unknown"),
        case("RFC 7518 3.1", "ES384 where only ES256 is allowed", by("p384", "ES384").claim("iss", r#""https://es-only.test""#), "algorithm_refused"),
        case("RFC 7518 3.1", "RS256 by a key of the set, where only ES256 is allowed", by("rsa", "RS256").claim("iss", r#""https://es-only.test""#), "algorithm_refused"),
        case("RFC 7518 3.1", "ES256 where only ES256 is allowed", by("p256", "ES256").claim("iss", r#""https://es-only.test""#), "-> billing"),
        case("RFC 7517 4.4", "RS256 by a key whose alg is RS256", by("rsa", "RS256").claim("iss", r#""https://narrow.test""#), "-> billing"),
        case("RFC 7517 4.4", "PS256 by a key whose alg is RS256", by("rsa", "PS256").claim("iss", r#""https://narrow.test""#), "algorithm_refused"),
        case("RFC 7517 4.4", "PS256 signed as RS256 by a key whose alg is RS256", by("rsa", "PS256").signed_by("rsa", "RS256").claim("iss", r#""https://narrow.test""#), "algorithm_refused"),
        case("own", "RS256 said, RS384 done", by("rsa", "RS256").signed_by("rsa", "RS384"), "signature_invalid"),
        case("own", "RS256 said, RS512 done", by("rsa", "RS256").signed_by("rsa", "RS512"), "signature_invalid"),
        case("own", "RS256 said, PS256 done", by("rsa", "RS256").signed_by("rsa", "PS256"), "signature_invalid"),
        case("own", "PS256 said, RS256 done", by("rsa", "PS256").signed_by("rsa", "RS256"), "signature_invalid"),
        case("own", "PS256 said, PS384 done", by("rsa", "PS256").signed_by("rsa", "PS384"), "signature_invalid"),
        case("own", "PS512 said, PS256 done", by("rsa", "PS512").signed_by("rsa", "PS256"), "signature_invalid"),
        case("own", "alg is a number", token().head("alg", "256"), "token_malformed"),
        case("own", "alg is null", token().head("alg", "null"), "token_malformed"),
        case("own", "alg is a list", token().head("alg", r#"["ES256"]"#), "token_malformed"),
        case("own", "alg is an object", token().head("alg", r#"{"name":"ES256"}"#), "token_malformed"),
        case("own", "alg is true", token().head("alg", "true"), "token_malformed"),
        case("RFC 7515 4.1.1", "alg is missing", token().without_head("alg"), "token_malformed"),
        case("own", "alg twice, first none", token().header_text(r#"{"alg":"none","alg":"ES256","kid":"p256"}"#), "token_malformed"),
        case("own", "alg twice, last none", token().header_text(r#"{"alg":"ES256","alg":"none","kid":"p256"}"#), "token_malformed"),
        case("own", "alg in capitals beside alg", token().more_head(r#""ALG""#, r#""none""#), "-> billing"),
        case("own", "only ALG in capitals", token().header_text(r#"{"ALG":"ES256","kid":"p256"}"#), "token_malformed"),
    ];
    // RFC 7518 3.6, RFC 8725 3.2: `none` is no algorithm, however it is spelt (CVE-2015-9235, CVE-2020-28042).
    for spelling in ["none", "None", "NONE", "nOnE", "noNe", "nonE", " none", "none ", "none\\u0000", "\\u006eone", "n\\u00f6ne", "\\uff4eone", "nоne", "null", "", "0", "false"] {
        let unsigned = || token().head("alg", &format!("\"{spelling}\"")).signature(|_| Vec::new());
        cases.push(case("CVE-2015-9235", format!("'{spelling}' without signature"), unsigned(), "algorithm_refused"));
        cases.push(case("CVE-2020-28042", format!("'{spelling}' with a good signature"), token().head("alg", &format!("\"{spelling}\"")), "algorithm_refused"));
    }
    // An alg is compared exactly (RFC 7515 4.1.1), and what is no signature is never offered (RFC 7518 3.1, 4.1, 5.1).
    for alg in ["es256", "Es256", "ES256 ", " ES256", "ES256\\u0000", "ES-256", "ES256K", "ES257", "SHA256withECDSA", "eddsa", "EDDSA", "ed25519", "ED25519", "Ed25519 ", "Ed448", "Ed25519ph", "ML-DSA", "ML-DSA-45", "ML-DSA-44 ", "ml-dsa-44", "MLDSA44", "ML_DSA_44", "HashML-DSA-44", "ML-DSA-44-ES256", "rs256", "RS1", "RS257", "PS256 ", "HS1", "HS257", "dir", "RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "A128KW", "A256GCMKW", "PBES2-HS256+A128KW", "A128GCM", "*", "ES256,none", "ES256\\nnone", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"] {
        cases.push(case("RFC 7515 4.1.1", format!("alg '{alg}'"), token().head("alg", &format!("\"{alg}\"")), "algorithm_refused"));
    }
    // CVE-2015-9235, CVE-2016-10555, CVE-2017-11424, CVE-2022-29217, CVE-2024-54150: the public key as an HMAC secret.
    for name in ["rsa", "p256", "p384", "p521", "ed25519", "mldsa44"] {
        let key = pair(name);
        let forms = [("PEM", key.public_pem()), ("PEM without its last line end", key.public_pem().trim_ascii_end().to_vec()), ("DER", key.public_der()), ("raw bytes", key.public_bytes()), ("JWK", key.jwk(Some(name)).to_string().into_bytes()), ("nothing", Vec::new())];
        for (form, secret) in forms {
            for alg in ["HS256", "HS384", "HS512"] {
                let token = token().head("kid", &format!("\"{name}\"")).hmac(alg, secret.clone());
                cases.push(case("CVE-2016-10555", format!("{alg} with the {form} of {name} as its secret"), token, "algorithm_refused"));
            }
            let token = token().head("kid", &format!("\"{name}\"")).hmac("HS256", secret).head("alg", r#""RS256""#);
            let expected = if name == "rsa" { "signature_invalid" } else { "algorithm_refused" };
            cases.push(case("CVE-2016-10555", format!("an HMAC with the {form} of {name}, called RS256"), token, expected));
        }
    }
    // RFC 8725 3.1: each kind of key under each algorithm's name. The kid names the key, the key's own hand signs.
    let kinds = [("rsa", "RS256"), ("p256", "ES256"), ("p384", "ES384"), ("p521", "ES512"), ("ed25519", "EdDSA"), ("mldsa44", "ML-DSA-44"), ("mldsa65", "ML-DSA-65"), ("mldsa87", "ML-DSA-87")];
    let names = [("ML-DSA-44", "mldsa44"), ("ML-DSA-65", "mldsa65"), ("ML-DSA-87", "mldsa87"), ("EdDSA", "ed25519"), ("Ed25519", "ed25519"), ("ES256", "p256"), ("ES384", "p384"), ("ES512", "p521"), ("PS256", "rsa"), ("PS384", "rsa"), ("PS512", "rsa"), ("RS256", "rsa"), ("RS384", "rsa"), ("RS512", "rsa"), ("HS256", ""), ("none", "")];
    for (key, own) in kinds {
        for (alg, owner) in names.iter().filter(|(_, owner)| *owner != key) {
            let wrong = || by(key, own).head("alg", &format!("\"{alg}\""));
            cases.push(case("RFC 8725 3.1", format!("a {own} signature by {key}, called {alg}"), wrong(), "algorithm_refused"));
            if owner.is_empty() { continue }
            let nameless = wrong().without_head("kid");
            cases.push(case("RFC 8725 3.1", format!("a {own} signature by {key}, called {alg}, without kid"), nameless, "signature_invalid"));
            let misnamed = wrong().head("kid", &format!("\"{owner}\""));
            cases.push(case("RFC 8725 3.1", format!("a {own} signature by {key}, called {alg}, with the kid of {owner}"), misnamed, "signature_invalid"));
        }
    }
    cases
}
