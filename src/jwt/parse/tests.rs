use super::*;
use crate::algorithm::Algorithm;
use crate::json::{DEPTH_MAX, MEMBERS_MAX};

fn encode(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn token(header: &str, claims: &str) -> String {
    format!("{}.{}.c2ln", encode(header), encode(claims))
}

fn reason(token: &str) -> Option<Reason> {
    let parts = match Parts::decode(token) {
        Ok(parts) => parts,
        Err(rejection) => return Some(rejection.reason()),
    };
    Unverified::parse(&parts).err().map(|rejection| rejection.reason())
}

fn detail(token: &str) -> String {
    let parts = match Parts::decode(token) {
        Ok(parts) => parts,
        Err(rejection) => return rejection.detail().to_owned(),
    };
    Unverified::parse(&parts).err().map(|rejection| rejection.detail().to_owned()).unwrap_or_default()
}

#[test]
fn a_well_formed_token_is_taken_apart() {
    let text = token(r#"{"alg":"ES256","kid":"k\u0031","typ":"JWT","x":[1]}"#, r#"{"iss":"a"}"#);
    let parts = Parts::decode(&text).expect("three parts");
    let token = Unverified::parse(&parts).expect("two objects");
    assert_eq!(token.alg(), "ES256");
    assert_eq!(token.kid(), Some("k1"));
    assert_eq!(token.header.typ.as_deref(), Some("JWT"));
    assert_eq!(token.signature, "c2ln");
    assert_eq!(token.signing_input, text.rsplit_once('.').expect("a period").0, "what was signed is what was sent");
}

#[test]
fn kid_and_typ_may_be_missing_and_alg_may_not() {
    let text = token(r#"{"alg":"ES256"}"#, "{}");
    let parts = Parts::decode(&text).expect("three parts");
    let unverified = Unverified::parse(&parts).expect("two objects");
    assert_eq!((unverified.kid(), unverified.header.typ.as_deref()), (None, None));
    assert_eq!(reason(&token("{}", "{}")), Some(Reason::TokenMalformed));
}

#[test]
fn other_numbers_of_parts_are_refused_and_encryption_is_called_by_its_name() {
    for text in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e.f", "....."] {
        assert_eq!(reason(text), Some(Reason::TokenMalformed), "{text}");
    }
    assert!(detail("a.b.c.d").contains("4 parts"), "{}", detail("a.b.c.d"));
    assert!(detail("a.b.c.d.e").contains("encrypted"), "{}", detail("a.b.c.d.e"));
}

#[test]
fn the_refusal_names_the_part_that_is_not_base64url() {
    let [header, payload] = [encode(r#"{"alg":"ES256"}"#), encode("{}")];
    for (text, part) in [
        (format!("{header}=.{payload}.c2ln"), "header"),
        (format!("{header}.{payload}=.c2ln"), "payload"),
        (format!("{header}.{payload}.c2lnA"), "signature"),
        (format!("{header}.{payload}.c2lo+"), "signature"),
    ] {
        assert_eq!(reason(&text), Some(Reason::TokenMalformed), "{text}");
        assert!(detail(&text).contains(part), "{}", detail(&text));
    }
    assert_eq!(reason(&format!("{header}.{payload}.")), None, "an empty signature is well formed, and proves nothing");
}

#[test]
fn one_meaning_has_one_spelling() {
    let payload = encode("{}");
    assert_eq!(payload, "e30");
    assert_eq!(reason(&format!("{}.e30.c2ln", encode(r#"{"alg":"ES256"}"#))), None);
    assert_eq!(reason(&format!("{}.e31.c2ln", encode(r#"{"alg":"ES256"}"#))), Some(Reason::TokenMalformed));
}

#[test]
fn header_of_a_few_bytes_too_many_is_refused() {
    let header = |length: usize| {
        let empty = r#"{"alg":"ES256","x":""}"#.len();
        token(&format!(r#"{{"alg":"ES256","x":"{}"}}"#, "x".repeat(length - empty)), "{}")
    };
    assert_eq!(reason(&header(HEADER_MAX)), None);
    for length in HEADER_MAX + 1..HEADER_MAX + 6 {
        assert_eq!(reason(&header(length)), Some(Reason::TokenMalformed), "{length}");
    }
}

#[test]
fn any_critical_extension_is_refused_whatever_it_says() {
    for crit in [r#""crit":["x"],"x":1"#, r#""crit":[]"#, r#""crit":null"#, r#""b64":true"#, r#""b64":false"#] {
        let text = token(&format!(r#"{{"alg":"ES256",{crit}}}"#), "{}");
        assert_eq!(reason(&text), Some(Reason::CriticalHeaderUnsupported), "{crit}");
    }
    assert_eq!(reason(&token(r#"{"alg":"ES256","Crit":["x"]}"#, "{}")), None, "member names are case-sensitive");
}

#[test]
fn members_of_encryption_are_refused() {
    for member in [r#""zip":"DEF""#, r#""enc":"A128GCM""#] {
        let text = token(&format!(r#"{{"alg":"ES256",{member}}}"#), "{}");
        assert_eq!(reason(&text), Some(Reason::TokenMalformed), "{member}");
    }
}

#[test]
fn header_members_of_another_type_are_refused_with_their_type() {
    for member in ["alg", "kid", "typ"] {
        for (value, type_name) in
            [("1", "a number"), ("null", "null"), ("[]", "an array"), ("{}", "an object"), ("true", "a boolean")]
        {
            let rest = if member == "alg" { "" } else { r#","alg":"ES256""# };
            let text = token(&format!(r#"{{"{member}":{value}{rest}}}"#), "{}");
            assert_eq!(reason(&text), Some(Reason::TokenMalformed));
            assert!(detail(&text).contains(member) && detail(&text).contains(type_name), "{}", detail(&text));
        }
    }
}

#[test]
fn kid_is_bounded() {
    let kid = |length: usize| token(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(length)), "{}");
    assert_eq!(reason(&kid(KID_MAX)), None);
    assert_eq!(reason(&kid(KID_MAX + 1)), Some(Reason::TokenMalformed));
}

#[test]
fn json_that_is_not_strict_is_refused_with_its_cause_and_its_part() {
    let header = r#"{"alg":"ES256"}"#;
    for (text, words) in [
        (token(r#"{"alg":"none","alg":"ES256"}"#, "{}"), "header is refused: a member name appears twice"),
        (token(header, r#"{"iss":"a","\u0069ss":"b"}"#), "payload is refused: a member name appears twice"),
        (token(header, "[]"), "not a JSON object"),
        (token(header, "\u{feff}{}"), "byte order mark"),
        (token(header, "{} "), ""),
        (token(header, "{}{}"), "not valid JSON"),
        (token(header, &format!("{}1{}", r#"{"a":"#.repeat(13), "}".repeat(13))), &format!("{DEPTH_MAX} levels")),
        (
            token(
                header,
                &format!("{{{}}}", (0..=MEMBERS_MAX).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(",")),
            ),
            &format!("{MEMBERS_MAX} members"),
        ),
    ] {
        assert!(detail(&text).contains(words), "{}: {words}", detail(&text));
        assert_eq!(reason(&text).is_none(), words.is_empty(), "{words}");
    }
}

#[test]
fn the_issuer_is_matched_exactly_and_shown_only_where_it_is_unknown() {
    let matched = |claims: &str| -> Result<_, Rejection> {
        let text = token(r#"{"alg":"ES256"}"#, claims);
        let parts = Parts::decode(&text).expect("three parts");
        let token = Unverified::parse(&parts).expect("two objects");
        let lists = || (vec!["mail".to_owned()], vec![Algorithm::Es256]);
        let by_name = |name: &str| Requirement::new(name.into(), lists().0, lists().1).expect("lists");
        let domain = Requirement::of_trust_domain("a.test", lists().0, lists().1).expect("lists");
        let trusted = PerIssuer::from(vec![by_name("https://a.test"), by_name("https://b.test"), domain]);
        let index = token.match_issuer(&trusted, |asked| asked)?;
        Ok(trusted.get(index).map(|asked| asked.issuer().to_owned()))
    };
    assert_eq!(matched(r#"{"iss":"https://a.test"}"#), Ok(Some("https://a.test".into())));
    assert_eq!(matched(r#"{"iss":"https://b.test"}"#), Ok(Some("https://b.test".into())));
    for claims in [
        r#"{"sub":"spiffe://a.test/billing"}"#,
        r#"{"sub":"spiffe://a.test"}"#,
        r#"{"sub":"spiffe://a.test/billing","iss":"https://eve.test"}"#,
        r#"{"sub":"spiffe://a.test/billing","iss":"https://b.test"}"#,
        r#"{"sub":"spiffe://a.test/billing","iss":5}"#,
    ] {
        assert_eq!(matched(claims), Ok(Some("spiffe://a.test".into())), "{claims}: iss decides nothing");
    }
    for sub in
        ["spiffe://b.test/billing", "SPIFFE://a.test/billing", "spiffe://A.test/billing", "https://a.test/billing"]
    {
        let named = format!(r#"{{"sub":"{sub}","iss":"https://b.test"}}"#);
        assert_eq!(matched(&named), Ok(Some("https://b.test".into())), "{sub}");
    }
    for (claims, wanted) in [
        (r#"{"iss":"https://eve.test"}"#, Reason::IssuerUntrusted),
        (r#"{"iss":"https://a.test/"}"#, Reason::IssuerUntrusted),
        (r#"{"iss":""}"#, Reason::IssuerUntrusted),
        (r#"{"iss":["https://a.test"]}"#, Reason::ClaimInvalid),
        (r#"{"iss":null}"#, Reason::ClaimInvalid),
        (r#"{"sub":"spiffe://b.test/billing"}"#, Reason::IssuerUntrusted),
        (r#"{"sub":"spiffe://a.test:443/billing"}"#, Reason::IssuerUntrusted),
        (r#"{"sub":"spiffe://x@a.test/billing"}"#, Reason::IssuerUntrusted),
        (r#"{"sub":"spiffe://a.test.eve.test/billing"}"#, Reason::IssuerUntrusted),
        (r#"{"sub":"Spiffe://a.test/billing"}"#, Reason::ClaimMissing),
        (r#"{"iss":"spiffe://a.test"}"#, Reason::IssuerUntrusted),
        ("{}", Reason::ClaimMissing),
    ] {
        let rejection = matched(claims).expect_err("nobody is trusted by this");
        assert_eq!(rejection.reason(), wanted, "{claims}");
        let is_shown = rejection.detail().contains(".test");
        assert_eq!(is_shown, wanted == Reason::IssuerUntrusted && claims.contains(".test"), "{}", rejection.detail());
    }
}
