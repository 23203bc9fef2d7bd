//! What is accepted and what is refused, and why: one line per case, judged by `Authenticator::decide`, the way that every
//! request goes. A line has its source (an RFC's section, a CVE, or `own`), what is special about the token, the token,
//! and the verdict: `-> caller` or the one reason of the refusal. Acceptances stand beside refusals.

mod algorithms;
mod claims;
mod deployed;
mod encoding;
mod header;
mod pss;
mod rfc;
mod rfc8725;
mod signatures;
mod structure;
mod times;

use callgate::authenticator::Decision;
use callgate::clock::UnixTime;
use callgate::explain::terminal::{self, Colour};
use callgate::explain::{Outcome, explain, machine};
use callgate::rejection::{DETAIL_MAX, Reason};
use callgate::request::{RequestHead, Scheme, SingletonField, TokenField};

use testkit::token::TokenSpec;
use testkit::world::{NOW, judge, verdict, world};

/// One line of a table.
pub(crate) struct Case {
    pub source: &'static str,
    pub what: String,
    pub field: Vec<u8>,
    pub expected: String,
}

/// A case about a token.
pub(crate) fn case(
    source: &'static str,
    what: impl Into<String>,
    token: TokenSpec,
    expected: impl Into<String>,
) -> Case {
    Case { source, what: what.into(), field: token.field(), expected: expected.into() }
}

/// A case about a whole `Authorization` field.
pub(crate) fn field(source: &'static str, what: impl Into<String>, field: impl Into<Vec<u8>>, expected: &str) -> Case {
    Case { source, what: what.into(), field: field.into(), expected: expected.into() }
}

fn cases() -> Vec<Case> {
    [
        algorithms::cases(),
        claims::cases(),
        deployed::cases(),
        encoding::cases(),
        header::cases(),
        pss::cases(),
        rfc::cases(),
        rfc8725::cases(),
        signatures::cases(),
        structure::cases(),
        times::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_case_gets_its_verdict() {
    let world = world();
    let cases = cases();
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let found = judge(&world, &case.field);
            let detail = match &found {
                Decision::Reject(refused) => refused.rejection.detail().to_owned(),
                _ => String::new(),
            };
            let found = verdict(&found);
            let wrong = found != case.expected;
            wrong.then(|| format!("{} ({}): wanted {}, found {found} {detail}", case.what, case.source, case.expected))
        })
        .collect();
    println!("{} cases, {} wrong", cases.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= 1500, "the suite has lost cases: {}", cases.len());
}

/// Another field changes no verdict: neither one with a scheme, nor one that is the token alone.
#[test]
fn every_case_gets_the_same_verdict_in_another_field() {
    let world_with = |name: &str, scheme| world().with_token_field(TokenField::new(name.into(), scheme));
    let (bearer, bare) = (world_with("X-Service-Authorization", Scheme::Bearer), world_with("Txn-Token", Scheme::Bare));
    let mut alone = 0;
    for case in cases() {
        let Case { source, what, field, expected } = &case;
        let found = judge(&bearer, field);
        assert_eq!(verdict(&found), *expected, "{what} ({source})");
        if let Decision::Reject(refused) = &found {
            let detail = refused.rejection.detail();
            assert!(!detail.replace("X-Service-Authorization", "").contains("Authorization"), "{what}: {detail}");
        }
        if let Some(token) = field.strip_prefix(b"Bearer ").filter(|token| !token.starts_with(b" ")) {
            assert_eq!(verdict(&judge(&bare, token)), *expected, "{what} ({source}), alone");
            assert_ne!(verdict(&judge(&bare, field)).get(..2), Some("->"), "{what} ({source}), with a scheme");
            alone += 1;
        }
    }
    assert!(alone >= 1200, "{alone} cases are tokens after a scheme");
}

#[test]
fn acceptances_stand_beside_the_refusals() {
    let cases = cases();
    let accepted = cases.iter().filter(|case| case.expected.starts_with("->")).count();
    assert!(accepted >= 60, "{accepted} of {}", cases.len());
}

#[test]
fn every_reason_a_token_can_be_refused_for_has_its_cases() {
    let cases = cases();
    let about_tokens = |reason: &Reason| reason.status() == 401 || *reason == Reason::KeysUnavailable;
    // Two `Authorization` fields are a matter of the request; the deny-list, certificates and proofs that are shown have their own
    // tests.
    let is_elsewhere =
        |word: &str| ["token_revoked", "certificate_mismatch"].contains(&word) || word.starts_with("proof_");
    for reason in Reason::ALL.iter().filter(|reason| about_tokens(reason) && !is_elsewhere(reason.as_str())) {
        assert!(cases.iter().any(|case| case.expected == reason.as_str()), "no case is refused as {reason}");
    }
}

#[test]
fn no_two_cases_are_the_same() {
    let mut named: Vec<_> = cases().into_iter().map(|case| format!("{} ({})", case.what, case.source)).collect();
    let all = named.len();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named.len(), all);
}

#[test]
fn refusals_are_plain_bounded_and_repeat_no_part_of_the_token() {
    let world = world();
    for case in cases() {
        let Decision::Reject(refused) = judge(&world, &case.field) else { continue };
        let detail = refused.rejection.detail();
        assert!(!detail.is_empty() && detail.len() <= DETAIL_MAX, "{}: {detail}", case.what);
        assert!(detail.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'), "{detail}");
        let field = String::from_utf8_lossy(&case.field);
        for part in field.split(['.', ' ']).filter(|part| part.len() >= 16) {
            assert!(!detail.contains(part), "{}: {detail}", case.what);
        }
        assert!(refused.facts.kid.as_ref().is_none_or(|kid| kid.len() <= 256), "{}", case.what);
        assert!(refused.facts.alg.as_ref().is_none_or(|alg| alg.chars().count() <= 32), "{}", case.what);
    }
}

fn head(field: &[u8]) -> RequestHead<'_> {
    let (authorization, proof) = (SingletonField::One(field), SingletonField::Absent);
    RequestHead { method: "POST", path: Some("/send"), authorization, proof, certificate: None, fields: None }
}

/// An explanation walks through the checks by itself, and must come to the reason that the proxy gives.
#[test]
fn explanations_agree_with_the_decision_and_show_no_part_of_the_token() {
    let world = world();
    for case in cases() {
        let explanation = explain(&world, &head(&case.field), UnixTime::from_secs(NOW), None);
        let found = match explanation.refusing().map(|check| check.outcome) {
            Some(Outcome::Refused(reason)) => reason.as_str().to_owned(),
            _ => format!("-> {}", explanation.checks.last().expect("a check").found.trim_matches('\'')),
        };
        // A long name is shown cut.
        let cut = found.strip_suffix("...").is_some_and(|found| case.expected.starts_with(found));
        assert!(cut || found == case.expected, "{} ({}): {found}, not {}", case.what, case.source, case.expected);
        let mut said = Vec::new();
        terminal::write(&explanation, Colour::Never, &mut said).expect("memory");
        machine::write(&explanation, &mut said).expect("memory");
        let said = String::from_utf8(said).expect("text");
        assert!(said.bytes().all(|byte| byte == b'\n' || matches!(byte, 0x20..=0x7e)), "{}: {said}", case.what);
        let field = String::from_utf8_lossy(&case.field);
        for part in field.split(['.', ' ']).filter(|part| part.len() >= 16) {
            assert!(!said.contains(part), "{}: {said}", case.what);
        }
    }
}
