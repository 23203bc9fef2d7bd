//! The judge of the targets `token` and `claims`, and what must hold of whatever it decides.
#![allow(dead_code, reason = "each target uses its part")]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callgate::algorithm::Algorithm;
use callgate::authenticator::{Accepted, Authenticator, Decision, Issuer};
use callgate::clock::UnixTime;
use callgate::explain::terminal::Colour;
use callgate::explain::{Outcome, explain, machine, terminal};
use callgate::identity::{CallerPattern, CallerRule, ClaimPath, ClaimRule, Naming};
use callgate::keys::jwks::Reading;
use callgate::keys::store::{KeySlot, Published};
use callgate::rejection::{DETAIL_MAX, Rejection};
use callgate::request::{RequestHead, SingletonField};
use callgate::requirement::{Exact, Requirement};
use callgate::revocation::list::{DenyList, DenyListSlot};
use callgate::route::PublicRoutes;

/// 2026-01-01T00:00:00Z.
pub const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);

pub static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a pair"));

/// Four issuers: `a` asks the least, `b` everything, `c` names its callers by a form, `joe` has the keys of RFC 7515 A.
static JUDGE: LazyLock<Authenticator> = LazyLock::new(|| {
    let x = URL_SAFE_NO_PAD.encode(PAIR.public_key());
    let own = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k","x":"{x}"}}]}}"#);
    let claim = |name| ClaimPath::parse(name).expect("a claim");
    let asked = |name: &str, algorithms: &[Algorithm]| {
        let asked = Requirement::new(name.into(), vec!["mail".into()], algorithms.to_vec());
        asked.expect("full lists").with_leeway(Duration::from_secs(30))
    };
    let issuer = |asked: Requirement, document: &[u8]| {
        let keys = Arc::new(KeySlot::default());
        let read = Reading::parse(document, &Algorithm::ALL).expect("a key set").keys;
        keys.publish(Published { keys: read.into(), confirmed: NOW, stale: UnixTime::MAX });
        Issuer { recorded: vec![("tenant".into(), claim("/ctx/tenant"))], ..Issuer::new(asked, keys) }
    };
    let strict = asked("b", &[Algorithm::Ed25519])
        .with_types(&["at+jwt".to_owned()])
        .with_max_age(Duration::from_secs(600))
        .with_max_lifetime(Duration::from_secs(600))
        .with_required(vec![("t".into(), Exact::Integer(1)), ("s".into(), Exact::String("x".into()))]);
    let form = CallerPattern::parse("ns:{space}:{name}", Some("{space}/{name}")).expect("a form");
    let mut formed = issuer(asked("c", &[Algorithm::Ed25519]), own.as_bytes());
    formed.naming = Some(Naming::new(claim("sub")).with_pattern(form));
    let issuers = vec![
        issuer(asked("a", &[Algorithm::Ed25519]), own.as_bytes()),
        issuer(strict, own.as_bytes()),
        formed,
        issuer(asked("joe", &Algorithm::ALL), include_bytes!("../corpus/jwk_set/joe")),
    ];
    let revoked = DenyListSlot::default();
    revoked.publish(DenyList::parse(b"{\"jti\":\"leaked\"}\n{\"sub\":\"gone\",\"issuer\":\"a\"}").expect("a list"));
    let caller = CallerRule::new("X-Caller-Service".into(), claim("sub"));
    let caller = caller.with_claims(vec![ClaimRule::new("X-Scope".into(), claim("scope"))]);
    Authenticator::new(issuers, caller, PublicRoutes::default(), 8192)
        .with_revocation(Arc::new(revoked))
        .with_cache(1 << 20)
});

/// Decides about the value of an `Authorization` field, by what is remembered too, and holds it against its explanation.
pub fn judge(field: &[u8]) -> Option<Arc<Accepted>> {
    let head = RequestHead {
        method: "GET",
        path: None,
        authorization: SingletonField::One(field),
        proof: SingletonField::Absent,
        certificate: None,
        fields: None,
    };
    let explanation = explain(&JUDGE, &head, NOW, None);
    let outcome = explanation.refusing().map(|check| check.outcome);
    let mut said = Vec::new();
    terminal::write(&explanation, Colour::Never, &mut said).expect("memory");
    machine::write(&explanation, &mut said).expect("memory");
    assert!(said.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~')));

    match JUDGE.decide(&head, NOW) {
        Decision::Forward(accepted, _) => {
            assert_eq!(outcome, None);
            for (_, value) in JUDGE.caller_rule().headers(Some(&accepted.identity)) {
                assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            }
            Some(accepted)
        }
        Decision::Reject(refused) => {
            assert_eq!(outcome, Some(Outcome::Refused(refused.rejection.reason())));
            plain(&refused.rejection);
            let claimed = refused.facts.claimed_caller;
            assert!(claimed.is_none_or(|claimed| claimed.bytes().all(|byte| byte.is_ascii_graphic())));
            None
        }
        Decision::Pass | Decision::Claim(_) => panic!("nothing is public, and there is no store"),
    }
}

/// What is said of a refusal fits into a header and repeats nothing dangerous.
pub fn plain(rejection: &Rejection) {
    let detail = rejection.detail();
    assert!(!detail.is_empty() && detail.len() <= DETAIL_MAX);
    assert!(detail.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'));
}
