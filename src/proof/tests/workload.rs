//! Proofs of workloads: the draft's own example, and one failing case for each bullet of its list.

use super::*;
use crate::confirmation::KeyThumbprint;
use crate::jwt::parse::Unverified;
use crate::jwt::verify::workload_key;
use crate::keys::proof_key::WorkloadKey;
use crate::request::{Fields, SingletonField};

const URL: &str = "https://mail.example/send";

/// The fields of a request.
#[derive(Default)]
struct Sent(Vec<(String, String)>);

impl Fields for Sent {
    fn field(&self, name: &str) -> SingletonField<'_> {
        let lines = self.0.iter().filter(|(sent, _)| sent.eq_ignore_ascii_case(name));
        SingletonField::from_lines(lines.map(|(_, value)| value.as_bytes()))
    }
}

fn hash(token: &str) -> Value {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes())).into()
}

fn rules() -> WorkloadProofRules {
    WorkloadProofRules {
        algorithms: vec![Algorithm::Es256, Algorithm::Ed25519],
        window: Duration::from_secs(300),
        external_urls: ["https://mail.example", "https://gate.example/mail"]
            .map(|url| ExternalUrl::new(url).expect("a URL"))
            .to_vec(),
        token_field: None,
    }
}

fn key_of(pair: &Pair, alg: &str) -> WorkloadKey {
    let mut jwk = pair.jwk();
    jwk["alg"] = alg.into();
    let jwk = jwk.to_string();
    let algorithm = Algorithm::from_name(alg).expect("a known one");
    WorkloadKey::read(&Object::parse(jwk.as_bytes()).expect("an object"), algorithm).expect("a key")
}

/// A proof in the making: a good one for `https://mail.example/send`, until it is changed.
struct Spec<'k> {
    header: Value,
    claims: Value,
    /// The payload as it is written, if not as this value.
    claims_text: Option<String>,
    signer: &'k Pair,
    path: Option<&'static str>,
    access_token: Option<&'static str>,
    transaction_token: Option<&'static str>,
    fields: Sent,
    token_field: Option<&'static str>,
}

impl<'k> Spec<'k> {
    fn new(signer: &'k Pair, alg: &str) -> Self {
        Self {
            header: json!({"typ": "wpt+jwt", "alg": alg}),
            claims: json!({"jti": "a", "aud": URL, "exp": NOW + 60, "wth": hash(TOKEN)}),
            claims_text: None,
            signer,
            path: Some("/send"),
            access_token: None,
            transaction_token: None,
            fields: Sent::default(),
            token_field: None,
        }
    }

    fn text(&self) -> String {
        let claims = self.claims_text.clone().unwrap_or_else(|| self.claims.to_string());
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(self.header.to_string()), URL_SAFE_NO_PAD.encode(claims));
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.signer.sign(&input)))
    }

    fn without(&mut self, name: &str) {
        self.claims.as_object_mut().expect("an object").remove(name);
    }

    fn send(&mut self, name: &str, value: &str) {
        self.fields.0.push((name.to_owned(), value.to_owned()));
    }

    fn request<'r>(&'r self, key: &'r WorkloadKey) -> WorkloadRequest<'r> {
        WorkloadRequest {
            path: self.path,
            token: TOKEN.as_bytes(),
            key,
            access_token: self.access_token.map(str::as_bytes),
            transaction_token: self.transaction_token.map(str::as_bytes),
            fields: &self.fields,
        }
    }

    fn rules(&self) -> WorkloadProofRules {
        WorkloadProofRules { token_field: self.token_field.map(str::to_owned), ..rules() }
    }
}

const INVALID: Option<Reason> = Some(Reason::ProofInvalid);
const EXPIRED: Option<Reason> = Some(Reason::ProofExpired);

type Change = Box<dyn Fn(&mut Spec<'_>)>;

fn header(name: &'static str, value: Value) -> Change {
    Box::new(move |spec| spec.header[name] = value.clone())
}

fn claim(name: &'static str, value: Value) -> Change {
    Box::new(move |spec| spec.claims[name] = value.clone())
}

fn without(name: &'static str) -> Change {
    Box::new(move |spec| spec.without(name))
}

/// With these fields and this `oth`.
fn others(fields: &'static [(&'static str, &'static str)], oth: Value) -> Change {
    Box::new(move |spec| {
        fields.iter().for_each(|(name, value)| spec.send(name, value));
        spec.claims["oth"] = oth.clone();
    })
}

/// What a change of a good proof leads to, with the bullet of draft-ietf-wimse-wpt-02 §2 that says so. The first, that there is one
/// field, is judged below.
#[rustfmt::skip]
fn cases() -> Vec<(&'static str, &'static str, Change, Option<Reason>)> {
    vec![
        ("2", "a good one", Box::new(|_| {}), None),
        // A single and well-formed JWT.
        ("2 form", "a payload that is no object", Box::new(|spec| spec.claims_text = Some("[]".into())), INVALID),
        ("2 form", "a payload that is no JSON", Box::new(|spec| spec.claims_text = Some("no".into())), INVALID),
        ("own", "a claim twice", Box::new(|spec| spec.claims_text = Some(spec.claims.to_string().replacen('{', r#"{"jti":"b","#, 1))), INVALID),
        ("RFC 7515 4.1.11", "crit", header("crit", json!(["exp"])), INVALID),
        ("RFC 7797", "b64", header("b64", json!(false)), INVALID),
        ("RFC 7516", "zip", header("zip", json!("DEF")), INVALID),
        ("RFC 7516", "enc", header("enc", json!("A128GCM")), INVALID),
        // alg, by the string that the token has.
        ("2 alg", "no alg", header("alg", json!(null)), INVALID),
        ("2 alg", "no signature", header("alg", json!("none")), INVALID),
        ("2 alg", "a shared secret", header("alg", json!("HS256")), INVALID),
        ("2 alg", "another algorithm", header("alg", json!("ES384")), INVALID),
        ("2 alg", "in small letters", header("alg", json!("es256")), INVALID),
        ("2 alg", "in a list", header("alg", json!(["ES256"])), INVALID),
        // The signature, by the key that the token holds.
        ("2 signature", "with a key of its own, which is not looked at", Box::new(|spec| spec.header["jwk"] = Pair::p256().jwk()), None),
        // typ.
        ("2 typ", "no typ", header("typ", json!(null)), INVALID),
        ("2 typ", "that of any JWT", header("typ", json!("JWT")), INVALID),
        ("2 typ", "that of a workload's token", header("typ", json!("wit+jwt")), INVALID),
        ("2 typ", "that of DPoP", header("typ", json!("dpop+jwt")), INVALID),
        ("2 typ", "in a list", header("typ", json!(["wpt+jwt"])), INVALID),
        ("2 typ", "the whole media type", header("typ", json!("application/wpt+jwt")), None),
        ("2 typ", "in capitals", header("typ", json!("WPT+JWT")), None),
        ("2 typ", "another kind of media", header("typ", json!("text/wpt+jwt")), INVALID),
        // aud.
        ("2 aud", "no aud", without("aud"), INVALID),
        ("2 aud", "with a query", claim("aud", json!("https://mail.example/send?a=b")), None),
        ("2 aud", "with a fragment", claim("aud", json!("https://mail.example/send#a")), None),
        ("2 aud", "another spelling", claim("aud", json!("HTTPS://MAIL.example:443/a/../%73end")), None),
        ("2 aud", "the other name of the service", claim("aud", json!("https://gate.example/mail/send")), None),
        ("2 aud", "alone in a list", claim("aud", json!([URL])), None),
        ("2 aud", "with another service", claim("aud", json!([URL, "https://eve.example/send"])), INVALID),
        ("2 aud", "an empty list", claim("aud", json!([])), INVALID),
        ("2 aud", "another host", claim("aud", json!("https://eve.example/send")), INVALID),
        ("2 aud", "a host that begins alike", claim("aud", json!("https://mail.example.eve.example/send")), INVALID),
        ("2 aud", "another scheme", claim("aud", json!("http://mail.example/send")), INVALID),
        ("2 aud", "another port", claim("aud", json!("https://mail.example:8443/send")), INVALID),
        ("2 aud", "another path", claim("aud", json!("https://mail.example/other")), INVALID),
        ("2 aud", "no path", claim("aud", json!("https://mail.example")), INVALID),
        ("2 aud", "the path alone", claim("aud", json!("/send")), INVALID),
        ("2 aud", "a workload's name", claim("aud", json!("spiffe://example.com/mail")), INVALID),
        ("2 aud", "a number", claim("aud", json!(1)), INVALID),
        ("2 aud", "a proof for another path", Box::new(|spec| spec.path = Some("/other")), INVALID),
        ("2 aud", "a request that is not in origin form", Box::new(|spec| spec.path = None), INVALID),
        // exp.
        ("2 exp", "no exp", without("exp"), INVALID),
        ("2 exp", "a moment left", claim("exp", json!(NOW + 1)), None),
        ("2 exp", "passed just now", claim("exp", json!(NOW)), EXPIRED),
        ("2 exp", "passed within this second", claim("exp", json!(NOW as f64 + 0.5)), EXPIRED),
        ("2 exp", "passed long ago", claim("exp", json!(1)), EXPIRED),
        ("2 exp", "as far ahead as it may be", claim("exp", json!(NOW + 310)), None),
        ("2 exp", "a second further", claim("exp", json!(NOW + 311)), EXPIRED),
        ("2 exp", "a part of a second further", claim("exp", json!(NOW as f64 + 310.5)), EXPIRED),
        ("2 exp", "far ahead", claim("exp", json!(253_402_300_799_u64)), EXPIRED),
        ("2 exp", "beyond all times", claim("exp", json!(253_402_300_800_u64)), INVALID),
        ("2 exp", "text", claim("exp", json!("1767225660")), INVALID),
        ("2 exp", "null", claim("exp", json!(null)), INVALID),
        ("RFC 7519 4.1.5", "an nbf that has passed", claim("nbf", json!(NOW)), None),
        ("RFC 7519 4.1.5", "an nbf that is to come", claim("nbf", json!(NOW + 11)), EXPIRED),
        ("RFC 7519 4.1.5", "an nbf that is text", claim("nbf", json!("a")), INVALID),
        // wth.
        ("2 wth", "no wth", without("wth"), INVALID),
        ("2 wth", "of another token", claim("wth", hash("a.b.c")), INVALID),
        ("2 wth", "with padding", claim("wth", json!(format!("{}=", hash(TOKEN).as_str().unwrap()))), INVALID),
        ("2 wth", "the token itself", claim("wth", json!(TOKEN)), INVALID),
        ("2 wth", "in a list", claim("wth", json!([hash(TOKEN)])), INVALID),
        // jti: whether it was used is remembered, so there must be one.
        ("2 jti", "no jti", without("jti"), INVALID),
        ("2 jti", "an empty one", claim("jti", json!("")), INVALID),
        ("2 jti", "the longest", claim("jti", json!("j".repeat(256))), None),
        ("2 jti", "a longer one", claim("jti", json!("j".repeat(257))), INVALID),
        ("2 jti", "a number", claim("jti", json!(1)), INVALID),
        // ath.
        ("2 ath", "of the access token", Box::new(|spec| { spec.access_token = Some("at"); spec.claims["ath"] = hash("at"); }), None),
        ("2 ath", "none beside an access token", Box::new(|spec| spec.access_token = Some("at")), INVALID),
        ("2 ath", "of another access token", Box::new(|spec| { spec.access_token = Some("at"); spec.claims["ath"] = hash("other"); }), INVALID),
        ("2 ath", "null beside an access token", Box::new(|spec| { spec.access_token = Some("at"); spec.claims["ath"] = json!(null); }), INVALID),
        ("own", "without an access token", claim("ath", hash("at")), INVALID),
        // tth.
        ("2 tth", "of the transaction token", Box::new(|spec| { spec.transaction_token = Some("t"); spec.claims["tth"] = hash("t"); }), None),
        ("2 tth", "none beside a transaction token", Box::new(|spec| spec.transaction_token = Some("t")), INVALID),
        ("2 tth", "of another transaction token", Box::new(|spec| { spec.transaction_token = Some("t"); spec.claims["tth"] = hash("u"); }), INVALID),
        ("own", "without a transaction token", claim("tth", hash("t")), INVALID),
        ("2 tth", "of the access token", Box::new(|spec| { spec.access_token = Some("at"); spec.claims["ath"] = hash("at"); spec.claims["tth"] = hash("at"); }), INVALID),
        // oth.
        ("2 oth", "of another field", others(&[("X-User-Token", "u")], json!({"x-user-token": hash("u")})), None),
        ("2 oth", "of two", others(&[("X-User-Token", "u"), ("X-More", "m")], json!({"x-user-token": hash("u"), "x-more": hash("m")})), None),
        ("2 oth", "of a value with spaces around it", others(&[("X-User-Token", "  u ")], json!({"x-user-token": hash("u")})), None),
        ("2 oth", "of none", claim("oth", json!({})), None),
        ("2 oth", "of another value", others(&[("X-User-Token", "u")], json!({"x-user-token": hash("v")})), INVALID),
        ("2 oth", "of one that fits and one that does not", others(&[("X-User-Token", "u"), ("X-More", "m")], json!({"x-user-token": hash("u"), "x-more": hash("u")})), INVALID),
        ("2 oth", "of a field that is not there", claim("oth", json!({"x-user-token": hash("u")})), INVALID),
        ("2 oth", "of a field that is there twice", others(&[("X-User-Token", "u"), ("x-user-token", "u")], json!({"x-user-token": hash("u")})), INVALID),
        ("2 oth", "under a name with capitals", others(&[("X-User-Token", "u")], json!({"X-User-Token": hash("u")})), INVALID),
        ("2 oth", "by a hash that nobody understands", others(&[("X-User-Token", "u")], json!({"x-user-token": {"sha-512": "AA"}})), INVALID),
        ("2 oth", "that is a text", claim("oth", json!("u")), INVALID),
        ("2 oth", "that is null", claim("oth", json!(null)), INVALID),
        ("2 oth", "of the configured token field", Box::new(|spec| {
            spec.token_field = Some("X-Service-Authorization");
            spec.send("X-Service-Authorization", "Bearer a");
            spec.claims["oth"] = json!({"x-service-authorization": hash("Bearer a")});
        }), None),
        ("2 oth", "none beside a token in the configured field", Box::new(|spec| {
            spec.token_field = Some("X-Service-Authorization");
            spec.send("X-Service-Authorization", "Bearer a");
        }), INVALID),
        ("2 oth", "of another than the configured token field", Box::new(|spec| {
            spec.token_field = Some("X-Service-Authorization");
            spec.send("X-Service-Authorization", "Bearer a");
            spec.send("X-More", "m");
            spec.claims["oth"] = json!({"x-more": hash("m")});
        }), INVALID),
        ("2 oth", "none where the configured token field is not there", Box::new(|spec| spec.token_field = Some("X-Service-Authorization")), None),
        ("own", "of more than anybody sends", Box::new(|spec| {
            for n in 0..17 {
                spec.send(&format!("x-{n}"), "u");
            }
            spec.claims["oth"] = (0..17).map(|n| (format!("x-{n}"), hash("u"))).collect::<serde_json::Map<_, _>>().into();
        }), INVALID),
        ("4", "a claim that nobody knows", claim("example.com/myclaim", json!(1)), None),
    ]
}

#[test]
fn each_bullet_of_the_draft_refuses_what_breaks_it() {
    let pair = Pair::p256();
    let key = key_of(&pair, "ES256");
    for (rule, what, change, wanted) in cases() {
        let mut spec = Spec::new(&pair, "ES256");
        change(&mut spec);
        let (request, rules) = (spec.request(&key), spec.rules());
        let proof = spec.text();
        let refused = verify_workload(proof.as_bytes(), &rules, &request, at(NOW)).err();
        assert_eq!(refused.as_ref().map(|refused| refused.reason()), wanted, "{rule}: {what}");
        // An explanation comes to the same.
        let verifier = ProofVerifier::new(None, Arc::new(ProofState::new(&[7; 32]))).with_workload(rules);
        let explained = verifier.explain_workload(SingletonField::One(proof.as_bytes()), &request, at(NOW));
        let reason = explained.map_or_else(|error| Some(error.reason()), |it| it.iter().find_map(|it| it.refused));
        assert_eq!(reason, wanted, "{rule}: {what}");
    }
}

#[test]
fn the_signature_must_be_made_with_the_key_of_the_token() {
    let (pair, other) = (Pair::p256(), Pair::p256());
    let key = key_of(&pair, "ES256");
    let judge = |proof: &str| {
        let spec = Spec::new(&pair, "ES256");
        verify_workload(proof.as_bytes(), &rules(), &spec.request(&key), at(NOW)).err().map(|it| it.reason())
    };
    assert_eq!(judge(&Spec::new(&pair, "ES256").text()), None);
    assert_eq!(judge(&Spec::new(&other, "ES256").text()), INVALID);
    let mut spec = Spec::new(&other, "ES256");
    spec.header["jwk"] = other.jwk();
    assert_eq!(judge(&spec.text()), INVALID, "a key in the proof is nobody's");
    let good = Spec::new(&pair, "ES256").text();
    for text in
        ["", "a", "a.b", "a.b.c", "a.b.c.d", &format!("{good}="), &format!("{good},{good}"), &format!("{good} ")]
    {
        assert_eq!(judge(text), INVALID, "{text}");
    }
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    assert_eq!(judge(&format!("{unsigned}.")), INVALID);
    assert_eq!(judge(&"a".repeat(PROOF_MAX + 1)), INVALID);
}

#[test]
fn the_algorithm_has_the_name_that_the_token_gives_it_and_is_accepted() {
    let pair = Pair::Ed(Ed25519KeyPair::generate().expect("a key pair"));
    for (of_token, of_proof, wanted) in [
        ("EdDSA", "EdDSA", None),
        ("Ed25519", "Ed25519", None),
        ("EdDSA", "Ed25519", INVALID),
        ("Ed25519", "EdDSA", INVALID),
    ] {
        let (key, spec) = (key_of(&pair, of_token), Spec::new(&pair, of_proof));
        let judged = verify_workload(spec.text().as_bytes(), &rules(), &spec.request(&key), at(NOW));
        assert_eq!(judged.err().map(|it| it.reason()), wanted, "{of_token} {of_proof}");
    }
    let pair = Pair::ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384");
    let (key, spec) = (key_of(&pair, "ES384"), Spec::new(&pair, "ES384"));
    let refused = verify_workload(spec.text().as_bytes(), &rules(), &spec.request(&key), at(NOW)).expect_err("refused");
    assert!(refused.detail().contains("ES256 or Ed25519, and the jwk in the token's cnf is for 'ES384'"), "{refused}");
}

#[test]
fn one_field_is_a_proof_and_none_or_two_are_not() {
    let pair = Pair::p256();
    let key = key_of(&pair, "ES256");
    let state = ProofState::new(&[7; 32]);
    state.memory.resize(1 << 20);
    let verifier = ProofVerifier::new(None, Arc::new(state)).with_workload(rules());
    let spec = Spec::new(&pair, "ES256");
    let proof = spec.text();
    let prove = |field| verifier.prove_workload(field, &spec.request(&key), at(NOW)).err().map(|it| it.reason());
    assert_eq!(prove(SingletonField::Absent), Some(Reason::ProofMissing));
    assert_eq!(prove(SingletonField::Several), INVALID);
    assert_eq!(prove(SingletonField::One(proof.as_bytes())), None);
    assert_eq!(prove(SingletonField::One(proof.as_bytes())), Some(Reason::ProofReplayed), "it is used up");
    let nobody = ProofVerifier::new(None, Arc::new(ProofState::new(&[7; 32])));
    let refused = nobody.prove_workload(SingletonField::One(proof.as_bytes()), &spec.request(&key), at(NOW));
    assert_eq!(refused.err().map(|it| it.reason()), Some(Reason::TokenBound), "where none is accepted");
}

#[test]
fn a_proof_is_remembered_as_long_as_it_is_good_also_beside_dpop() {
    let pair = Pair::p256();
    let key = key_of(&pair, "ES256");
    let state = ProofState::new(&[7; 32]);
    state.memory.resize(1 << 20);
    // DPoP has the shorter window: its proofs must not let go what is still good.
    let verifier = ProofVerifier::new(super::rules(false), Arc::new(state)).with_workload(rules());
    let mut spec = Spec::new(&pair, "ES256");
    spec.claims["exp"] = json!(NOW + 310);
    let (workload, mut dpop) = (spec.text(), super::Spec::new(&pair, "ES256"));
    let one = |secs| verifier.prove_workload(SingletonField::One(workload.as_bytes()), &spec.request(&key), at(secs));
    assert_eq!(one(NOW), Ok(None));
    let bound = thumbprint(&pair, Algorithm::Es256);
    for secs in (NOW..NOW + 309).step_by(20) {
        dpop.claims["iat"] = json!(secs);
        dpop.claims["jti"] = json!(if secs == NOW { "a".to_owned() } else { secs.to_string() });
        let proof = dpop.text();
        let request = ProvenRequest { method: "POST", path: Some("/send"), token: TOKEN.as_bytes(), key: bound };
        // The first has key and jti of the workload's proof, and is another all the same.
        assert_eq!(verifier.prove(SingletonField::One(proof.as_bytes()), &request, at(secs)), Ok(None));
        assert_eq!(one(secs).map_err(|it| it.reason()), Err(Reason::ProofReplayed), "{}", secs - NOW);
    }
    assert_eq!(one(NOW + 309).map_err(|it| it.reason()), Err(Reason::ProofReplayed));
    assert_eq!(one(NOW + 310).map_err(|it| it.reason()), Err(Reason::ProofExpired));
}

/// Of draft-ietf-wimse-wpt-02 §2 (`includes/wpt-request.txt` of ietf-wg-wimse/draft-ietf-wimse-s2s-protocol at 40b1c41).
#[test]
fn the_example_of_the_draft_is_good_at_its_time() {
    let parts = Parts::decode(DRAFT_WIT).expect("three parts");
    let token = Unverified::parse(&parts).expect("a token");
    assert!(token.is_workload_token());
    let (jwk, algorithm) = workload_key(token.unproven_claims()).expect("a key");
    let key = WorkloadKey::read(jwk, algorithm).expect("a sound one");
    assert_eq!(key.alg(), "EdDSA");
    let fields = Sent::default();
    let request = WorkloadRequest {
        path: Some("/path"),
        token: DRAFT_WIT.as_bytes(),
        key: &key,
        access_token: Some(b"16_mAd0GiwaZokU26_0902100"),
        transaction_token: None,
        fields: &fields,
    };
    let rules = WorkloadProofRules {
        external_urls: vec![ExternalUrl::new("https://workload.example.com").expect("a URL")],
        ..rules()
    };
    let judge = |request: &WorkloadRequest<'_>, secs| {
        verify_workload(DRAFT_WPT.as_bytes(), &rules, request, at(secs)).err().map(|refused| refused.reason())
    };
    let expires = 1_745_510_016;
    assert_eq!(judge(&request, expires - 60), None);
    assert_eq!(judge(&request, expires), EXPIRED);
    assert_eq!(judge(&request, expires - 311), EXPIRED);
    assert_eq!(judge(&WorkloadRequest { access_token: None, ..request }, expires - 60), INVALID);
    assert_eq!(judge(&WorkloadRequest { path: Some("/other"), ..request }, expires - 60), INVALID);
    assert_eq!(judge(&WorkloadRequest { token: b"a.b.c", ..request }, expires - 60), INVALID);
}

#[test]
fn a_workloads_proof_is_no_dpop_proof_and_the_other_way_round() {
    let pair = Pair::p256();
    let key = key_of(&pair, "ES256");
    let spec = Spec::new(&pair, "ES256");
    let dpop = super::Spec::new(&pair, "ES256");
    let judged = verify_workload(dpop.text().as_bytes(), &rules(), &spec.request(&key), at(NOW));
    assert_eq!(judged.err().map(|it| it.reason()), INVALID);
    assert_eq!(super::judged(&pair, &dpop, &spec.text()), INVALID);
    assert_ne!(thumbprint(&pair, Algorithm::Es256), KeyThumbprint([0; 32]));
}

const DRAFT_WIT: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6Ikp1bmUgNSIsInR5cCI6IndpdCtqd3QifQ.eyJjbmYiOnsiandrIjp7ImFsZyI6IkVkRFNBIiwiY3J2Ijo",
    "iRWQyNTUxOSIsImt0eSI6Ik9LUCIsIngiOiIxQ1hYdmZsTl9MVlZzSXNZWHNVdkIwM0ptbEdXZUNIcVFWdW91Q0Y5MmJnIn19LCJleHAiOjE3N",
    "DU1MTI1MTAsImlhdCI6MTc0NTUwODkxMCwianRpIjoieC1fMUNUTDJjY2EzQ1NFNGN3Yl9sIiwic3ViIjoid2ltc2U6Ly9leGFtcGxlLmNvbS9",
    "zcGVjaWZpYy13b3JrbG9hZCJ9.6KraSQUxWdl9dxFQ3Fj6dPY0Vi88OkwFwZpAIOhLeq6AbXAnLLQgOp8U9UDGcBuYF3KiNv6oKQD1ZWAzrMZO",
    "Jw"
);

const DRAFT_WPT: &str = concat!(
    "eyJhbGciOiJFZERTQSIsInR5cCI6IndwdCtqd3QifQ.eyJhdGgiOiJDTDR3amZwUm1OZi1iZFlJYllMblY5ZDVyTUFSR3dLWUUxMHdVd3pDMGp",
    "JIiwiYXVkIjoiaHR0cHM6Ly93b3JrbG9hZC5leGFtcGxlLmNvbS9wYXRoIiwiZXhwIjoxNzQ1NTEwMDE2LCJqdGkiOiJfX2J3YzRFU0MzYWNjM",
    "kxUQzEtX3giLCJ3dGgiOiJBYVlVZkMzNEQxZGkyRnhRTHBpSUpKN1NnOFZaNm84T0Nkd1NmOUlUb0xnIn0.PI7d9AcYhLoEgPgbJvcM132lkBK",
    "nM1NXU-5hZUzVTIyj2dRJaTLFs6e5NYv5gg6AqcV7NvkYCwfgMgWasWQzCA"
);
