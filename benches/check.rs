//! What each step of the check costs: `cargo bench`. The tokens are made by the demo's issuer, with keys made at the start.

#![allow(clippy::expect_used, reason = "a tool that meets what it does not expect ends and says so")]
#![allow(clippy::print_stdout, reason = "a tool says what it finds")]

use std::hint::black_box;
use std::sync::Arc;

use callgate::algorithm::Algorithm;
use callgate::authenticator::{Authenticator, Decision, Issuer};
use callgate::clock::UnixTime;
use callgate::identity::{CallerRule, ClaimPath};
use callgate::jwt::parse::{Parts, Unverified};
use callgate::jwt::verify::verify;
use callgate::keys::jwks::Reading;
use callgate::keys::store::{KeySlot, Published};
use callgate::request::TokenField;
use callgate::request::{RequestHead, SingletonField};
use callgate::requirement::Requirement;
use callgate::route::PublicRoutes;
use callgate::token::Token;
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;

const ISSUER: &str = "https://auth.internal.example";
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// An issuer with one key, a token of its, and the gate that accepts it.
struct Stage {
    authorization: String,
    document: Vec<u8>,
    authenticator: Authenticator,
    algorithm: Algorithm,
}

impl Stage {
    fn set(algorithm: Algorithm) -> Self {
        let key = testkit::keys::Key::generate(algorithm.name(), "k1");
        let document = json!({ "keys": [key.jwk()] }).to_string().into_bytes();
        let claims = json!({
            "iss": ISSUER, "aud": "email-service", "sub": "billing", "jti": "0192f7",
            "iat": NOW.as_secs() - 10, "exp": NOW.as_secs() + 300,
        });
        let slot = Arc::new(KeySlot::default());
        let keys = Reading::parse(&document, &[algorithm]).expect("a key set").keys;
        slot.publish(Published { keys: keys.into(), confirmed: NOW, stale: UnixTime::MAX });
        let caller = CallerRule::new("X-Caller-Service".into(), ClaimPath::parse("sub").expect("a claim"));
        let issuers = vec![Issuer::new(requirement(algorithm), slot)];
        let authenticator = Authenticator::new(issuers, caller, PublicRoutes::default(), 8192);
        Self { authorization: format!("Bearer {}", key.mint(&claims)), document, authenticator, algorithm }
    }

    fn head(&self) -> RequestHead<'_> {
        head(SingletonField::One(self.authorization.as_bytes()))
    }

    fn token(&self) -> &str {
        self.authorization.strip_prefix("Bearer ").expect("a token")
    }
}

fn requirement(algorithm: Algorithm) -> Requirement {
    Requirement::new(ISSUER.into(), vec!["email-service".into()], vec![algorithm]).expect("a requirement")
}

const fn head(authorization: SingletonField<'_>) -> RequestHead<'_> {
    RequestHead {
        method: "POST",
        path: Some("/send"),
        authorization,
        proof: SingletonField::Absent,
        certificate: None,
        fields: None,
    }
}

fn steps(criterion: &mut Criterion) {
    let stage = Stage::set(Algorithm::Es256);
    let mut group = criterion.benchmark_group("step");
    group.bench_function("extract", |bencher| {
        bencher.iter(|| Token::extract(black_box(stage.head().authorization), &TokenField::default(), 8192).is_ok());
    });
    group.bench_function("decode", |bencher| bencher.iter(|| Parts::decode(black_box(stage.token())).is_ok()));
    let parts = Parts::decode(stage.token()).expect("three parts");
    group.bench_function("parse", |bencher| bencher.iter(|| Unverified::parse(black_box(&parts)).is_ok()));
    group.bench_function("read key set", |bencher| {
        bencher.iter(|| Reading::parse(black_box(&stage.document), &[Algorithm::Es256]).is_ok());
    });
    group.finish();
}

fn verification(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify");
    for stage in Algorithm::ALL.map(Stage::set) {
        let (name, token, keys) = (stage.algorithm.name(), stage.token().len(), stage.document.len());
        println!("{name}: a token of {token} bytes, a key set of one key of {keys} bytes");
        let parts = Parts::decode(stage.token()).expect("three parts");
        let token = Unverified::parse(&parts).expect("a well-formed token");
        let set = Reading::parse(&stage.document, &[stage.algorithm]).expect("a key set").keys;
        let key = set.named("k1").expect("the key").public();
        let asked = requirement(stage.algorithm);
        group.bench_function(stage.algorithm.name(), |bencher| {
            bencher.iter(|| verify(black_box(&token), &asked, key, NOW).is_ok());
        });
    }
    group.finish();
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for stage in Algorithm::ALL.map(Stage::set) {
        assert!(
            matches!(stage.authenticator.decide(&stage.head(), NOW), Decision::Forward(..)),
            "the token is accepted"
        );
        group.bench_function(stage.algorithm.name(), |bencher| {
            bencher.iter(|| stage.authenticator.decide(black_box(&stage.head()), NOW));
        });
    }
    let stage = Stage::set(Algorithm::Es256);
    group.bench_function("no token", |bencher| {
        bencher.iter(|| stage.authenticator.decide(black_box(&head(SingletonField::Absent)), NOW));
    });
    group.finish();
}

criterion_group!(benches, steps, verification, decisions);
criterion_main!(benches);
