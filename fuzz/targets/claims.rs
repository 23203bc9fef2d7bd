//! What a token says once its signature holds: header, payload and a signature that is always good. The input is a payload, or
//! a header and a payload with a NUL between them.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;

mod judge;
#[path = "../../tests/verifier/properties/naive.rs"]
#[allow(dead_code)]
mod naive;

use judge::{PAIR, judge};
use naive::Naive;

fuzz_target!(|data: &[u8]| {
    let mut halves = data.splitn(2, |byte| *byte == 0);
    let (first, second) = (halves.next().unwrap_or_default(), halves.next());
    let (header, payload) = second.map_or((&br#"{"alg":"EdDSA"}"#[..], first), |payload| (first, payload));
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let field = format!("Bearer {input}.{}", URL_SAFE_NO_PAD.encode(PAIR.sign(input.as_bytes())));
    if let Some(accepted) = judge(field.as_bytes()) {
        acceptable(payload, accepted.identity.caller());
    }
});

/// What is accepted says, in plain words, what it must.
fn acceptable(payload: &[u8], caller: &str) {
    let claims = naive::object(payload).expect("an object");
    let find = |name: &str| claims.iter().find(|(member, _)| member == name).map(|(_, value)| value);
    let text = |name: &str| match find(name) {
        Some(Naive::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let number = |name: &str| match find(name) {
        Some(Naive::Number(number)) => Some(number.parse::<f64>().expect("a number")),
        None => None,
        Some(_) => panic!("{name} is no number"),
    };
    let now = 1_767_225_600.0;
    assert!(number("exp").expect("an exp") > now - 30.0);
    assert!(number("nbf").unwrap_or_default() <= now + 30.0 && number("iat").unwrap_or_default() <= now + 30.0);

    let sub = text("sub").expect("a sub");
    assert!(!caller.is_empty() && caller.bytes().all(|byte| byte.is_ascii_graphic() && !b",;\"'\\".contains(&byte)));
    match text("iss").expect("an iss") {
        "a" => assert!(sub == caller && sub != "gone"),
        "b" => {
            assert_eq!(sub, caller);
            assert!(text("s") == Some("x") && find("t") == Some(&Naive::Number("1".into())));
            let (iat, exp) = (number("iat").expect("an iat"), number("exp").expect("an exp"));
            assert!(exp - iat <= 600.0 && iat > now - 630.0);
        }
        "c" => assert_eq!(sub, format!("ns:{}", caller.replacen('/', ":", 1))),
        other => panic!("{other} has no such key"),
    }
    assert_ne!(text("jti"), Some("leaked"));
    assert!(matches!(find("jti"), None | Some(Naive::String(_))));
    let mail = |value: &Naive| *value == Naive::String("mail".into());
    assert!(match find("aud") {
        Some(Naive::Array(names)) => names.iter().any(mail),
        Some(name) => mail(name),
        None => false,
    });
}
