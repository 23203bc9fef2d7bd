//! How often a decision asks for memory: as many times as is written here, and no more. A change that allocates more per
//! request fails here before anybody measures it; one that allocates less may lower the figure.

#[path = "../../benches/instructions/record.rs"]
mod record;

use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use callgate::algorithm::Algorithm;
use callgate::audit::RecordedDecision;
use callgate::authenticator::{Authenticator, Decision, Issuer};
use callgate::clock::UnixTime;
use callgate::downstream::response_writer::last_response;
use callgate::identity::{CallerRule, ClaimPath};
use callgate::jwt::parse::{Parts, Unverified};
use callgate::jwt::verify::verify;
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
use record::record;
use serde_json::json;

const ISSUER: &str = "https://auth.internal.example";
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

#[test]
fn deciding_allocates_no_more_than_is_known() {
    let mut counts = Vec::new();
    // jsonwebtoken asks for three pieces of memory per signature: a verifier in a box, a copy of the key in it (two numbers for RSA),
    // and the signature's bytes.
    for (algorithm, signature) in [(Algorithm::Rs256, 4), (Algorithm::Es256, 3), (Algorithm::Ed25519, 3)] {
        let mut stage = Stage::set(algorithm);
        counts.push((algorithm.name(), 9 + signature, stage.decide(&stage.bearer(&stage.token))));
        let mut spoiled = stage.token.clone();
        let at = spoiled.rfind('.').unwrap() + 11;
        spoiled.replace_range(at..=at, if &stage.token[at..=at] == "A" { "B" } else { "A" });
        counts.push(("bad signature", 5 + signature, stage.decide(&stage.bearer(&spoiled))));
        stage.authenticator = stage.authenticator.with_cache(1 << 20);
        counts.push(("remembered now", 12 + signature, stage.decide(&stage.bearer(&stage.token))));
        counts.push(("remembered", 0, stage.decide(&stage.bearer(&stage.token))));
    }
    let stage = Stage::set(Algorithm::Es256);
    counts.push(("no token", 0, stage.decide_with(SingletonField::Absent)));
    counts.push(("public route", 0, {
        let head = RequestHead {
            method: "GET",
            path: Some("/healthz"),
            authorization: SingletonField::Absent,
            proof: SingletonField::Absent,
            certificate: None,
            fields: None,
        };
        measure(|| assert!(matches!(stage.authenticator.decide(&head, NOW), Decision::Pass)))
    }));
    check(&counts);
}

#[test]
fn each_step_allocates_no_more_than_is_known() {
    let stage = Stage::set(Algorithm::Es256);
    let parts = Parts::decode(&stage.token).unwrap();
    let unverified = Unverified::parse(&parts).unwrap();
    let reading = Reading::parse(&stage.document, &[Algorithm::Es256]).unwrap();
    let key = reading.keys.named("k1").unwrap().public();
    let asked = requirement(Algorithm::Es256);
    let bearer = stage.bearer(&stage.token);
    check(&[
        (
            "extract",
            0,
            measure(|| {
                Token::extract(SingletonField::One(bearer.as_bytes()), &TokenField::default(), 8192).unwrap();
            }),
        ),
        ("decode", 1, measure(|| drop(Parts::decode(&stage.token).unwrap()))),
        ("parse", 2, measure(|| drop(Unverified::parse(&parts).unwrap()))),
        ("verify", 3, measure(|| assert!(verify(&unverified, &asked, key, NOW).is_ok()))),
    ]);
}

#[test]
fn recording_and_refusing_allocate_no_more_than_is_known() {
    let metrics = Metrics::new().unwrap();
    let times = Times::default();
    let issuer = metrics.issuer(ISSUER, false);
    let rejection = Rejection::new(Reason::TokenMissing, "send the token as 'Authorization: Bearer <token>'");
    // The first of a kind makes its time series; only what follows is every request's.
    metrics.request(RecordedDecision::Forward, None, Some(&issuer), &times);
    metrics.callers.count("billing");
    let refusals = RefusalPolicy::new("email", None, None, Disclosure::Full);
    check(&[
        ("count a request", 0, measure(|| metrics.request(RecordedDecision::Forward, None, Some(&issuer), &times))),
        ("count a caller", 0, measure(|| metrics.callers.count("billing"))),
        ("write a record", 1, measure(|| drop(record().line().unwrap()))),
        (
            "refuse",
            // The head is a map of fields, as for every response.
            19,
            measure(|| {
                let response = ErrorResponse::new(&rejection, &refusals, "r1", false).unwrap();
                drop(last_response(response.head, response.body, false).unwrap());
            }),
        ),
    ]);
}

/// An issuer with one key, a token of its, and the gate that accepts it.
struct Stage {
    token: String,
    document: Vec<u8>,
    authenticator: Authenticator,
}

impl Stage {
    fn set(algorithm: Algorithm) -> Self {
        let key = testkit::keys::Key::generate(algorithm.name(), "k1");
        let document = json!({ "keys": [key.jwk()] }).to_string().into_bytes();
        let token = key.mint(&json!({
            "iss": ISSUER, "aud": "email-service", "sub": "billing", "jti": "0192f7",
            "iat": NOW.as_secs() - 10, "exp": NOW.as_secs() + 300,
        }));
        let slot = Arc::new(KeySlot::default());
        let keys = Reading::parse(&document, &[algorithm]).unwrap().keys;
        slot.publish(Published { keys: keys.into(), confirmed: NOW, stale: UnixTime::MAX });
        let caller = CallerRule::new("X-Caller-Service".into(), ClaimPath::parse("sub").unwrap());
        let public = PublicRoutes::new(vec![PublicRoute::new("/healthz".into(), vec!["GET".into()]).unwrap()]);
        let issuers = vec![Issuer::new(requirement(algorithm), slot)];
        Self { token, document, authenticator: Authenticator::new(issuers, caller, public, 8192) }
    }

    fn bearer(&self, token: &str) -> String {
        format!("Bearer {token}")
    }

    fn decide(&self, bearer: &str) -> AllocationInfo {
        self.decide_with(SingletonField::One(bearer.as_bytes()))
    }

    /// Counts the second decision of a kind: the first may set something up.
    fn decide_with(&self, authorization: SingletonField<'_>) -> AllocationInfo {
        let head = RequestHead {
            method: "POST",
            path: Some("/send"),
            authorization,
            proof: SingletonField::Absent,
            certificate: None,
            fields: None,
        };
        drop(self.authenticator.decide(&head, NOW));
        measure(|| drop(self.authenticator.decide(&head, NOW)))
    }
}

fn requirement(algorithm: Algorithm) -> Requirement {
    Requirement::new(ISSUER.into(), vec!["email-service".into()], vec![algorithm]).unwrap()
}

/// Says every count that is above what is allowed.
fn check(counts: &[(&str, u64, AllocationInfo)]) {
    let wrong: Vec<_> = counts
        .iter()
        .filter(|(_, allowed, found)| found.count_total > *allowed)
        .map(|(what, allowed, found)| {
            format!(
                "{what}: {} allocations of {} bytes, and at most {allowed} were known",
                found.count_total, found.bytes_total
            )
        })
        .collect();
    assert!(wrong.is_empty(), "a cost that every request pays:\n{}", wrong.join("\n"));
}
