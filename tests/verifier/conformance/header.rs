//! The JOSE header beside `alg`: extensions that nobody implements, keys that nobody trusts, `kid` as a weapon, `typ`.

use super::{Case, case};
use testkit::signing::{encode, pair};
use testkit::token::{TokenSpec, by, token};

#[rustfmt::skip]
pub(crate) fn cases() -> Vec<Case> {
    let eve = pair("eve-p256").jwk(Some("p256")).to_string();
    let by_eve = || token().signed_by("eve-p256", "ES256");
    let mut cases = vec![
        // crit: every shape is an extension that is not implemented (RFC 7515 4.1.11), also one that is malformed.
        case("RFC 7515 4.1.11", "crit with b64", token().head("crit", r#"["b64"]"#).head("b64", "false"), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit with exp", token().head("crit", r#"["exp"]"#).head("exp", "1"), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit with a name that is not there", token().head("crit", r#"["http://example.test/x"]"#), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit with registered names", token().head("crit", r#"["alg","kid"]"#), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit with crit", token().head("crit", r#"["crit"]"#), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit, empty", token().head("crit", "[]"), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit with an empty name", token().head("crit", r#"[""]"#), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit with a name twice", token().head("crit", r#"["x","x"]"#).head("x", "1"), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit as a string", token().head("crit", r#""b64""#), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit as null", token().head("crit", "null"), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit as an object", token().head("crit", r#"{"b64":true}"#), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit as a number", token().head("crit", "0"), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit as false", token().head("crit", "false"), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit of numbers", token().head("crit", "[1]"), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit written with an escape", token().more_head(r#""\u0063rit""#, r#"["x"]"#), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit in a token without signature", token().head("crit", r#"["b64"]"#).head("alg", r#""none""#).signature(|_| Vec::new()), "critical_header_unsupported"),
        case("RFC 7515 4.1.11", "crit among the claims means nothing", token().claim("crit", r#"["b64"]"#), "-> billing"),
        case("RFC 7797 3", "b64 false", token().head("b64", "false"), "critical_header_unsupported"),
        case("RFC 7797 3", "b64 true", token().head("b64", "true"), "critical_header_unsupported"),
        case("RFC 7797 6", "b64 false with a payload in plain text", token().head("b64", "false").text(|t| { let p: Vec<_> = t.split('.').collect(); format!("{}.plain.{}", p[0], p[2]) }), "token_malformed"),
        case("RFC 7515 4.1", "an unknown member is ignored", token().head("x-trace", r#""1""#), "-> billing"),
        case("RFC 7515 4.1.10", "cty JWT, and yet claims", token().head("cty", r#""JWT""#), "-> billing"),
        case("RFC 7516 4.1.3", "zip", token().head("zip", r#""DEF""#), "token_malformed"),
        case("RFC 7516 4.1.3", "zip null", token().head("zip", "null"), "token_malformed"),
        case("RFC 7516 4.1.2", "enc", token().head("enc", r#""A128GCM""#), "token_malformed"),
        case("RFC 7516 4.1.2", "enc as a number", token().head("enc", "1"), "token_malformed"),
        case("RFC 7519 5.3", "claims in the header are not looked at", token().head("iss", r#""https://eve.test""#).head("exp", "1"), "-> billing"),
        case("RFC 7519 5.3", "claims in the header do not replace claims", token().without("aud").head("aud", r#""email-service""#), "claim_missing"),
        // Keys in the token are never used (CVE-2018-0114, CVE-2024-21643), and hurt nobody either.
        case("CVE-2018-0114", "an embedded jwk that signed", by_eve().head("jwk", &eve), "signature_invalid"),
        case("CVE-2018-0114", "an embedded jwk that signed, without kid", by_eve().head("jwk", &eve).without_head("kid"), "signature_invalid"),
        case("CVE-2018-0114", "an embedded jwk beside a good signature", token().head("jwk", &eve), "-> billing"),
        case("CVE-2018-0114", "an embedded jwk of the wrong type", token().head("jwk", "5"), "-> billing"),
        case("CVE-2018-0114", "an embedded symmetric jwk", token().hmac("HS256", b"k".to_vec()).head("jwk", r#"{"kty":"oct","k":"aw"}"#), "algorithm_refused"),
        case("RFC 8725 3.10", "jku to a stranger's keys", by_eve().head("jku", r#""https://eve.test/jwks.json""#), "signature_invalid"),
        case("RFC 8725 3.10", "jku to this machine", by_eve().head("jku", r#""http://127.0.0.1:9901/""#), "signature_invalid"),
        case("RFC 8725 3.10", "jku to the metadata service", by_eve().head("jku", r#""http://169.254.169.254/latest/meta-data/""#), "signature_invalid"),
        case("RFC 8725 3.10", "jku to a file", by_eve().head("jku", r#""file:///etc/passwd""#), "signature_invalid"),
        case("RFC 8725 3.10", "jku beside a good signature", token().head("jku", r#""https://eve.test/jwks.json""#), "-> billing"),
        case("RFC 8725 3.10", "x5u to a stranger's certificate", by_eve().head("x5u", r#""https://eve.test/cert.pem""#), "signature_invalid"),
        case("RFC 8725 3.10", "x5u beside a good signature", token().head("x5u", r#""https://eve.test/cert.pem""#), "-> billing"),
        case("RFC 7515 4.1.6", "x5c with a stranger's certificate", by_eve().head("x5c", r#"["MIIB"]"#), "signature_invalid"),
        case("RFC 7515 4.1.6", "x5c beside a good signature", token().head("x5c", r#"["MIIB"]"#), "-> billing"),
        case("RFC 7515 4.1.7", "x5t of a stranger", by_eve().head("x5t", r#""AAAA""#).head("x5t#S256", r#""AAAA""#), "signature_invalid"),
        // kid is compared with the key set's names and is used for nothing else.
        case("RFC 7515 4.1.4", "no kid", token().without_head("kid"), "-> billing"),
        case("RFC 7515 4.1.4", "kid with an escape", token().head("kid", r#""\u00702\u00356""#), "-> billing"),
        case("RFC 7515 4.1.4", "kid of another key of the same kind", token().head("kid", r#""other""#), "key_unknown"),
        case("RFC 7515 4.1.4", "kid with another case", token().head("kid", r#""P256""#), "key_unknown"),
        case("RFC 7515 4.1.4", "kid with a space after", token().head("kid", r#""p256 ""#), "key_unknown"),
        case("RFC 7515 4.1.4", "kid as a number", token().head("kid", "256"), "token_malformed"),
        case("RFC 7515 4.1.4", "kid as null", token().head("kid", "null"), "token_malformed"),
        case("RFC 7515 4.1.4", "kid as a list", token().head("kid", r#"["p256"]"#), "token_malformed"),
        case("RFC 7515 4.1.4", "kid as an object", token().head("kid", r#"{"kid":"p256"}"#), "token_malformed"),
        case("RFC 7515 4.1.4", "kid as true", token().head("kid", "true"), "token_malformed"),
        case("own", "kid, empty", token().head("kid", r#""""#), "key_unknown"),
        case("own", "kid of 256 bytes", token().head("kid", &format!("\"{}\"", "k".repeat(256))), "key_unknown"),
        case("own", "kid of 257 bytes", token().head("kid", &format!("\"{}\"", "k".repeat(257))), "token_malformed"),
        case("own", "kid twice", token().more_head(r#""kid""#, r#""p256""#), "token_malformed"),
        case("own", "kid twice, once with an escape", token().more_head(r#""k\u0069d""#, r#""p256""#), "token_malformed"),
        // typ (RFC 8725 3.11). Without a configured list: missing, JWT or at+jwt.
        case("RFC 7519 5.1", "no typ", token().without_head("typ"), "-> billing"),
        case("RFC 7519 5.1", "typ jwt", token().head("typ", r#""jwt""#), "-> billing"),
        case("RFC 7515 4.1.9", "typ application/JWT", token().head("typ", r#""application/JWT""#), "-> billing"),
        case("RFC 9068 2.1", "typ at+jwt", token().head("typ", r#""at+jwt""#), "-> billing"),
        case("RFC 9068 2.1", "typ application/at+jwt", token().head("typ", r#""application/at+jwt""#), "-> billing"),
        case("RFC 9068 2.1", "typ AT+JWT", token().head("typ", r#""AT+JWT""#), "-> billing"),
        case("RFC 9068 2.1", "typ at+jwt with a parameter", token().head("typ", r#""at+jwt; v=1""#), "type_refused"),
        case("RFC 7515 4.1.9", "typ application/application/jwt", token().head("typ", r#""application/application/jwt""#), "type_refused"),
        case("RFC 7515 4.1.9", "typ text/jwt", token().head("typ", r#""text/jwt""#), "type_refused"),
        case("RFC 7515 4.1.9", "typ JOSE", token().head("typ", r#""JOSE""#), "type_refused"),
        case("RFC 7515 4.1.9", "typ JOSE+JSON", token().head("typ", r#""JOSE+JSON""#), "type_refused"),
        case("own", "typ, empty", token().head("typ", r#""""#), "type_refused"),
        case("own", "typ with a space", token().head("typ", r#"" JWT""#), "type_refused"),
        case("own", "typ with a NUL", token().head("typ", r#""JWT\u0000""#), "type_refused"),
        case("own", "typ with a lookalike (K as the Kelvin sign)", token().head("typ", r#""\u212aWT""#), "type_refused"),
        case("own", "typ as a number", token().head("typ", "1"), "token_malformed"),
        case("own", "typ as null", token().head("typ", "null"), "token_malformed"),
        case("own", "typ as a list", token().head("typ", r#"["JWT"]"#), "token_malformed"),
        case("own", "typ twice", token().more_head(r#""typ""#, r#""JWT""#), "token_malformed"),
        // With a configured list (at+jwt only).
        case("RFC 8725 3.11", "at+jwt where at+jwt is asked", strict(), "-> billing"),
        case("RFC 8725 3.11", "application/AT+JWT where at+jwt is asked", strict().head("typ", r#""application/AT+JWT""#), "-> billing"),
        case("RFC 8725 3.11", "JWT where at+jwt is asked", strict().head("typ", r#""JWT""#), "type_refused"),
        case("RFC 8725 3.11", "no typ where at+jwt is asked", strict().without_head("typ"), "type_refused"),
        // Size of the header.
        case("own", "a header of 4096 bytes", header_of(4096), "-> billing"),
        case("own", "a header of 4097 bytes", header_of(4097), "token_malformed"),
        case("own", "a header of 4098 bytes", header_of(4098), "token_malformed"),
        case("own", "a header of 5800 bytes", header_of(5800), "token_malformed"),
    ];
    for typ in ["dpop+jwt", "logout+jwt", "secevent+jwt", "oauth-authz-req+jwt", "entity-statement+jwt", "sd-jwt", "vc+sd-jwt", "kb+jwt", "token-introspection+jwt", "passport", "jwt+at", "id_token"] {
        cases.push(case("RFC 8725 3.12", format!("typ {typ}"), token().head("typ", &format!("\"{typ}\"")), "type_refused"));
    }
    let kids = ["../../../../dev/null", "/dev/null", "/etc/passwd\\u0000", "..\\\\..\\\\keys", "file:///p256", "' OR '1'='1", "p256' UNION SELECT 'secret' --", "p256; rm -rf /", "$(id)", "`id`", "|id", "p256\\u0000", "p256\\n", "p256\\r\\nX-Admin: 1", "\\u0000", "%2e%2e%2fp256", "{{7*7}}", "${jndi:ldap://eve.test/a}", "<script>alert(1)</script>", "http://eve.test/key", "*", ".*", "р256", "p256,p384", "[\\\"p256\\\"]", "null", "__proto__", "constructor"];
    for kid in kids {
        cases.push(case("RFC 8725 3.10", format!("kid {kid}"), token().head("kid", &format!("\"{kid}\"")), "key_unknown"));
        cases.push(case("RFC 8725 3.10", format!("kid {kid}, signed with an HMAC of nothing"), token().head("kid", &format!("\"{kid}\"")).hmac("HS256", b"".to_vec()), "algorithm_refused"));
    }
    cases
}

/// A token that fulfils everything that the strict issuer asks.
pub(crate) fn strict() -> TokenSpec {
    by("strict-p256", "ES256")
        .head("kid", r#""s1""#)
        .head("typ", r#""at+jwt""#)
        .claim("iss", r#""https://strict.test""#)
        .claim("tenant", r#""acme""#)
        .claim("tier", "1")
        .claim("live", "true")
}

/// A token whose decoded header has this length.
fn header_of(length: usize) -> TokenSpec {
    let empty = r#"{"alg":"ES256","kid":"p256","x":""}"#.len();
    let header = format!(r#"{{"alg":"ES256","kid":"p256","x":"{}"}}"#, "x".repeat(length - empty));
    assert_eq!(header.len(), length);
    assert!(encode(&header).len() < 8192);
    token().header_text(header)
}
