//! Key documents as they are in the wild: each odd key is left out with its cause, and the good ones beside it serve.

use base64::Engine as _;

use super::*;
use crate::algorithm::KeyKind;
use crate::json::JsonError;
use crate::jwt::parse::KID_MAX;
use crate::jwt::signature::KeyError;
use crate::keys::jwk::{BASE64URL, PRIVATE_MEMBERS};

/// RFC 7517, appendix A.1.
const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok\
                 njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHz\
                 u6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU\
                 8awapJzKnqDKgw";
const P256: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;
/// RFC 8037, appendix A.2.
const ED25519: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
const RSA_1024: &str = "6WIYPvkMR8vFsAnPlsEUxAAbEwUfx3_HKFMiH07KoUz4WAMKYsDnuUaei7EnQLkVfKZoF6veRkXmNul2lFv_bo_ZWv42ahvuDDgA0jmhWe0\
                        DLCcbhLWn-7G_tkGZMEkEl8D5qlHBt663PfDbML-aTq8xQgqzbooOqwoUjdXCq_8";

/// [`P256`], [`ED25519`] and [`N`] as PEM, and three more: P-384, P-521, secp256k1.
const PEM: &str = include_str!("tests/keys.pem");

fn rsa() -> String {
    format!(r#""kty":"RSA","n":"{N}","e":"AQAB""#)
}

/// Any bytes of the right length are an ML-DSA key: a seed, and numbers that fill their bits.
fn ml_dsa(alg: &str, bytes: usize) -> String {
    format!(r#""kty":"AKP","alg":"{alg}","pub":"{}""#, BASE64URL.encode(vec![0x5a; bytes]).trim_end_matches('='))
}

fn read(keys: &[&str]) -> Result<Reading, KeySetError> {
    read_for(KeyUse::Signature, keys)
}

fn read_for(usage: KeyUse, keys: &[&str]) -> Result<Reading, KeySetError> {
    let document = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    Reading::parse_for(usage, document.as_bytes(), &Algorithm::ALL)
}

/// Reads a key with these members between two good ones, which serve whatever it is.
fn beside_good_ones(members: &str) -> Option<LeftOut> {
    let (first, last) = (format!("{{\"kid\":\"first\",{P256}}}"), format!("{{\"kid\":\"last\",{}}}", rsa()));
    let reading = read(&[&first, &format!("{{{members}}}"), &last]).expect("a key set");
    let kids: Vec<_> = reading.keys.keys().iter().filter_map(Key::kid).collect();
    assert_eq!((kids.first(), kids.last()), (Some(&"first"), Some(&"last")));
    assert_eq!(kids.len() + reading.left_out.len(), 3, "{members}");
    assert!(reading.left_out.iter().all(|left_out| left_out.index == 1));
    reading.left_out.into_iter().next()
}

#[test]
fn a_sound_key_is_taken_with_or_without_what_is_optional() {
    for members in [
        format!(r#""kid":"k",{P256}"#),
        format!(r#""kid":"k",{P256},"alg":"ES256","use":"sig","key_ops":["verify"]"#),
        format!(
            r#""kid":"k",{P256},"key_ops":["sign","verify"],"x5c":["MIIB"],"x5t":"AA","ext":true,"nbf":1,"odd":{{"a":[]}}"#
        ),
        format!(r#""kid":"k",{}"#, rsa()),
        format!(r#""kid":"k",{},"alg":"PS512""#, rsa()),
        format!(r#""kid":"k",{ED25519}"#),
        format!(r#""kid":"k",{ED25519},"alg":"EdDSA""#),
        format!(r#""kid":"k",{ED25519},"alg":"Ed25519""#),
        format!(r#""kid":"k",{}"#, ml_dsa("ML-DSA-44", 1312)),
        format!(r#""kid":"k",{}"#, ml_dsa("ML-DSA-65", 1952)),
        format!(r#""kid":"k",{},"use":"sig","priv":null"#, ml_dsa("ML-DSA-87", 2592)),
    ] {
        assert_eq!(beside_good_ones(&members), None, "{members}");
    }
}

#[test]
fn an_odd_key_is_left_out_alone_with_its_name_and_the_cause() {
    let n = format!(r#""n":"{N}""#);
    let off_curve = P256.replace("4Etl6SRW", "4Etl6SRX");
    let short = P256.replace("MKBC", "");
    let cases = [
        (
            r#""kty":"AKP","alg":"ML-DSA-44","pub":"AAAA""#.to_owned(),
            JwkError::Unsound(KeyError::Length { wanted: 1312 }),
        ),
        (
            r#""kty":"AKP","alg":"ML-DSA-87","pub":"AAAA""#.to_owned(),
            JwkError::Unsound(KeyError::Length { wanted: 2592 }),
        ),
        (ml_dsa("ML-DSA-65", 1312), JwkError::Unsound(KeyError::Length { wanted: 1952 })),
        (ml_dsa("ML-DSA-44", 1313), JwkError::Unsound(KeyError::Length { wanted: 1312 })),
        (r#""kty":"AKP","pub":"AAAA""#.to_owned(), JwkError::Algorithm),
        (r#""kty":"AKP","alg":"ES256","pub":"AAAA""#.to_owned(), JwkError::Algorithm),
        (r#""kty":"AKP","alg":"ML-DSA-45","pub":"AAAA""#.to_owned(), JwkError::Algorithm),
        (r#""kty":"AKP","alg":"ML-DSA-44""#.to_owned(), JwkError::Encoding("pub")),
        (r#""kty":"AKP","alg":"ML-DSA-44","pub":5"#.to_owned(), JwkError::Encoding("pub")),
        (ml_dsa("ML-DSA-44", 1312) + r#","priv":"AAAA""#, JwkError::Private),
        (ml_dsa("ML-DSA-44", 1312) + r#","use":"enc""#, JwkError::Purpose),
        (format!(r#"{P256},"alg":"ML-DSA-44""#), JwkError::Algorithm),
        (r#""kty":"LMS","x":"AA""#.to_owned(), JwkError::Type),
        (r#""kty":5"#.to_owned(), JwkError::Type),
        (r#""x":"AA""#.to_owned(), JwkError::Type),
        (
            r#""kty":"EC","crv":"secp256k1","alg":"ES256K","x":"lJEzJcJ-ZuacaeKp3Ir4gNxUNeIYZKNOEtrm3vtkuHc","y":"Ej1DimGo4zvqEm8sAyx8vM7fivaIOou9pkrkpJ7vJ-U""#
                .to_owned(),
            JwkError::Curve,
        ),
        (
            r#""kty":"OKP","crv":"Ed448","alg":"EdDSA","x":"isi5b_khJ_oQ3Ve6eYWB1G_0au0Aw3kkYeMkiXFdwli8FLn7czPuiB5C2J9CUFCNaxXSnR7NWjGA""#
                .to_owned(),
            JwkError::Curve,
        ),
        (r#""kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#.to_owned(), JwkError::Curve),
        (r#""kty":"EC","x":"AA","y":"AA""#.to_owned(), JwkError::Curve),
        (format!(r#"{},"use":"enc""#, rsa()), JwkError::Purpose),
        (format!(r#"{},"use":"jwt-svid""#, rsa()), JwkError::Purpose),
        (format!(r#"{},"use":["sig"]"#, rsa()), JwkError::Purpose),
        (format!(r#"{P256},"key_ops":["deriveKey"]"#), JwkError::Purpose),
        (format!(r#"{P256},"key_ops":[""]"#), JwkError::Purpose),
        (format!(r#"{P256},"key_ops":"verify""#), JwkError::Purpose),
        (format!(r#"{},"alg":"RSA-OAEP""#, rsa()), JwkError::Algorithm),
        (format!(r#"{},"alg":"ES256""#, rsa()), JwkError::Algorithm),
        (format!(r#"{P256},"alg":"ES384""#), JwkError::Algorithm),
        (format!(r#"{P256},"alg":"none""#), JwkError::Algorithm),
        (format!(r#"{P256},"alg":"Ed25519""#), JwkError::Algorithm),
        (format!(r#"{ED25519},"alg":"Ed448""#), JwkError::Algorithm),
        (format!(r#"{P256},"alg":5"#), JwkError::Algorithm),
        (r#""kty":"oct","alg":"HS256","k":"AAAA""#.to_owned(), JwkError::Symmetric),
        (format!(r#"{P256},"d":"AAAA""#), JwkError::Private),
        (format!(r#"{},"d":"AAAA","p":"AA","q":"AA""#, rsa()), JwkError::Private),
        (format!(r#"{},"k":"AAAA""#, rsa()), JwkError::Private),
        (r#""kty":"RSA","x5c":["MIIB"]"#.to_owned(), JwkError::CertificateOnly),
        (r#""kty":"RSA","e":"AQAB""#.to_owned(), JwkError::Encoding("n")),
        (format!(r#""kty":"RSA",{n}"#), JwkError::Encoding("e")),
        (format!(r#""kty":"RSA",{n},"e":65537"#), JwkError::Encoding("e")),
        (format!(r#""kty":"RSA","n":"={N}","e":"AQAB""#), JwkError::Encoding("n")),
        (format!(r#""kty":"RSA","n":"{N}","e":"AQAB=""#), JwkError::Encoding("e")),
        (r#""kty":"RSA","n":null,"e":"AQAB""#.to_owned(), JwkError::Encoding("n")),
        (r#""kty":"RSA","n":"","e":"","x5c":["MIIB"]"#.to_owned(), JwkError::CertificateOnly),
        (r#""kty":"","x":"AA""#.to_owned(), JwkError::Type),
        (format!(r#"{P256},"d":5"#), JwkError::Private),
        (format!(r#"{P256},"d":{{}}"#), JwkError::Private),
        (format!(r#"{P256},"oth":[null]"#), JwkError::Private),
        (r#""kty":"oct","k":null"#.to_owned(), JwkError::Symmetric),
        (format!(r#""kty":"RSA","n":"{}","e":"AQAB""#, N.replace('_', "/")), JwkError::Encoding("n")),
        (P256.replace("MKBC", "MKB "), JwkError::Encoding("x")),
        (
            format!(r#""kty":"RSA","n":"{RSA_1024}","e":"AQAB""#),
            JwkError::Unsound(KeyError::RsaTooSmall { bits: 1024 }),
        ),
        (format!(r#""kty":"RSA",{n},"e":"AQ""#), JwkError::Unsound(KeyError::RsaExponent)),
        (format!(r#""kty":"RSA",{n},"e":"AQAA""#), JwkError::Unsound(KeyError::RsaExponent)),
        (off_curve, JwkError::Unsound(KeyError::Unsound)),
        (short, JwkError::Unsound(KeyError::Unsound)),
        (P256.replace("MKBC", "MKBCMKBC"), JwkError::Unsound(KeyError::CoordinateLength { wanted: 32 })),
        (P256.replace("P-256", "P-384"), JwkError::Unsound(KeyError::Unsound)),
        (
            r#""kty":"OKP","crv":"Ed25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#.to_owned(),
            JwkError::Unsound(KeyError::SmallOrder),
        ),
    ];
    for (members, why) in cases {
        let wanted = LeftOut { index: 1, kid: Some("odd".to_owned()), why };
        assert_eq!(beside_good_ones(&format!(r#""kid":"odd",{members}"#)), Some(wanted), "{members}");
    }
}

#[test]
fn a_key_whose_name_is_no_usable_string_is_left_out() {
    let long = format!("\"{}\"", "k".repeat(KID_MAX + 1));
    for kid in ["5", "[\"k\"]", "{}", "true", &long] {
        let wanted = LeftOut { index: 1, kid: None, why: JwkError::Kid };
        assert_eq!(beside_good_ones(&format!(r#""kid":{kid},{P256}"#)), Some(wanted), "{kid}");
    }
    let longest = "k".repeat(KID_MAX);
    assert_eq!(beside_good_ones(&format!(r#""kid":"{longest}",{P256}"#)), None);
    assert!(read(&[&format!("{{{P256}}}")]).is_ok_and(|reading| reading.left_out.is_empty()), "a name is not needed");
}

#[test]
fn what_is_no_strict_object_is_left_out() {
    let cases = [
        ("5", JsonError::NotAnObject),
        ("null", JsonError::NotAnObject),
        ("[]", JsonError::NotAnObject),
        (r#"{"kty":"EC","kty":"RSA"}"#, JsonError::DuplicateMember),
    ];
    for (key, why) in cases {
        let reading = read(&[key, &format!("{{{P256}}}")]).expect("a key set");
        assert_eq!(reading.left_out, [LeftOut { index: 0, kid: None, why: JwkError::Malformed(why) }]);
    }
}

#[test]
fn a_key_that_stands_there_twice_counts_once_and_two_of_one_name_both_serve() {
    let (ec, rsa) = (format!(r#"{{"kid":"k",{P256}}}"#), format!(r#"{{"kid":"k",{}}}"#, rsa()));
    let reading = read(&[&ec, &rsa, &ec]).expect("a key set");
    assert_eq!(reading.left_out, [LeftOut { index: 2, kid: Some("k".to_owned()), why: JwkError::Duplicate }]);
    let fits = |algorithm| reading.keys.candidates(Some("k"), algorithm).count();
    assert_eq!((fits(Algorithm::Es256), fits(Algorithm::Rs256), fits(Algorithm::Ed25519)), (1, 1, 0));

    let (rs, ps) =
        (rsa.replace("\"kty\"", "\"alg\":\"RS256\",\"kty\""), rsa.replace("\"kty\"", "\"alg\":\"PS256\",\"kty\""));
    let reading = read(&[&rs, &ps]).expect("a key set");
    assert!(reading.left_out.is_empty(), "one key for two algorithms is two");
    assert_eq!(reading.keys.candidates(Some("k"), Algorithm::Ps256).count(), 1);
}

#[test]
fn a_bundle_of_a_trust_domain_gives_the_keys_of_its_tokens_only() {
    let key = |kid: &str, usage: &str| format!(r#"{{"kid":"{kid}",{P256}{usage}}}"#);
    let keys = [
        key("token", r#","use":"jwt-svid""#),
        key("certificate", r#","use":"x509-svid","x5c":["MIIB"]"#),
        key("unsaid", ""),
        key("sig", r#","use":"sig""#),
    ];
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let reading = read_for(KeyUse::JwtSvid, &keys).expect("a key set");
    assert_eq!(reading.keys.keys().iter().filter_map(Key::kid).collect::<Vec<_>>(), ["token"]);
    assert!(reading.left_out.iter().all(|left_out| left_out.why == JwkError::Purpose));
    let reading = read(&keys).expect("a key set");
    assert_eq!(reading.keys.keys().iter().filter_map(Key::kid).collect::<Vec<_>>(), ["unsaid", "sig"]);
    let reading = read_for(KeyUse::JwtBundle, &keys).expect("a key set");
    assert_eq!(reading.keys.keys().iter().filter_map(Key::kid).collect::<Vec<_>>(), ["token", "unsaid", "sig"]);
}

#[test]
fn a_key_serves_the_configured_algorithms_of_its_kind_and_its_own_narrows_them() {
    let document = format!(r#"{{"keys":[{{"kid":"any",{0}}},{{"kid":"one","alg":"RS512",{0}}}]}}"#, rsa());
    let allowed = [Algorithm::Rs256, Algorithm::Rs512, Algorithm::Es256];
    let reading = Reading::parse(document.as_bytes(), &allowed).expect("a key set");
    let fits = |kid, algorithm| reading.keys.named(kid).is_some_and(|key| key.public().fits(algorithm));
    assert!(fits("any", Algorithm::Rs256) && fits("any", Algorithm::Rs512));
    assert!(fits("one", Algorithm::Rs512) && !fits("one", Algorithm::Rs256));
    assert!(!fits("any", Algorithm::Ps256) && !fits("any", Algorithm::Es256));
    assert!(matches!(Reading::parse(document.as_bytes(), &[Algorithm::Es256]), Err(KeySetError::NoKeys(_))));
}

#[test]
fn a_token_is_tried_with_the_keys_of_its_name_then_the_nameless_or_with_any_if_it_has_none() {
    let key = |kid: &str| if kid.is_empty() { format!("{{{P256}}}") } else { format!(r#"{{"kid":"{kid}",{P256}}}"#) };
    let reading = read(&[&key("a"), &key(""), &key("b")]).expect("a key set");
    let tried =
        |kid| reading.keys.candidates(kid, Algorithm::Es256).map(|key| key.kid().unwrap_or("")).collect::<Vec<_>>();
    assert_eq!(tried(Some("a")), ["a", ""]);
    assert_eq!(tried(Some("unknown")), [""]);
    assert_eq!(tried(None), ["a", "", "b"]);

    let many: Vec<_> = (0..50).map(|n| key(&n.to_string())).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let reading = read(&many).expect("a key set");
    assert_eq!(reading.keys.candidates(None, Algorithm::Es256).count(), CANDIDATES_MAX);
}

/// Keys that no token of the issuer could use took the places of those that came later.
#[test]
fn the_first_keys_that_tokens_can_use_are_kept_up_to_the_bound_and_each_other_is_told() {
    let encryption = format!(r#"{{"use":"enc",{}}}"#, rsa());
    let keys: Vec<_> = (0..KEYS_MAX + 2).map(|n| format!(r#"{{"kid":"{n}",{P256}}}"#)).collect();
    let mut keys: Vec<_> = keys.iter().map(String::as_str).collect();
    assert!(read(&keys[..KEYS_MAX]).is_ok_and(|reading| reading.left_out.is_empty()));
    keys.splice(0..0, [&*encryption; 50]);
    let reading = read(&keys).expect("a key set");
    assert_eq!(reading.keys.keys().len(), KEYS_MAX);
    assert_eq!(reading.keys.keys().last().and_then(Key::kid), Some("99"));
    let beyond = |index: usize| LeftOut { index: index + 50, kid: Some(index.to_string()), why: JwkError::BeyondLimit };
    assert_eq!(reading.left_out[50..], [beyond(100), beyond(101)]);
    assert_eq!((reading.keys.left_out("100"), reading.keys.left_out("99")), (Some("too many keys"), None));
}

#[test]
fn entries_beyond_the_bound_are_not_looked_at() {
    let mut keys = vec!["{}"; ENTRIES_MAX];
    let good = format!("{{{P256}}}");
    keys[ENTRIES_MAX - 1] = &good;
    assert!(read(&keys).is_ok_and(|reading| reading.left_out.len() == ENTRIES_MAX - 1));
    keys.splice(0..0, ["{}"; 5]);
    let Err(KeySetError::NoKeys(left_out)) = read(&keys) else { panic!("the key is beyond the bound") };
    assert_eq!(left_out.len(), ENTRIES_MAX + 1);
    assert_eq!(left_out.last(), Some(&LeftOut { index: ENTRIES_MAX, kid: None, why: JwkError::BeyondLimit }));
}

/// They were left out, and a private member that is null was reported as leaked.
#[test]
fn what_a_serializer_writes_for_nothing_is_absent() {
    for nothing in ["null", "[]", r#""""#] {
        let optional: Vec<_> = ["use", "key_ops", "alg", "x5c", "x5t", "x5t#S256", "x5u"]
            .map(|name| format!(r#""{name}":{nothing}"#))
            .into();
        let private: Vec<_> = PRIVATE_MEMBERS.iter().map(|name| format!(r#""{name}":{nothing}"#)).collect();
        let (optional, private) = (optional.join(","), private.join(","));
        assert_eq!(beside_good_ones(&format!(r#""kid":"k",{P256},{optional},{private}"#)), None, "{nothing}");
        assert_eq!(
            beside_good_ones(&format!(r#""kid":"k",{},"crv":{nothing},"x":{nothing}"#, rsa())),
            None,
            "{nothing}"
        );
        let nameless = read(&[&format!(r#"{{"kid":{nothing},{P256}}}"#)]).expect("a key set");
        assert_eq!(nameless.keys.keys()[0].kid(), None, "{nothing}");
        let bundle = format!(r#"{{"use":{nothing},{P256}}}"#);
        assert!(matches!(read_for(KeyUse::JwtSvid, &[&bundle]), Err(KeySetError::NoKeys(_))), "a bundle must say it");
    }
}

#[test]
fn numbers_may_have_padding_and_lack_or_have_leading_zeros_and_are_the_same_key() {
    let padded = P256.replace("PAqv7D4", "PAqv7D4=").replace("M4IFyM", "M4IFyM=");
    let n = format!("{N}==");
    let padded_rsa = format!(r#""kty":"RSA","n":"{n}","e":"AQAB""#);
    let zeros_rsa = format!(
        r#""kty":"RSA","n":"{}","e":"AAEAAQ""#,
        BASE64URL.encode([vec![0], BASE64URL.decode(N).unwrap()].concat())
    );
    for (plain, odd) in [(P256, &padded), (&*rsa(), &padded_rsa), (&*rsa(), &zeros_rsa)] {
        let reading = read(&[&format!("{{{plain}}}"), &format!("{{{odd}}}")]).expect("a key set");
        assert_eq!(reading.left_out, [LeftOut { index: 1, kid: None, why: JwkError::Duplicate }], "{odd}");
    }
    // The public keys of the private keys 379 and 43: one has an x, the other a y that begins with a zero.
    for (whole, short) in [
        (
            r#""x":"AFVDiUrz0A7X10Cr29dclrBod7eH219w7qeLkKjXwAo","y":"u0yFo9jqKe-q-iRAaRLdhNWxTcMr9lbvbGvVil2UP5I""#,
            r#""x":"VUOJSvPQDtfXQKvb11yWsGh3t4fbX3Dup4uQqNfACg","y":"u0yFo9jqKe-q-iRAaRLdhNWxTcMr9lbvbGvVil2UP5I""#,
        ),
        (
            r#""x":"mGriUG8f8QTQQjCGHY9LSY9LxMbQCbMPdUTcEpuC0o0","y":"ADzMwKZGDgrjKKTZfTx7YdhvxiicGJ8lJREMRBuwfpc""#,
            r#""x":"mGriUG8f8QTQQjCGHY9LSY9LxMbQCbMPdUTcEpuC0o0","y":"PMzApkYOCuMopNl9PHth2G_GKJwYnyUlEQxEG7B-lw""#,
        ),
    ] {
        let key = |numbers: &str| format!(r#"{{"kty":"EC","crv":"P-256",{numbers}}}"#);
        let reading = read(&[&key(whole), &key(short)]).expect("a key set");
        assert_eq!(reading.left_out, [LeftOut { index: 1, kid: None, why: JwkError::Duplicate }], "{short}");
        assert!(read(&[&key(short)]).is_ok(), "{short}");
    }
}

#[test]
fn a_byte_order_mark_before_a_key_set_changes_nothing() {
    let with_bom = format!("\u{feff}{{\"keys\":[{{{P256}}}]}}");
    assert!(Reading::parse(with_bom.as_bytes(), &Algorithm::ALL).is_ok());
    let twice = format!("\u{feff}{with_bom}");
    assert!(matches!(Reading::parse(twice.as_bytes(), &Algorithm::ALL), Err(KeySetError::NotAKeySet(_))));
}

#[test]
fn a_file_may_hold_one_jwk_or_public_keys_in_pem_and_what_is_fetched_may_not() {
    let file = |text: &str| Reading::parse_file(KeyUse::Signature, text.as_bytes(), &Algorithm::ALL);
    let fetched = |text: &str| Reading::parse(text.as_bytes(), &Algorithm::ALL).map(|_| ());
    let jwk = format!("{{\"kid\":\"k\",{P256}}}");
    assert_eq!(file(&jwk).expect("a key").keys.keys()[0].kid(), Some("k"));
    assert_eq!(fetched(&jwk), Err(KeySetError::NotAKeySet(DocumentKind::Jwk)));

    let reading = file(PEM).expect("keys");
    let kinds: Vec<_> = reading.keys.keys().iter().map(|key| key.public().kind()).collect();
    assert_eq!(kinds, [KeyKind::P256, KeyKind::Ed25519, KeyKind::Rsa, KeyKind::P384, KeyKind::P521]);
    assert_eq!(reading.left_out, [LeftOut { index: 5, kid: None, why: JwkError::Type }], "secp256k1");
    let same =
        read(&[&format!("{{{P256}}}"), &format!("{{{ED25519}}}"), &format!("{{{}}}", rsa())]).expect("a key set");
    assert!(reading.keys.keys().iter().zip(same.keys.keys()).all(|(one, other)| one.is_same(other)));
    assert_eq!(fetched(PEM), Err(KeySetError::NotAKeySet(DocumentKind::PublicKey)));

    let narrow = Reading::parse_file(KeyUse::Signature, PEM.as_bytes(), &[Algorithm::Es256]).expect("a key");
    assert_eq!((narrow.keys.keys().len(), narrow.left_out.len()), (1, 5));
    let bundle = Reading::parse_file(KeyUse::JwtSvid, PEM.as_bytes(), &Algorithm::ALL);
    assert!(matches!(bundle, Err(KeySetError::NoKeys(_))), "PEM does not say that it is for jwt-svid");
    for text in ["-----BEGIN PUBLIC KEY-----\nMIIB", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
        assert!(matches!(file(text), Err(KeySetError::NoKeys(_))), "{text}");
    }
    let private = PEM.replace("PUBLIC", "PRIVATE");
    assert_eq!(file(&private).map(|_| ()), Err(KeySetError::NotAKeySet(DocumentKind::PrivateKey)));
    let discovery = r#"{"issuer":"https://a.test","jwks_uri":"https://a.test/jwks"}"#;
    assert_eq!(file(discovery).map(|_| ()), Err(KeySetError::NotAKeySet(DocumentKind::Discovery)));
}

#[test]
fn what_is_no_key_set_or_has_no_usable_key_is_told_from_one() {
    let nested = format!(r#"{{"keys":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let one = format!("{{{P256}}}");
    for garbage in [
        "",
        "null",
        "[]",
        "{}",
        "<html>",
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":"x"}"#,
        r#"{"Keys":[]}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[]"#,
        r#"{"keys":[]}}"#,
    ] {
        let reading = Reading::parse(garbage.as_bytes(), &Algorithm::ALL);
        assert!(matches!(reading, Err(KeySetError::NotAKeySet(_))), "{garbage}");
    }
    assert!(matches!(Reading::parse(nested.as_bytes(), &Algorithm::ALL), Err(KeySetError::NoKeys(_))));
    assert!(matches!(read(&[]), Err(KeySetError::NoKeys(left_out)) if left_out.is_empty()));
    assert!(matches!(read(&[r#"{"kty":"oct","k":"AA"}"#]), Err(KeySetError::NoKeys(left_out)) if left_out.len() == 1));
    let with_more = format!(r#"{{"version":1,"keys":[{one}],"spiffe_sequence":7,"x":[{{}}]}}"#);
    assert!(Reading::parse(with_more.as_bytes(), &Algorithm::ALL).is_ok());
}

#[test]
fn a_key_is_the_same_only_under_the_same_name_and_of_the_same_numbers() {
    let (ed, ec) = (format!(r#"{{"kid":"k",{ED25519}}}"#), format!(r#"{{"kid":"k",{P256}}}"#));
    let reading = read(&[&ed, &ec, &format!("{{{ED25519}}}")]).expect("a key set");
    let [ed, ec, nameless] = reading.keys.keys() else { panic!("three keys") };
    assert!(ed.is_same(ed) && !ed.is_same(ec) && !ed.is_same(nameless));
}
