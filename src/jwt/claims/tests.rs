use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::parse::Parts;
use super::*;
use crate::algorithm::Algorithm;
use crate::requirement::{EmptyListError, LEEWAY_MAX};

const NOW: u64 = 1_767_225_600;

fn asked() -> Requirement {
    Requirement::new("https://a.test".into(), vec!["mail".into(), "email".into()], vec![Algorithm::Es256])
        .expect("lists that are not empty")
        .with_leeway(Duration::from_secs(30))
}

/// Every check's name and refusal, for a token with this header member and these claims.
fn judge(asked: &Requirement, typ: &str, claims: &str) -> Vec<(&'static str, Option<Reason>)> {
    findings(asked, typ, claims).into_iter().map(|finding| (finding.check, finding.refused)).collect()
}

fn findings(asked: &Requirement, typ: &str, claims: &str) -> Vec<Finding> {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let text = format!("{}.{}.", encode(&format!(r#"{{"alg":"ES256"{typ}}}"#)), encode(claims));
    let parts = Parts::decode(&text).expect("three parts");
    let token = Unverified::parse(&parts).expect("two objects");
    let case = Case { asked, token: &token, now: UnixTime::from_secs(NOW) };
    CHECKS.iter().map(|check| check.explain(&case)).collect()
}

fn refusal(asked: &Requirement, check: &str, claims: &str) -> Option<Reason> {
    judge(asked, "", claims).into_iter().find(|(name, _)| *name == check).expect("a check of that name").1
}

fn good() -> String {
    format!(r#"{{"iss":"https://a.test","aud":"mail","sub":"b","iat":{},"exp":{},"jti":"1"}}"#, NOW - 10, NOW + 290)
}

#[test]
fn a_good_token_passes_every_check() {
    for (check, refused) in judge(&asked(), "", &good()) {
        assert_eq!(refused, None, "{check}");
    }
}

#[test]
fn an_empty_token_is_refused_for_what_is_always_required() {
    let refused: Vec<_> = judge(&asked(), "", "{}").into_iter().filter(|(_, refused)| refused.is_some()).collect();
    let missing = Some(Reason::ClaimMissing);
    assert_eq!(refused, [("iss", missing), ("aud", missing), ("exp", missing)]);
}

#[test]
fn what_every_check_judges_is_also_what_it_says() {
    let findings = findings(&asked(), r#","typ":"x""#, r#"{"iss":5,"aud":["a",1],"exp":"soon","sub":[],"jti":{}}"#);
    let said = |name: &str| {
        let finding = findings.iter().find(|finding| finding.check == name).expect("a check of that name");
        format!("{} / {}", finding.wanted, finding.found)
    };
    assert_eq!(said("iss"), "'https://a.test' / 5");
    assert_eq!(said("typ"), "jwt or at+jwt, or missing / 'x'");
    assert_eq!(said("aud"), "'mail' or 'email', alone or in a list of strings / ['a', 1]");
    assert_eq!(said("exp"), "in seconds since 1970, and later than 2025-12-31T23:59:30Z (now less 30s) / 'soon'");
    assert_eq!(said("sub"), "missing, or a string / []");
    assert_eq!(said("jti"), "a string, if any / an object");
    assert_eq!(said("nbf").rsplit_once(" / ").expect("both").1, "missing");
}

#[test]
fn a_refusal_says_what_was_found_and_what_was_wanted() {
    let text = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#), URL_SAFE_NO_PAD.encode(good()));
    let parts = Parts::decode(&text).expect("three parts");
    let token = Unverified::parse(&parts).expect("two objects");
    let asked = asked();
    let later = Case { asked: &asked, token: &token, now: UnixTime::from_secs(NOW + 3890) };
    let refusal = CHECKS.iter().find_map(|check| check.pass(&later).err()).expect("it has expired");
    assert_eq!(refusal.reason(), Reason::TokenExpired);
    assert_eq!(
        refusal.detail(),
        "exp is 2026-01-01T00:04:50Z, 1h ago; it must be in seconds since 1970, and later than \
         2026-01-01T01:04:20Z (now less 30s)"
    );
}

#[test]
fn a_bound_token_says_how_it_is_bound_and_is_refused() {
    let said = |cnf: &str| {
        let payload = good().replacen('{', &format!(r#"{{"cnf":{cnf},"#), 1);
        let text = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#), URL_SAFE_NO_PAD.encode(payload));
        let parts = Parts::decode(&text).expect("three parts");
        let token = Unverified::parse(&parts).expect("two objects");
        let case = Case { asked: &asked(), token: &token, now: UnixTime::from_secs(NOW) };
        let refusal = CHECKS.iter().find_map(|check| check.pass(&case).err()).expect("it is bound");
        assert_eq!(refusal.reason(), Reason::TokenBound);
        let (_, found) = refusal.detail().split_once("accepted here: ").expect("what is found");
        found.to_owned()
    };
    assert_eq!(said(r#"{"jkt":"abc"}"#), "cnf is an object with 'jkt'; it must be missing");
    assert_eq!(
        said(r#"{"x5t#S256":"abc","a\"b":1,"c":2,"d":3}"#),
        "cnf is an object with 'x5t#S256', 'a?b', 'c'; it must be missing"
    );
    assert_eq!(said("{}"), "cnf is an object; it must be missing");
    assert_eq!(said("null"), "cnf is null; it must be missing");
}

#[test]
fn times_are_numbers_of_seconds_from_1970_to_9999() {
    let exp = |value: &str| refusal(&asked(), "exp", &format!(r#"{{"exp":{value}}}"#));
    for good in ["1767225601", "1767225600.5", "1e10", "253402300799", "253402300799.0"] {
        assert_eq!(exp(good), None, "{good}");
    }
    for expired in ["0", "-0", "-0.0", "0.5", "1767225570", "1767225570.999"] {
        assert_eq!(exp(expired), Some(Reason::TokenExpired), "{expired}");
    }
    for bad in
        ["-1", "-0.5", "253402300800", "253402300799.5", "1767225890000", "9007199254740993", "1e300", "\"1\"", "null"]
    {
        assert_eq!(exp(bad), Some(Reason::ClaimInvalid), "{bad}");
    }
}

/// It was accepted while only the rounded value was looked at: a fraction above -1 rounds up to zero.
#[test]
fn negative_fraction_is_no_time() {
    for claim in ["nbf", "iat"] {
        assert_eq!(refusal(&asked(), claim, &format!(r#"{{"{claim}":-0.5}}"#)), Some(Reason::ClaimInvalid));
        assert_eq!(refusal(&asked(), claim, &format!(r#"{{"{claim}":0.5}}"#)), None);
    }
}

#[test]
fn leeway_moves_both_edges_by_the_same() {
    let at = |claim: &str, time: u64| refusal(&asked(), claim, &format!(r#"{{"{claim}":{time}}}"#));
    assert_eq!(at("exp", NOW - 29), None);
    assert_eq!(at("exp", NOW - 30), Some(Reason::TokenExpired));
    for claim in ["nbf", "iat"] {
        assert_eq!(at(claim, NOW + 30), None);
        assert_eq!(at(claim, NOW + 31), Some(Reason::TokenNotYetValid));
    }
    let exact = asked().with_leeway(Duration::ZERO);
    assert_eq!(refusal(&exact, "exp", &format!(r#"{{"exp":{}}}"#, NOW + 1)), None);
    assert_eq!(refusal(&exact, "exp", &format!(r#"{{"exp":{NOW}}}"#)), Some(Reason::TokenExpired), "on exp it is over");
    assert_eq!(refusal(&exact, "nbf", &format!(r#"{{"nbf":{NOW}}}"#)), None, "on nbf it begins");
}

#[test]
fn lifetime_and_age_are_only_limited_if_configured() {
    let long = format!(r#"{{"iat":1,"exp":{}}}"#, NOW + 10);
    assert_eq!(refusal(&asked(), "lifetime", &long), None);
    assert_eq!(refusal(&asked(), "age", &long), None);
    let limited = asked().with_max_lifetime(Duration::from_secs(600)).with_max_age(Duration::from_secs(300));
    assert_eq!(refusal(&limited, "lifetime", &long), Some(Reason::LifetimeExceeded));
    assert_eq!(refusal(&limited, "age", &long), Some(Reason::TokenExpired));
    let without = format!(r#"{{"exp":{}}}"#, NOW + 10);
    assert_eq!(refusal(&limited, "lifetime", &without), Some(Reason::ClaimMissing));
    assert_eq!(refusal(&limited, "age", &without), Some(Reason::ClaimMissing));
    assert_eq!(refusal(&limited, "lifetime", &good()), None);
    assert_eq!(refusal(&limited, "age", &good()), None);
}

#[test]
fn type_is_compared_as_a_media_type() {
    let typ = |asked: &Requirement, typ: &str| judge(asked, typ, &good())[1];
    let (accepted, refused) = (("typ", None), ("typ", Some(Reason::TypeRefused)));
    for good in ["", r#","typ":"JWT""#, r#","typ":"jwt""#, r#","typ":"application/jwt""#, r#","typ":"AT+jwt""#] {
        assert_eq!(typ(&asked(), good), accepted, "{good}");
    }
    for bad in [r#","typ":"logout+jwt""#, r#","typ":"""#, r#","typ":"application/""#, r#","typ":"jwt ""#] {
        assert_eq!(typ(&asked(), bad), refused, "{bad}");
    }
    let narrow = asked().with_types(&["application/AT+JWT".to_owned()]);
    assert_eq!(typ(&narrow, r#","typ":"at+jwt""#), accepted);
    assert_eq!(typ(&narrow, r#","typ":"JWT""#), refused);
    assert_eq!(typ(&narrow, ""), refused, "who asks for a type asks that there is one");
}

#[test]
fn audience_is_any_of_ours_and_a_list_holds_only_strings() {
    let aud = |value: &str| refusal(&asked(), "aud", &format!(r#"{{"aud":{value}}}"#));
    for good in [r#""mail""#, r#""email""#, r#"["x","email"]"#] {
        assert_eq!(aud(good), None, "{good}");
    }
    for other in [r#""Mail""#, r#""""#, r#"["x"]"#, "[]", r#""mail email""#] {
        assert_eq!(aud(other), Some(Reason::AudienceMismatch), "{other}");
    }
    for bad in ["1", "null", "{}", r#"["mail",1]"#, r#"[["mail"]]"#] {
        assert_eq!(aud(bad), Some(Reason::ClaimInvalid), "{bad}");
    }
}

/// They were accepted: a deny-list that names them as strings would have missed them.
#[test]
fn sub_and_jti_that_are_no_strings_are_refused() {
    for claim in ["sub", "jti"] {
        for bad in ["1", "null", "true", "[]", r#"["a"]"#, "{}"] {
            assert_eq!(refusal(&asked(), claim, &format!(r#"{{"{claim}":{bad}}}"#)), Some(Reason::ClaimInvalid));
        }
        assert_eq!(refusal(&asked(), claim, &format!(r#"{{"{claim}":"a"}}"#)), None);
        assert_eq!(refusal(&asked(), claim, "{}"), None);
    }
}

#[test]
fn required_claims_have_exactly_their_value_and_type() {
    let wanted = [("s", Exact::String("1".into())), ("i", Exact::Integer(-1)), ("b", Exact::Bool(false))];
    let asked = asked().with_required(wanted.map(|(name, value)| (name.to_owned(), value)).to_vec());
    let required = |claims: &str| refusal(&asked, "required claims", claims);
    assert_eq!(required(r#"{"s":"1","i":-1,"b":false}"#), None);
    assert_eq!(required(r#"{"s":"1","i":-1}"#), Some(Reason::ClaimMissing));
    for other in [
        r#""s":1,"i":-1,"b":false"#,
        r#""s":"1","i":-1.0,"b":false"#,
        r#""s":"1","i":"-1","b":false"#,
        r#""s":"1","i":-1,"b":0"#,
    ] {
        assert_eq!(required(&format!("{{{other}}}")), Some(Reason::ClaimInvalid), "{other}");
    }
}

#[test]
fn a_requirement_is_never_empty() {
    let new = |issuer: &str, audiences: &[&str], algorithms: &[Algorithm]| {
        let audiences = audiences.iter().map(|&name| name.to_owned()).collect();
        Requirement::new(issuer.into(), audiences, algorithms.to_vec()).map(|_| ()).map_err(|EmptyListError(list)| list)
    };
    assert_eq!(new("i", &["a"], &[Algorithm::Es256]), Ok(()));
    assert_eq!(new("", &["a"], &[Algorithm::Es256]), Err("issuer"));
    assert_eq!(new("i", &[], &[Algorithm::Es256]), Err("audiences"));
    assert_eq!(new("i", &["a", ""], &[Algorithm::Es256]), Err("audiences"));
    assert_eq!(new("i", &["a"], &[]), Err("algorithms"));
    assert_eq!(asked().with_leeway(Duration::from_secs(86_400)).leeway(), LEEWAY_MAX);
}
