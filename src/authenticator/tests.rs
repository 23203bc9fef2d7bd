mod cache;

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::algorithm::Algorithm;
use crate::identity::ClaimPath;
use crate::keys::jwks::Reading;
use crate::keys::store::{KeySlot, Published};
use crate::proof::replay::SpendError;
use crate::request::SingletonField;
use crate::revocation::list::DenyList;
use crate::route::PublicRoute;

const NOW: u64 = 1_767_225_600;
const LEEWAY: Duration = Duration::from_secs(30);

/// Two issuers, `a` with a key `k` and `b` with a key without kid, and a third, `c`, whose keys nobody has fetched.
struct World {
    authenticator: Authenticator,
    a: Ed25519KeyPair,
    b: Ed25519KeyPair,
}

impl World {
    /// The issuer of this name.
    fn index(&self, name: &str) -> Option<IssuerIndex> {
        self.authenticator.issuers.find(|issuer| issuer.requirement.issuer() == name)
    }

    fn new() -> Self {
        let [a, b] = [(); 2].map(|()| Ed25519KeyPair::generate().expect("a key pair"));
        let issuer = |name: &str, key: Option<(&Ed25519KeyPair, &str)>| {
            let keys = Arc::new(KeySlot::default());
            if let Some((pair, kid)) = key {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                let document = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"{kid}}}]}}"#);
                let keys_read = Reading::parse(document.as_bytes(), &[Algorithm::Ed25519]).expect("a key set").keys;
                let (confirmed, stale) = (UnixTime::from_secs(NOW), UnixTime::from_secs(NOW + 600));
                keys.publish(Published { keys: keys_read.into(), confirmed, stale });
            }
            let requirement = Requirement::new(name.into(), vec!["mail".into()], vec![Algorithm::Ed25519]);
            Issuer::new(requirement.expect("full lists").with_leeway(LEEWAY), keys)
        };
        let issuers = vec![issuer("a", Some((&a, r#","kid":"k""#))), issuer("b", Some((&b, ""))), issuer("c", None)];
        let caller = CallerRule::new("X-Caller-Service".into(), ClaimPath::parse("sub").expect("a claim"));
        let public = PublicRoute::new("/healthz".into(), vec!["GET".into()]).expect("canonical");
        let authenticator = Authenticator::new(issuers, caller, PublicRoutes::new(vec![public]), 4096);
        Self { authenticator, a, b }
    }

    fn decide(&self, token: &str, now: u64) -> Decision {
        let field = format!("Bearer {token}");
        let authorization = SingletonField::One(field.as_bytes());
        let head = RequestHead {
            method: "POST",
            path: Some("/send"),
            authorization,
            proof: SingletonField::Absent,
            certificate: None,
            fields: None,
        };
        self.authenticator.decide(&head, UnixTime::from_secs(now))
    }

    fn accepted(&self, token: &str) -> Arc<Accepted> {
        match self.decide(token, NOW) {
            Decision::Forward(accepted, _) => accepted,
            Decision::Reject(refused) => panic!("{}", refused.rejection),
            Decision::Pass | Decision::Claim(_) => panic!("no public route and no store"),
        }
    }

    fn refused(&self, token: &str) -> Refused {
        match self.decide(token, NOW) {
            Decision::Reject(refused) => refused,
            _ => panic!("it was let through"),
        }
    }
}

fn sign(pair: &Ed25519KeyPair, header: &str, claims: &str) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(pair.sign(input.as_bytes())))
}

fn claims(issuer: &str) -> String {
    format!(r#"{{"iss":"{issuer}","aud":"mail","sub":"billing","exp":{},"jti":"j"}}"#, NOW + 60)
}

const WITH_KID: &str = r#"{"alg":"EdDSA","kid":"k"}"#;
const WITHOUT_KID: &str = r#"{"alg":"EdDSA"}"#;

#[test]
fn good_token_names_its_caller_and_says_until_when() {
    let world = World::new();
    let accepted = world.accepted(&sign(&world.a, WITH_KID, &claims("a")));
    assert_eq!(accepted.identity.caller(), "billing");
    assert_eq!(accepted.expires, UnixTime::from_secs(NOW + 60).plus(LEEWAY));
    assert_eq!(accepted.facts.issuer, world.index("a"));
    assert_eq!(accepted.facts.kid.as_deref(), Some("k"));
    assert_eq!(accepted.facts.alg.as_deref(), Some("EdDSA"));
    assert_eq!(accepted.facts.jti.as_deref(), Some("j"));
}

#[test]
fn a_proof_that_is_to_be_claimed_passes_only_if_the_store_grants_it() {
    let world = World::new();
    let accepted = world.accepted(&sign(&world.a, WITH_KID, &claims("a")));
    let unclaimed = || {
        let claim = Claim::new([7; 32], Duration::from_secs(80));
        match Decision::accept(Arc::clone(&accepted), CacheStatus::Hit, Some(claim)) {
            Decision::Claim(unclaimed) => *unclaimed,
            _ => panic!("it passed without the store's word"),
        }
    };
    assert_eq!(unclaimed().claim().fingerprint(), &[7; 32]);
    match unclaimed().settle(Ok(())) {
        Decision::Forward(forwarded, CacheStatus::Hit) => assert_eq!(forwarded.identity.caller(), "billing"),
        _ => panic!("the store granted it"),
    }
    for (error, reason) in [
        (SpendError::Replayed, Reason::ProofReplayed),
        (SpendError::Unanswered, Reason::ProofUncheckable),
        (SpendError::Full, Reason::ProofUncheckable),
        (SpendError::Forgotten, Reason::ProofUncheckable),
    ] {
        let Decision::Reject(refused) = unclaimed().settle(Err(error)) else { panic!("{error}") };
        assert_eq!(refused.rejection.reason(), reason);
        assert_eq!((refused.facts.kid.as_deref(), refused.keys_wanted), (Some("k"), None));
    }
}

#[test]
fn token_is_accepted_until_it_expires_and_not_a_second_longer() {
    let world = World::new();
    let token = sign(&world.b, WITHOUT_KID, &claims("b"));
    assert!(matches!(world.decide(&token, NOW + 89), Decision::Forward(..)));
    assert!(matches!(world.decide(&token, NOW + 90), Decision::Reject(_)));
}

#[test]
fn public_route_needs_no_token_and_looks_at_none() {
    let world = World::new();
    for (method, path, passes) in
        [("GET", "/healthz", true), ("POST", "/healthz", false), ("GET", "/healthz/", false), ("GET", "/send", false)]
    {
        for authorization in [SingletonField::Absent, SingletonField::One(b"Bearer x"), SingletonField::Several] {
            let head = RequestHead {
                method,
                path: Some(path),
                authorization,
                proof: SingletonField::Absent,
                certificate: None,
                fields: None,
            };
            let decision = world.authenticator.decide(&head, UnixTime::from_secs(NOW));
            assert_eq!(matches!(decision, Decision::Pass), passes, "{method} {path}");
        }
    }
}

#[test]
fn each_issuer_is_known_by_its_own_keys_only() {
    let world = World::new();
    assert_eq!(world.accepted(&sign(&world.a, WITH_KID, &claims("a"))).facts.issuer, world.index("a"));
    assert_eq!(world.accepted(&sign(&world.b, WITHOUT_KID, &claims("b"))).facts.issuer, world.index("b"));
    for (token, reason) in [
        (sign(&world.b, WITH_KID, &claims("a")), Reason::SignatureInvalid),
        (sign(&world.b, WITHOUT_KID, &claims("a")), Reason::SignatureInvalid),
        (sign(&world.a, WITHOUT_KID, &claims("b")), Reason::SignatureInvalid),
        (sign(&world.a, WITH_KID, &claims("b")), Reason::KeyUnknown),
        (sign(&world.a, WITH_KID, &claims("eve")), Reason::IssuerUntrusted),
    ] {
        assert_eq!(world.refused(&token).rejection.reason(), reason);
    }
}

#[test]
fn fresh_keys_are_only_asked_for_where_they_could_help() {
    let world = World::new();
    let eve = Ed25519KeyPair::generate().expect("a key pair");
    let unknown_kid = r#"{"alg":"EdDSA","kid":"new"}"#;
    for (what, token, reason, wanted) in [
        ("unknown kid", sign(&eve, unknown_kid, &claims("a")), Reason::KeyUnknown, Some("a")),
        ("no kid fits", sign(&eve, WITHOUT_KID, &claims("a")), Reason::SignatureInvalid, Some("a")),
        ("nameless key", sign(&eve, WITH_KID, &claims("b")), Reason::KeyUnknown, Some("b")),
        ("no keys", sign(&eve, WITH_KID, &claims("c")), Reason::KeysUnavailable, Some("c")),
        ("known kid, perhaps of a new key", sign(&eve, WITH_KID, &claims("a")), Reason::SignatureInvalid, Some("a")),
        ("untrusted", sign(&eve, WITH_KID, &claims("eve")), Reason::IssuerUntrusted, None),
        ("malformed", "a.b".to_owned(), Reason::TokenMalformed, None),
    ] {
        let refused = world.refused(&token);
        assert_eq!(
            (refused.rejection.reason(), refused.keys_wanted),
            (reason, wanted.and_then(|name| world.index(name))),
            "{what}"
        );
    }
}

/// It met 503 and asked for fresh keys, while no key could have made it good.
#[test]
fn refused_algorithm_does_not_wait_for_keys() {
    let world = World::new();
    for issuer in ["a", "c"] {
        let refused = world.refused(&sign(&world.a, r#"{"alg":"none","kid":"new"}"#, &claims(issuer)));
        assert_eq!((refused.rejection.reason(), refused.keys_wanted), (Reason::AlgorithmRefused, None));
        assert_eq!(refused.facts.issuer, world.index(issuer));
    }
}

#[test]
fn stale_keys_prove_nothing() {
    let world = World::new();
    let long = claims("a").replace(&(NOW + 60).to_string(), &(NOW + 6000).to_string());
    let token = sign(&world.a, WITH_KID, &long);
    assert!(matches!(world.decide(&token, NOW + 599), Decision::Forward(..)));
    let Decision::Reject(refused) = world.decide(&token, NOW + 600) else { panic!("stale keys were used") };
    assert_eq!((refused.rejection.reason(), refused.keys_wanted), (Reason::KeysUnavailable, world.index("a")));
}

/// It was left out, although the token was proven.
#[test]
fn verified_jti_is_known_even_if_the_caller_is_unusable() {
    let world = World::new();
    let unusable = claims("a").replace("billing", "b,c");
    let refused = world.refused(&sign(&world.a, WITH_KID, &unusable));
    assert_eq!(refused.rejection.reason(), Reason::CallerUnusable);
    assert_eq!(refused.facts.jti.as_deref(), Some("j"));
    let unproven = world.refused(&sign(&world.b, WITH_KID, &unusable));
    assert_eq!(unproven.facts.jti, None, "whose jti it is, nobody knows");
}

#[test]
fn facts_are_bounded_whatever_a_token_says() {
    let world = World::new();
    let header = format!(r#"{{"alg":"{0}","kid":"{0}"}}"#, "\u{1f600}".repeat(64));
    let refused = world.refused(&sign(&world.a, &header, &claims("a")));
    assert_eq!(refused.facts.alg.map(|alg| alg.chars().count()), Some(ALG_SHOWN));
    assert!(refused.facts.kid.is_some_and(|kid| kid.len() <= 256));
    let long = claims("a").replace("\"j\"", &format!("\"{}\"", "j".repeat(JTI_MAX + 1)));
    assert_eq!(world.accepted(&sign(&world.a, WITH_KID, &long)).facts.jti, None, "a long jti is not recorded");
}

#[test]
fn several_fields_and_no_field_are_refused_each_in_its_way() {
    let world = World::new();
    for (authorization, reason) in
        [(SingletonField::Absent, Reason::TokenMissing), (SingletonField::Several, Reason::TokenAmbiguous)]
    {
        let head = RequestHead {
            method: "POST",
            path: Some("/send"),
            authorization,
            proof: SingletonField::Absent,
            certificate: None,
            fields: None,
        };
        let Decision::Reject(refused) = world.authenticator.decide(&head, UnixTime::from_secs(NOW)) else {
            panic!("it was let through")
        };
        assert_eq!(refused.rejection.reason(), reason);
    }
}

#[test]
fn revoked_token_is_refused_by_its_id_its_key_and_its_subject() {
    for (list, by) in [
        (r#"{"jti":"j"}"#, Some("jti")),
        (r#"{"kid":"k"}"#, Some("kid")),
        (r#"{"sub":"billing"}"#, Some("sub")),
        (r#"{"sub":"billing","issuer":"b"}"#, None),
        (r#"{"jti":"other"}"#, None),
        ("", None),
    ] {
        let mut world = World::new();
        let slot = Arc::new(DenyListSlot::default());
        world.authenticator = world.authenticator.with_revocation(Arc::clone(&slot));
        // By its key also when the token does not name it.
        for header in [WITH_KID, WITHOUT_KID] {
            let token = sign(&world.a, header, &claims("a"));
            slot.publish(DenyList::default());
            assert_eq!(world.accepted(&token).identity.caller(), "billing");
            slot.publish(DenyList::parse(list.as_bytes()).expect("a list"));
            let Some(by) = by else {
                assert_eq!(world.accepted(&token).identity.caller(), "billing", "{list}");
                continue;
            };
            let refused = world.refused(&token);
            assert_eq!(refused.rejection.reason(), Reason::TokenRevoked, "{list}");
            assert!(refused.rejection.detail().contains(by), "{}", refused.rejection);
            assert_eq!((refused.facts.jti.as_deref(), refused.keys_wanted), (Some("j"), None));
        }
    }
}

#[test]
fn nobody_learns_from_an_unproven_token_what_is_revoked() {
    let mut world = World::new();
    let slot = Arc::new(DenyListSlot::default());
    slot.publish(DenyList::parse(br#"{"sub":"billing"}"#).expect("a list"));
    world.authenticator = world.authenticator.with_revocation(slot);
    let refused = world.refused(&sign(&world.b, WITH_KID, &claims("a")));
    assert_eq!(refused.rejection.reason(), Reason::SignatureInvalid);
}

#[test]
fn a_token_without_kid_is_told_that_it_needs_one_where_not_all_keys_are_tried() {
    let world = World::new();
    let jwk = |n: usize, pair: &Ed25519KeyPair| {
        format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{n}","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(pair.public_key()))
    };
    let mut keys: Vec<_> = (0..8).map(|n| jwk(n, &world.b)).collect();
    let publish = |keys: &[String]| {
        let document = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        let keys = Reading::parse(document.as_bytes(), &[Algorithm::Ed25519]).expect("a key set").keys;
        let (confirmed, stale) = (UnixTime::from_secs(NOW), UnixTime::from_secs(NOW + 600));
        world.authenticator.issuers().iter().next().expect("an issuer").keys.publish(Published {
            keys: keys.into(),
            confirmed,
            stale,
        });
    };
    let detail = |header: &str| {
        let refused = world.refused(&sign(&world.a, header, &claims("a")));
        assert_eq!(refused.rejection.reason(), Reason::SignatureInvalid);
        assert_eq!(refused.keys_wanted, world.index("a"));
        refused.rejection.detail().to_owned()
    };
    publish(&keys);
    assert!(!detail(WITHOUT_KID).contains("needs a kid"), "all keys were tried");
    keys.push(jwk(8, &world.a));
    publish(&keys);
    assert!(detail(WITHOUT_KID).starts_with("the token needs a kid: it has none, its issuer has 9 keys for Ed25519"));
    assert!(matches!(
        world.decide(&sign(&world.a, r#"{"alg":"EdDSA","kid":"8"}"#, &claims("a")), NOW),
        Decision::Forward(..)
    ));
    let nameless: Vec<_> = keys.iter().map(|key| key.replacen("\"kid\":\"", "\"odd\":\"", 1)).collect();
    let mut different: Vec<_> = (0..8).map(|_| jwk(0, &Ed25519KeyPair::generate().expect("a key pair"))).collect();
    different.push(nameless[8].clone());
    let different: Vec<_> = different.iter().map(|key| key.replacen("\"kid\":\"", "\"odd\":\"", 1)).collect();
    publish(&different);
    assert!(
        detail(r#"{"alg":"EdDSA","kid":"8"}"#).starts_with("the issuer has 9 keys for Ed25519 under the token's kid")
    );
}

/// It was said to be missing, while the issuer had it in its key set.
#[test]
fn a_key_that_was_left_out_is_told_from_one_that_is_not_there() {
    let world = World::new();
    let x = URL_SAFE_NO_PAD.encode(world.a.public_key());
    let document = format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k","x":"{x}"}},
            {{"kty":"OKP","crv":"Ed25519","kid":"old","x":"{x}","use":"enc"}},
            {{"kty":"RSA","kid":"leaked","n":"{x}","e":"AQAB","d":"{x}"}}]}}"#
    );
    let keys = Reading::parse(document.as_bytes(), &[Algorithm::Ed25519]).expect("a key set").keys;
    let (confirmed, stale) = (UnixTime::from_secs(NOW), UnixTime::from_secs(NOW + 600));
    world.authenticator.issuers().iter().next().expect("an issuer").keys.publish(Published {
        keys: keys.into(),
        confirmed,
        stale,
    });
    for (kid, said) in [
        ("old", "the issuer's key 'old' is in its key set and left out here: other use"),
        ("leaked", "the issuer's key 'leaked' is in its key set and left out here: unsound"),
        ("new", "the issuer's key set has no key 'new'; was the token signed by this issuer, and lately?"),
    ] {
        let refused = world.refused(&sign(&world.a, &format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#), &claims("a")));
        assert_eq!((refused.rejection.reason(), refused.rejection.detail()), (Reason::KeyUnknown, said));
        assert_eq!(refused.keys_wanted, world.index("a"), "the issuer may have corrected it");
    }
}
