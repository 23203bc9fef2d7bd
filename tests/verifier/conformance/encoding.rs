//! base64url and UTF-8: one meaning has one spelling (RFC 7515 §2, RFC 4648 §3.5), and what is not text is not guessed.

use super::{Case, case};
use testkit::signing::{encode, pair};
use testkit::token::{TokenSpec, token};

#[rustfmt::skip]
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("RFC 7515 2", "no padding", token(), "-> billing"),
        case("RFC 7515 2", "a header of 37 bytes", header_with_bytes_over(1), "-> billing"),
        case("RFC 7515 2", "a header of 38 bytes", header_with_bytes_over(2), "-> billing"),
        case("RFC 7515 2", "a header of 39 bytes", header_with_bytes_over(0), "-> billing"),
        case("RFC 7515 2", "the header padded", part(0, |p| p + "="), "token_malformed"),
        case("RFC 7515 2", "the payload padded", part(1, |p| p + "="), "token_malformed"),
        case("RFC 7515 2", "the signature padded", part(2, |p| p + "=="), "token_malformed"),
        case("RFC 7515 2", "the signature padded too much", part(2, |p| p + "===="), "token_malformed"),
        case("RFC 7515 2", "padding in the middle", part(1, |p| p.replacen('I', "=", 1)), "token_malformed"),
        case("RFC 4648 5", "the standard alphabet, plus", part(2, |p| format!("+{}", &p[1..])), "token_malformed"),
        case("RFC 4648 5", "the standard alphabet, slash", part(2, |p| format!("/{}", &p[1..])), "token_malformed"),
        case("RFC 4648 3.5", "stray bits in the signature", part(2, |p| stray_bits(&p)), "token_malformed"),
        case("RFC 4648 3.5", "stray bits in the header", stray_header(), "token_malformed"),
        case("RFC 9110 11.4", "a second space before", token().text(|t| format!(" {t}")), "-> billing"),
        case("RFC 4648 3.3", "a space after", token().text(|t| format!("{t} ")), "token_malformed"),
        case("RFC 4648 3.3", "a space in the header", part(0, |p| format!("{} {}", &p[..4], &p[4..])), "token_malformed"),
        case("RFC 4648 3.3", "a newline in the payload", part(1, |p| format!("{}\n{}", &p[..4], &p[4..])), "token_malformed"),
        case("RFC 4648 3.3", "a return and a newline after 64 characters", part(1, |p| format!("{}\r\n{}", &p[..64], &p[64..])), "token_malformed"),
        case("RFC 4648 3.3", "a tab in the signature", part(2, |p| format!("{}\t{}", &p[..4], &p[4..])), "token_malformed"),
        case("RFC 4648 3.3", "a newline at the end", token().text(|t| format!("{t}\n")), "token_malformed"),
        case("RFC 4648 3.3", "a NUL at the end", token().text(|t| format!("{t}\0")), "token_malformed"),
        case("RFC 4648 3.3", "a NUL in the signature", part(2, |p| format!("{}\0{}", &p[..4], &p[4..])), "token_malformed"),
        case("own", "the header, one character short", part(0, |p| p[..p.len() - 1].to_owned()), "token_malformed"),
        case("own", "a part of one character", part(2, |_| "A".into()), "token_malformed"),
        case("own", "a part of five characters", part(2, |_| "AAAAA".into()), "token_malformed"),
        case("own", "an escaped percent sign", part(2, |p| format!("%41{}", &p[1..])), "token_malformed"),
        case("own", "the periods percent-encoded", token().text(|t| t.replace('.', "%2E")), "token_malformed"),
        case("own", "a BOM before the token", token().text(|t| format!("\u{feff}{t}")), "token_malformed"),
        case("own", "a full-width period", token().text(|t| t.replacen('.', "\u{ff0e}", 1)), "token_malformed"),
        case("own", "a letter of another script", part(0, |p| p.replacen('J', "\u{0408}", 1)), "token_malformed"),
        case("own", "a full-width letter", part(0, |p| p.replacen('e', "\u{ff45}", 1)), "token_malformed"),
        case("own", "a dash of another kind", part(2, |p| format!("\u{2010}{}", &p[1..])), "token_malformed"),
        case("own", "a zero-width joiner", token().text(|t| t.replacen('.', "\u{200d}.", 1)), "token_malformed"),
        case("own", "a byte that is no UTF-8", token().bytes(|t| [&t[..], &[0xff]].concat()), "token_malformed"),
        case("own", "a byte beyond ASCII", token().bytes(|mut t| { t[5] |= 0x80; t }), "token_malformed"),
        case("own", "UTF-16", token().bytes(|t| t.into_iter().flat_map(|byte| [byte, 0]).collect()), "token_malformed"),
        case("own", "base64url of the whole token", token().text(|t| encode(&t)), "token_malformed"),
        case("own", "the header in hexadecimal", token().text(|t| t.replacen("eyJ", "7b22", 1)), "token_malformed"),
        // RFC 8725 3.7: UTF-8, and no other encoding.
        case("RFC 8725 3.7", "a claim beyond ASCII", token().claim("name", "\"M\u{fc}ller \u{1f600}\""), "-> billing"),
        case("RFC 8725 3.7", "a payload in Latin-1", token().claims_around(b"", b"").claims_text(latin_1()), "token_malformed"),
        case("RFC 8725 3.7", "a payload in UTF-16", token().claims_text(utf_16("{\"iss\":\"https://issuer.test\"}")), "token_malformed"),
        case("RFC 8725 3.7", "a header in UTF-16", token().header_text(utf_16(r#"{"alg":"ES256"}"#)), "token_malformed"),
        case("RFC 8725 3.7", "a header in UTF-32", token().header_text(r#"{"alg":"ES256"}"#.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect::<Vec<_>>()), "token_malformed"),
        case("RFC 8259 8.1", "a BOM before the header", token().header_around(b"\xef\xbb\xbf", b""), "token_malformed"),
        case("RFC 8259 8.1", "a BOM before the payload", token().claims_around(b"\xef\xbb\xbf", b""), "token_malformed"),
        case("RFC 8259 8.1", "a BOM after the payload", token().claims_around(b"", b"\xef\xbb\xbf"), "token_malformed"),
        case("RFC 3629 3", "an overlong quote", claim_bytes(b"\xc0\xa2"), "token_malformed"),
        case("RFC 3629 3", "an overlong NUL", claim_bytes(b"\xc0\x80"), "token_malformed"),
        case("RFC 3629 3", "an encoded surrogate", claim_bytes(b"\xed\xa0\x80"), "token_malformed"),
        case("RFC 3629 3", "a character beyond the last", claim_bytes(b"\xf4\x90\x80\x80"), "token_malformed"),
        case("RFC 3629 3", "a sequence cut off", claim_bytes(b"\xe2\x82"), "token_malformed"),
        case("RFC 3629 3", "a continuation without its start", claim_bytes(b"\x80"), "token_malformed"),
        case("RFC 3629 3", "a byte that never occurs", claim_bytes(b"\xff"), "token_malformed"),
        case("RFC 3629 3", "the last character", claim_bytes(b"\xf4\x8f\xbf\xbf"), "-> billing"),
        case("RFC 8259 8.2", "a lone high surrogate", token().claim("name", r#""\ud800""#), "token_malformed"),
        case("RFC 8259 8.2", "a lone low surrogate", token().claim("name", r#""\udc00""#), "token_malformed"),
        case("RFC 8259 8.2", "surrogates in the wrong order", token().claim("name", r#""\udc00\ud800""#), "token_malformed"),
        case("RFC 8259 8.2", "a lone surrogate as sub", token().claim("sub", r#""\ud83d""#), "token_malformed"),
        case("RFC 8259 8.2", "a lone surrogate in a name", token().more_claims(r#""\ud800""#, "1"), "token_malformed"),
        case("RFC 8259 8.2", "a pair of surrogates", token().claim("name", r#""\ud83d\ude00""#), "-> billing"),
    ];
    // Every byte that is not of a token, in the middle of one.
    for byte in (0x20..0x7f_u8).filter(|byte| !byte.is_ascii_alphanumeric() && !b"-_.,".contains(byte)) {
        let token = part(1, move |p| format!("{}{}{}", &p[..8], char::from(byte), &p[8..]));
        cases.push(case("RFC 7515 7.1", format!("byte {byte:#04x} in the payload"), token, "token_malformed"));
    }
    cases
}

/// A token with one of its parts changed after it was signed.
fn part(index: usize, edit: impl Fn(String) -> String + 'static) -> TokenSpec {
    token().text(move |token| {
        let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        parts[index] = edit(parts[index].clone());
        parts.join(".")
    })
}

fn header_with_bytes_over(rest: usize) -> TokenSpec {
    let header = (36..).map(|length| format!("{:<length$}", r#"{"alg":"ES256","kid":"p256"}"#));
    let header = header.into_iter().find(|header| header.len() % 3 == rest).expect("one of three");
    token().header_text(header)
}

/// The same bytes in another spelling: bits that decode to nothing are set. A signature of 64 bytes leaves four such bits.
fn stray_bits(part: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = part.chars().last().and_then(|last| ALPHABET.find(last)).expect("base64url");
    assert_eq!(last % 16, 0, "64 bytes leave four bits unused");
    format!("{}{}", &part[..part.len() - 1], &ALPHABET[last + 1..=last + 1])
}

/// A header in another spelling, signed in that spelling.
fn stray_header() -> TokenSpec {
    token().text(|token| {
        let payload = token.split('.').nth(1).expect("a payload").to_owned();
        let header = encode(r#"{"alg":"ES256","kid":"p256" }"#);
        assert_eq!(header.len() % 4, 3, "two bytes over leave two bits unused");
        let last = header.chars().last().expect("a character");
        let input = format!("{}{}.{payload}", &header[..header.len() - 1], char::from(last as u8 + 1));
        format!("{input}.{}", encode(pair("p256").sign("ES256", input.as_bytes())))
    })
}

fn claim_bytes(bytes: &[u8]) -> TokenSpec {
    let claims = br#"{"iss":"https://issuer.test","aud":"mail","sub":"billing","exp":1767225890,"name":""#;
    token().claims_text([claims, bytes, b"\"}"].concat())
}

fn latin_1() -> Vec<u8> {
    [&b"{\"iss\":\"https://issuer.test\",\"name\":\"M\xfcller\"}"[..]].concat()
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}
