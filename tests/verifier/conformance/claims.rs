//! The claims beside times: who issued the token, for whom, whom it names, and what else an issuer's tokens must say.

use super::header::strict;
use super::{Case, case};
use testkit::token::{TokenSpec, by, token};

/// A token of another issuer.
fn of(issuer: &str) -> TokenSpec {
    token().claim("iss", &format!("{issuer:?}"))
}

/// A value of every JSON type, with what is odd about it.
const VALUES: [(&str, &str); 14] = [
    ("null", "null"),
    ("true", "true"),
    ("false", "false"),
    ("a number", "5"),
    ("zero", "0"),
    ("a fraction", "1.5"),
    ("an empty string", r#""""#),
    ("a string", r#""text""#),
    ("an empty list", "[]"),
    ("a list with null", "[null]"),
    ("a list of lists", r#"[["email-service"]]"#),
    ("an empty object", "{}"),
    ("an object", r#"{"value":"email-service"}"#),
    ("a number as a string", r#""1767225890""#),
];

#[rustfmt::skip]
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        // iss (RFC 7519 4.1.1): exact.
        case("RFC 7519 4.1.1", "no iss", token().without("iss"), "claim_missing"),
        case("RFC 7519 4.1.1", "an iss with a slash more", token().claim("iss", r#""https://issuer.test/""#), "issuer_untrusted"),
        case("RFC 7519 4.1.1", "an iss in capitals", token().claim("iss", r#""HTTPS://ISSUER.TEST""#), "issuer_untrusted"),
        case("RFC 7519 4.1.1", "an iss over http", token().claim("iss", r#""http://issuer.test""#), "issuer_untrusted"),
        case("RFC 7519 4.1.1", "an iss with a port", token().claim("iss", r#""https://issuer.test:443""#), "issuer_untrusted"),
        case("RFC 7519 4.1.1", "the beginning of an iss", token().claim("iss", r#""https://issuer""#), "issuer_untrusted"),
        case("RFC 7519 4.1.1", "an iss and more", token().claim("iss", r#""https://issuer.test.eve.test""#), "issuer_untrusted"),
        case("RFC 7519 4.1.1", "an iss with a user", token().claim("iss", r#""https://eve@issuer.test""#), "issuer_untrusted"),
        case("RFC 7519 4.1.1", "an iss with a space", token().claim("iss", r#"" https://issuer.test""#), "issuer_untrusted"),
        case("RFC 7519 4.1.1", "an iss with a NUL", token().claim("iss", r#""https://issuer.test\u0000""#), "issuer_untrusted"),
        case("RFC 7519 4.1.1", "an iss with a newline", token().claim("iss", r#""https://issuer.test\n""#), "issuer_untrusted"),
        case("RFC 7519 4.1.1", "an iss with a lookalike letter", token().claim("iss", r#""https://іssuer.test""#), "issuer_untrusted"),
        case("RFC 7519 4.1.1", "an iss with escapes", token().claim("iss", r#""https:\/\/issuer.tes\u0074""#), "-> billing"),
        case("own", "an iss in a list (CVE-2024-34273)", token().claim("iss", r#"["https://issuer.test"]"#), "claim_invalid"),
        case("own", "an iss in a list of two", token().claim("iss", r#"["https://issuer.test","https://eve.test"]"#), "claim_invalid"),
        case("own", "iss twice, the trusted last", token().claims_text(r#"{"iss":"https://eve.test","iss":"https://issuer.test","aud":"mail","sub":"billing","exp":1767225890}"#), "token_malformed"),
        case("own", "iss twice, the trusted first", token().more_claims(r#""iss""#, r#""https://eve.test""#), "token_malformed"),
        case("own", "iss twice, once with an escape", token().more_claims(r#""\u0069ss""#, r#""https://eve.test""#), "token_malformed"),
        case("own", "iss in capitals beside iss", token().more_claims(r#""ISS""#, r#""https://eve.test""#), "-> billing"),
        case("own", "only ISS in capitals", token().without("iss").claim("ISS", r#""https://issuer.test""#), "claim_missing"),
        // aud (RFC 7519 4.1.3): a string or a list of strings, one of which is ours, exactly.
        case("RFC 7519 4.1.3", "no aud", token().without("aud"), "claim_missing"),
        case("RFC 7519 4.1.3", "our other name", token().claim("aud", r#""mail""#), "-> billing"),
        case("RFC 7519 4.1.3", "a list with us alone", token().claim("aud", r#"["email-service"]"#), "-> billing"),
        case("RFC 7519 4.1.3", "a list with us last", token().claim("aud", r#"["a","b","email-service"]"#), "-> billing"),
        case("RFC 7519 4.1.3", "a list with us twice", token().claim("aud", r#"["email-service","email-service"]"#), "-> billing"),
        case("RFC 7519 4.1.3", "a list of others", token().claim("aud", r#"["a","b"]"#), "audience_mismatch"),
        case("RFC 7519 4.1.3", "another service", token().claim("aud", r#""invoice-service""#), "audience_mismatch"),
        case("own", "our name and more", token().claim("aud", r#""email-service-2""#), "audience_mismatch"),
        case("own", "the beginning of our name", token().claim("aud", r#""email""#), "audience_mismatch"),
        case("own", "our name in capitals", token().claim("aud", r#""Email-Service""#), "audience_mismatch"),
        case("own", "our name with a space", token().claim("aud", r#""email-service ""#), "audience_mismatch"),
        case("own", "our names in one string", token().claim("aud", r#""email-service mail""#), "audience_mismatch"),
        case("own", "our names with a comma", token().claim("aud", r#""email-service,mail""#), "audience_mismatch"),
        case("own", "an asterisk as aud", token().claim("aud", r#""*""#), "audience_mismatch"),
        case("own", "our name with a NUL", token().claim("aud", r#""email-service\u0000""#), "audience_mismatch"),
        case("own", "a list with us and a number", token().claim("aud", r#"["email-service",1]"#), "claim_invalid"),
        case("own", "a list with us and null", token().claim("aud", r#"[null,"email-service"]"#), "claim_invalid"),
        case("own", "a list with us and a list", token().claim("aud", r#"["email-service",["x"]]"#), "claim_invalid"),
        case("own", "aud twice", token().more_claims(r#""aud""#, r#""x""#), "token_malformed"),
        case("own", "aud as an object with our name as its member", token().claim("aud", r#"{"email-service":true}"#), "claim_invalid"),
        // sub, as the caller's name: 1 to 256 visible ASCII characters that separate no lists.
        case("RFC 7519 4.1.2", "another sub", token().claim("sub", r#""orders-service""#), "-> orders-service"),
        case("own", "a SPIFFE id", token().claim("sub", r#""spiffe://prod.test/ns/mail/sa/billing""#), "-> spiffe://prod.test/ns/mail/sa/billing"),
        case("own", "a Kubernetes service account", token().claim("sub", r#""system:serviceaccount:mail:billing""#), "-> system:serviceaccount:mail:billing"),
        case("own", "an e-mail address", token().claim("sub", r#""billing@prod.test""#), "-> billing@prod.test"),
        case("own", "one letter", token().claim("sub", r#""b""#), "-> b"),
        case("own", "a name with escapes", token().claim("sub", r#""bill\u0069ng""#), "-> billing"),
        case("own", "256 letters", token().claim("sub", &format!("\"{}\"", "b".repeat(256))), format!("-> {}", "b".repeat(256))),
        case("own", "257 letters", token().claim("sub", &format!("\"{}\"", "b".repeat(257))), "caller_unusable"),
        case("own", "no sub", token().without("sub"), "caller_unusable"),
        case("own", "sub twice", token().more_claims(r#""sub""#, r#""admin""#), "token_malformed"),
        case("own", "sub twice, once with an escape", token().more_claims(r#""s\u0075b""#, r#""admin""#), "token_malformed"),
        case("own", "a nested member twice", token().claim("ctx", r#"{"sub":"a","sub":"b"}"#), "token_malformed"),
        case("own", "a member twice in a list", token().claim("ctx", r#"[{"a":1,"a":1}]"#), "token_malformed"),
        case("own", "members that differ", token().claim("ctx", r#"{"sub":"a","Sub":"b"}"#), "-> billing"),
        // jti (RFC 7519 4.1.7).
        case("RFC 7519 4.1.7", "no jti", token().without("jti"), "-> billing"),
        case("RFC 7519 4.1.7", "an empty jti", token().claim("jti", r#""""#), "-> billing"),
        case("RFC 7519 4.1.7", "a very long jti", token().claim("jti", &format!("\"{}\"", "j".repeat(2000))), "-> billing"),
        case("RFC 7519 4.1.7", "jti twice", token().more_claims(r#""jti""#, r#""token-2""#), "token_malformed"),
        // Claims that an issuer's tokens must have with exact values.
        case("own", "all required claims", strict(), "-> billing"),
        case("own", "a required claim is missing", strict().without("tenant"), "claim_missing"),
        case("own", "a required claim has another value", strict().claim("tenant", r#""acme2""#), "claim_invalid"),
        case("own", "a required claim in a list", strict().claim("tenant", r#"["acme"]"#), "claim_invalid"),
        case("own", "a required claim in capitals", strict().claim("tenant", r#""ACME""#), "claim_invalid"),
        case("own", "a required claim is null", strict().claim("tenant", "null"), "claim_invalid"),
        case("own", "a required claim with an escape", strict().claim("tenant", r#""acm\u0065""#), "-> billing"),
        case("own", "a required integer as a string", strict().claim("tier", r#""1""#), "claim_invalid"),
        case("own", "a required integer as a fraction", strict().claim("tier", "1.0"), "claim_invalid"),
        case("own", "a required integer with an exponent", strict().claim("tier", "1e0"), "claim_invalid"),
        case("own", "a required integer, negative", strict().claim("tier", "-1"), "claim_invalid"),
        case("own", "a required integer as true", strict().claim("tier", "true"), "claim_invalid"),
        case("own", "a required integer, other", strict().claim("tier", "2"), "claim_invalid"),
        case("own", "a required boolean as a string", strict().claim("live", r#""true""#), "claim_invalid"),
        case("own", "a required boolean as a number", strict().claim("live", "1"), "claim_invalid"),
        case("own", "a required boolean, other", strict().claim("live", "false"), "claim_invalid"),
        case("own", "required claims in the header", strict().without("tenant").head("tenant", r#""acme""#), "claim_missing"),
        // cnf (RFC 7800 3.1): a bound token is never a bearer token.
        case("RFC 9449 6.1", "a token bound to a DPoP key", token().claim("cnf", r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#), "token_bound"),
        case("RFC 8705 3.1", "a token bound to a certificate", token().claim("cnf", r#"{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}"#), "token_bound"),
        case("RFC 7800 3.2", "a token bound to a public key", token().claim("cnf", r#"{"jwk":{"kty":"EC","crv":"P-256","x":"18wHLeIgW9wVN6VD1Txgpqy2LszYkMf6J8njVAibvhM","y":"-V4dS4UaLMgP_4fY4j8ir7cl1TXlFdAgcx55o7TkcSA"}}"#), "token_bound"),
        case("RFC 7800 3.3", "a token bound to an encrypted key", token().claim("cnf", r#"{"jwe":"eyJhbGciOiJSU0EtT0FFUCJ9.x"}"#), "token_bound"),
        case("RFC 7800 3.4", "a token bound to a key by its kid", token().claim("cnf", r#"{"kid":"dfd1aa97-6d8d-4575-a0fe-34b96de2bfad"}"#), "token_bound"),
        case("RFC 7800 3.5", "a token bound to a key at a URL", token().claim("cnf", r#"{"jku":"https://keys.example.net/pop-keys.json"}"#), "token_bound"),
        case("RFC 8473 7", "a token bound to a TLS connection", token().claim("cnf", r#"{"tbh":"qLK6pWYdhRVLmyzcEFJLSo2-"}"#), "token_bound"),
        case("own", "a token bound in two ways", token().claim("cnf", r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I","x5t#S256":"bwcK"}"#), "token_bound"),
        case("own", "a token bound by a method that nobody knows", token().claim("cnf", r#"{"odd":1}"#), "token_bound"),
        case("own", "cnf with an escape", token().more_claims(r#""\u0063nf""#, r#"{"jkt":"x"}"#), "token_bound"),
        case("own", "cnf twice", token().more_claims(r#""cnf""#, "{}").more_claims(r#""cnf""#, "null"), "token_malformed"),
        case("own", "cnf as the first claim", token().claims_around(br#"{"cnf":{},"x":"#, b"}"), "claim_missing"),
        case("own", "CNF in capitals is another claim", token().claim("CNF", r#"{"jkt":"x"}"#), "-> billing"),
        case("own", "cnf within another claim is another claim", token().claim("ctx", r#"{"cnf":{"jkt":"x"}}"#), "-> billing"),
        case("own", "cnf in the header is no claim", token().head("cnf", r#"{"jkt":"x"}"#), "-> billing"),
        case("own", "a bound token of an issuer that asks for more", strict().claim("cnf", r#"{"jkt":"x"}"#), "token_bound"),
        case("own", "a bound token by RS256", by("rsa", "RS256").claim("cnf", r#"{"jkt":"x"}"#), "token_bound"),
        case("own", "bound and badly signed: the signature first", token().claim("cnf", "{}").signed_by("eve-p256", "ES256"), "signature_invalid"),
        case("own", "bound and for another: the audience first", token().claim("cnf", "{}").claim("aud", r#""x""#), "audience_mismatch"),
        case("own", "bound and expired: the expiry first", token().claim("cnf", "{}").claim("exp", "1"), "token_expired"),
        case("own", "bound without a required claim: the claim first", strict().claim("cnf", "{}").without("tenant"), "claim_missing"),
        case("own", "bound and without a name: the binding first", token().claim("cnf", "{}").without("sub"), "token_bound"),
        // Bound to a certificate (RFC 8705 3.1), for an issuer whose tokens may be; no certificate is shown here.
        case("RFC 8705 3", "a bound token without its certificate", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"##), "certificate_missing"),
        case("RFC 8705 3", "a bound token without its certificate, where it need not be bound", of("https://either.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"##), "certificate_missing"),
        case("own", "a token that is bound to nothing where all must be", of("https://bound.test"), "token_unbound"),
        case("own", "a token that is bound to nothing where it may be", of("https://either.test"), "-> billing"),
        case("RFC 9449 6.1", "bound to a DPoP key where certificates are the proof", of("https://bound.test").claim("cnf", r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#), "token_bound"),
        case("RFC 7800 3.1", "bound to a certificate and a key", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0","jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"##), "token_bound"),
        case("RFC 7800 3.1", "bound to a certificate and something unknown", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0","odd":1}"##), "token_bound"),
        case("RFC 7515 4.1.7", "bound by a SHA-1", of("https://bound.test").claim("cnf", r#"{"x5t":"dGhpcyBpcyBhIFNIQS0xIHRlc3Q"}"#), "token_bound"),
        case("own", "the hash under the name in other letters", of("https://bound.test").claim("cnf", r#"{"X5T#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"#), "token_bound"),
        case("RFC 7515 4.1.8", "the hash with padding", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0="}"##), "token_bound"),
        case("RFC 7515 4.1.8", "the hash in base64", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v/="}"##), "token_bound"),
        case("RFC 8705 3.1", "the hash of the RFC, which has bits after its end", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}"##), "token_bound"),
        case("own", "a hash that is too short", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y"}"##), "token_bound"),
        case("own", "a hash that is too long", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0AAAA"}"##), "token_bound"),
        case("own", "an empty hash", of("https://bound.test").claim("cnf", r##"{"x5t#S256":""}"##), "token_bound"),
        case("own", "a hash in hexadecimal", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"0380ed2f626650c840b2f263e6d2b29fae12ab39ae5db32b25ad27efad72e6fd"}"##), "token_bound"),
        case("own", "a hash that is null", of("https://bound.test").claim("cnf", r##"{"x5t#S256":null}"##), "token_bound"),
        case("own", "a hash in a list", of("https://bound.test").claim("cnf", r##"{"x5t#S256":["A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"]}"##), "token_bound"),
        case("own", "a hash that is a number", of("https://bound.test").claim("cnf", r##"{"x5t#S256":1}"##), "token_bound"),
        case("own", "an empty cnf where certificates are the proof", of("https://bound.test").claim("cnf", r#"{}"#), "token_bound"),
        case("own", "a cnf that is null where certificates are the proof", of("https://bound.test").claim("cnf", r##"null"##), "token_bound"),
        case("own", "a cnf that is the hash itself", of("https://bound.test").claim("cnf", r##""A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0""##), "token_bound"),
        case("own", "a cnf in a list", of("https://bound.test").claim("cnf", r##"[{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}]"##), "token_bound"),
        case("own", "an empty cnf where tokens need not be bound", of("https://either.test").claim("cnf", r#"{}"#), "token_bound"),
        case("own", "a cnf that is null where tokens need not be bound", of("https://either.test").claim("cnf", r##"null"##), "token_bound"),
        case("own", "the hash twice", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0","x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"##), "token_malformed"),
        case("own", "bound, badly signed: the signature first", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"##).signed_by("eve-p256", "ES256"), "signature_invalid"),
        case("own", "bound and expired: the expiry before the proof", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"##).claim("exp", "1"), "token_expired"),
        case("own", "bound and for another: the audience before the proof", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"##).claim("aud", r#""x""#), "audience_mismatch"),
        case("own", "bound and without a name: the name before the proof", of("https://bound.test").claim("cnf", r##"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"##).without("sub"), "caller_unusable"),
        // Order: what is proven first is refused first.
        case("own", "expired, for another, badly signed: the signature first", token().claim("exp", "1").claim("aud", r#""x""#).signed_by("eve-p256", "ES256"), "signature_invalid"),
        case("own", "expired and for another: the audience first", token().claim("exp", "1").claim("aud", r#""x""#), "audience_mismatch"),
        case("own", "expired and unusable: the expiry first", token().claim("exp", "1").without("sub"), "token_expired"),
        case("own", "an untrusted issuer and none: the issuer first", token().claim("iss", r#""https://eve.test""#).head("alg", r#""none""#), "issuer_untrusted"),
    ];
    for (name, value) in [("a comma", "a,b"), ("a semicolon", "a;b"), ("a quote", "a\\\"b"), ("an apostrophe", "a'b"), ("a backslash", "a\\\\b"), ("a space", "a b"), ("a space before", " a"), ("a space after", "a "), ("a tab", "a\\tb"), ("a newline", "a\\nb"), ("a return and a newline", "a\\r\\nX-Admin: 1"), ("a NUL", "a\\u0000b"), ("a DEL", "a\\u007fb"), ("a control character", "a\\u0001b"), ("an umlaut", "m\\u00fcller"), ("a letter of another script", "\\u0430dmin"), ("a zero-width space", "ad\\u200bmin"), ("a right-to-left override", "\\u202enimda"), ("a full-width letter", "\\uff41dmin"), ("a no-break space", "a\\u00a0b"), ("an emoji", "\\ud83d\\ude00"), ("nothing but a space", " "), ("a BOM", "\\ufeffadmin"), ("a byte order of others", "\\ufffeadmin")] {
        cases.push(case("own", format!("a caller with {name}"), token().claim("sub", &format!("\"{value}\"")), "caller_unusable"));
    }
    for value in ["a-b", "a_b", "a.b", "a:b", "a/b", "a@b", "a+b", "a=b", "a~b", "a!b", "a|b", "a*b", "(a)", "[a]", "{a}", "<a>", "a?b", "a#b", "a%20b", "a&b", "$a", "^a", "`a`"] {
        cases.push(case("own", format!("a caller called {value}"), token().claim("sub", &format!("\"{value}\"")), format!("-> {value}")));
    }
    // Type confusion: every claim that has a meaning, with every type.
    for (claim, fits) in [("iss", None), ("aud", None), ("sub", Some("-> text")), ("jti", Some("-> billing"))] {
        for (what, value) in VALUES {
            let string = value.starts_with('"');
            let expected = match (claim, string) {
                ("iss", true) => "issuer_untrusted",
                ("aud", true) => "audience_mismatch",
                ("aud", false) if value == "[]" => "audience_mismatch",
                ("sub", true) if value == r#""""# => "caller_unusable",
                ("sub", true) if value != r#""text""# => "-> 1767225890",
                (_, true) => fits.unwrap_or("claim_invalid"),
                _ => "claim_invalid",
            };
            cases.push(case("RFC 7519 4.1", format!("{claim} is {what}"), token().claim(claim, value), expected));
        }
    }
    for (what, value) in VALUES {
        cases.push(case("RFC 7800 3.1", format!("cnf is {what}"), token().claim("cnf", value), "token_bound"));
    }
    for claim in ["exp", "nbf", "iat"] {
        for (what, value) in VALUES {
            let expected = match (claim, value) {
                ("exp", "5" | "0" | "1.5") => "token_expired",
                (_, "5" | "0" | "1.5") => "-> billing",
                _ => "claim_invalid",
            };
            cases.push(case("RFC 7519 4.1", format!("{claim} is {what}"), token().claim(claim, value), expected));
        }
    }
    cases
}
