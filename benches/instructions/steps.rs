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

use callgate::algorithm::Algorithm;
use callgate::audit::{RecordedDecision, timestamp};
use callgate::authenticator::{Authenticator, Issuer};
use callgate::clock::UnixTime;
use callgate::downstream::response_writer::last_response;
use callgate::identity::{CallerRule, ClaimPath};
use callgate::jwt::parse::{Parts, Unverified};
use callgate::keys::jwks::Reading;
use callgate::keys::store::{KeySlot, Published};
use callgate::metrics::{Metrics, Times};
use callgate::proxy::error_response::ErrorResponse;
use callgate::proxy::policy::RefusalPolicy;
use callgate::rejection::{Disclosure, Reason, Rejection};
use callgate::request::TokenField;
use callgate::request::{RequestHead, SingletonField};
use callgate::requirement::Requirement;
use callgate::route::{PublicRoute, PublicRoutes};
use callgate::token::Token;
use serde_json::Value;

use record::record;

const ISSUER: &str = "https://auth.internal.example";
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Ed25519];

/// The steps, as the baseline names them. `decide` is the whole way from a request's head to the decision.
const STEPS: [&str; 19] = [
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
    "decide no token",
    "decide public",
    "count",
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
        "decide no token" => stage.decide("/send", None),
        "decide public" => stage.decide("/healthz", None),
        "count" => {
            let (metrics, times) = (Metrics::new().expect("metrics"), Times::default());
            let issuer = metrics.issuer(ISSUER, false);
            twice(|| {
                metrics.request(RecordedDecision::Forward, None, Some(&issuer), black_box(&times));
                metrics.callers.count("billing");
            });
        }
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

fn refuse(reason: Reason, detail: &'static str) {
    let policy = RefusalPolicy::new("email-service", None, None, Disclosure::Full);
    twice(|| {
        let rejection = Rejection::new(reason, detail);
        let response =
            ErrorResponse::new(black_box(&rejection), &policy, "019b7c1e0f0a7c3e9d1a2b3c4d5e6f70").expect("a response");
        last_response(response.head, response.body, false)
    });
}
