use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::uri::ExternalUrl;
use super::*;
use crate::algorithm::Algorithm;
use crate::confirmation::KeyThumbprint;
use crate::json::Object;
use crate::keys::proof_key::ProofKey;

mod workload;

const NOW: u64 = 1_767_225_600;
const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

/// A client's key.
enum Pair {
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
}

impl Pair {
    fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Self {
        Self::Ec(EcdsaKeyPair::generate(algorithm).expect("a key pair"), curve)
    }

    fn p256() -> Self {
        Self::ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
    }

    fn jwk(&self) -> Value {
        match self {
            Self::Ec(pair, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
            }
            Self::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key())}),
        }
    }

    fn sign(&self, input: &str) -> Vec<u8> {
        match self {
            Self::Ec(pair, _) => {
                pair.sign(&SystemRandom::new(), input.as_bytes()).expect("a signature").as_ref().to_vec()
            }
            Self::Ed(pair) => pair.sign(input.as_bytes()).as_ref().to_vec(),
        }
    }
}

/// A proof in the making: a good one for `POST https://mail.example/send`, until it is changed.
struct Spec<'k> {
    header: Value,
    claims: Value,
    /// Header and payload as they are written, if not as these values.
    header_text: Option<String>,
    claims_text: Option<String>,
    signer: &'k Pair,
    nonce: bool,
    path: Option<&'static str>,
    method: &'static str,
}

impl<'k> Spec<'k> {
    fn new(signer: &'k Pair, alg: &str) -> Self {
        let ath = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, TOKEN.as_bytes()));
        Self {
            header: json!({"typ": "dpop+jwt", "alg": alg, "jwk": signer.jwk()}),
            claims: json!({"jti": "a", "htm": "POST", "htu": "https://mail.example/send", "iat": NOW, "ath": ath}),
            header_text: None,
            claims_text: None,
            signer,
            nonce: false,
            path: Some("/send"),
            method: "POST",
        }
    }

    fn text(&self) -> String {
        let header = self.header_text.clone().unwrap_or_else(|| self.header.to_string());
        let claims = self.claims_text.clone().unwrap_or_else(|| self.claims.to_string());
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.signer.sign(&input)))
    }

    fn without(value: &mut Value, name: &str) {
        value.as_object_mut().expect("an object").remove(name);
    }
}

fn rules(nonce: bool) -> ProofRules {
    ProofRules {
        algorithms: vec![Algorithm::Es256, Algorithm::Ed25519],
        window: Duration::from_secs(60),
        external_urls: ["https://mail.example", "https://gate.example/mail"]
            .map(|url| ExternalUrl::new(url).expect("a URL"))
            .to_vec(),
        nonce,
    }
}

fn thumbprint(pair: &Pair, algorithm: Algorithm) -> KeyThumbprint {
    let jwk = pair.jwk().to_string();
    ProofKey::read(&Object::parse(jwk.as_bytes()).expect("an object"), algorithm).expect("a key").thumbprint()
}

/// The reason why a proof is refused by a client whose token is bound to `pair`, if it is.
fn judged(pair: &Pair, spec: &Spec<'_>, proof: &str) -> Option<Reason> {
    let request = ProvenRequest {
        method: spec.method,
        path: spec.path,
        token: TOKEN.as_bytes(),
        key: thumbprint(pair, Algorithm::Es256),
    };
    let nonces = Nonces::new(&[7; 32]);
    verify(proof.as_bytes(), &rules(spec.nonce), Some(&nonces), &request, at(NOW)).err().map(|refused| refused.reason())
}

const INVALID: Option<Reason> = Some(Reason::ProofInvalid);
const EXPIRED: Option<Reason> = Some(Reason::ProofExpired);
const NONCE: Option<Reason> = Some(Reason::ProofNonceWanted);

type Change = Box<dyn Fn(&mut Spec<'_>)>;

fn header(name: &'static str, value: Value) -> Change {
    Box::new(move |spec| spec.header[name] = value.clone())
}

fn claim(name: &'static str, value: Value) -> Change {
    Box::new(move |spec| spec.claims[name] = value.clone())
}

fn jwk(name: &'static str, value: Value) -> Change {
    Box::new(move |spec| spec.header["jwk"][name] = value.clone())
}

fn nonce_of(secs: u64) -> Change {
    Box::new(move |spec| {
        spec.nonce = true;
        spec.claims["nonce"] = Nonces::new(&[7; 32]).current(at(secs)).into();
    })
}

/// What a change of a good proof leads to, with the rule of RFC 9449 §4.3 (or another) that says so.
#[rustfmt::skip]
fn cases() -> Vec<(&'static str, &'static str, Change, Option<Reason>)> {
    vec![
        ("4.3", "a good one", Box::new(|_| {}), None),
        // The form (2, 3).
        ("4.3 3", "no jti", Box::new(|spec| Spec::without(&mut spec.claims, "jti")), INVALID),
        ("4.3 3", "no htm", Box::new(|spec| Spec::without(&mut spec.claims, "htm")), INVALID),
        ("4.3 3", "no htu", Box::new(|spec| Spec::without(&mut spec.claims, "htu")), INVALID),
        ("4.3 3", "no iat", Box::new(|spec| Spec::without(&mut spec.claims, "iat")), INVALID),
        ("4.3 3", "no ath", Box::new(|spec| Spec::without(&mut spec.claims, "ath")), INVALID),
        ("4.3 3", "no typ", Box::new(|spec| Spec::without(&mut spec.header, "typ")), INVALID),
        ("4.3 3", "no alg", Box::new(|spec| Spec::without(&mut spec.header, "alg")), INVALID),
        ("4.3 3", "no jwk", Box::new(|spec| Spec::without(&mut spec.header, "jwk")), INVALID),
        ("4.3 2", "a payload that is no object", Box::new(|spec| spec.claims_text = Some("[]".into())), INVALID),
        ("4.3 2", "a payload that is no JSON", Box::new(|spec| spec.claims_text = Some("no".into())), INVALID),
        ("4.3 2", "a header that is no object", Box::new(|spec| spec.header_text = Some("\"a\"".into())), INVALID),
        ("own", "a claim twice", Box::new(|spec| spec.claims_text = Some(spec.claims.to_string().replacen('{', r#"{"jti":"b","#, 1))), INVALID),
        ("own", "a header member twice", Box::new(|spec| spec.header_text = Some(spec.header.to_string().replacen('{', r#"{"typ":"dpop+jwt","#, 1))), INVALID),
        ("RFC 7515 4.1.11", "crit", header("crit", json!(["b64"])), INVALID),
        ("RFC 7515 4.1.11", "an empty crit", header("crit", json!([])), INVALID),
        ("RFC 7797", "b64", header("b64", json!(true)), INVALID),
        ("RFC 7516", "zip", header("zip", json!("DEF")), INVALID),
        ("RFC 7516", "enc", header("enc", json!("A128GCM")), INVALID),
        // typ (4).
        ("4.3 4", "the typ of a token", header("typ", json!("JWT")), INVALID),
        ("4.3 4", "the typ of an access token", header("typ", json!("at+jwt")), INVALID),
        ("4.3 4", "the typ in capitals", header("typ", json!("DPOP+JWT")), INVALID),
        ("4.3 4", "the whole media type", header("typ", json!("application/dpop+jwt")), INVALID),
        ("4.3 4", "the typ of a workload's proof", header("typ", json!("wpt+jwt")), INVALID),
        ("4.3 4", "a typ that is a list", header("typ", json!(["dpop+jwt"])), INVALID),
        ("4.3 4", "a typ that is null", header("typ", json!(null)), INVALID),
        // alg (5).
        ("4.3 5", "no signature", header("alg", json!("none")), INVALID),
        ("4.3 5", "a shared secret", header("alg", json!("HS256")), INVALID),
        ("4.3 5", "another algorithm of such a key", header("alg", json!("ES384")), INVALID),
        ("4.3 5", "the algorithm of another key", header("alg", json!("Ed25519")), INVALID),
        ("4.3 5", "an algorithm that is not accepted", header("alg", json!("RS256")), INVALID),
        ("4.3 5", "the algorithm in small letters", header("alg", json!("es256")), INVALID),
        ("4.3 5", "an algorithm that nobody knows", header("alg", json!("XY1")), INVALID),
        ("4.3 5", "an algorithm that is a list", header("alg", json!(["ES256"])), INVALID),
        // signature (6).
        ("4.3 6", "the key of another client", Box::new(|spec| spec.header["jwk"] = Pair::p256().jwk()), INVALID),
        // jwk (7).
        ("4.3 7", "a private key", jwk("d", json!("AAAA")), INVALID),
        ("4.3 7", "an empty private member", jwk("d", json!("")), INVALID),
        ("4.3 7", "a private member that is null", jwk("d", json!(null)), INVALID),
        ("4.3 7", "a private member of RSA", jwk("p", json!("AAAA")), INVALID),
        ("4.3 7", "a private member of ML-DSA", jwk("priv", json!("AAAA")), INVALID),
        ("4.3 7", "a symmetric key", header("jwk", json!({"kty": "oct", "k": "AAAA"})), INVALID),
        ("4.3 7", "a key that is a string", header("jwk", json!("AAAA")), INVALID),
        ("4.3 7", "a key that is a list", header("jwk", json!([{}])), INVALID),
        ("4.3 7", "an empty key", header("jwk", json!({})), INVALID),
        ("own", "a key without x", Box::new(|spec| Spec::without(&mut spec.header["jwk"], "x")), INVALID),
        ("own", "a key without y", Box::new(|spec| Spec::without(&mut spec.header["jwk"], "y")), INVALID),
        ("own", "a key of another curve", jwk("crv", json!("P-384")), INVALID),
        ("own", "a key of an unknown curve", jwk("crv", json!("P-257")), INVALID),
        ("own", "a key for encryption", jwk("use", json!("enc")), INVALID),
        ("own", "a key to sign with", jwk("key_ops", json!(["sign"])), INVALID),
        ("own", "a key for another algorithm", jwk("alg", json!("ES384")), INVALID),
        ("own", "a point that is not on the curve", jwk("x", json!(URL_SAFE_NO_PAD.encode([1; 32]))), INVALID),
        ("own", "the point of nowhere", Box::new(|spec| for name in ["x", "y"] { spec.header["jwk"][name] = json!(URL_SAFE_NO_PAD.encode([0; 32])) }), INVALID),
        ("RFC 7638 3.3", "a coordinate with padding", Box::new(|spec| spec.header["jwk"]["x"] = json!(URL_SAFE.encode(URL_SAFE_NO_PAD.decode(spec.header["jwk"]["x"].as_str().unwrap()).unwrap()))), INVALID),
        ("RFC 7518 6.2.1.2", "a coordinate with a zero more", Box::new(|spec| {
            let x = URL_SAFE_NO_PAD.decode(spec.header["jwk"]["x"].as_str().unwrap()).unwrap();
            spec.header["jwk"]["x"] = json!(URL_SAFE_NO_PAD.encode([&[0], &x[..]].concat()));
        }), INVALID),
        ("own", "a key with its name and use", Box::new(|spec| { spec.header["jwk"]["kid"] = json!("k"); spec.header["jwk"]["use"] = json!("sig"); }), None),
        ("own", "a kid, which is not looked at", header("kid", json!("k")), None),
        ("own", "certificates, which are not looked at", header("x5c", json!(["MIIB"])), None),
        ("own", "the URL of a key, which is not looked at", header("jku", json!("https://eve.example/keys")), None),
        // htm (8).
        ("4.3 8", "another method", claim("htm", json!("GET")), INVALID),
        ("4.3 8", "the method in small letters", claim("htm", json!("post")), INVALID),
        ("4.3 8", "a method and more", claim("htm", json!("POST ")), INVALID),
        ("4.3 8", "no method", claim("htm", json!("")), INVALID),
        ("4.3 8", "methods in a list", claim("htm", json!(["POST"])), INVALID),
        ("4.3 8", "a proof for another method", Box::new(|spec| spec.method = "GET"), INVALID),
        // htu (9).
        ("4.3 9", "with a query", claim("htu", json!("https://mail.example/send?a=b")), None),
        ("4.3 9", "with a fragment", claim("htu", json!("https://mail.example/send#a")), None),
        ("4.3 9", "with the port that https has", claim("htu", json!("https://mail.example:443/send")), None),
        ("4.3 9", "scheme and host in capitals", claim("htu", json!("HTTPS://MAIL.EXAMPLE/send")), None),
        ("4.3 9", "a letter in percent-encoding", claim("htu", json!("https://mail.example/%73end")), None),
        ("4.3 9", "dot segments", claim("htu", json!("https://mail.example/a/../send")), None),
        ("4.3 9", "the other name of the service", claim("htu", json!("https://gate.example/mail/send")), None),
        ("4.3 9", "the other name without its prefix", claim("htu", json!("https://gate.example/send")), INVALID),
        ("4.3 9", "another host", claim("htu", json!("https://eve.example/send")), INVALID),
        ("4.3 9", "a host that begins alike", claim("htu", json!("https://mail.example.eve.example/send")), INVALID),
        ("4.3 9", "a host that ends alike", claim("htu", json!("https://evemail.example/send")), INVALID),
        ("4.3 9", "another scheme", claim("htu", json!("http://mail.example/send")), INVALID),
        ("4.3 9", "another port", claim("htu", json!("https://mail.example:8443/send")), INVALID),
        ("4.3 9", "with a user", claim("htu", json!("https://a@mail.example/send")), INVALID),
        ("4.3 9", "another path", claim("htu", json!("https://mail.example/other")), INVALID),
        ("4.3 9", "a slash more", claim("htu", json!("https://mail.example/send/")), INVALID),
        ("4.3 9", "the path in capitals", claim("htu", json!("https://mail.example/SEND")), INVALID),
        ("4.3 9", "a slash in percent-encoding", claim("htu", json!("https://mail.example%2Fsend")), INVALID),
        ("4.3 9", "the path alone", claim("htu", json!("/send")), INVALID),
        ("4.3 9", "no path", claim("htu", json!("https://mail.example")), INVALID),
        ("4.3 9", "backslashes", claim("htu", json!("https:\\\\mail.example\\send")), INVALID),
        ("4.3 9", "a space before it", claim("htu", json!(" https://mail.example/send")), INVALID),
        ("4.3 9", "URIs in a list", claim("htu", json!(["https://mail.example/send"])), INVALID),
        ("4.3 9", "a proof for another path", Box::new(|spec| spec.path = Some("/other")), INVALID),
        ("4.3 9", "a request that is not in origin form", Box::new(|spec| spec.path = None), INVALID),
        // nonce (10).
        ("4.3 10", "the nonce of now", nonce_of(NOW), None),
        ("4.3 10", "the nonce of the period before", nonce_of(NOW - nonce::PERIOD), None),
        ("4.3 10", "an older nonce", nonce_of(NOW - 2 * nonce::PERIOD), NONCE),
        ("4.3 10", "the nonce of the period to come", nonce_of(NOW + nonce::PERIOD), NONCE),
        ("4.3 10", "no nonce where one is wanted", Box::new(|spec| spec.nonce = true), NONCE),
        ("4.3 10", "a nonce of nobody", Box::new(|spec| { spec.nonce = true; spec.claims["nonce"] = json!("AAAAAAAAAAAAAAAAAAAAAA"); }), NONCE),
        ("4.3 10", "a nonce that is a number", Box::new(|spec| { spec.nonce = true; spec.claims["nonce"] = json!(1); }), NONCE),
        ("4.3 10", "a nonce where none is wanted", claim("nonce", json!("of another service")), None),
        // iat (11).
        ("4.3 11", "the oldest", claim("iat", json!(NOW - 60)), None),
        ("4.3 11", "one second older", claim("iat", json!(NOW - 61)), EXPIRED),
        ("4.3 11", "a fraction older", claim("iat", json!(NOW as f64 - 60.5)), EXPIRED),
        ("4.3 11", "as far ahead as clocks may go", claim("iat", json!(NOW + 10)), None),
        ("4.3 11", "further ahead", claim("iat", json!(NOW + 11)), EXPIRED),
        ("4.3 11", "a fraction further ahead", claim("iat", json!(NOW as f64 + 10.5)), EXPIRED),
        ("4.3 11", "in milliseconds", claim("iat", json!(NOW * 1000)), INVALID),
        ("4.3 11", "the beginning of time", claim("iat", json!(0)), EXPIRED),
        ("4.3 11", "before it", claim("iat", json!(-1)), INVALID),
        ("4.3 11", "a time as text", claim("iat", json!(NOW.to_string())), INVALID),
        ("4.3 11", "a time that is null", claim("iat", json!(null)), INVALID),
        ("RFC 7519 4.1.4", "an exp to come", claim("exp", json!(NOW + 1)), None),
        ("RFC 7519 4.1.4", "an exp that is over", claim("exp", json!(NOW)), EXPIRED),
        ("RFC 7519 4.1.4", "an exp as text", claim("exp", json!("later")), INVALID),
        ("RFC 7519 4.1.5", "an nbf that is over", claim("nbf", json!(NOW)), None),
        ("RFC 7519 4.1.5", "an nbf to come", claim("nbf", json!(NOW + 11)), EXPIRED),
        ("RFC 7519 4.1.5", "an nbf as text", claim("nbf", json!("earlier")), INVALID),
        // ath (12).
        ("4.3 12", "the hash of another token", claim("ath", json!(URL_SAFE_NO_PAD.encode([1; 32]))), INVALID),
        ("4.3 12", "the hash with padding", Box::new(|spec| spec.claims["ath"] = json!(format!("{}=", spec.claims["ath"].as_str().unwrap()))), INVALID),
        ("4.3 12", "the hash in hexadecimal", claim("ath", json!("00".repeat(32))), INVALID),
        ("4.3 12", "the token itself", claim("ath", json!(TOKEN)), INVALID),
        ("4.3 12", "no hash", claim("ath", json!("")), INVALID),
        // jti.
        ("4.2", "an empty jti", claim("jti", json!("")), INVALID),
        ("own", "the longest jti", claim("jti", json!("j".repeat(JTI_MAX))), None),
        ("own", "a longer jti", claim("jti", json!("j".repeat(JTI_MAX + 1))), INVALID),
        ("4.2", "a jti that is a number", claim("jti", json!(1)), INVALID),
        ("4.2", "a jti that is a list", claim("jti", json!(["a"])), INVALID),
    ]
}

#[test]
fn every_rule_of_the_rfc_has_a_proof_that_breaks_it() {
    let pair = Pair::p256();
    let cases = cases();
    assert!(cases.len() > 100, "{}", cases.len());
    for (rule, what, change, wanted) in &cases {
        let mut spec = Spec::new(&pair, "ES256");
        change(&mut spec);
        assert_eq!(judged(&pair, &spec, &spec.text()), *wanted, "{rule}: {what}");
    }
}

#[test]
fn a_proof_that_was_changed_on_its_way_is_refused() {
    let pair = Pair::p256();
    let spec = Spec::new(&pair, "ES256");
    let good = spec.text();
    assert_eq!(judged(&pair, &spec, &good), None);
    let parts: Vec<_> = good.split('.').collect();
    let other = Spec { claims: json!({"jti": "b"}), ..Spec::new(&pair, "ES256") }.text();
    let others: Vec<_> = other.split('.').collect();
    for changed in [
        String::new(),
        "a".to_owned(),
        "..".to_owned(),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}="),
        format!("{good}.a"),
        format!("{good},{good}"),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], others[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], others[2]),
        format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0; 64])),
        "a".repeat(PROOF_MAX + 1),
    ] {
        assert_eq!(judged(&pair, &spec, &changed), INVALID, "{changed:?}");
    }
}

#[test]
fn a_proof_of_another_key_than_the_tokens_is_refused() {
    let (pair, thief) = (Pair::p256(), Pair::p256());
    let spec = Spec::new(&thief, "ES256");
    assert_eq!(judged(&thief, &spec, &spec.text()), None, "with a token of its own it is good");
    assert_eq!(judged(&pair, &spec, &spec.text()), INVALID);
}

#[test]
fn a_proof_may_use_each_accepted_algorithm_and_no_other() {
    let ed = Pair::Ed(Ed25519KeyPair::generate().expect("a key pair"));
    let p384 = Pair::ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384");
    for (pair, alg, algorithm, wanted) in [
        (&ed, "Ed25519", Algorithm::Ed25519, None),
        (&ed, "EdDSA", Algorithm::Ed25519, None),
        (&ed, "ES256", Algorithm::Ed25519, INVALID),
        (&p384, "ES384", Algorithm::Es384, INVALID),
        (&p384, "ES256", Algorithm::Es384, INVALID),
    ] {
        let spec = Spec::new(pair, alg);
        let key = thumbprint(pair, algorithm);
        let request = ProvenRequest { method: "POST", path: Some("/send"), token: TOKEN.as_bytes(), key };
        let judged = verify(spec.text().as_bytes(), &rules(false), None, &request, at(NOW));
        assert_eq!(judged.err().map(|refused| refused.reason()), wanted, "{alg}");
    }
}

/// RFC 9449 §7.1 and §6.1, at their time.
#[test]
fn the_example_of_the_rfc_is_good_at_its_time() {
    let proof = concat!(
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdC",
        "RnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwi",
        "aHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8y",
        "cjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSY",
        "oMxhAJpLjA"
    );
    let key = URL_SAFE_NO_PAD.decode("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").expect("base64url");
    let request = ProvenRequest {
        method: "GET",
        path: Some("/protectedresource"),
        token: b"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU",
        key: KeyThumbprint(key.try_into().expect("a SHA-256")),
    };
    let rules = ProofRules {
        external_urls: vec![ExternalUrl::new("https://resource.example.org").expect("a URL")],
        ..rules(false)
    };
    let judged = |request: &ProvenRequest<'_>, now| {
        verify(proof.as_bytes(), &rules, None, request, at(now)).err().map(|refused| refused.reason())
    };
    assert_eq!(judged(&request, 1_562_262_618), None);
    assert_eq!(judged(&request, 1_562_262_700), EXPIRED);
    assert_eq!(judged(&ProvenRequest { token: b"another", ..request }, 1_562_262_618), INVALID);
}

#[test]
fn a_proof_is_used_up_once_it_has_let_a_request_pass() {
    let pair = Pair::p256();
    let state = Arc::new(ProofState::new(&[7; 32]));
    state.memory.resize(1 << 20);
    let verifier = ProofVerifier::new(rules(false), Arc::clone(&state));
    let key = thumbprint(&pair, Algorithm::Es256);
    let request = ProvenRequest { method: "POST", path: Some("/send"), token: TOKEN.as_bytes(), key };
    let reason = |field: SingletonField<'_>, request: &ProvenRequest<'_>| {
        verifier.prove(field, request, at(NOW)).err().map(|refused| refused.reason())
    };
    let text = Spec::new(&pair, "ES256").text();
    let proof = SingletonField::One(text.as_bytes());
    assert_eq!(reason(SingletonField::Absent, &request), Some(Reason::ProofMissing));
    assert_eq!(reason(SingletonField::Several, &request), INVALID);
    let other = ProvenRequest { path: Some("/other"), ..request };
    assert_eq!(reason(proof, &other), INVALID, "what is refused is not used up");
    assert!(verifier.explain(proof, &request, at(NOW)).expect("it is readable").iter().all(|it| it.refused.is_none()));
    assert_eq!(reason(proof, &request), None);
    assert_eq!(reason(proof, &request), Some(Reason::ProofReplayed));
    // Another signature over the same proof is the same proof.
    let again = Spec::new(&pair, "ES256").text();
    assert_eq!(reason(SingletonField::One(again.as_bytes()), &request), Some(Reason::ProofReplayed));
    // Where instances share a store, there is something left to ask, and only then.
    let shared = ProofVerifier::new(rules(false), Arc::clone(&state)).with_store();
    let mut spec = Spec::new(&pair, "ES256");
    spec.claims["jti"] = json!("another");
    let text = spec.text();
    let claim = shared.prove(SingletonField::One(text.as_bytes()), &request, at(NOW)).expect("it is new");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &[&key.0[..], b"another"].concat());
    assert_eq!(claim.expect("something to ask").fingerprint(), digest.as_ref());
    let refused = shared.prove(proof, &request, at(NOW)).expect_err("it is known without asking");
    assert_eq!(refused.reason(), Reason::ProofReplayed);
    // Another configuration has the same memory.
    let next = ProofVerifier::new(rules(false), state);
    let refused = next.prove(proof, &request, at(NOW)).expect_err("it is known");
    assert_eq!(refused.reason(), Reason::ProofReplayed);
}

#[test]
fn a_full_memory_is_our_fault_and_not_the_callers() {
    let pair = Pair::p256();
    let verifier = ProofVerifier::new(rules(false), Arc::new(ProofState::new(&[7; 32])));
    let key = thumbprint(&pair, Algorithm::Es256);
    let request = ProvenRequest { method: "POST", path: Some("/send"), token: TOKEN.as_bytes(), key };
    let text = Spec::new(&pair, "ES256").text();
    let refused =
        verifier.prove(SingletonField::One(text.as_bytes()), &request, at(NOW)).expect_err("there is no room");
    assert_eq!((refused.reason(), refused.reason().status()), (Reason::ProofUncheckable, 503));
}

#[test]
fn an_explanation_names_each_check_with_what_was_wanted_and_found() {
    let pair = Pair::p256();
    let verifier = ProofVerifier::new(rules(false), Arc::new(ProofState::new(&[7; 32])));
    let key = thumbprint(&pair, Algorithm::Es256);
    let request = ProvenRequest { method: "POST", path: Some("/send"), token: TOKEN.as_bytes(), key };
    let mut spec = Spec::new(&pair, "ES256");
    spec.claims["htm"] = json!("GET");
    spec.claims["htu"] = json!("https://eve.example/send");
    let text = spec.text();
    let findings = verifier.explain(SingletonField::One(text.as_bytes()), &request, at(NOW)).expect("it is readable");
    assert_eq!(findings.len(), CHECKS.len());
    let refused: Vec<_> = findings.iter().filter(|finding| finding.refused.is_some()).collect();
    let said: Vec<_> = refused.iter().map(|it| (it.check, it.wanted.as_str(), it.found.as_str())).collect();
    let uris = "'https://mail.example/send' or 'https://gate.example/mail/send'";
    assert_eq!(said, [("proof's htm", "'POST'", "'GET'"), ("proof's htu", uris, "'https://eve.example/send'")]);
}
