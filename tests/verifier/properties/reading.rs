//! The strict reader and the naive one of the tests agree: on what is JSON, on what it says, and on what is a token.

use callgate::json::Object;
use callgate::jwt::parse::{Parts, Unverified};
use proptest::prelude::*;

use super::naive;
use testkit::signing::encode;

/// Texts that are JSON, nearly JSON, or no JSON.
fn text() -> impl Strategy<Value = String> {
    let scraps = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\\u",
        "\\ud83d",
        "\\ude00",
        "\\u0061",
        "\\n",
        " ",
        "\n",
        "\t",
        "\u{feff}",
        "\u{a0}",
        "true",
        "false",
        "null",
        "tru",
        "NaN",
        "0",
        "-0",
        "1",
        "-1",
        "01",
        "1.",
        ".5",
        "1.5",
        "1e5",
        "1E+2",
        "1e400",
        "1e-400",
        "-",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "\"a\"",
        "\"iss\"",
        "\"\\u0069ss\"",
        "\"a\":",
        "\"a\":1",
        "{}",
        "[]",
        "\u{0}",
        "\u{1f}",
        "é",
        "\u{1f600}",
        "'",
        "//",
        "/**/",
    ];
    prop::collection::vec(prop::sample::select(scraps.to_vec()), 0..14).prop_map(|scraps| scraps.concat())
}

/// A JSON value, and now and then a member that is already there.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<u64>().prop_map(|value| value.to_string()),
        any::<f64>()
            .prop_filter("JSON has no others", |value| value.is_finite())
            .prop_map(|value| format!("{value:e}")),
        "[0-9]{1,25}(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?",
        string(),
    ];
    leaf.prop_recursive(16, 48, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = prop_oneof![3 => string(), 1 => "\"[ab]\"", 1 => Just("\"\\u0061\"".to_owned())];
    let member = (name, value).prop_map(|(name, value)| format!("{name}:{value}"));
    prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(" , ")))
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -!#-\\[\\]-~é]{0,6}",
        1 => "\\\\u[0-9a-fA-F]{4}",
        1 => Just("\\ud83d\\ude00".to_owned()),
        1 => "\\\\[\"\\\\/bfnrt]",
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn agree(text: &[u8]) -> Result<(), TestCaseError> {
    let (strict, naive) = (Object::parse(text), naive::object(text));
    match (&strict, &naive) {
        (Ok(strict), Some(naive)) => prop_assert!(naive::same_members(naive, strict), "{strict:?} {naive:?}"),
        (Err(_), None) => {}
        _ => prop_assert!(false, "{}: {strict:?} {naive:?}", String::from_utf8_lossy(text)),
    }
    Ok(())
}

proptest! {
    #![proptest_config(super::cases(2000))]

    #[test]
    fn they_agree_on_scraps(text in text()) {
        agree(text.as_bytes())?;
        agree(format!("{{\"a\":{text}}}").as_bytes())?;
    }

    #[test]
    fn they_agree_on_objects(text in object(value())) {
        agree(text.as_bytes())?;
    }

    #[test]
    fn they_agree_on_objects_with_a_byte_changed(text in object(value()), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = text.into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        agree(&text)?;
    }

    #[test]
    fn they_agree_on_nesting(depth in 1..20_usize, list in any::<bool>()) {
        let (open, close) = if list { ("[", "]") } else { ("{\"a\":", "}") };
        agree(format!("{{\"x\":{}0{}}}", open.repeat(depth), close.repeat(depth)).as_bytes())?;
    }

    #[test]
    fn they_agree_on_tokens(
        header in prop_oneof![object(value()), Just(r#"{"alg":"ES256"}"#.to_owned()), Just(r#"{"alg":"ES256","kid":1}"#.to_owned())],
        payload in prop_oneof![object(value()), text()],
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[A-Za-z0-9_.=+/-]"), 0..2),
    ) {
        let mut token = format!("{}.{}.{}", encode(header), encode(payload), encode("signature"));
        for (at, letter) in changes {
            let at = at.index(token.len());
            token.replace_range(at..=at, &letter);
        }
        let strict = Parts::decode(&token);
        let strict = strict.as_ref().is_ok_and(|parts| Unverified::parse(parts).is_ok());
        prop_assert_eq!(strict, naive::token(&token).is_some(), "{}", token);
    }
}

#[test]
fn they_agree_on_the_odd_ones() {
    for text in [
        "",
        " ",
        "{}",
        "{}\u{feff}",
        "\u{feff}{}",
        "{\"a\":-}",
        "{\"a\":-0}",
        "{\"a\":1e308}",
        "{\"a\":1e309}",
        "{\"a\":\"\\ud800\"}",
        "{\"\":0}",
        "{\"a\":0,\"\\u0061\":0}",
        "{\"a\":\"\u{7f}\"}",
        "{\"a\":\"\\u0000\"}",
        "{,}",
        "{\"a\":1,}",
        "[{}]",
        "{\"a\" : [ ] }",
    ] {
        assert!(agree(text.as_bytes()).is_ok(), "{text}");
    }
    assert!(agree(b"{\"a\":\"\xc0\xaf\"}").is_ok());
}
