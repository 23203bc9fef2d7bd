use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);

const TOKEN: Credential<'static> =
    Credential { issuer: "https://a.test", jti: Some("t1"), kids: [Some("k1"), None], sub: Some("billing") };

fn revokes(text: &str, credential: &Credential<'_>) -> Option<Member> {
    DenyList::parse(text.as_bytes()).expect("a list").revokes(credential, NOW)
}

#[test]
fn a_token_is_revoked_by_its_id_its_key_or_its_subject() {
    for (text, by) in [
        (r#"{"jti":"t1"}"#, Some(Member::Jti)),
        (r#"{"kid":"k1"}"#, Some(Member::Kid)),
        (r#"{"sub":"billing"}"#, Some(Member::Sub)),
        (r#"{"jti":"t2"}"#, None),
        (r#"{"jti":"T1"}"#, None),
        (r#"{"jti":"t1 "}"#, None),
        (r#"{"jti":"k1"}"#, None),
        (r#"{"kid":"t1"}"#, None),
        (r#"{"sub":"bill"}"#, None),
        ("", None),
    ] {
        assert_eq!(revokes(text, &TOKEN), by, "{text}");
    }
}

#[test]
fn a_token_without_a_kid_is_revoked_by_the_key_that_verified_it() {
    let list = r#"{"kid":"k1"}"#;
    for (kids, by) in [
        ([Some("k1"), None], Some(Member::Kid)),
        ([None, Some("k1")], Some(Member::Kid)),
        ([Some("k2"), Some("k2")], None),
        ([None, None], None),
    ] {
        assert_eq!(revokes(list, &Credential { kids, ..TOKEN }), by, "{kids:?}");
    }
}

#[test]
fn an_entry_may_hold_for_one_issuer_only() {
    let other = Credential { issuer: "https://b.test", ..TOKEN };
    let list = r#"{"sub":"billing","issuer":"https://a.test"}"#;
    assert_eq!(revokes(list, &TOKEN), Some(Member::Sub));
    assert_eq!(revokes(list, &other), None);
    let both =
        "{\"sub\":\"billing\",\"issuer\":\"https://a.test\"}\n{\"sub\":\"billing\",\"issuer\":\"https://b.test\"}";
    assert_eq!(revokes(both, &other), Some(Member::Sub));
}

#[test]
fn an_entry_holds_until_its_time_and_not_then() {
    for (until, holds) in [
        ("1767225601", true),
        ("1767225600", false),
        ("\"2026-01-01T00:00:01Z\"", true),
        ("\"2026-01-01T00:00:00Z\"", false),
        ("\"2026-01-01T01:00:01+01:00\"", true),
        ("\"2026-01-01T01:00:00+01:00\"", false),
    ] {
        let by = revokes(&format!(r#"{{"jti":"t1","until":{until}}}"#), &TOKEN);
        assert_eq!(by.is_some(), holds, "{until}");
    }
    assert_eq!(
        revokes("{\"jti\":\"t1\",\"until\":1}\n{\"jti\":\"t1\"}", &TOKEN),
        Some(Member::Jti),
        "any entry counts"
    );
}

#[test]
fn comments_blank_lines_and_line_ends_say_nothing() {
    let list = DenyList::parse(b"# why\r\n\r\n  {\"jti\":\"t1\",\"note\":\"INC-1\"}\r\n\t# {\"jti\":\"t2\"}\n\n")
        .expect("a list");
    assert_eq!((list.len(), list.is_empty()), (1, false));
    assert_eq!(list.revokes(&TOKEN, NOW), Some(Member::Jti));
    assert!(DenyList::parse(b"").expect("an empty list").is_empty());
}

#[test]
fn a_text_with_one_bad_line_is_no_list() {
    let good = r#"{"jti":"t1"}"#;
    for (bad, why) in [
        ("{}", LineError::NotOneMember),
        (r#"{"note":"x"}"#, LineError::NotOneMember),
        (r#"{"jti":"a","kid":"b"}"#, LineError::NotOneMember),
        (r#"{"jti":5}"#, LineError::NotText("jti")),
        (r#"{"jti":""}"#, LineError::NotText("jti")),
        (r#"{"sub":["billing"]}"#, LineError::NotText("sub")),
        (r#"{"kid":null}"#, LineError::NotText("kid")),
        (r#"{"jti":"a","issuer":""}"#, LineError::NotText("issuer")),
        (r#"{"jti":"a","note":1}"#, LineError::NotText("note")),
        (r#"{"jti":"a","until":-1}"#, LineError::Time),
        (r#"{"jti":"a","until":1.5}"#, LineError::Time),
        (r#"{"jti":"a","until":1767225600000}"#, LineError::Time),
        (r#"{"jti":"a","until":"tomorrow"}"#, LineError::Time),
        (r#"{"jti":"a","until":null}"#, LineError::Time),
        (r#"{"jti":"a","Until":1}"#, LineError::UnknownMember),
        (r#"{"jwt":"a"}"#, LineError::UnknownMember),
        (r#"{"jti":"a","jti":"b"}"#, LineError::Malformed(JsonError::DuplicateMember)),
        (r#"["jti"]"#, LineError::Malformed(JsonError::NotAnObject)),
        (r#"{"jti":"a"} {"jti":"b"}"#, LineError::Malformed(JsonError::Json)),
        ("jti: a", LineError::Malformed(JsonError::Json)),
        ("// a", LineError::Malformed(JsonError::Json)),
        ("\u{feff}{}", LineError::Malformed(JsonError::Bom)),
    ] {
        let refused = DenyList::parse(format!("{good}\n\n{bad}\n{good}").as_bytes());
        assert_eq!(refused, Err(DenyListError { line: 3, why }), "{bad}");
    }
    let message =
        DenyList::parse(b"{\"jti\":\"secret\"}\n{\"jti\":\"secret\",\"x\":1}").expect_err("unknown").to_string();
    assert_eq!(message, "line 2 has an unknown member; allowed are jti, kid, sub, issuer, until and note");
}

#[test]
fn a_list_is_bounded() {
    let entries = |count: usize| (0..count).map(|n| format!("{{\"jti\":\"{n}\"}}\n")).collect::<String>();
    assert_eq!(DenyList::parse(entries(ENTRIES_MAX).as_bytes()).map(|list| list.len()), Ok(ENTRIES_MAX));
    let refused = DenyList::parse(entries(ENTRIES_MAX + 1).as_bytes());
    assert_eq!(refused, Err(DenyListError { line: ENTRIES_MAX + 1, why: LineError::TooMany }));
}

#[test]
fn a_slot_is_empty_until_a_list_is_published() {
    let slot = DenyListSlot::default();
    assert_eq!(slot.latest().revokes(&TOKEN, NOW), None);
    slot.publish(DenyList::parse(br#"{"jti":"t1"}"#).expect("a list"));
    assert_eq!(slot.latest().revokes(&TOKEN, NOW), Some(Member::Jti));
    slot.publish(DenyList::default());
    assert_eq!(slot.latest().revokes(&TOKEN, NOW), None);
}

#[test]
fn two_lists_together_revoke_what_either_does_and_nothing_else() {
    let list = |text: &str| DenyList::parse(text.as_bytes()).expect("a list");
    let one = list("{\"jti\":\"a\"}\n{\"sub\":\"s\",\"issuer\":\"i\"}\n");
    let other = list("{\"jti\":\"b\"}\n{\"jti\":\"a\"}\n{\"sub\":\"s\"}\n");
    let both = one.clone().and(&other);
    assert!(both.includes(&one) && both.includes(&other) && both.includes(&DenyList::default()));
    assert!(
        !one.includes(&other) && !other.includes(&one) && !one.includes(&both),
        "an entry for one issuer is not one for all"
    );
    assert_eq!(both.len(), 4, "what both have is there once");
    assert_eq!(both.clone().and(&one), both);
}
