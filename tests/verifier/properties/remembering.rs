//! A cache of accepted tokens changes nothing but the cost: whatever happens, in whatever order, it decides like one that
//! verifies every token.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use callgate::algorithm::Algorithm;
use callgate::authenticator::{Authenticator, CacheStatus, Decision, Issuer};
use callgate::clock::UnixTime;
use callgate::identity::{CallerRule, ClaimPath};
use callgate::keys::store::{KeySlot, Published};
use callgate::revocation::list::{DenyList, DenyListSlot};
use callgate::route::PublicRoutes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use testkit::signing::pair;
use testkit::token::by;
use testkit::world::{ISSUER, NOW, judge_at, publish, requirement, verdict};

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// The clock stands so many seconds after the beginning.
    Clock(u64),
    Deny(usize),
    Keys(usize, u64),
    Show(usize),
}

const KEYS: [&[&str]; 4] = [&["p256"], &["other-p256"], &["p256", "other-p256"], &["ed25519"]];

const LISTS: [&str; 5] = [
    "",
    r#"{"sub":"billing"}"#,
    r#"{"jti":"one","until":1767225700}"#,
    r#"{"kid":"p256"}"#,
    r#"{"kid":"other-p256","issuer":"https://else.test"}"#,
];

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => (0..400_u64).prop_map(Event::Clock),
        1 => (0..LISTS.len()).prop_map(Event::Deny),
        1 => ((0..KEYS.len()), (0..400_u64)).prop_map(|(keys, stale)| Event::Keys(keys, stale)),
        12 => (0..TOKENS).prop_map(Event::Show),
    ]
}

const TOKENS: usize = 6;

fn tokens() -> Vec<Vec<u8>> {
    let exp = |after: u64| (NOW + after).to_string();
    let tokens = [
        by("p256", "ES256").claim("exp", &exp(120)),
        by("p256", "ES256").claim("exp", &exp(300)).claim("nbf", &exp(60)).claim("jti", "\"one\""),
        by("other-p256", "ES256").claim("exp", &exp(200)).claim("iat", &exp(100)),
        by("p256", "ES256").claim("exp", &exp(300)).without_head("kid").claim("sub", "\"orders\""),
        by("eve-p256", "ES256").claim("exp", &exp(300)),
        by("ed25519", "EdDSA").claim("exp", &exp(300)).claim("iat", &exp(0)),
    ];
    tokens.into_iter().map(|token| [b"Bearer ".to_vec(), token.build()].concat()).collect()
}

#[test]
fn remembering_decides_like_verifying() {
    let hits = Cell::new(0);
    let played = TestRunner::new(super::cases(400)).run(&prop::collection::vec(event(), 1..60), |events| {
        let (keys, revoked) = (Arc::new(KeySlot::default()), Arc::new(DenyListSlot::default()));
        let gate = |bytes| {
            let asked =
                requirement(ISSUER, &[Algorithm::Es256, Algorithm::Ed25519]).with_max_age(Duration::from_secs(150));
            let asked = if events.len() % 2 == 0 { asked } else { requirement(ISSUER, &[Algorithm::Es256]) };
            let caller = CallerRule::new("X-Caller-Service".into(), ClaimPath::parse("sub").expect("a claim"));
            let issuers = vec![Issuer::new(asked, Arc::clone(&keys))];
            let authenticator = Authenticator::new(issuers, caller, PublicRoutes::default(), 8192);
            authenticator.with_revocation(Arc::clone(&revoked)).with_cache(bytes)
        };
        let (remembering, verifying) = (gate(1 << 20), gate(0));
        let (tokens, mut now) = (tokens(), NOW);
        for event in events {
            match event {
                Event::Clock(after) => now = NOW + after,
                Event::Deny(list) => revoked.publish(DenyList::parse(LISTS[list].as_bytes()).expect("a list")),
                Event::Keys(names, after) => {
                    let jwks: Vec<_> = KEYS[names].iter().map(|name| pair(name).jwk(Some(name))).collect();
                    let allowed = [Algorithm::Es256, Algorithm::Ed25519];
                    keys.publish(Published { stale: UnixTime::from_secs(NOW + after), ..publish(&jwks, &allowed) });
                }
                Event::Show(token) => {
                    let [one, other] = [&remembering, &verifying].map(|gate| judge_at(gate, &tokens[token], now));
                    if matches!(&one, Decision::Forward(_, CacheStatus::Hit)) {
                        hits.set(hits.get() + 1);
                    }
                    prop_assert_eq!(verdict(&one), verdict(&other));
                }
            }
        }
        Ok(())
    });
    played.unwrap();
    let hits = hits.get();
    assert!(hits >= 100, "{hits} tokens were remembered");
}
