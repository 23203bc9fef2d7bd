//! The form of the whole: the field, the number of parts, what else wears the clothes of a JWT, JSON that is none, sizes.

use super::{Case, case, field};
use testkit::signing::{encode, pair};
use testkit::token::{TokenSpec, token};
use testkit::world::TOKEN_LIMIT;

#[rustfmt::skip]
pub(crate) fn cases() -> Vec<Case> {
    let good = || String::from_utf8(token().build()).expect("text");
    let mut cases = vec![
        // The field (RFC 6750 2.1, RFC 9110 11.6.2).
        case("RFC 6750 2.1", "Bearer", token(), "-> billing"),
        case("RFC 9110 11.1", "bearer in small letters", token().scheme("bearer "), "-> billing"),
        case("RFC 9110 11.1", "BEARER in capitals", token().scheme("BEARER "), "-> billing"),
        case("RFC 9110 11.1", "another scheme", token().scheme("Basic "), "token_missing"),
        case("RFC 9449 7.1", "DPoP", token().scheme("DPoP "), "token_missing"),
        case("own", "Token", token().scheme("Token "), "token_missing"),
        case("own", "JWT", token().scheme("JWT "), "token_missing"),
        case("own", "no scheme", token().scheme(""), "token_missing"),
        case("own", "no space", token().scheme("Bearer"), "token_missing"),
        case("own", "a tab for the space", token().scheme("Bearer\t"), "token_missing"),
        case("own", "a colon for the space", token().scheme("Bearer:"), "token_missing"),
        case("RFC 9110 11.4", "two spaces", token().scheme("Bearer  "), "-> billing"),
        case("RFC 9110 11.4", "ten spaces", token().scheme("Bearer          "), "-> billing"),
        case("RFC 9110 11.4", "a space and a tab", token().scheme("Bearer \t"), "token_malformed"),
        case("RFC 9110 11.4", "a tab and a space", token().scheme("Bearer\t "), "token_missing"),
        case("own", "a space before", token().scheme(" Bearer "), "token_missing"),
        case("own", "a letter before", token().scheme("xBearer "), "token_missing"),
        case("own", "the scheme twice", token().scheme("Bearer Bearer "), "token_malformed"),
        case("own", "another scheme first, after a comma", token().scheme("Basic YTpi, Bearer "), "token_missing"),
        field("own", "a second token after a comma", format!("Bearer {}, Bearer {}", good(), good()), "token_ambiguous"),
        field("own", "another scheme after a comma", format!("Bearer {},Basic YTpi", good()), "token_ambiguous"),
        field("own", "a second token after a space", format!("Bearer {0} {0}", good()), "token_malformed"),
        field("own", "parameters after the token", format!("Bearer {} realm=x", good()), "token_malformed"),
        field("own", "the token in quotes", format!("Bearer \"{}\"", good()), "token_malformed"),
        field("own", "the token as a parameter", format!("Bearer token={}", good()), "token_malformed"),
        field("own", "an empty field", "", "token_missing"),
        field("own", "the scheme alone", "Bearer", "token_malformed"),
        field("own", "the scheme and a space", "Bearer ", "token_malformed"),
        field("own", "the words null", "Bearer null", "token_malformed"),
        field("own", "the word undefined", "Bearer undefined", "token_malformed"),
        field("own", "an object that lost its meaning", "Bearer [object Object]", "token_malformed"),
        field("own", "an opaque token", "Bearer mF_9.B5f-4.1JqM", "token_malformed"),
        field("own", "an opaque token without periods", "Bearer 0123456789abcdef0123456789abcdef", "token_malformed"),
        // The parts (RFC 7515 7.1).
        case("RFC 7515 7.1", "two parts", token().text(|t| t[..t.rfind('.').expect("a period")].to_owned()), "token_malformed"),
        case("RFC 7515 7.1", "one part", token().text(|t| t.split('.').next().expect("a part").to_owned()), "token_malformed"),
        case("RFC 7515 7.1", "four parts", token().text(|t| t + ".AAAA"), "token_malformed"),
        case("RFC 7515 7.1", "four parts, the last empty", token().text(|t| t + "."), "token_malformed"),
        case("RFC 7515 7.1", "four parts, the first empty", token().text(|t| format!(".{t}")), "token_malformed"),
        case("RFC 7515 7.1", "six parts", token().text(|t| format!("{t}.{t}")), "token_malformed"),
        case("RFC 7515 7.1", "a period doubled", token().text(|t| t.replacen('.', "..", 1)), "token_malformed"),
        field("RFC 7515 7.1", "one period", "Bearer .", "token_malformed"),
        field("RFC 7515 7.1", "two periods", "Bearer ..", "token_malformed"),
        field("RFC 7515 7.1", "four periods", "Bearer ....", "token_malformed"),
        field("RFC 7515 7.1", "a thousand periods", format!("Bearer {}", ".".repeat(1000)), "token_malformed"),
        case("RFC 7515 7.1", "an empty header", token().text(|t| t[t.find('.').expect("a period")..].to_owned()), "token_malformed"),
        case("RFC 7515 F", "detached content", token().text(|t| { let p: Vec<_> = t.split('.').collect(); format!("{}..{}", p[0], p[2]) }), "token_malformed"),
        case("RFC 7515 7.1", "header and payload exchanged", token().text(|t| { let p: Vec<_> = t.split('.').collect(); format!("{}.{}.{}", p[1], p[0], p[2]) }), "token_malformed"),
        case("own", "the header of another token", token().text(|t| t.replacen(t.split('.').next().expect("a part"), &encode(r#"{"alg":"ES256","kid":"p256"}"#), 1)), "signature_invalid"),
        case("own", "the payload of another token", token().text(|t| { let p: Vec<_> = t.split('.').collect(); format!("{}.{}.{}", p[0], encode(r#"{"iss":"https://issuer.test","aud":"mail","sub":"admin","exp":9999999999}"#), p[2]) }), "signature_invalid"),
        // What is not a signed token (RFC 7516, RFC 7515 7.2, RFC 9901, PASETO).
        field("RFC 7516 3.1", "a JWE", "Bearer eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKoTCVJRgckCL9kiMT03JGe.48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A.XFBoMYUZodetZdvTiFvSkQ", "token_malformed"),
        field("RFC 7516 3.1", "a JWE with direct encryption", "Bearer eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA", "token_malformed"),
        field("RFC 7515 7.2", "JSON serialization", r#"Bearer {"payload":"e30","signatures":[{"protected":"e30","signature":""}]}"#, "token_ambiguous"),
        field("RFC 7515 7.2.2", "flattened JSON serialization", r#"Bearer {"payload":"e30"}"#, "token_malformed"),
        field("RFC 9901 4", "an SD-JWT", format!("Bearer {}~WyJzYWx0IiwiYSIsMV0~", good()), "token_malformed"),
        field("own", "a PASETO", "Bearer v4.public.eyJzdWIiOiJiaWxsaW5nIn0", "token_malformed"),
        field("own", "a PEM key", "Bearer -----BEGIN PUBLIC KEY-----", "token_malformed"),
        case("RFC 8725 3.3", "a token in a token", token().claims_text(good()), "token_malformed"),
        case("RFC 8725 3.3", "a token in a token, as JSON", token().head("cty", r#""JWT""#).claims_text(format!("\"{}\"", good())), "token_malformed"),
        // JSON (RFC 8259).
        case("RFC 8259 2", "white space within and around", token().claims_around(b" \r\n\t", b"\n "), "-> billing"),
        case("RFC 8259 2", "another value after", token().claims_around(b"", b"{}"), "token_malformed"),
        case("RFC 8259 2", "a NUL after", token().claims_around(b"", b"\0"), "token_malformed"),
        case("RFC 8259 2", "a form feed before", token().claims_around(b"\x0c", b""), "token_malformed"),
        case("RFC 8259 2", "a no-break space before", token().claims_around(b"\xc2\xa0", b""), "token_malformed"),
        case("RFC 8259 4", "a comma after the last member", token().claims_text(r#"{"iss":"https://issuer.test",}"#), "token_malformed"),
        case("RFC 8259 4", "a comment", token().claims_around(b"/* */", b""), "token_malformed"),
        case("RFC 8259 4", "a comment at the end", token().claims_around(b"", b"//"), "token_malformed"),
        case("RFC 8259 4", "a name without quotes", token().claims_text("{iss:\"https://issuer.test\"}"), "token_malformed"),
        case("RFC 8259 4", "apostrophes", token().claims_text("{'iss':'https://issuer.test'}"), "token_malformed"),
        case("RFC 8259 4", "a name that is a number", token().more_claims("1", "1"), "token_malformed"),
        case("RFC 8259 4", "no colon", token().claims_text(r#"{"iss" "https://issuer.test"}"#), "token_malformed"),
        case("RFC 8259 7", "a newline in a string", token().claim("name", "\"a\nb\""), "token_malformed"),
        case("RFC 8259 7", "a NUL in a string", token().claim("name", "\"a\0b\""), "token_malformed"),
        case("RFC 8259 7", "an unknown escape", token().claim("name", r#""\x41""#), "token_malformed"),
        case("RFC 8259 7", "an escape cut off", token().claim("name", r#""\u00""#), "token_malformed"),
        case("RFC 8259 7", "an escaped NUL in a string", token().claim("name", r#""a\u0000b""#), "-> billing"),
        case("RFC 8259 3", "True", token().claim("live", "True"), "token_malformed"),
        case("own", "an unknown claim", token().claim("scope", r#""send""#), "-> billing"),
        case("own", "a claim with an empty name", token().claim("", "1"), "-> billing"),
        case("own", "__proto__", token().claim("__proto__", r#"{"sub":"admin"}"#), "-> billing"),
        case("own", "a number that serde_json treats specially", token().claim("x", r#"{"$serde_json::private::Number":"1"}"#), "-> billing"),
        case("own", "a text that serde_json treats specially", token().claim("x", r#"{"$serde_json::private::RawValue":"{}"}"#), "-> billing"),
        // Sizes.
        case("own", "12 levels of objects", nested("{\"a\":", "}", 11), "-> billing"),
        case("own", "13 levels of objects", nested("{\"a\":", "}", 12), "token_malformed"),
        case("own", "12 levels of lists", nested("[", "]", 11), "-> billing"),
        case("own", "13 levels of lists", nested("[", "]", 12), "token_malformed"),
        case("own", "a thousand levels", nested("[", "]", 1000), "token_malformed"),
        case("own", "two thousand levels, not closed", token().claim("x", &"[".repeat(2000)), "token_malformed"),
        case("own", "128 claims", many_claims(128), "-> billing"),
        case("own", "129 claims", many_claims(129), "token_malformed"),
        case("own", "a list of 1500 numbers", token().claim("x", &format!("[{}0]", "0,".repeat(1500))), "-> billing"),
        case("own", "a token as long as allowed", sized(TOKEN_LIMIT), "-> billing"),
        case("own", "a token longer by one character", token_text(TOKEN_LIMIT + 1), "token_too_large"),
        case("own", "a token of a megabyte", token_text(1 << 20), "token_too_large"),
        case("RFC 9110 11.4", "a megabyte of spaces and no token", token().bytes(|_| vec![b' '; 1 << 20]), "token_malformed"),
    ];
    for (what, text) in [("an empty text", ""), ("null", "null"), ("a list", "[]"), ("a list of claims", r#"[{"iss":"https://issuer.test"}]"#), ("a string", "\"iss\""), ("a number", "1"), ("true", "true"), ("half an object", "{\"iss\":"), ("XML", "<jwt/>"), ("a form", "iss=x&sub=y")] {
        cases.push(case("RFC 7519 7.2", format!("{what} for a header"), token().header_text(text), "token_malformed"));
        cases.push(case("RFC 7519 7.2", format!("{what} for claims"), token().claims_text(text), "token_malformed"));
    }
    cases.push(case("RFC 7519 7.2", "no claims", token().claims_text("{}"), "claim_missing"));
    cases.push(case("RFC 7519 7.2", "no header members", token().header_text("{}"), "token_malformed"));
    cases
}

fn nested(open: &str, close: &str, levels: usize) -> TokenSpec {
    token().claim("x", &format!("{}1{}", open.repeat(levels), close.repeat(levels)))
}

/// A token with that many claims in all.
fn many_claims(count: usize) -> TokenSpec {
    (6..count).fold(token(), |token, number| token.claim(&format!("c{number}"), "0"))
}

/// A good token of exactly this length. Some lengths cannot be reached by the payload alone, so the header gives way too.
fn sized(length: usize) -> TokenSpec {
    for spaces in 0..4 {
        let header = format!("{}{}", r#"{"alg":"ES256","kid":"p256"}"#, " ".repeat(spaces));
        let with =
            |filling: usize| token().header_text(header.clone()).claim("x", &format!("\"{}\"", "x".repeat(filling)));
        let filling = (length - with(0).build().len()) * 3 / 4;
        if let Some(token) = (filling.saturating_sub(3)..filling + 3).map(with).find(|t| t.build().len() == length) {
            return token;
        }
    }
    panic!("no token has {length} characters")
}

fn token_text(length: usize) -> TokenSpec {
    let signature = encode(pair("p256").sign("ES256", b""));
    token().text(move |t| format!("{t}{}", signature.repeat(length / signature.len() + 1))[..length].to_owned())
}
