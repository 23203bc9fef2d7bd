//! Every way in which a remembered acceptance could outlive its right.

use super::*;
use crate::keys::store::Published;

/// A world whose acceptances are remembered, one with a deny-list.
struct Remembering {
    world: World,
    revoked: Arc<DenyListSlot>,
}

impl Remembering {
    fn new() -> Self {
        Self::with(|authenticator| authenticator.with_cache(1 << 20))
    }

    fn with(change: impl Fn(Authenticator) -> Authenticator) -> Self {
        let (mut world, revoked) = (World::new(), Arc::new(DenyListSlot::default()));
        world.authenticator = change(world.authenticator.with_revocation(Arc::clone(&revoked)));
        Self { world, revoked }
    }

    /// A token of `a`, which has been accepted and is remembered.
    fn token(&self, claims: &str) -> String {
        let token = sign(&self.world.a, WITH_KID, claims);
        self.remember(&token);
        token
    }

    /// Shows a token until it is remembered: at the second time.
    fn remember(&self, token: &str) {
        for status in [CacheStatus::Miss, CacheStatus::Miss, CacheStatus::Hit] {
            assert_eq!(self.at(token, NOW), Ok(status));
        }
    }

    fn at(&self, token: &str, now: u64) -> Result<CacheStatus, Reason> {
        match self.world.decide(token, now) {
            Decision::Forward(accepted, proof) => {
                assert_eq!(accepted.identity.caller(), "billing");
                Ok(proof)
            }
            Decision::Reject(refused) => Err(refused.rejection.reason()),
            Decision::Pass | Decision::Claim(_) => panic!("no public route and no store"),
        }
    }

    fn publish(&self, keys: &[(&Ed25519KeyPair, &str)], algorithms: &[Algorithm], stale: u64) {
        let keys: Vec<_> = keys
            .iter()
            .map(|(pair, kid)| {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}"}}"#)
            })
            .collect();
        let document = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        let keys = Reading::parse(document.as_bytes(), algorithms).expect("a key set").keys;
        let (confirmed, stale) = (UnixTime::from_secs(NOW), UnixTime::from_secs(stale));
        let slot = &self.world.authenticator.issuers().iter().next().expect("an issuer").keys;
        slot.publish(Published { keys: keys.into(), confirmed, stale });
    }

    fn deny(&self, list: &str) {
        self.revoked.publish(DenyList::parse(list.as_bytes()).expect("a list"));
    }

    fn tokens(&self) -> usize {
        self.world.authenticator.cache_usage().map_or(0, |usage| usage.tokens)
    }
}

const EDDSA: &[Algorithm] = &[Algorithm::Ed25519];

#[test]
fn remembered_token_is_good_until_it_expires_and_not_a_second_longer() {
    let here = Remembering::new();
    let token = here.token(&claims("a"));
    assert_eq!(here.at(&token, NOW + 89), Ok(CacheStatus::Hit));
    assert_eq!(here.at(&token, NOW + 90), Err(Reason::TokenExpired));
    assert_eq!(here.tokens(), 0, "what is over is not kept");
}

#[test]
fn remembered_token_is_not_good_before_its_time_if_the_clock_is_set_back() {
    let here = Remembering::new();
    for claim in ["nbf", "iat"] {
        let token = here.token(&claims("a").replacen('{', &format!(r#"{{"{claim}":{NOW},"#), 1));
        assert_eq!(here.at(&token, NOW - 30), Ok(CacheStatus::Hit));
        assert_eq!(here.at(&token, NOW - 31), Err(Reason::TokenNotYetValid));
    }
}

#[test]
fn remembered_token_grows_too_old_where_that_is_asked() {
    let mut here = Remembering::new();
    let too_old = Duration::from_secs(20);
    here.world.authenticator.issuers = here
        .world
        .authenticator
        .issuers
        .map(|issuer| Issuer { requirement: issuer.requirement.clone().with_max_age(too_old), ..issuer.clone() });
    let token = here.token(&claims("a").replacen('{', &format!(r#"{{"iat":{NOW},"#), 1));
    assert_eq!(here.at(&token, NOW + 49), Ok(CacheStatus::Hit));
    assert_eq!(here.at(&token, NOW + 50), Err(Reason::TokenExpired));
}

#[test]
fn remembered_token_goes_with_its_key() {
    let here = Remembering::new();
    let token = here.token(&claims("a"));
    here.publish(&[(&here.world.b, "other")], EDDSA, NOW + 600);
    assert_eq!(here.at(&token, NOW), Err(Reason::KeyUnknown));
    here.publish(&[(&here.world.a, "k")], EDDSA, NOW + 600);
    assert_eq!(here.at(&token, NOW), Ok(CacheStatus::Miss), "and is verified anew when the key comes back");
}

#[test]
fn remembered_token_goes_when_another_key_takes_the_name_of_its_own() {
    let here = Remembering::new();
    let token = here.token(&claims("a"));
    here.publish(&[(&here.world.b, "k")], EDDSA, NOW + 600);
    assert_eq!(here.at(&token, NOW), Err(Reason::SignatureInvalid));
}

#[test]
fn remembered_token_is_verified_again_by_keys_of_which_one_is_new() {
    let here = Remembering::new();
    let token = here.token(&claims("a"));
    here.publish(&[(&here.world.a, "k"), (&here.world.b, "next")], EDDSA, NOW + 600);
    assert_eq!(here.at(&token, NOW), Ok(CacheStatus::Miss));
    assert_eq!(here.at(&token, NOW), Ok(CacheStatus::Hit));
}

#[test]
fn keys_that_are_only_confirmed_cost_no_signature() {
    let here = Remembering::new();
    let token = here.token(&claims("a"));
    here.publish(&[(&here.world.a, "k")], EDDSA, NOW + 700);
    assert_eq!(here.at(&token, NOW), Ok(CacheStatus::Hit));
}

#[test]
fn remembered_token_is_not_good_by_stale_keys() {
    let here = Remembering::new();
    let token = here.token(&claims("a"));
    here.publish(&[(&here.world.a, "k")], EDDSA, NOW + 10);
    assert_eq!(here.at(&token, NOW + 9), Ok(CacheStatus::Hit));
    assert_eq!(here.at(&token, NOW + 10), Err(Reason::KeysUnavailable));
}

#[test]
fn remembered_token_is_refused_once_it_is_revoked_by_its_id_its_key_or_its_subject() {
    for list in [r#"{"jti":"j"}"#, r#"{"kid":"k"}"#, r#"{"sub":"billing"}"#, r#"{"sub":"billing","issuer":"a"}"#] {
        let here = Remembering::new();
        let token = here.token(&claims("a"));
        here.deny(list);
        assert_eq!(here.at(&token, NOW), Err(Reason::TokenRevoked), "{list}");
        here.deny("");
        assert_eq!(here.at(&token, NOW), Ok(CacheStatus::Miss), "{list}");
        here.deny(r#"{"sub":"billing","issuer":"b"}"#);
        assert_eq!(here.at(&token, NOW), Ok(CacheStatus::Hit), "what does not concern it costs nothing");
    }
}

/// A name is kept once where key and token have the same, and may be only the key's or only the token's.
#[test]
fn remembered_token_is_revoked_by_the_name_of_its_key_whoever_gives_it() {
    let here = Remembering::new();
    let (a, b) = (&here.world.a, &here.world.b);
    let tokens = [sign(a, WITH_KID, &claims("a")), sign(a, WITHOUT_KID, &claims("a")), sign(b, WITH_KID, &claims("b"))];
    for token in tokens {
        here.remember(&token);
        here.deny(r#"{"kid":"other"}"#);
        assert_eq!(here.at(&token, NOW), Ok(CacheStatus::Hit), "another key's name");
        here.deny(r#"{"kid":"k"}"#);
        assert_eq!(here.at(&token, NOW), Err(Reason::TokenRevoked));
        here.deny("");
    }
}

/// The record has no `jti` that long, and the deny-list has.
#[test]
fn remembered_token_is_revoked_by_an_id_that_is_too_long_for_the_record() {
    let here = Remembering::new();
    let long = "j".repeat(JTI_MAX + 1);
    let token = here.token(&claims("a").replace("\"j\"", &format!("\"{long}\"")));
    here.deny(&format!(r#"{{"jti":"{long}"}}"#));
    assert_eq!(here.at(&token, NOW), Err(Reason::TokenRevoked));
}

#[test]
fn revocation_with_an_end_that_is_over_begins_anew_if_the_clock_is_set_back() {
    let here = Remembering::new();
    let until = NOW - 5;
    here.deny(&format!(r#"{{"jti":"j","until":{until}}}"#));
    let token = here.token(&claims("a"));
    assert_eq!(here.at(&token, NOW - 6), Err(Reason::TokenRevoked));
}

#[test]
fn only_the_very_same_text_is_remembered() {
    let here = Remembering::new();
    let token = here.token(&claims("a"));
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("text");
        assert!(here.at(&changed, NOW).is_err(), "{at}");
    }
    for changed in [format!("{token}A"), token[..token.len() - 1].to_owned(), format!("{token}.")] {
        assert!(here.at(&changed, NOW).is_err());
    }
    assert_eq!(here.at(&token, NOW), Ok(CacheStatus::Hit));
}

#[test]
fn refusals_are_never_remembered() {
    let here = Remembering::new();
    let eve = Ed25519KeyPair::generate().expect("a key pair");
    for n in 0..100 {
        let token = sign(&eve, WITH_KID, &claims("a").replace("billing", &n.to_string()));
        assert_eq!(here.at(&token, NOW), Err(Reason::SignatureInvalid));
    }
    let early = sign(&here.world.a, WITH_KID, &claims("a").replacen('{', &format!(r#"{{"nbf":{},"#, NOW + 40), 1));
    assert_eq!(here.at(&early, NOW), Err(Reason::TokenNotYetValid));
    assert_eq!(here.tokens(), 0);
    assert_eq!(here.at(&early, NOW + 10), Ok(CacheStatus::Miss), "and none stands in the way of a later acceptance");
}

#[test]
fn a_token_that_is_shown_once_takes_no_place() {
    let here = Remembering::new();
    let token = sign(&here.world.a, WITH_KID, &claims("a"));
    assert_eq!((here.at(&token, NOW), here.tokens()), (Ok(CacheStatus::Miss), 0));
    assert_eq!((here.at(&token, NOW), here.tokens()), (Ok(CacheStatus::Miss), 1));
    assert_eq!((here.at(&token, NOW), here.tokens()), (Ok(CacheStatus::Hit), 1));
}

#[test]
fn a_token_that_was_refused_when_it_was_shown_first_is_remembered_as_late_as_any_other() {
    let here = Remembering::new();
    let token = sign(&here.world.a, WITH_KID, &claims("a"));
    here.deny(r#"{"sub":"billing"}"#);
    for _ in 0..3 {
        assert_eq!(here.at(&token, NOW), Err(Reason::TokenRevoked));
    }
    here.deny("");
    here.remember(&token);
}

#[test]
fn many_tokens_that_are_shown_once_push_out_none_that_is_shown_often() {
    let here = Remembering::with(|authenticator| authenticator.with_cache(64 << 10));
    let token_with = |jti: String| sign(&here.world.a, WITH_KID, &claims("a").replace("\"j\"", &format!("\"{jti}\"")));
    let often: Vec<_> = (0..20).map(|n| token_with(format!("often {n}"))).collect();
    often.iter().for_each(|token| here.remember(token));
    for n in 0..2_000 {
        assert_eq!(here.at(&token_with(format!("once {n}")), NOW), Ok(CacheStatus::Miss));
    }
    for token in &often {
        assert_eq!(here.at(token, NOW), Ok(CacheStatus::Hit));
    }
}

#[test]
fn memory_is_bounded_and_decisions_are_right_when_it_is_full() {
    let here = Remembering::with(|authenticator| authenticator.with_cache(64 << 10));
    let tokens: Vec<_> = (0..500).map(|n| claims("a").replace("\"j\"", &format!("\"{n}\""))).collect();
    let tokens: Vec<_> = tokens.iter().map(|claims| sign(&here.world.a, WITH_KID, claims)).collect();
    for token in tokens.iter().chain(&tokens).chain(&tokens) {
        assert!(here.at(token, NOW).is_ok());
        let usage = here.world.authenticator.cache_usage().expect("a cache");
        assert!(usage.bytes <= 64 << 10, "{usage:?}");
    }
    assert!((10..200).contains(&here.tokens()), "{}", here.tokens());
}

#[test]
fn without_memory_every_request_is_verified() {
    let here = Remembering::with(|authenticator| authenticator.with_cache(0));
    let token = sign(&here.world.a, WITH_KID, &claims("a"));
    for _ in 0..3 {
        assert_eq!(here.at(&token, NOW), Ok(CacheStatus::Miss));
    }
    assert_eq!(here.world.authenticator.cache_usage(), None);
}

#[test]
fn what_is_remembered_is_recorded_as_it_was() {
    let here = Remembering::new();
    let token = here.token(&claims("a"));
    let accepted = here.world.accepted(&token);
    assert_eq!(accepted.facts.issuer, here.world.index("a"));
    assert_eq!(accepted.facts.kid.as_deref(), Some("k"));
    assert_eq!(accepted.facts.alg.as_deref(), Some("EdDSA"));
    assert_eq!(accepted.facts.jti.as_deref(), Some("j"));
    assert_eq!(accepted.expires, UnixTime::from_secs(NOW + 60).plus(LEEWAY));
}

/// It passed as a bearer token, and was remembered as one.
#[test]
fn a_token_that_is_bound_to_a_key_is_refused_each_time_and_never_remembered() {
    let here = Remembering::new();
    here.token(&claims("a"));
    let kept = here.world.authenticator.cache_usage();
    for cnf in [r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#, r#"{"x5t#S256":"bwcK"}"#, "{}", "null"] {
        let bound = sign(&here.world.a, WITH_KID, &claims("a").replacen('{', &format!("{{\"cnf\":{cnf},"), 1));
        for _ in 0..2 {
            assert_eq!(here.at(&bound, NOW), Err(Reason::TokenBound), "{cnf}");
        }
    }
    assert_eq!(here.world.authenticator.cache_usage(), kept);
}
