//! Times: `exp`, `nbf`, `iat` at their edges, and numbers that no clock shows. It is 2026-01-01T00:00:00Z, and clocks may differ
//! by 30 seconds.

use super::header::strict;
use super::{Case, case};
use testkit::token::token;
use testkit::world::{LEEWAY, NOW};

#[rustfmt::skip]
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("RFC 7519 4.1.4", "no exp", token().without("exp"), "claim_missing"),
        case("RFC 7519 4.1.4", "exp in a second", token().claim("exp", &(NOW + 1).to_string()), "-> billing"),
        case("RFC 7519 4.1.4", "exp now, within the leeway", token().claim("exp", &NOW.to_string()), "-> billing"),
        case("RFC 7519 4.1.4", "exp past, the last second of the leeway", token().claim("exp", &(NOW - LEEWAY + 1).to_string()), "-> billing"),
        case("RFC 7519 4.1.4", "exp past by the leeway", token().claim("exp", &(NOW - LEEWAY).to_string()), "token_expired"),
        case("RFC 7519 4.1.4", "exp past by more", token().claim("exp", &(NOW - LEEWAY - 1).to_string()), "token_expired"),
        case("RFC 7519 4.1.4", "exp a year ago", token().claim("exp", &(NOW - 31_536_000).to_string()), "token_expired"),
        case("own", "exp twice", token().more_claims(r#""exp""#, "9999999999"), "token_malformed"),
        case("own", "exp twice, once with an escape", token().more_claims(r#""e\u0078p""#, "9999999999"), "token_malformed"),
        case("own", "exp in capitals beside exp", token().more_claims(r#""EXP""#, "1"), "-> billing"),
        case("own", "only EXP in capitals", token().without("exp").claim("EXP", "9999999999"), "claim_missing"),
        case("own", "exp with a space in its name", token().without("exp").claim("exp ", "9999999999"), "claim_missing"),
        case("RFC 7519 2", "exp with a fraction", token().claim("exp", &format!("{}.5", NOW + 290)), "-> billing"),
        case("own", "exp with a fraction is not rounded up", token().claim("exp", &format!("{}.999", NOW - LEEWAY)), "token_expired"),
        case("own", "exp with a fraction, the last second", token().claim("exp", &format!("{}.001", NOW - LEEWAY + 1)), "-> billing"),
        case("RFC 8259 6", "exp with an exponent", token().claim("exp", "1767225890e0"), "-> billing"),
        case("RFC 8259 6", "exp 1e10", token().claim("exp", "1e10"), "-> billing"),
        case("RFC 8259 6", "exp 1E+10", token().claim("exp", "1E+10"), "-> billing"),
        case("RFC 8259 6", "exp 17672258900e-1", token().claim("exp", "17672258900e-1"), "-> billing"),
        case("own", "exp at the end of the year 9999", token().claim("exp", "253402300799"), "-> billing"),
        case("own", "exp at the end of the year 9999, with a fraction of zero", token().claim("exp", "253402300799.0"), "-> billing"),
        case("own", "exp in the year 10000", token().claim("exp", "253402300800"), "claim_invalid"),
        case("own", "exp half a second into the year 10000", token().claim("exp", "253402300799.5"), "claim_invalid"),
        case("own", "exp in milliseconds", token().claim("exp", &format!("{}000", NOW + 290)), "claim_invalid"),
        case("own", "exp in microseconds", token().claim("exp", &format!("{}000000", NOW + 290)), "claim_invalid"),
        case("own", "exp in nanoseconds", token().claim("exp", &format!("{}000000000", NOW + 290)), "claim_invalid"),
        case("own", "exp 2^53", token().claim("exp", "9007199254740992"), "claim_invalid"),
        case("own", "exp 2^53 + 1", token().claim("exp", "9007199254740993"), "claim_invalid"),
        case("own", "exp 2^63 - 1", token().claim("exp", "9223372036854775807"), "claim_invalid"),
        case("own", "exp 2^63", token().claim("exp", "9223372036854775808"), "claim_invalid"),
        case("own", "exp 2^64 - 1", token().claim("exp", "18446744073709551615"), "claim_invalid"),
        case("own", "exp 2^64", token().claim("exp", "18446744073709551616"), "claim_invalid"),
        case("own", "exp 2^64 + NOW", token().claim("exp", "18446744075476777216"), "claim_invalid"),
        case("own", "exp of a hundred digits", token().claim("exp", &"9".repeat(100)), "claim_invalid"),
        case("own", "exp of a thousand digits", token().claim("exp", &"9".repeat(1000)), "token_malformed"),
        case("own", "exp 1e300", token().claim("exp", "1e300"), "claim_invalid"),
        case("own", "exp 1e308", token().claim("exp", "1e308"), "claim_invalid"),
        case("own", "exp 1e309", token().claim("exp", "1e309"), "token_malformed"),
        case("own", "exp 1e400", token().claim("exp", "1e400"), "token_malformed"),
        case("own", "exp 1e999999999", token().claim("exp", "1e999999999"), "token_malformed"),
        case("own", "exp 1e-400", token().claim("exp", "1e-400"), "token_expired"),
        case("own", "exp -1", token().claim("exp", "-1"), "claim_invalid"),
        case("own", "exp -1e10", token().claim("exp", "-1e10"), "claim_invalid"),
        case("own", "exp -0", token().claim("exp", "-0"), "token_expired"),
        case("own", "exp -0.0", token().claim("exp", "-0.0"), "token_expired"),
        case("own", "exp -0.5", token().claim("exp", "-0.5"), "claim_invalid"),
        case("own", "exp 0.5", token().claim("exp", "0.5"), "token_expired"),
        case("own", "exp -2^63", token().claim("exp", "-9223372036854775808"), "claim_invalid"),
        case("own", "exp -2^63 - 1", token().claim("exp", "-9223372036854775809"), "claim_invalid"),
        case("RFC 7519 4.1.5", "no nbf", token(), "-> billing"),
        case("RFC 7519 4.1.5", "nbf now", token().claim("nbf", &NOW.to_string()), "-> billing"),
        case("RFC 7519 4.1.5", "nbf in the past", token().claim("nbf", &(NOW - 5).to_string()), "-> billing"),
        case("RFC 7519 4.1.5", "nbf ahead by the leeway", token().claim("nbf", &(NOW + LEEWAY).to_string()), "-> billing"),
        case("RFC 7519 4.1.5", "nbf ahead by the leeway and a bit", token().claim("nbf", &format!("{}.001", NOW + LEEWAY)), "token_not_yet_valid"),
        case("RFC 7519 4.1.5", "nbf ahead by more", token().claim("nbf", &(NOW + LEEWAY + 1).to_string()), "token_not_yet_valid"),
        case("RFC 7519 4.1.5", "nbf after exp", token().claim("nbf", "9999999999"), "token_not_yet_valid"),
        case("own", "nbf 0", token().claim("nbf", "0"), "-> billing"),
        case("own", "nbf -0", token().claim("nbf", "-0"), "-> billing"),
        case("own", "nbf -1", token().claim("nbf", "-1"), "claim_invalid"),
        case("own", "nbf -0.5", token().claim("nbf", "-0.5"), "claim_invalid"),
        case("own", "nbf in milliseconds", token().claim("nbf", &format!("{NOW}000")), "claim_invalid"),
        case("own", "nbf as a text", token().claim("nbf", &format!("\"{NOW}\"")), "claim_invalid"),
        case("own", "nbf twice", token().claim("nbf", "1").more_claims(r#""nbf""#, "2"), "token_malformed"),
        case("RFC 7519 4.1.6", "no iat", token().without("iat"), "-> billing"),
        case("RFC 7519 4.1.6", "iat long ago", token().claim("iat", "1"), "-> billing"),
        case("RFC 7519 4.1.6", "iat ahead by the leeway", token().claim("iat", &(NOW + LEEWAY).to_string()), "-> billing"),
        case("RFC 7519 4.1.6", "iat ahead by more", token().claim("iat", &(NOW + LEEWAY + 1).to_string()), "token_not_yet_valid"),
        case("RFC 7519 4.1.6", "iat ahead by the leeway and a bit", token().claim("iat", &format!("{}.5", NOW + LEEWAY)), "token_not_yet_valid"),
        case("own", "iat -0.5", token().claim("iat", "-0.5"), "claim_invalid"),
        case("own", "iat in milliseconds", token().claim("iat", &format!("{NOW}000")), "claim_invalid"),
        case("own", "iat 1e400", token().claim("iat", "1e400"), "token_malformed"),
        // max_lifetime is an hour, max_age half an hour.
        case("own", "an hour's life", strict().claim("exp", &(NOW - 10 + 3600).to_string()), "-> billing"),
        case("own", "an hour's life and a second", strict().claim("exp", &(NOW - 10 + 3601).to_string()), "lifetime_exceeded"),
        case("own", "an hour's life and a bit", strict().claim("exp", &format!("{}.1", NOW - 10 + 3600)), "lifetime_exceeded"),
        case("own", "an hour's life from a fraction", strict().claim("iat", &format!("{}.9", NOW - 10)).claim("exp", &(NOW - 10 + 3601).to_string()), "lifetime_exceeded"),
        case("own", "an endless life", strict().claim("exp", "253402300799"), "lifetime_exceeded"),
        case("own", "a life of unknown length", strict().without("iat"), "claim_missing"),
        case("own", "issued half an hour ago", strict().claim("iat", &(NOW - 1800).to_string()), "-> billing"),
        case("own", "issued half an hour and the leeway ago", strict().claim("iat", &(NOW - 1800 - LEEWAY).to_string()), "token_expired"),
        case("own", "issued half an hour and a bit less than the leeway ago", strict().claim("iat", &(NOW - 1800 - LEEWAY + 1).to_string()), "-> billing"),
        case("own", "issued an hour ago", strict().claim("iat", &(NOW - 3600).to_string()).claim("exp", &NOW.to_string()), "token_expired"),
    ];
    // Texts that are no JSON numbers (RFC 8259 6).
    for (claim, texts) in [("exp", ["NaN", "Infinity", "-Infinity", "+1767225890", "01767225890", "1767225890.", ".5", "0x6955b600", "1_767_225_890", "1767225890L", "1767225890n", "1,767,225,890", "--1", "1e", "1e+", "undefined", "new Date()", "\u{0661}\u{0667}"])] {
        for text in texts {
            cases.push(case("RFC 8259 6", format!("{claim} {text}"), token().claim(claim, text), "token_malformed"));
        }
    }
    for text in ["", "1767225890", " 1767225890", "2026-01-01T00:10:00Z", "never", "+10m"] {
        cases.push(case("RFC 7519 2", format!("exp as the text '{text}'"), token().claim("exp", &format!("\"{text}\"")), "claim_invalid"));
    }
    cases
}
