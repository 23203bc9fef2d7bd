//! The good token in forms that are none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::probe::attempt::{Class, Sink, Weight};
use crate::probe::target::GoodToken;

/// The good token in forms that are none of a compact serialization in a `Bearer` credential.
pub(super) fn cases(good: &GoodToken, sink: &mut Sink) {
    let [header, claims, signature] = &good.parts;
    let text = &good.text;
    let (class, lenient) = (Class::Form, Weight::Leniency);
    let parts = [
        ("two parts", format!("{header}.{claims}")),
        ("header and signature", format!("{header}.{signature}")),
        ("one part", header.clone()),
        ("no header", format!(".{claims}.{signature}")),
        ("no claims", format!("{header}..{signature}")),
        ("two periods alone", "..".to_owned()),
        ("parts in another order", format!("{claims}.{header}.{signature}")),
    ];
    for (what, token) in parts {
        sink.token(class, "RFC 7515 3.1", what.into(), Weight::Bypass, &token);
    }
    let parts = [
        ("a fourth part", format!("{text}.{signature}")),
        ("a fourth part that is empty", format!("{text}.")),
        ("five parts", format!("{text}.{claims}.{signature}")),
        ("a period before it", format!(".{text}")),
        ("two periods between its parts", format!("{header}..{claims}..{signature}")),
        ("twice, with a period between", format!("{text}.{text}")),
    ];
    for (what, token) in parts {
        sink.token(class, "RFC 7515 3.1", what.into(), lenient, &token);
    }
    let spaced = |by: &str| format!("{header}.{claims}{by}.{signature}");
    let encodings = [
        ("padding behind the header", format!("{header}=.{claims}.{signature}")),
        ("padding behind the claims", format!("{header}.{claims}=.{signature}")),
        ("padding behind the signature", format!("{text}==")),
        ("one sign of padding behind the signature", format!("{text}=")),
        ("a space before a period", spaced(" ")),
        ("a tab before a period", spaced("\t")),
        ("a percent sign for a period", text.replacen('.', "%2E", 1)),
        ("a line's end as an escape", format!("{text}%0A")),
        ("in quotes", format!("\"{text}\"")),
        ("a comma behind it", format!("{text},")),
        ("a semicolon behind it", format!("{text};")),
        ("a parameter behind it", format!("{text}, realm=\"x\"")),
        ("a second token behind a space", format!("{text} {text}")),
        ("a second token behind a comma", format!("{text}, {text}")),
        ("another scheme behind a comma", format!("{text}, Basic eDp5")),
        ("another character behind it", format!("{text}!")),
    ];
    for (what, token) in encodings {
        sink.token(class, "RFC 7515 2", what.into(), lenient, &token);
    }
    if let Some(other) = other_spelling(signature, good.signature.len()) {
        let what = "unused bits of the signature's last character are set".into();
        sink.token(class, "RFC 4648 3.5", what, lenient, &format!("{header}.{claims}.{other}"));
    }
    let standard = STANDARD_NO_PAD.encode(&good.signature);
    if standard != *signature {
        let what = "the signature in plain base64".into();
        sink.token(class, "RFC 7515 2", what, lenient, &format!("{header}.{claims}.{standard}"));
    }
    for (what, more) in [("NUL", 0), ("a control character", 1), ("DEL", 0x7f), ("a byte beyond ASCII", 0xa0)] {
        let field = [format!("Bearer {text}").as_bytes(), &[more]].concat();
        sink.field(class, "RFC 9110 5.5", format!("{what} behind it"), lenient, field);
    }
    let json = format!("{{\"payload\":\"{claims}\",\"protected\":\"{header}\",\"signature\":\"{signature}\"}}");
    sink.token(class, "RFC 7515 7.2.2", "the flattened JSON serialization".into(), lenient, &json);
    let signature = format!("[{{\"protected\":\"{header}\",\"signature\":\"{signature}\"}}]");
    let json = format!("{{\"payload\":\"{claims}\",\"signatures\":{signature}}}");
    sink.token(class, "RFC 7515 7.2.1", "the general JSON serialization".into(), lenient, &json);
    let schemes =
        ["", "Token ", "JWT ", "Basic ", "DPoP ", "OAuth ", "Bearer:", "Bearer=", "Bearer,", "Bearer Bearer "];
    for scheme in schemes {
        let what = format!("the scheme is {scheme:?}");
        sink.field(class, "RFC 6750 2.1", what, lenient, format!("{scheme}{text}").into_bytes());
    }
    for (what, size) in [("16 KiB", 16), ("60 KiB", 60)] {
        let token = format!("{header}.{claims}.{}", "A".repeat(size * 1024));
        sink.token(class, "own", format!("a signature of {what}"), Weight::Bypass, &token);
    }
}

/// Other characters that decode to the same bytes: the last one has bits that mean nothing.
fn other_spelling(part: &str, length: usize) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = part.chars().last().filter(|_| !length.is_multiple_of(3))?;
    let next = ALPHABET.chars().nth(ALPHABET.find(last)? + 1)?;
    Some(format!("{}{next}", part.strip_suffix(last)?))
}
