//! The examples of the RFCs, through the same door as everything else. Most are no service's tokens: they lack an audience, or
//! are no JWT at all. The reason then shows how far they came: `claim_missing` means that the signature held. The signatures
//! by themselves are proven below.

use callgate::algorithm::Algorithm;
use callgate::keys::jwks::{KeyUse, Reading};
use serde_json::{Value, json};

use super::{Case, field};
use testkit::signing::{decode, encode, pair};

/// The payload of RFC 7515 appendix A.1 to A.3 and A.5, encoded: by `joe`, expired in 2011, for nobody in particular.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

const A1: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

const A2: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUA\
    r7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwus\
    C-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

const A3: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

const A4: &str = "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YB\
    JZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";

const EDDSA: &str = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

#[rustfmt::skip]
pub(crate) fn cases() -> Vec<Case> {
    let joe = |header: &str, signature: &str| format!("Bearer {header}.{JOE}.{signature}");
    vec![
        field("RFC 7515 A.1", "HS256", joe("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", A1), "algorithm_refused"),
        field("RFC 7515 A.2", "RS256, whose signature holds", joe("eyJhbGciOiJSUzI1NiJ9", A2), "claim_missing"),
        field("RFC 7515 A.2", "RS256, changed", joe("eyJhbGciOiJSUzI1NiJ9", &A2.replacen('c', "d", 1)), "signature_invalid"),
        field("RFC 7515 A.3", "ES256, whose signature holds", joe("eyJhbGciOiJFUzI1NiJ9", A3), "claim_missing"),
        field("RFC 7515 A.3", "ES256, changed", joe("eyJhbGciOiJFUzI1NiJ9", &A3.replacen('D', "E", 1)), "signature_invalid"),
        field("RFC 7515 A.3", "ES256 with the signature of A.2", joe("eyJhbGciOiJFUzI1NiJ9", A2), "signature_invalid"),
        field("RFC 7515 A.4", "ES512, whose payload is no JSON", format!("Bearer eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.{A4}"), "token_malformed"),
        field("RFC 7515 A.4", "ES512 over the claims of A.3", joe("eyJhbGciOiJFUzUxMiJ9", A4), "signature_invalid"),
        field("RFC 7515 A.5", "none", joe("eyJhbGciOiJub25lIn0", ""), "algorithm_refused"),
        field("RFC 7515 A.5", "none with the signature of A.3", joe("eyJhbGciOiJub25lIn0", A3), "algorithm_refused"),
        field("RFC 7515 A.6", "JSON serialization", format!(r#"Bearer {{"payload":"{JOE}","signatures":[{{"protected":"eyJhbGciOiJSUzI1NiJ9","header":{{"kid":"2010-12-29"}},"signature":"{A2}"}}]}}"#), "token_ambiguous"),
        field("RFC 7515 A.7", "flattened JSON serialization", format!(r#"Bearer {{"payload":"{JOE}","protected":"eyJhbGciOiJFUzI1NiJ9","signature":"{A3}"}}"#), "token_ambiguous"),
        field("RFC 7519 6.1", "an unsecured JWT", joe("eyJhbGciOiJub25lIn0", ""), "algorithm_refused"),
        field("RFC 7797 4.2", "b64 false and crit", "Bearer eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY", "critical_header_unsupported"),
        field("RFC 8037 A.4", "EdDSA, whose payload is no JSON", format!("Bearer eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.{EDDSA}"), "token_malformed"),
    ]
}

/// A signature of an RFC by itself: source, algorithm, public key, what was signed, the signature.
fn signatures() -> Vec<(&'static str, Algorithm, Value, String, &'static str)> {
    let bilbo = json!({"kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "e": "AQAB",
        "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU\
            _NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZC\
            uEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"});
    let danger = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgY\
        W5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
    let header = |alg: &str| format!("eyJhbGciOiJ{alg}IsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{danger}");
    vec![
        (
            "RFC 7515 A.4",
            Algorithm::Es512,
            json!({"kty": "EC", "crv": "P-521",
                "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
                "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}),
            "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA".into(),
            A4,
        ),
        (
            "RFC 8037 A.4",
            Algorithm::Ed25519,
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".into(),
            EDDSA,
        ),
        (
            "RFC 7520 4.1",
            Algorithm::Rs256,
            bilbo.clone(),
            header("SUzI1Ni"),
            "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA7818\
            5hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de\
            3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
        ),
        (
            "RFC 7520 4.2",
            Algorithm::Ps384,
            bilbo,
            header("QUzM4NC"),
            "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhi\
            USMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez\
            2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
        ),
        (
            "RFC 7520 4.3",
            Algorithm::Es512,
            json!({"kty": "EC", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "crv": "P-521",
                "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
                "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"}),
            header("FUzUxMi"),
            "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7X\
            rT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2",
        ),
    ]
}

#[test]
fn signatures_of_the_rfcs_hold_and_no_others_do() {
    for (source, algorithm, jwk, message, signature) in signatures() {
        let document = json!({"keys": [jwk]}).to_string();
        let keys = Reading::parse(document.as_bytes(), &Algorithm::ALL).expect("a key set").keys;
        let key = keys.keys()[0].public();
        let bytes = decode(signature);
        assert_eq!(key.verify(algorithm, message.as_bytes(), signature), Ok(()), "{source}");
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(key.verify(other, message.as_bytes(), signature).is_err(), "{source} as {other}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(
                key.verify(algorithm, message.as_bytes(), &encode(changed)).is_err(),
                "{source} with bit {bit} changed"
            );
        }
        let mut changed = message.into_bytes();
        changed[10] ^= 1;
        assert!(key.verify(algorithm, &changed, signature).is_err(), "{source} over another message");
    }
}

/// RFC 9964, appendix A: the examples of the authors' repository (cose-wg/draft-ietf-cose-dilithium, `examples/jose`), without the
/// private members. Their payload is the text of RFC 7520 section 4.
#[test]
fn signatures_of_rfc_9964_hold_and_no_others_do() {
    let examples: Vec<Value> = serde_json::from_str(include_str!("ml_dsa.json")).expect("JSON");
    for (example, algorithm) in examples.iter().zip([Algorithm::MlDsa44, Algorithm::MlDsa65, Algorithm::MlDsa87]) {
        let document = json!({"keys": [example["jwk"]]}).to_string();
        let keys = Reading::parse(document.as_bytes(), &Algorithm::ALL).expect("a key set").keys;
        let key = keys.named(example["jwk"]["kid"].as_str().expect("a kid")).expect("the key").public();
        let (message, signature) = example["jws"].as_str().expect("a JWS").rsplit_once('.').expect("a signature");
        assert_eq!(key.verify(algorithm, message.as_bytes(), signature), Ok(()), "{algorithm}");
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(key.verify(other, message.as_bytes(), signature).is_err(), "{algorithm} as {other}");
        }
        let bytes = decode(signature);
        // Every 61st bit, a prime, so that each part of the signature is met and the test stays quick.
        for bit in (0..bytes.len() * 8).step_by(61) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(key.verify(algorithm, message.as_bytes(), &encode(changed)).is_err(), "{algorithm}, bit {bit}");
        }
        for length in [0, 1, bytes.len() - 1] {
            assert!(key.verify(algorithm, message.as_bytes(), &encode(&bytes[..length])).is_err(), "{algorithm}");
        }
        assert!(key.verify(algorithm, &message.as_bytes()[1..], signature).is_err(), "{algorithm}, another message");
    }
}

#[test]
fn ml_dsa_keys_in_pem_are_those_of_their_jwks() {
    for name in ["mldsa44", "mldsa65", "mldsa87"] {
        let document = json!({"keys": [pair(name).jwk(None)]}).to_string();
        let jwk = Reading::parse(document.as_bytes(), &Algorithm::ALL).expect("a key set").keys;
        let pem =
            Reading::parse_file(KeyUse::Signature, &pair(name).public_pem(), &Algorithm::ALL).expect("a key").keys;
        assert!(pem.keys()[0].is_same(&jwk.keys()[0]), "{name}");
    }
}
