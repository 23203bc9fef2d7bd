//! One step of a request per run, for callgrind to count: `instructions STEP`, or `instructions --list`. Everything it needs
//! is fixed, so the count is the same whatever else the machine does. `compare.py` runs it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a tool that meets what it does not expect ends and says so"
)]

#[path = "record.rs"]
mod record;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callgate::algorithm::Algorithm;
use callgate::audit::{RecordedDecision, timestamp};
use callgate::authenticator::{Authenticator, CacheStatus, Decision, Issuer};
use callgate::clock::UnixTime;
use callgate::confirmation::CertificateHash;
use callgate::downstream::response_writer::last_response;
use callgate::identity::{CallerRule, ClaimPath};
use callgate::json::{self, Object};
use callgate::jwt::parse::{Parts, Unverified};
use callgate::keys::jwks::Reading;
use callgate::keys::proof_key::ProofKey;
use callgate::keys::store::{KeySlot, Published};
use callgate::metrics::{Metrics, Times};
use callgate::proof::uri::ExternalUrl;
use callgate::proof::{ProofRules, ProofState, ProofVerifier};
use callgate::proxy::error_response::ErrorResponse;
use callgate::proxy::policy::RefusalPolicy;
use callgate::rejection::{Disclosure, Reason, Rejection};
use callgate::request::TokenField;
use callgate::request::{RequestHead, SingletonField};
use callgate::requirement::{Binding, Requirement};
use callgate::route::{PublicRoute, PublicRoutes};
use callgate::token::Token;
use serde_json::Value;

use record::record;

const ISSUER: &str = "https://auth.internal.example";
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Ed25519];

/// The steps, as the baseline names them. `decide` is the whole way from a request's head to the decision.
const STEPS: [&str; 24] = [
    "extract",
    "decode",
    "parse",
    "decide RS256",
    "decide ES256",
    "decide EdDSA",
    "decide bad RS256",
    "decide bad ES256",
    "decide bad EdDSA",
    "decide shown once",
    "decide and remember",
    "decide remembered",
    "decide where bound",
    "decide certificate",
    "decide dpop",
    "signature ES256",
    "decide no token",
    "decide public",
    "count",
    "count where bound",
    "record",
    "timestamp",
    "refuse no token",
    "refuse bad signature",
];

fn main() {
    // Cargo adds `--bench`.
    let step = std::env::args().skip(1).find(|argument| argument != "--bench").unwrap_or_else(|| "--list".into());
    if step == "--list" {
        println!("{}", STEPS.join("\n"));
        return;
    }
    let stage = Stage::set();
    let es256 = stage.token("valid", "ES256").to_owned();
    let bearer = format!("Bearer {es256}");
    match step.as_str() {
        "extract" => twice(|| {
            Token::extract(black_box(SingletonField::One(bearer.as_bytes())), &TokenField::default(), 8192).is_ok()
        }),
        "decode" => twice(|| Parts::decode(black_box(&es256)).is_ok()),
        "parse" => {
            let parts = Parts::decode(&es256).expect("three parts");
            twice(|| Unverified::parse(black_box(&parts)).is_ok());
        }
        // The first tokens warm the memory of tokens and the key.
        "decide shown once" => stage.decide_remembering(&["EdDSA", "EdDSA", "EdDSA", "bad", "ES256"]),
        "decide and remember" => stage.decide_remembering(&["EdDSA", "EdDSA", "EdDSA", "ES256", "ES256"]),
        "decide remembered" => stage.decide_remembering(&["ES256", "ES256", "ES256"]),
        // Remembered tokens where tokens may be bound: one that is not, and two that are.
        "decide where bound" => Bound::set(stage.now).decide("bearer"),
        "decide certificate" => Bound::set(stage.now).decide("certificate"),
        "decide dpop" => Bound::set(stage.now).decide("dpop"),
        "signature ES256" => Bound::set(stage.now).verify_a_signature(),
        "decide no token" => stage.decide("/send", None),
        "decide public" => stage.decide("/healthz", None),
        "count" => count(false),
        "count where bound" => count(true),
        "record" => twice(|| black_box(&record()).line().is_ok()),
        "timestamp" => twice(|| timestamp(black_box(std::time::SystemTime::UNIX_EPOCH))),
        "refuse no token" => refuse(Reason::TokenMissing, "send the token as 'Authorization: Bearer <token>'"),
        "refuse bad signature" => {
            refuse(Reason::SignatureInvalid, "the signature was not made with the issuer's key over this token");
        }
        decide => {
            let words: Vec<_> = decide.split(' ').collect();
            let token = match words.as_slice() {
                ["decide", "bad", algorithm] => stage.token("bad", algorithm),
                ["decide", algorithm] => stage.token("valid", algorithm),
                _ => panic!("there is no step '{decide}'; --list names them"),
            };
            stage.decide("/send", Some(token));
        }
    }
}

/// Counts an accepted request whose token is bound to nothing, at an issuer whose tokens may be bound or not.
fn count(may_be_bound: bool) {
    let (metrics, times) = (Metrics::new().expect("metrics"), Times::default());
    let issuer = metrics.issuer(ISSUER, may_be_bound);
    twice(|| {
        metrics.request(RecordedDecision::Forward, None, Some(&issuer), black_box(&times));
        metrics.callers.count("billing");
        if let Some(bindings) = &issuer.bindings {
            bindings.count(None, "billing", || std::time::SystemTime::now().into());
        }
    });
}

/// Only what runs in here is counted.
#[inline(never)]
fn measured<R>(work: &mut impl FnMut() -> R) -> R {
    black_box(work())
}

/// Does the work once to warm up (first allocations, lazy tables), then for the count.
fn twice<R>(mut work: impl FnMut() -> R) {
    black_box(work());
    measured(&mut work);
}

/// A gate for one issuer with a key of each algorithm.
struct Stage {
    tokens: Value,
    authenticator: Authenticator,
    now: UnixTime,
}

impl Stage {
    fn set() -> Self {
        let tokens: Value = serde_json::from_str(include_str!("tokens.json")).expect("JSON");
        let now = UnixTime::from_secs(tokens["now"].as_u64().expect("a time"));
        let keys = Reading::parse(tokens.to_string().as_bytes(), &ALGORITHMS).expect("a key set").keys;
        let slot = Arc::new(KeySlot::default());
        slot.publish(Published { keys: keys.into(), confirmed: now, stale: UnixTime::MAX });
        let audiences = vec!["email-service".into()];
        let requirement = Requirement::new(ISSUER.into(), audiences, ALGORITHMS.to_vec()).expect("a requirement");
        let caller = CallerRule::new("X-Caller-Service".into(), ClaimPath::parse("sub").expect("a claim"));
        let healthz = PublicRoute::new("/healthz".into(), vec!["POST".into()]).expect("a route");
        let issuers = vec![Issuer::new(requirement, slot)];
        let authenticator = Authenticator::new(issuers, caller, PublicRoutes::new(vec![healthz]), 8192);
        Self { tokens, authenticator, now }
    }

    fn token(&self, kind: &str, algorithm: &str) -> &str {
        self.tokens[kind][algorithm].as_str().expect("a token")
    }

    fn decide(&self, path: &str, token: Option<&str>) {
        self.decide_in_turn(path, &[token, token]);
    }

    /// The same with a memory of tokens, for which "bad" is one of ES256.
    fn decide_remembering(mut self, tokens: &[&str]) {
        self.authenticator = self.authenticator.with_cache(1 << 20);
        let token = |name: &&str| {
            let (kind, algorithm) = if *name == "bad" { ("bad", "ES256") } else { ("valid", *name) };
            self.token(kind, algorithm)
        };
        let tokens: Vec<_> = tokens.iter().map(token).map(Some).collect();
        self.decide_in_turn("/send", &tokens);
    }

    /// Decides about a request with each of these tokens, and counts the last.
    fn decide_in_turn(&self, path: &str, tokens: &[Option<&str>]) {
        for (index, token) in tokens.iter().enumerate() {
            let bearer = token.map(|token| format!("Bearer {token}"));
            let authorization =
                bearer.as_ref().map_or(SingletonField::Absent, |bearer| SingletonField::One(bearer.as_bytes()));
            let head = RequestHead {
                method: "POST",
                path: Some(path),
                authorization,
                proof: SingletonField::Absent,
                certificate: None,
                fields: None,
            };
            let mut decide = || self.authenticator.decide(black_box(&head), self.now);
            if index + 1 == tokens.len() {
                measured(&mut decide)
            } else {
                black_box(decide())
            };
        }
    }
}

/// A gate for an issuer whose tokens may be bound to a certificate or a key.
struct Bound {
    tokens: Value,
    authenticator: Authenticator,
    now: UnixTime,
}

impl Bound {
    fn set(now: UnixTime) -> Self {
        let tokens: Value = serde_json::from_str(include_str!("bound.json")).expect("JSON");
        let algorithms = vec![Algorithm::Es256];
        let keys = Reading::parse(tokens.to_string().as_bytes(), &algorithms).expect("a key set").keys;
        let slot = Arc::new(KeySlot::default());
        slot.publish(Published { keys: keys.into(), confirmed: now, stale: UnixTime::MAX });
        let audiences = vec!["email-service".into()];
        let requirement = Requirement::new(ISSUER.into(), audiences, algorithms.clone()).expect("a requirement");
        let requirement =
            requirement.with_binding(Binding { certificate: true, dpop: true, wimse: false, bearer: true });
        let caller = CallerRule::new("X-Caller-Service".into(), ClaimPath::parse("sub").expect("a claim"));
        let issuers = vec![Issuer::new(requirement, slot)];
        let external_urls = vec![ExternalUrl::new("https://mail.example").expect("a URL")];
        let rules = ProofRules { algorithms, window: Duration::from_secs(60), external_urls, nonce: false };
        let state = ProofState::new(&[7; 32]);
        state.memory.resize(1 << 20);
        let authenticator = Authenticator::new(issuers, caller, PublicRoutes::default(), 8192)
            .with_cache(1 << 20)
            .with_proofs(ProofVerifier::new(rules, Arc::new(state)));
        Self { tokens, authenticator, now }
    }

    fn text(&self, name: &str) -> &str {
        self.tokens[name].as_str().expect("a text")
    }

    /// Decides three times about a request with this token and what it is bound to, and counts the last, whose token is remembered.
    fn decide(&self, kind: &str) {
        let scheme = if kind == "dpop" { "DPoP" } else { "Bearer" };
        let authorization = format!("{scheme} {}", self.text(kind));
        let hash = URL_SAFE_NO_PAD.decode(self.text("certificate_hash")).expect("base64url");
        let certificate = CertificateHash(hash.try_into().expect("a SHA-256"));
        for n in 0..3 {
            let proof = self.tokens["proofs"][n].as_str().expect("a proof");
            let head = RequestHead {
                method: "POST",
                path: Some("/send"),
                authorization: SingletonField::One(authorization.as_bytes()),
                proof: if kind == "dpop" { SingletonField::One(proof.as_bytes()) } else { SingletonField::Absent },
                certificate: (kind == "certificate").then_some(certificate),
                fields: None,
            };
            let mut decide = || self.authenticator.decide(black_box(&head), self.now);
            let decision = if n == 2 { measured(&mut decide) } else { decide() };
            let is_hit = matches!(decision, Decision::Forward(_, CacheStatus::Hit));
            assert_eq!(is_hit, n == 2, "{kind}, {n}: accepted, and remembered the third time");
        }
    }

    /// The signature of a proof, with its key at hand.
    fn verify_a_signature(&self) {
        let proof = self.tokens["proofs"][0].as_str().expect("a proof");
        let (input, signature) = proof.rsplit_once('.').expect("three parts");
        let header = URL_SAFE_NO_PAD.decode(input.split('.').next().expect("a part")).expect("base64url");
        let header = Object::parse(&header).expect("an object");
        let Some(json::Value::Object(jwk)) = header.get("jwk") else { panic!("there is no key") };
        let key = ProofKey::read(jwk, Algorithm::Es256).expect("a key");
        twice(|| key.public().verify(Algorithm::Es256, black_box(input.as_bytes()), signature).is_ok());
    }
}

fn refuse(reason: Reason, detail: &'static str) {
    let policy = RefusalPolicy::new("email-service", None, None, Disclosure::Full);
    twice(|| {
        let rejection = Rejection::new(reason, detail);
        let response = ErrorResponse::new(black_box(&rejection), &policy, "019b7c1e0f0a7c3e9d1a2b3c4d5e6f70", false)
            .expect("a response");
        last_response(response.head, response.body, false)
    });
}
