//! The world in which tokens are judged: one service, its issuers and their keys, at one moment.

#![allow(dead_code, reason = "each suite uses its part of the kit")]

use std::sync::Arc;
use std::time::Duration;

use callgate::algorithm::Algorithm;
use callgate::authenticator::{Authenticator, Decision, Issuer};
use callgate::clock::UnixTime;
use callgate::identity::{CallerRule, ClaimPath, Encoding, Naming};
use callgate::keys::jwks::Reading;
use callgate::keys::store::{KeySlot, Published};
use callgate::request::{RequestHead, SingletonField};
use callgate::requirement::{Binding, Exact, Requirement, Subject};
use callgate::route::PublicRoutes;
use serde_json::{Value, json};

use super::signing::pair;

/// When tokens are judged: 2026-01-01T00:00:00Z.
pub const NOW: u64 = 1_767_225_600;

/// By how much clocks may differ here, in seconds.
pub const LEEWAY: u64 = 30;

/// The longest token that is looked at.
pub const TOKEN_LIMIT: usize = 8192;

/// The issuer of ordinary tokens: every algorithm, a key of every kind, each named after its pair.
pub const ISSUER: &str = "https://issuer.test";

/// The service that asks.
pub fn world() -> Authenticator {
    let kinds = ["rsa", "p256", "p384", "p521", "ed25519", "mldsa44", "mldsa65", "mldsa87"];
    let named = |names: &[&str]| -> Vec<Value> { names.iter().map(|name| pair(name).jwk(Some(name))).collect() };
    let nameless = |names: &[&str]| -> Vec<Value> { names.iter().map(|name| pair(name).jwk(None)).collect() };
    let with = |mut jwk: Value, name: &str, value: Value| {
        jwk[name] = value;
        jwk
    };
    let required = [("tenant", Exact::String("acme".into())), ("tier", Exact::Integer(1)), ("live", Exact::Bool(true))];
    let required = required.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let es256 = [Algorithm::Es256];
    let strict = requirement("https://strict.test", &es256)
        .with_types(&["at+jwt".to_owned()])
        .with_max_lifetime(Duration::from_secs(3600))
        .with_max_age(Duration::from_secs(1800))
        .with_required(required);
    let mut many: Vec<_> = (0..8).map(|n| pair("other-p256").jwk(Some(&format!("other-{n}")))).collect();
    many.push(pair("p256").jwk(Some("ninth")));
    let narrow = with(pair("rsa").jwk(Some("rsa")), "alg", json!("RS256"));
    let issuers = vec![
        issuer(requirement(ISSUER, &Algorithm::ALL), &named(&kinds)),
        issuer(requirement("https://other.test", &es256), &[pair("other-p256").jwk(Some("p256"))]),
        issuer(strict, &[pair("strict-p256").jwk(Some("s1"))]),
        issuer(requirement("https://nameless.test", &Algorithm::ALL), &nameless(&["rsa", "p256", "ed25519"])),
        issuer(requirement("https://narrow.test", &[Algorithm::Rs256, Algorithm::Ps256]), &[narrow]),
        issuer(requirement("https://es-only.test", &es256), &named(&["rsa", "p256"])),
        issuer(
            requirement("https://ed25519.test", &[Algorithm::Ed25519]),
            &[
                with(pair("ed25519").jwk(Some("alg-ed25519")), "alg", json!("Ed25519")),
                with(pair("ed25519").jwk(Some("alg-eddsa")), "alg", json!("EdDSA")),
                with(pair("ed25519").jwk(Some("alg-ed448")), "alg", json!("Ed448")),
                with(pair("p256").jwk(Some("p256-ed25519")), "alg", json!("Ed25519")),
            ],
        ),
        issuer(requirement("https://many.test", &es256), &many),
        Issuer::new(requirement("https://keyless.test", &es256), Arc::new(KeySlot::default())),
        stale(requirement("https://stale.test", &es256), &named(&["p256"])),
        issuer(requirement("joe", &Algorithm::ALL), &rfc_keys()),
        // Trust domains: two with different keys under one name, and two with the same key.
        issuer(domain("a.domain.test"), &named(&["p256"])),
        issuer(domain("b.domain.test"), &[pair("other-p256").jwk(Some("p256"))]),
        issuer(domain("c.domain.test"), &named(&["p256"])),
        // Access tokens without aud, whose callers are their clients, as Amazon Cognito makes them.
        named_by(
            issuer(
                requirement("https://clients.test", &es256)
                    .with_audience_claim("client_id".into())
                    .with_subject(Subject::NumberToo),
                &named(&["p256"]),
            ),
            naming("client_id"),
        ),
        // Tokens that are bound to a certificate, and such as may be.
        issuer(
            requirement("https://bound.test", &es256).with_binding(Binding {
                certificate: true,
                bearer: false,
                ..Binding::default()
            }),
            &named(&["p256"]),
        ),
        issuer(
            requirement("https://either.test", &es256)
                .with_binding(Binding { certificate: true, ..Binding::default() }),
            &named(&["p256"]),
        ),
        // Callers with other characters than a header can carry.
        named_by(
            issuer(requirement("https://encoded.test", &es256), &named(&["p256"])),
            naming("sub").with_encoding(Encoding::Percent),
        ),
    ];
    let caller = CallerRule::new("X-Caller-Service".into(), ClaimPath::parse("sub").expect("a claim"));
    Authenticator::new(issuers, caller, PublicRoutes::default(), TOKEN_LIMIT)
}

/// What the world says of the value of an `Authorization` field.
pub fn judge(world: &Authenticator, field: &[u8]) -> Decision {
    judge_at(world, field, NOW)
}

/// What the world says of it at another time.
pub fn judge_at(world: &Authenticator, field: &[u8], now: u64) -> Decision {
    let authorization = SingletonField::One(field);
    world.decide(
        &RequestHead {
            method: "POST",
            path: Some("/send"),
            authorization,
            proof: SingletonField::Absent,
            certificate: None,
            fields: None,
        },
        UnixTime::from_secs(now),
    )
}

/// A decision in one word: `-> caller`, or the reason.
pub fn verdict(decision: &Decision) -> String {
    match decision {
        Decision::Forward(accepted, _) => format!("-> {}", accepted.identity.caller()),
        Decision::Claim(_) => "claim".to_owned(),
        Decision::Pass => "pass".to_owned(),
        Decision::Reject(refused) => refused.rejection.reason().as_str().to_owned(),
    }
}

/// A key set made from JWKs, good for ever.
pub fn publish(jwks: &[Value], allowed: &[Algorithm]) -> Published {
    let document = json!({"keys": jwks}).to_string();
    let reading = Reading::parse(document.as_bytes(), allowed).expect("a key set");
    let (confirmed, stale) = (UnixTime::from_secs(NOW - 60), UnixTime::MAX);
    Published { keys: reading.keys.into(), confirmed, stale }
}

/// What the service asks of an issuer's tokens.
pub fn requirement(name: &str, algorithms: &[Algorithm]) -> Requirement {
    Requirement::new(name.into(), vec!["email-service".into(), "mail".into()], algorithms.to_vec())
        .expect("lists that are not empty")
        .with_leeway(Duration::from_secs(LEEWAY))
}

fn issuer(requirement: Requirement, jwks: &[Value]) -> Issuer {
    let keys = Arc::new(KeySlot::default());
    keys.publish(publish(jwks, requirement.algorithms()));
    Issuer::new(requirement, keys)
}

fn domain(name: &str) -> Requirement {
    Requirement::of_trust_domain(name, vec!["email-service".into(), "mail".into()], vec![Algorithm::Es256])
        .expect("lists that are not empty")
        .with_leeway(Duration::from_secs(LEEWAY))
}

fn named_by(issuer: Issuer, naming: Naming) -> Issuer {
    Issuer { naming: Some(naming), ..issuer }
}

fn naming(claim: &str) -> Naming {
    Naming::new(ClaimPath::parse(claim).expect("a claim"))
}

fn stale(requirement: Requirement, jwks: &[Value]) -> Issuer {
    let issuer = issuer(requirement, jwks);
    let published = publish(jwks, issuer.requirement.algorithms());
    issuer.keys.publish(Published { stale: UnixTime::from_secs(NOW), ..published });
    issuer
}

/// The public keys of RFC 7515 appendix A.2.1, A.3.1 and A.4.1, whose tokens are by `joe`.
fn rfc_keys() -> Vec<Value> {
    vec![
        json!({"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPC\
            JrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexM\
            dbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia\
            GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}),
        json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
        json!({"kty": "EC", "crv": "P-521",
            "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
            "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}),
    ]
}
