//! What issuers really write where RFC 7519 leaves them free, each by a configuration of its own: no `aud`, a `sub` that is a number,
//! names with a space.

use testkit::token::{TokenSpec, by, token};

use super::{Case, case};

pub(super) fn cases() -> Vec<Case> {
    [audience(), subject(), encoded(), trust_domains()].into_iter().flatten().collect()
}

/// A token for which `client_id` stands for the audience.
fn for_clients() -> TokenSpec {
    token().claim("iss", r#""https://clients.test""#).without("aud").claim("client_id", r#""mail""#)
}

fn audience() -> Vec<Case> {
    const AMAZON: &str = "Amazon Cognito";
    let mut cases = vec![
        case(AMAZON, "no aud, the other claim is ours", for_clients(), "-> mail"),
        case(
            AMAZON,
            "the other claim is another's",
            for_clients().claim("client_id", r#""invoices""#),
            "audience_mismatch",
        ),
        case(AMAZON, "neither aud nor the other claim", for_clients().without("client_id"), "claim_missing"),
        case(
            AMAZON,
            "aud alone is not enough",
            for_clients().without("client_id").claim("aud", r#""mail""#),
            "claim_missing",
        ),
        case(AMAZON, "both are ours", for_clients().claim("aud", r#""email-service""#), "-> mail"),
        case(AMAZON, "both are ours, aud in a list", for_clients().claim("aud", r#"["x","mail"]"#), "-> mail"),
        case(AMAZON, "aud is another's beside ours", for_clients().claim("aud", r#""invoices""#), "audience_mismatch"),
        case(AMAZON, "an empty list in aud beside ours", for_clients().claim("aud", "[]"), "audience_mismatch"),
        case(
            AMAZON,
            "a list in the other claim",
            for_clients().claim("client_id", r#"["x","mail"]"#),
            "caller_unusable",
        ),
        case(AMAZON, "an empty list in the other claim", for_clients().claim("client_id", "[]"), "audience_mismatch"),
        case(AMAZON, "another case", for_clients().claim("client_id", r#""Mail""#), "audience_mismatch"),
        case(
            AMAZON,
            "the claim under another name",
            for_clients().without("client_id").claim("Client_id", r#""mail""#),
            "claim_missing",
        ),
        case(
            "own",
            "the other claim where nobody configured it",
            token().without("aud").claim("client_id", r#""mail""#),
            "claim_missing",
        ),
    ];
    for value in ["null", "true", "5", "1.5", "{}", r#"[["mail"]]"#, r#"["mail",5]"#, r#"["mail",null]"#] {
        cases.push(case(
            "RFC 7519 4.1.3",
            format!("{value} in the other claim"),
            for_clients().claim("client_id", value),
            "claim_invalid",
        ));
        cases.push(case(
            "RFC 7519 4.1.3",
            format!("{value} in aud beside ours"),
            for_clients().claim("aud", value),
            "claim_invalid",
        ));
    }
    cases
}

fn subject() -> Vec<Case> {
    let mut cases = Vec::new();
    for value in ["0", "5", "-5", "1.5", "18446744073709551615", "null", r#""""#, r#""text""#] {
        let what = format!("sub {value} where another claim names the caller");
        cases.push(case("own", what, for_clients().claim("sub", value), "-> mail"));
    }
    for value in ["true", "false", "{}", "[]", r#"["billing"]"#, r#"{"id":5}"#] {
        let what = format!("sub {value} where another claim names the caller");
        cases.push(case("RFC 7519 4.1.2", what, for_clients().claim("sub", value), "claim_invalid"));
    }
    for value in ["0", "5", "-5", "1.5", "null"] {
        cases.push(case(
            "RFC 7519 4.1.2",
            format!("sub {value} where it names the caller"),
            token().claim("sub", value),
            "claim_invalid",
        ));
    }
    cases.push(case("own", "no sub where another claim names the caller", for_clients().without("sub"), "-> mail"));
    cases
}

/// JWT-SVIDs as SPIRE makes them: without `iss`.
fn trust_domains() -> Vec<Case> {
    const SVID: &str = "JWT-SVID 3";
    let of = |sub: &str| token().without("iss").claim("sub", &format!("\"{sub}\""));
    let a = || of("spiffe://a.domain.test/billing");
    let mut cases = vec![
        case(SVID, "no iss", a(), "-> spiffe://a.domain.test/billing"),
        case(
            SVID,
            "no iss, of another domain, by its key",
            of("spiffe://b.domain.test/x").signed_by("other-p256", "ES256"),
            "-> spiffe://b.domain.test/x",
        ),
        case(
            SVID,
            "by the key of domain a, subject of domain b, the same kid",
            of("spiffe://b.domain.test/x"),
            "signature_invalid",
        ),
        case(
            SVID,
            "by the key of domain b, subject of domain a, the same kid",
            a().signed_by("other-p256", "ES256"),
            "signature_invalid",
        ),
        case(
            SVID,
            "a key that two domains have speaks for the one",
            of("spiffe://c.domain.test/x"),
            "-> spiffe://c.domain.test/x",
        ),
        case(
            SVID,
            "without kid, by the key of domain a, subject of domain b",
            of("spiffe://b.domain.test/x").without_head("kid"),
            "signature_invalid",
        ),
        case(SVID, "a domain that nobody trusts", of("spiffe://d.domain.test/x"), "issuer_untrusted"),
        case(SVID, "a domain below ours", of("spiffe://x.a.domain.test/x"), "issuer_untrusted"),
        case(SVID, "a domain above ours", of("spiffe://domain.test/x"), "issuer_untrusted"),
        case(SVID, "our domain with a port", of("spiffe://a.domain.test:443/x"), "issuer_untrusted"),
        case(SVID, "our domain with user information", of("spiffe://x@a.domain.test/x"), "issuer_untrusted"),
        case(SVID, "our domain in capitals", of("spiffe://A.DOMAIN.TEST/x"), "issuer_untrusted"),
        case(SVID, "our domain with a query", of("spiffe://a.domain.test?x"), "issuer_untrusted"),
        case(SVID, "our domain, encoded", of("spiffe://a%2edomain.test/x"), "issuer_untrusted"),
        case(SVID, "no domain", of("spiffe:///x"), "issuer_untrusted"),
        case(SVID, "the scheme in capitals", of("SPIFFE://a.domain.test/x"), "claim_missing"),
        case(SVID, "another scheme", of("https://a.domain.test/x"), "claim_missing"),
        case(SVID, "neither iss nor sub", a().without("sub"), "claim_missing"),
        case(SVID, "the domain as iss", token().claim("iss", r#""spiffe://a.domain.test""#), "issuer_untrusted"),
        case(SVID, "no exp", a().without("exp"), "claim_missing"),
        case(SVID, "no aud", a().without("aud"), "claim_missing"),
        case(SVID, "another's aud", a().claim("aud", r#""spiffe://a.domain.test/x""#), "audience_mismatch"),
        case(SVID, "expired", a().claim("exp", "1"), "token_expired"),
        case(SVID, "an algorithm that the domain does not use", a().head("alg", r#""RS256""#), "algorithm_refused"),
        case(SVID, "an unknown kid", a().head("kid", r#""p384""#), "key_unknown"),
        case(SVID, "bound to a key", a().claim("cnf", r#"{"jkt":"x"}"#), "token_bound"),
        case(
            "own",
            "a SPIFFE id of an issuer that is found by iss",
            token().claim("sub", r#""spiffe://d.domain.test/x""#),
            "-> spiffe://d.domain.test/x",
        ),
        case(
            "own",
            "by another issuer, subject of our domain: iss decides nothing",
            by("p384", "ES384").claim("sub", r#""spiffe://a.domain.test/x""#),
            "algorithm_refused",
        ),
    ];
    for iss in [
        "\"https://eve.test\"",
        "\"https://other.test\"",
        "\"spiffe://b.domain.test\"",
        "\"\"",
        "null",
        "5",
        "[]",
        "{}",
        "true",
    ] {
        cases.push(case(
            SVID,
            format!("iss {iss} in a token of a domain"),
            a().claim("iss", iss),
            "-> spiffe://a.domain.test/billing",
        ));
        let forged = a().claim("iss", iss).signed_by("other-p256", "ES256");
        cases.push(case(
            SVID,
            format!("iss {iss} in a token of a domain, by another's key"),
            forged,
            "signature_invalid",
        ));
    }
    cases
}

fn encoded() -> Vec<Case> {
    let by = |name: &str| token().claim("iss", r#""https://encoded.test""#).claim("sub", &format!("\"{name}\""));
    let mut cases = Vec::new();
    for (name, encoded) in [
        ("billing", "billing"),
        ("repo:octo/app:environment:Prod West", "repo:octo/app:environment:Prod%20West"),
        ("CN=Billing,O=Shop", "CN=Billing%2CO=Shop"),
        ("a;b", "a%3Bb"),
        ("a'b", "a%27b"),
        (r#"a\"b"#, "a%22b"),
        (r"a\\b", "a%5Cb"),
        ("a%2Cb", "a%252Cb"),
        ("100%", "100%25"),
        (r"a\r\nb", "a%0D%0Ab"),
        (r"a\u0000b", "a%00b"),
        (r"a\tb", "a%09b"),
        ("M\u{fc}ller", "M%C3%BCller"),
        (r"\u00fc", "%C3%BC"),
        (" ", "%20"),
    ] {
        cases.push(case(
            "RFC 3986 2.1",
            format!("a caller called {encoded} when encoded"),
            by(name),
            format!("-> {encoded}"),
        ));
    }
    cases.push(case("own", "an empty caller, encoded", by(""), "caller_unusable"));
    cases.push(case("own", "85 spaces, encoded", by(&" ".repeat(85)), format!("-> {}", "%20".repeat(85))));
    cases.push(case("own", "86 spaces, encoded", by(&" ".repeat(86)), "caller_unusable"));
    for name in ["a b", "a,b", "a;b", "a'b"] {
        cases.push(case(
            "own",
            format!("a caller called {name} where nothing is encoded"),
            token().claim("sub", &format!("\"{name}\"")),
            "caller_unusable",
        ));
    }
    cases
}
