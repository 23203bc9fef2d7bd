//! Bound tokens with everything that a request shows for them, case by case: at least one that fails for each MUST of RFC 8705 §3, RFC 9449
//! §4.3, §6.1 and §7. The whole decision is played, three times: with a token that is seen for the first time, and with one that is
//! remembered, which skips its verification and not its proof; and what was refused has used up nothing.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE};
use callgate::algorithm::Algorithm;
use callgate::authenticator::{Authenticator, CacheStatus, Decision, Issuer};
use callgate::clock::UnixTime;
use callgate::confirmation::CertificateHash;
use callgate::identity::{CallerRule, ClaimPath};
use callgate::keys::store::KeySlot;
use callgate::proof::nonce::{Nonces, PERIOD};
use callgate::proof::uri::ExternalUrl;
use callgate::proof::{JTI_MAX, PROOF_MAX, ProofRules, ProofState, ProofVerifier};
use callgate::request::{RequestHead, SingletonField};
use callgate::requirement::Binding;
use callgate::route::PublicRoutes;
use serde_json::{Value, json};

use testkit::dpop::Client;
use testkit::issuer::now;
use testkit::keys::{Key, encode};
use testkit::world::{publish, requirement, verdict};

const URL: &str = "https://mail.example/send";
const SECRET: [u8; 32] = [7; 32];
/// The certificate that the client shows, and that tokens are bound to.
const CERTIFICATE: &[u8] = b"the client's certificate in DER";

/// What a token is bound to.
#[derive(Clone, Copy, PartialEq)]
enum Bound {
    Certificate,
    Key,
    Nothing,
}

use Bound::{Certificate, Key as KeyOf, Nothing};

/// A request with all that is shown in it: good until it is changed.
struct Shown {
    binding: Binding,
    token: Value,
    /// Of the token, after it was signed.
    signature: fn(&str) -> String,
    /// The value of the field, made of the token.
    authorization: fn(&str) -> String,
    authorizations: usize,
    certificate: Option<[u8; 32]>,
    proofs: usize,
    header: Value,
    claims: Value,
    /// Header and payload of the proof as they are written, made of what they would be.
    header_text: fn(String) -> String,
    claims_text: fn(String) -> String,
    /// The proof as it is sent, made of what it would be.
    proof_text: fn(String) -> String,
    by_another: bool,
    method: &'static str,
    path: Option<&'static str>,
    nonce: bool,
}

type Change = Box<dyn Fn(&mut Shown)>;
/// The rule, what is done, to a token that is bound to what, the change, and the reason; empty if it is good.
type Case = (&'static str, &'static str, Bound, Change, &'static str);

/// The stage: an issuer, a client with its key, and another one.
struct Stage {
    issuer: Key,
    client: Client,
    another: Client,
    now: u64,
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("32 bytes")
}

impl Stage {
    fn good(&self, bound: Bound) -> Shown {
        let (issuer, now) = ("https://issuer.test", self.now);
        let mut token =
            json!({"iss": issuer, "aud": "email-service", "sub": "billing", "iat": now - 10, "exp": now + 290});
        match bound {
            Certificate => token["cnf"] = json!({"x5t#S256": encode(&sha256(CERTIFICATE))}),
            KeyOf => token["cnf"] = self.client.confirmation(),
            Nothing => {}
        }
        let authorization: fn(&str) -> String = if bound == KeyOf { with_dpop } else { with_bearer };
        Shown {
            binding: Binding { certificate: true, dpop: true, wimse: false, bearer: true },
            token,
            signature: str::to_owned,
            authorization,
            authorizations: 1,
            certificate: (bound == Certificate).then(|| sha256(CERTIFICATE)),
            proofs: usize::from(bound == KeyOf),
            header: json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.client.jwk()}),
            claims: json!({"jti": JTI, "htm": "POST", "htu": URL, "iat": now, "ath": ATH}),
            header_text: |text| text,
            claims_text: |text| text,
            proof_text: |text| text,
            by_another: false,
            method: "POST",
            path: Some("/send"),
            nonce: false,
        }
    }

    /// What decides where this is shown.
    fn authenticator(&self, shown: &Shown) -> Authenticator {
        let algorithms = [Algorithm::Es256];
        let keys = Arc::new(KeySlot::default());
        keys.publish(publish(&[self.issuer.jwk()], &algorithms));
        let issuer = Issuer::new(requirement("https://issuer.test", &algorithms).with_binding(shown.binding), keys);
        let caller = CallerRule::new("X-Caller-Service".into(), ClaimPath::parse("sub").expect("a claim"));
        let authenticator = Authenticator::new(vec![issuer], caller, PublicRoutes::default(), 8192).with_cache(1 << 20);
        if !shown.binding.dpop {
            return authenticator;
        }
        let state = ProofState::new(&SECRET);
        state.memory.resize(1 << 20);
        let rules = ProofRules {
            algorithms: vec![Algorithm::Es256, Algorithm::Ed25519],
            window: Duration::from_secs(60),
            external_urls: ["https://mail.example", "https://gate.example/mail"]
                .map(|url| ExternalUrl::new(url).expect("a URL"))
                .to_vec(),
            nonce: shown.nonce,
        };
        authenticator.with_proofs(ProofVerifier::new(rules, Arc::new(state)))
    }

    fn token(&self, shown: &Shown) -> String {
        (shown.signature)(&self.issuer.mint(&shown.token))
    }

    fn proof(&self, shown: &Shown, token: &str, jti: &str) -> String {
        let mut claims = shown.claims.clone();
        for (name, placeholder, value) in
            [("jti", JTI, jti.to_owned()), ("ath", ATH, encode(&sha256(token.as_bytes())))]
        {
            if claims[name] == placeholder {
                claims[name] = json!(value);
            }
        }
        let (header, claims) = ((shown.header_text)(shown.header.to_string()), (shown.claims_text)(claims.to_string()));
        let client = if shown.by_another { &self.another } else { &self.client };
        (shown.proof_text)(client.sign_text(&header, &claims))
    }

    /// Decides about what is shown with this token, and a proof of this name.
    fn decide(&self, gate: &Authenticator, shown: &Shown, token: &str, jti: &str) -> Decision {
        let (value, proof) = ((shown.authorization)(token), self.proof(shown, token, jti));
        let lines = |count: usize, text: &'_ str| -> Vec<Vec<u8>> { vec![text.as_bytes().to_vec(); count] };
        let (values, proofs) = (lines(shown.authorizations, &value), lines(shown.proofs, &proof));
        let head = RequestHead {
            method: shown.method,
            path: shown.path,
            authorization: SingletonField::from_lines(values.iter().map(Vec::as_slice)),
            proof: SingletonField::from_lines(proofs.iter().map(Vec::as_slice)),
            certificate: shown.certificate.map(CertificateHash),
            fields: None,
        };
        gate.decide(&head, UnixTime::from_secs(self.now))
    }
}

/// What stands for the name of a proof and the hash of the token until they are known.
const JTI: &str = "(its name)";
const ATH: &str = "(the hash of the token)";

fn shown(change: impl Fn(&mut Shown) + 'static) -> Change {
    Box::new(change)
}

fn cnf(value: Value) -> Change {
    shown(move |it| it.token["cnf"] = value.clone())
}

/// The confirmation method of this name with this value, alone.
fn method(name: &'static str, value: impl Into<Value>) -> Change {
    let value = value.into();
    cnf(json!({name: value}))
}

/// Another confirmation method beside the good one.
fn beside(name: &'static str, value: Value) -> Change {
    shown(move |it| it.token["cnf"][name] = value.clone())
}

fn of_token(name: &'static str, value: Value) -> Change {
    shown(move |it| it.token[name] = value.clone())
}

fn header(name: &'static str, value: Value) -> Change {
    shown(move |it| it.header[name] = value.clone())
}

fn jwk(name: &'static str, value: Value) -> Change {
    shown(move |it| it.header["jwk"][name] = value.clone())
}

fn claim(name: &'static str, value: Value) -> Change {
    shown(move |it| it.claims[name] = value.clone())
}

fn without(part: fn(&mut Shown) -> &mut Value, name: &'static str) -> Change {
    shown(move |it| drop(part(it).as_object_mut().expect("an object").remove(name)))
}

fn binding(certificate: bool, dpop: bool, bearer: bool) -> Change {
    shown(move |it| it.binding = Binding { certificate, dpop, wimse: false, bearer })
}

fn as_written(authorization: fn(&str) -> String) -> Change {
    shown(move |it| it.authorization = authorization)
}

fn sent(proof_text: fn(String) -> String) -> Change {
    shown(move |it| it.proof_text = proof_text)
}

fn nonce(value: Value) -> Change {
    shown(move |it| (it.nonce, it.claims["nonce"]) = (true, value.clone()))
}

fn with_dpop(token: &str) -> String {
    format!("DPoP {token}")
}

fn with_bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A JWS with one character of its signature changed.
fn forged(token: &str) -> String {
    let at = token.len() - 20;
    let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

/// A flipped bit of the certificate's hash.
fn flipped(bit: usize) -> Change {
    shown(move |it| {
        if let Some(hash) = &mut it.certificate {
            hash[bit / 8] ^= 1 << (bit % 8);
        }
    })
}

/// RFC 8705.
#[rustfmt::skip]
fn certificates() -> Vec<Case> {
    let hash = sha256(CERTIFICATE);
    let text = encode(&hash);
    let mut trailing = text.clone();
    trailing.pop();
    // The last of 43 characters has two bits that mean nothing.
    trailing.push(char::from(text.as_bytes()[42] + 1));
    vec![
        // "must verify that the certificate matches": the one on this connection, and the whole of it.
        ("8705 3", "its certificate", Certificate, shown(|_| {}), ""),
        ("8705 3", "no certificate", Certificate, shown(|it| it.certificate = None), "certificate_missing"),
        ("8705 3", "another certificate", Certificate, shown(|it| it.certificate = Some(sha256(b"another"))), "certificate_mismatch"),
        ("8705 3", "a hash with another first bit", Certificate, flipped(0), "certificate_mismatch"),
        ("8705 3", "a hash with another last bit", Certificate, flipped(255), "certificate_mismatch"),
        ("8705 3", "a hash of zeros", Certificate, shown(|it| it.certificate = Some([0; 32])), "certificate_mismatch"),
        ("8705 3", "no certificate, and a proof of a key", Certificate, shown(|it| (it.certificate, it.proofs) = (None, 1)), "certificate_missing"),
        ("8705 3", "its certificate, and a proof that nobody asked for", Certificate, shown(|it| it.proofs = 1), ""),
        ("8705 3", "its certificate, and the scheme of a key", Certificate, as_written(with_dpop), "token_bound"),
        ("8705 3", "its certificate, and a proof with its scheme", Certificate, shown(|it| (it.proofs, it.authorization) = (1, with_dpop)), "token_bound"),
        ("8705 3", "where keys alone are accepted", Certificate, binding(false, true, true), "token_bound"),
        ("8705 3", "where no bound token is accepted", Certificate, binding(false, false, true), "token_bound"),
        ("8705 3", "a certificate and a token without cnf, where they must be bound", Nothing, shown(|it| (it.binding.bearer, it.certificate) = (false, Some(sha256(CERTIFICATE)))), "token_unbound"),
        ("8705 3", "a certificate and a token without cnf, where they need not be", Nothing, shown(|it| it.certificate = Some(sha256(CERTIFICATE))), ""),
        // The certificate proves who has the token, and nothing else about it.
        ("8705 3", "its certificate, and a token that is over", Certificate, shown(|it| it.token["exp"] = json!(it.token["exp"].as_u64().unwrap() - 400)), "token_expired"),
        ("8705 3", "its certificate, and a token for another service", Certificate, of_token("aud", json!("another")), "audience_mismatch"),
        ("8705 3", "its certificate, and a token of another issuer", Certificate, of_token("iss", json!("https://another.test")), "issuer_untrusted"),
        ("8705 3", "its certificate, and a token that nobody signed", Certificate, shown(|it| it.signature = forged), "signature_invalid"),
        // "base64url-encoded SHA-256 hash of the DER encoding", without padding.
        ("8705 3.1", "the hash with padding", Certificate, method("x5t#S256", URL_SAFE.encode(hash)), "token_bound"),
        ("8705 3.1", "the hash in the other alphabet", Certificate, method("x5t#S256", STANDARD_NO_PAD.encode([0xff; 32])), "token_bound"),
        ("8705 3.1", "the hash in hexadecimal digits", Certificate, method("x5t#S256", hash.map(|byte| format!("{byte:02x}")).concat()), "token_bound"),
        ("8705 3.1", "the hash with colons", Certificate, method("x5t#S256", hash.map(|byte| format!("{byte:02X}")).join(":")), "token_bound"),
        ("8705 3.1", "the hash with bits that mean nothing", Certificate, method("x5t#S256", trailing), "token_bound"),
        ("8705 3.1", "the hash with a space", Certificate, method("x5t#S256", format!("{text} ")), "token_bound"),
        ("8705 3.1", "the hash with a line's end", Certificate, method("x5t#S256", format!("{text}\n")), "token_bound"),
        ("8705 3.1", "no hash", Certificate, method("x5t#S256", ""), "token_bound"),
        ("8705 3.1", "a byte less", Certificate, method("x5t#S256", encode(&hash[1..])), "token_bound"),
        ("8705 3.1", "a byte more", Certificate, method("x5t#S256", encode(&[&[0], &hash[..]].concat())), "token_bound"),
        ("8705 3.1", "a SHA-1", Certificate, method("x5t#S256", encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, CERTIFICATE).as_ref())), "token_bound"),
        ("8705 3.1", "a SHA-512", Certificate, method("x5t#S256", encode(digest(&SHA512, CERTIFICATE).as_ref())), "token_bound"),
        ("8705 3.1", "the certificate itself", Certificate, method("x5t#S256", encode(CERTIFICATE)), "token_bound"),
        ("8705 3.1", "the hash of another", Certificate, method("x5t#S256", encode(&sha256(b"another"))), "certificate_mismatch"),
        ("8705 3.1", "a hash that is a number", Certificate, method("x5t#S256", 1), "token_bound"),
        ("8705 3.1", "a hash that is null", Certificate, method("x5t#S256", Value::Null), "token_bound"),
        ("8705 3.1", "a hash that is true", Certificate, method("x5t#S256", true), "token_bound"),
        ("8705 3.1", "hashes in a list", Certificate, method("x5t#S256", json!([text])), "token_bound"),
        ("8705 3.1", "hashes in an object", Certificate, method("x5t#S256", json!({"": text})), "token_bound"),
        ("8705 3.1", "the name of the SHA-1", Certificate, method("x5t", text.clone()), "token_bound"),
        ("8705 3.1", "the name in small letters", Certificate, method("x5t#s256", text.clone()), "token_bound"),
        ("8705 3.1", "the name in capitals", Certificate, method("X5T#S256", text.clone()), "token_bound"),
        ("8705 3.1", "the name with a space", Certificate, method("x5t#S256 ", text.clone()), "token_bound"),
        ("8705 3.1", "the name of another hash", Certificate, method("x5t#S512", text.clone()), "token_bound"),
        // cnf itself (RFC 7800).
        ("7800 3.1", "cnf that is null", Certificate, cnf(Value::Null), "token_bound"),
        ("7800 3.1", "cnf that is empty", Certificate, cnf(json!({})), "token_bound"),
        ("7800 3.1", "cnf that is the hash", Certificate, cnf(json!(text)), "token_bound"),
        ("7800 3.1", "cnf that is a list", Certificate, cnf(json!([{"x5t#S256": text}])), "token_bound"),
        ("7800 3.1", "cnf that is false", Certificate, cnf(json!(false)), "token_bound"),
        ("7800 3.1", "cnf that is a number", Certificate, cnf(json!(0)), "token_bound"),
        ("7800 3.1", "an unknown method", Certificate, method("kid", "k"), "token_bound"),
        ("7800 3.1", "an unknown method beside the hash", Certificate, beside("kid", json!("k")), "token_bound"),
        ("7800 3.1", "a key beside the hash", Certificate, beside("jkt", json!(text)), "token_bound"),
        ("7800 3.1", "a null beside the hash", Certificate, beside("jkt", Value::Null), "token_bound"),
    ]
}

/// RFC 9449 §6.1 and §7: the token, its scheme, and that there is a proof.
#[rustfmt::skip]
fn presented(stage: &Stage) -> Vec<Case> {
    let jkt = stage.client.confirmation()["jkt"].as_str().expect("a thumbprint").to_owned();
    let theirs = stage.another.confirmation();
    let jwk_hash = encode(&sha256(stage.client.jwk().to_string().as_bytes()));
    let (jwk_value, padded) = (stage.client.jwk(), format!("{jkt}="));
    vec![
        ("9449 7.1", "its scheme and a proof", KeyOf, shown(|_| {}), ""),
        ("9449 7.1", "the scheme in small letters", KeyOf, as_written(|token| format!("dpop {token}")), ""),
        ("9449 7.1", "no proof", KeyOf, shown(|it| it.proofs = 0), "proof_missing"),
        ("9449 7.1", "no proof, and a certificate", KeyOf, shown(|it| (it.proofs, it.certificate) = (0, Some(sha256(CERTIFICATE)))), "proof_missing"),
        ("9449 7.1", "a token that is bound to nothing, with a proof", Nothing, shown(|it| (it.proofs, it.authorization) = (1, with_dpop)), "token_unbound"),
        ("9449 7.1", "a token that is bound to nothing, with the scheme alone", Nothing, as_written(with_dpop), "token_unbound"),
        ("9449 7.1", "a token that is bound to nothing, as Bearer with a proof", Nothing, shown(|it| it.proofs = 1), ""),
        ("9449 7.1", "no token, and a proof", KeyOf, shown(|it| it.authorizations = 0), "token_missing"),
        ("9449 7.1", "the token twice", KeyOf, shown(|it| it.authorizations = 2), "token_ambiguous"),
        ("9449 7.1", "the scheme alone", KeyOf, as_written(|_| "DPoP".into()), "token_malformed"),
        ("9449 7.1", "the scheme and a space", KeyOf, as_written(|_| "DPoP ".into()), "token_malformed"),
        ("9449 7.1", "no space", KeyOf, as_written(|token| format!("DPoP{token}")), "token_missing"),
        ("9449 7.1", "a tab", KeyOf, as_written(|token| format!("DPoP\t{token}")), "token_missing"),
        ("9449 7.1", "another scheme", KeyOf, as_written(|token| format!("PoP {token}")), "token_missing"),
        ("9449 7.1", "no scheme", KeyOf, as_written(str::to_owned), "token_missing"),
        ("9449 7.1", "two credentials in one line", KeyOf, as_written(|token| format!("DPoP {token}, Bearer {token}")), "token_ambiguous"),
        ("9449 7.1", "parameters behind the token", KeyOf, as_written(|token| format!("DPoP {token} a=b")), "token_malformed"),
        ("9449 7.1", "where certificates alone are accepted", KeyOf, shown(|it| (it.binding.dpop, it.authorization) = (false, with_bearer)), "token_bound"),
        ("9449 7.1", "where no such scheme is known", KeyOf, binding(true, false, true), "token_missing"),
        ("9449 7.1", "a proof, and a token that is over", KeyOf, shown(|it| it.token["exp"] = json!(it.token["exp"].as_u64().unwrap() - 400)), "token_expired"),
        ("9449 7.1", "a proof, and a token for another service", KeyOf, of_token("aud", json!("another")), "audience_mismatch"),
        ("9449 7.1", "a proof, and a token that nobody signed", KeyOf, shown(|it| it.signature = forged), "signature_invalid"),
        ("9449 7.2", "as Bearer", KeyOf, shown(|it| (it.proofs, it.authorization) = (0, with_bearer)), "token_bound"),
        ("9449 7.2", "as Bearer, with a proof", KeyOf, as_written(with_bearer), "token_bound"),
        ("9449 7.2", "as Bearer, with a certificate", KeyOf, shown(|it| (it.proofs, it.authorization, it.certificate) = (0, with_bearer, Some(sha256(CERTIFICATE)))), "token_bound"),
        ("9449 7.2", "a token that is bound to nothing, where they must be", Nothing, shown(|it| it.binding.bearer = false), "token_unbound"),
        ("9449 6.1", "the thumbprint of another key", KeyOf, cnf(theirs), "proof_invalid"),
        ("9449 6.1", "the hash of the key as it is written", KeyOf, method("jkt", jwk_hash), "proof_invalid"),
        ("9449 6.1", "the thumbprint with padding", KeyOf, method("jkt", padded), "token_bound"),
        ("9449 6.1", "a byte less", KeyOf, method("jkt", encode(&[0; 31])), "token_bound"),
        ("9449 6.1", "a byte more", KeyOf, method("jkt", encode(&[0; 33])), "token_bound"),
        ("9449 6.1", "no thumbprint", KeyOf, method("jkt", ""), "token_bound"),
        ("9449 6.1", "a thumbprint that is a number", KeyOf, method("jkt", 1), "token_bound"),
        ("9449 6.1", "a thumbprint that is null", KeyOf, method("jkt", Value::Null), "token_bound"),
        ("9449 6.1", "thumbprints in a list", KeyOf, method("jkt", json!([jkt])), "token_bound"),
        ("9449 6.1", "the name in capitals", KeyOf, method("JKT", jkt.clone()), "token_bound"),
        ("9449 6.1", "the URI of a thumbprint", KeyOf, method("jkt", format!("urn:ietf:params:oauth:jwk-thumbprint:sha-256:{jkt}")), "token_bound"),
        ("9449 6.1", "the key instead", KeyOf, method("jwk", jwk_value.clone()), "token_bound"),
        ("9449 6.1", "the key beside", KeyOf, beside("jwk", jwk_value), "token_bound"),
        ("9449 6.1", "a certificate beside", KeyOf, beside("x5t#S256", json!(encode(&sha256(CERTIFICATE)))), "token_bound"),
    ]
}

/// RFC 9449 §4.3, by the number of what it asks.
#[rustfmt::skip]
fn proofs(now: u64) -> Vec<Case> {
    let header_of: fn(&mut Shown) -> &mut Value = |it| &mut it.header;
    let claims_of: fn(&mut Shown) -> &mut Value = |it| &mut it.claims;
    let nonces = Nonces::new(&SECRET);
    let nonce_at = |secs: u64| json!(nonces.current(UnixTime::from_secs(secs)));
    const INVALID: &str = "proof_invalid";
    const EXPIRED: &str = "proof_expired";
    const NONCE: &str = "proof_nonce_wanted";
    [
        ("9449 4.3 1", "two proofs", shown(|it| it.proofs = 2), INVALID),
        ("9449 4.3 1", "two proofs in one line", sent(|proof| format!("{proof},{proof}")), INVALID),
        ("9449 4.3 2", "nothing in the field", sent(|_| String::new()), INVALID),
        ("9449 4.3 2", "no JWT", sent(|_| "proof".into()), INVALID),
        ("9449 4.3 2", "three empty parts", sent(|_| "..".into()), INVALID),
        ("9449 4.3 2", "four parts", sent(|proof| format!("{proof}.a")), INVALID),
        ("9449 4.3 2", "two parts", sent(|proof| proof.rsplit_once('.').unwrap().0.into()), INVALID),
        ("9449 4.3 2", "a space behind it", sent(|proof| format!("{proof} ")), INVALID),
        ("9449 4.3 2", "padding", sent(|proof| format!("{proof}=")), INVALID),
        ("9449 4.3 2", "in quotes", sent(|proof| format!("\"{proof}\"")), INVALID),
        ("9449 4.3 2", "a longer one than is looked at", sent(|_| "a".repeat(PROOF_MAX + 1)), INVALID),
        ("9449 4.3 2", "a header that is no object", shown(|it| it.header_text = |_| "[]".into()), INVALID),
        ("9449 4.3 2", "a header that is no JSON", shown(|it| it.header_text = |text| format!("{text},")), INVALID),
        ("9449 4.3 2", "a payload that is no object", shown(|it| it.claims_text = |_| "1".into()), INVALID),
        ("9449 4.3 2", "a payload that is no JSON", shown(|it| it.claims_text = |text| text.replace('}', "")), INVALID),
        ("9449 4.3 2", "a member twice", shown(|it| it.header_text = |text| text.replacen('{', r#"{"typ":"dpop+jwt","#, 1)), INVALID),
        ("9449 4.3 2", "a claim twice", shown(|it| it.claims_text = |text| text.replacen('{', r#"{"htm":"GET","#, 1)), INVALID),
        ("9449 4.3 3", "no typ", without(header_of, "typ"), INVALID),
        ("9449 4.3 3", "no alg", without(header_of, "alg"), INVALID),
        ("9449 4.3 3", "no jwk", without(header_of, "jwk"), INVALID),
        ("9449 4.3 3", "no jti", without(claims_of, "jti"), INVALID),
        ("9449 4.3 3", "no htm", without(claims_of, "htm"), INVALID),
        ("9449 4.3 3", "no htu", without(claims_of, "htu"), INVALID),
        ("9449 4.3 3", "no iat", without(claims_of, "iat"), INVALID),
        ("9449 4.3 3", "no ath: a proof for the issuer", without(claims_of, "ath"), INVALID),
        ("9449 4.3 3", "an empty jti", claim("jti", json!("")), INVALID),
        ("9449 4.3 3", "a jti that is a number", claim("jti", json!(1)), INVALID),
        ("9449 4.3 3", "a longer jti than is remembered", claim("jti", json!("j".repeat(JTI_MAX + 1))), INVALID),
        ("9449 4.3 4", "the typ of a token", header("typ", json!("JWT")), INVALID),
        ("9449 4.3 4", "the typ of an access token", header("typ", json!("at+jwt")), INVALID),
        ("9449 4.3 4", "the typ in capitals", header("typ", json!("DPoP+JWT")), INVALID),
        ("9449 4.3 4", "the typ as a media type", header("typ", json!("application/dpop+jwt")), INVALID),
        ("9449 4.3 4", "a typ that is null", header("typ", json!(null)), INVALID),
        ("9449 4.3 5", "no signature", header("alg", json!("none")), INVALID),
        ("9449 4.3 5", "a shared secret", header("alg", json!("HS256")), INVALID),
        ("9449 4.3 5", "an algorithm that is not accepted", header("alg", json!("RS256")), INVALID),
        ("9449 4.3 5", "another algorithm of elliptic curves", header("alg", json!("ES384")), INVALID),
        ("9449 4.3 5", "the algorithm of another key", header("alg", json!("Ed25519")), INVALID),
        ("9449 4.3 5", "the algorithm in small letters", header("alg", json!("es256")), INVALID),
        ("9449 4.3 5", "algorithms in a list", header("alg", json!(["ES256"])), INVALID),
        ("9449 4.3 6", "signed by another", shown(|it| it.by_another = true), INVALID),
        ("9449 4.3 6", "a forged signature", sent(|proof| forged(&proof)), INVALID),
        ("9449 4.3 6", "no signature behind the last period", sent(|proof| format!("{}.", proof.rsplit_once('.').unwrap().0)), INVALID),
        ("9449 4.3 6", "a signature of zeros", sent(|proof| format!("{}.{}", proof.rsplit_once('.').unwrap().0, encode(&[0; 64]))), INVALID),
        ("9449 4.3 7", "a private key", jwk("d", json!("AAAA")), INVALID),
        ("9449 4.3 7", "an empty private member", jwk("d", json!("")), INVALID),
        ("9449 4.3 7", "a private member that is null", jwk("d", json!(null)), INVALID),
        ("9449 4.3 7", "a private member of another kind of key", jwk("k", json!("AAAA")), INVALID),
        ("9449 4.3 7", "a shared secret as the key", header("jwk", json!({"kty": "oct", "k": "AAAA"})), INVALID),
        ("9449 4.3 7", "a key that is a string", header("jwk", json!("AAAA")), INVALID),
        ("9449 4.3 7", "keys in a list", header("jwk", json!([{}])), INVALID),
        ("9449 4.3 7", "a key that is null", header("jwk", json!(null)), INVALID),
        ("9449 4.3 7", "another point", jwk("x", json!(encode(&[1; 32]))), INVALID),
        ("9449 4.3 7", "another curve", jwk("crv", json!("P-384")), INVALID),
        ("9449 4.3 8", "another method", claim("htm", json!("GET")), INVALID),
        ("9449 4.3 8", "the method in small letters", claim("htm", json!("post")), INVALID),
        ("9449 4.3 8", "the method with a space", claim("htm", json!("POST ")), INVALID),
        ("9449 4.3 8", "no method", claim("htm", json!("")), INVALID),
        ("9449 4.3 8", "methods in a list", claim("htm", json!(["POST"])), INVALID),
        ("9449 4.3 8", "a request with another method", shown(|it| it.method = "PUT"), INVALID),
        ("9449 4.3 9", "another host", claim("htu", json!("https://eve.example/send")), INVALID),
        ("9449 4.3 9", "a host that begins alike", claim("htu", json!("https://mail.example.eve.example/send")), INVALID),
        ("9449 4.3 9", "a user before the host", claim("htu", json!("https://eve@mail.example/send")), INVALID),
        ("9449 4.3 9", "another scheme", claim("htu", json!("http://mail.example/send")), INVALID),
        ("9449 4.3 9", "another port", claim("htu", json!("https://mail.example:8443/send")), INVALID),
        ("9449 4.3 9", "another path", claim("htu", json!("https://mail.example/other")), INVALID),
        ("9449 4.3 9", "a slash more", claim("htu", json!("https://mail.example/send/")), INVALID),
        ("9449 4.3 9", "the path in capitals", claim("htu", json!("https://mail.example/Send")), INVALID),
        ("9449 4.3 9", "the host alone", claim("htu", json!("https://mail.example")), INVALID),
        ("9449 4.3 9", "the path alone", claim("htu", json!("/send")), INVALID),
        ("9449 4.3 9", "the other name without its prefix", claim("htu", json!("https://gate.example/send")), INVALID),
        ("9449 4.3 9", "an empty URI", claim("htu", json!("")), INVALID),
        ("9449 4.3 9", "URIs in a list", claim("htu", json!([URL])), INVALID),
        ("9449 4.3 9", "a request for another path", shown(|it| it.path = Some("/other")), INVALID),
        ("9449 4.3 9", "a request that is not in origin form", shown(|it| it.path = None), INVALID),
        ("9449 4.3 9", "with a query and a fragment, which do not count", claim("htu", json!(format!("{URL}?a=b#c"))), ""),
        ("9449 4.3 9", "with the usual port and in capitals, which is the same", claim("htu", json!("HTTPS://Mail.Example:443/send")), ""),
        ("9449 4.3 9", "the other name of the service", claim("htu", json!("https://gate.example/mail/send")), ""),
        ("9449 4.3 10", "the nonce of now", nonce(nonce_at(now)), ""),
        ("9449 4.3 10", "no nonce where one is wanted", shown(|it| it.nonce = true), NONCE),
        ("9449 4.3 10", "a nonce that is over", nonce(nonce_at(now - 2 * PERIOD)), NONCE),
        ("9449 4.3 10", "a nonce to come", nonce(nonce_at(now + PERIOD)), NONCE),
        ("9449 4.3 10", "a nonce of somebody else", nonce(json!(Nonces::new(&[8; 32]).current(UnixTime::from_secs(now)))), NONCE),
        ("9449 4.3 10", "an empty nonce", nonce(json!("")), NONCE),
        ("9449 4.3 10", "nonces in a list", nonce(json!([nonce_at(now)])), NONCE),
        ("9449 4.3 11", "the oldest", claim("iat", json!(now - 60)), ""),
        ("9449 4.3 11", "one second older", claim("iat", json!(now - 61)), EXPIRED),
        ("9449 4.3 11", "further ahead than clocks differ", claim("iat", json!(now + 11)), EXPIRED),
        ("9449 4.3 11", "in milliseconds", claim("iat", json!(now * 1000)), INVALID),
        ("9449 4.3 11", "the beginning of time", claim("iat", json!(0)), EXPIRED),
        ("9449 4.3 11", "before it", claim("iat", json!(-1)), INVALID),
        ("9449 4.3 11", "a time as text", claim("iat", json!(now.to_string())), INVALID),
        ("9449 4.3 11", "its own end has come", claim("exp", json!(now)), EXPIRED),
        ("9449 4.3 11", "its own beginning is to come", claim("nbf", json!(now + 11)), EXPIRED),
        ("9449 4.3 12", "the hash of another token", claim("ath", json!(encode(&sha256(b"another")))), INVALID),
        ("9449 4.3 12", "the hash with padding", shown(|it| it.claims_text = padded_hash), INVALID),
        ("9449 4.3 12", "an empty hash", claim("ath", json!("")), INVALID),
        ("9449 4.3 12", "hashes in a list", claim("ath", json!([ATH])), INVALID),
        ("9449 4.3 12", "the key of another, who has signed it too", shown(|it| it.header["jwk"] = Value::Null), INVALID),
    ].map(|(rule, what, change, reason)| (rule, what, KeyOf, change, reason)).into()
}

/// The claims with padding behind the hash of the token.
fn padded_hash(claims: String) -> String {
    let mut claims: Value = serde_json::from_str(&claims).expect("JSON");
    claims["ath"] = json!(format!("{}=", claims["ath"].as_str().expect("a hash")));
    claims.to_string()
}

fn cases(stage: &Stage) -> Vec<Case> {
    let mut cases: Vec<_> = [certificates(), presented(stage), proofs(stage.now)].into_iter().flatten().collect();
    // A thief has a key of its own, with which everything about the proof is sound.
    let theirs = stage.another.jwk();
    let change = shown(move |it| (it.by_another, it.header["jwk"]) = (true, theirs.clone()));
    cases.push(("9449 4.3 12", "a sound proof of another key", KeyOf, change, "proof_invalid"));
    cases
}

#[test]
fn every_must_about_bound_tokens_has_a_request_that_breaks_it() {
    let stage = Stage {
        issuer: Key::generate("ES256", "k"),
        client: Client::new("ES256"),
        another: Client::new("ES256"),
        now: now(),
    };
    let cases = cases(&stage);
    let failing = |rule: &str| cases.iter().filter(|it| it.0.starts_with(rule) && !it.4.is_empty()).count();
    let musts = (1..=12)
        .map(|n| format!("9449 4.3 {n}"))
        .chain(["8705 3", "8705 3.1", "7800 3.1", "9449 6.1", "9449 7.1", "9449 7.2"].map(str::to_owned));
    for must in musts {
        assert!(cases.iter().any(|it| it.0 == must && !it.4.is_empty()), "{must} has no case that fails");
    }
    let counts = [failing("8705"), failing("7800"), failing("9449 6"), failing("9449 7"), failing("9449 4.3")];
    assert!(counts.iter().sum::<usize>() >= 150, "{counts:?}");

    for (rule, what, bound, change, wanted) in &cases {
        let mut shown = stage.good(*bound);
        change(&mut shown);
        let gate = stage.authenticator(&shown);
        let token = stage.token(&shown);
        let wanted = if wanted.is_empty() { "-> billing" } else { wanted };
        let found = |jti: &str| verdict(&stage.decide(&gate, &shown, &token, jti));
        assert_eq!(found("first"), wanted, "{rule}: {what}");

        // Where the token is good, it is shown until it is remembered, and the same is played once more.
        let good =
            Shown { binding: shown.binding, token: shown.token.clone(), nonce: shown.nonce, ..stage.good(*bound) };
        let with_nonce = |mut good: Shown| {
            if good.nonce {
                good.claims["nonce"] = json!(Nonces::new(&SECRET).current(UnixTime::from_secs(stage.now)));
            }
            good
        };
        let good = with_nonce(good);
        let status = |n: u8| match stage.decide(&gate, &good, &token, &format!("good {n}")) {
            Decision::Forward(_, status) => Some(status),
            _ => None,
        };
        if status(0).is_some() {
            status(1);
            assert!(matches!(status(2), Some(CacheStatus::Hit)), "{rule}: {what}: it is remembered");
            assert_eq!(found("second"), wanted, "{rule}: {what}, of a remembered token");
            if shown.claims["jti"] == JTI && wanted != "-> billing" && *bound == KeyOf {
                assert!(
                    matches!(stage.decide(&gate, &good, &token, "second"), Decision::Forward(..)),
                    "{rule}: {what}: what is refused is not used up"
                );
            }
        }
    }
}

#[test]
fn a_proof_counts_once_for_each_key() {
    let stage = Stage {
        issuer: Key::generate("ES256", "k"),
        client: Client::new("ES256"),
        another: Client::new("ES256"),
        now: now(),
    };
    let good = stage.good(KeyOf);
    let (gate, token) = (stage.authenticator(&good), stage.token(&good));
    let found = |shown: &Shown, token: &str| verdict(&stage.decide(&gate, shown, token, "the same"));
    assert_eq!(found(&good, &token), "-> billing");
    assert_eq!(found(&good, &token), "proof_replayed");
    assert_eq!(found(&good, &stage.token(&good)), "proof_replayed", "also with another token of that key");
    let mut theirs = stage.good(KeyOf);
    (theirs.by_another, theirs.header["jwk"], theirs.token["cnf"]) =
        (true, stage.another.jwk(), stage.another.confirmation());
    assert_eq!(found(&theirs, &stage.token(&theirs)), "-> billing", "nobody spends the names of others");
}
