//! What a caller learns from a 401, for every way in which a token can be wrong.

use serde_json::{Value, json};

use testkit::issuer::now;
use testkit::keys::encode;
use testkit::refusal::{assert_unauthorized, request_id};
use testkit::request::Request;
use testkit::stage::Stage;

/// Plays one bad token next to a good one; returns the detail of the refusal.
fn refuse(stage: Stage, token: &str, reason: &str) -> String {
    let refused = stage.ask(&Request::send().bearer(token));
    let detail = assert_unauthorized(&refused, reason);
    stage.assert_nothing_received();

    let audit = stage.sidecar.audit_for(&request_id(&refused)).expect("the refusal is in the audit");
    assert_eq!(audit["decision"], "reject");
    assert_eq!(audit["reason"], reason);
    assert_eq!(audit["status"], 401);
    assert_eq!(audit["caller"], Value::Null, "nobody is named before all is proven");
    assert_eq!(audit["jti"], Value::Null, "a refused token's claims are not recorded");
    assert!(audit["upstream_us"].is_null());

    let accepted = stage.ask(&Request::send().bearer(&stage.token()));
    assert_eq!(accepted.status(), 202, "{}", accepted.text());
    assert_eq!(stage.only_received().callers(), ["billing"]);

    let ended = stage.end();
    assert_never_repeated(token, &[&String::from_utf8_lossy(&refused.body), &ended.stdout, &ended.stderr]);
    assert_never_repeated(token, &refused.head.headers.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>());
    detail
}

fn assert_never_repeated(token: &str, texts: &[&str]) {
    let signature = token.rsplit('.').next().unwrap_or_default();
    for secret in [token, signature].into_iter().filter(|secret| secret.len() > 8) {
        assert!(texts.iter().all(|text| !text.contains(secret)), "the token is repeated: {texts:#?}");
    }
}

#[test]
fn request_without_a_token_is_refused_and_the_upstream_sees_nothing() {
    let stage = Stage::set();
    let refused = stage.ask(&Request::send());
    let detail = assert_unauthorized(&refused, "token_missing");
    assert!(detail.contains("Authorization"), "it says where a token belongs: {detail}");
    stage.assert_nothing_received();
    let audit = stage.sidecar.audit_for(&request_id(&refused)).unwrap();
    assert_eq!(audit["reason"], "token_missing");
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    stage.end();
}

#[test]
fn expired_token_is_refused_and_the_upstream_sees_nothing() {
    let stage = Stage::set();
    let token = stage.token_but("exp", json!(now() - 3600));
    let detail = refuse(stage, &token, "token_expired");
    assert!(detail.contains("1h ago"), "{detail}");
}

#[test]
fn expired_token_is_still_accepted_within_the_leeway() {
    let stage = Stage::set();
    let token = stage.token_but("exp", json!(now() - 5));
    assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);
    let token = stage.token_but("exp", json!(now() - 40));
    assert_unauthorized(&stage.ask(&Request::send().bearer(&token)), "token_expired");
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn token_that_is_bound_to_a_key_is_refused_however_often_it_is_shown() {
    let stage = Stage::set();
    let bound = stage.token_but("cnf", json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}));
    assert_unauthorized(&stage.ask(&Request::send().bearer(&bound)), "token_bound");
    let detail = refuse(stage, &bound, "token_bound");
    assert!(detail.contains("cnf is an object with 'jkt'"), "{detail}");
}

#[test]
fn token_without_an_expiry_is_refused() {
    let stage = Stage::set();
    let token = stage.token_but("exp", Value::Null);
    let detail = refuse(stage, &token, "claim_missing");
    assert!(detail.contains("exp"), "{detail}");
}

#[test]
fn token_from_the_future_is_refused() {
    let stage = Stage::set();
    let token = stage.token_but("nbf", json!(now() + 600));
    refuse(stage, &token, "token_not_yet_valid");
}

#[test]
fn token_that_is_no_jwt_is_refused() {
    refuse(Stage::set(), "open-sesame", "token_malformed");
}

#[test]
fn token_with_a_part_too_many_is_refused() {
    let stage = Stage::set();
    let token = format!("{}.again", stage.token());
    refuse(stage, &token, "token_malformed");
}

#[test]
fn token_with_a_wrong_signature_is_refused() {
    let stage = Stage::set();
    let token = stage.token();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", encode(&[7; 64]));
    refuse(stage, &forged, "signature_invalid");
}

#[test]
fn token_changed_after_it_was_signed_is_refused() {
    let stage = Stage::set();
    let token = stage.token();
    let parts: Vec<_> = token.split('.').collect();
    let mut claims = stage.claims();
    claims["sub"] = json!("admin");
    let changed = format!("{}.{}.{}", parts[0], encode(claims.to_string().as_bytes()), parts[2]);
    refuse(stage, &changed, "signature_invalid");
}

#[test]
fn token_for_another_audience_is_refused_and_the_caller_is_told_which() {
    let stage = Stage::set();
    let token = stage.token_but("aud", json!("invoice-service"));
    let detail = refuse(stage, &token, "audience_mismatch");
    assert!(detail.contains("email-service"), "it says what was expected: {detail}");
}

#[test]
fn token_for_several_audiences_is_accepted_if_we_are_one_of_them() {
    let stage = Stage::set();
    let among = stage.token_but("aud", json!(["invoice-service", "email-service"]));
    assert_eq!(stage.ask(&Request::send().bearer(&among)).status(), 202);
    let not_among = stage.token_but("aud", json!(["invoice-service", "email-service-2"]));
    assert_unauthorized(&stage.ask(&Request::send().bearer(&not_among)), "audience_mismatch");
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn unsigned_token_is_refused() {
    let stage = Stage::set();
    let header = encode(json!({"alg": "none", "typ": "JWT"}).to_string().as_bytes());
    let token = format!("{header}.{}.", encode(stage.claims().to_string().as_bytes()));
    refuse(stage, &token, "algorithm_refused");
}

#[test]
fn token_with_a_critical_header_is_refused() {
    let stage = Stage::set();
    let header = json!({"alg": "ES256", "kid": "key-1", "crit": ["b64"], "b64": false});
    let token = stage.issuer.key().mint_as(&header, &stage.claims());
    refuse(stage, &token, "critical_header_unsupported");
}

#[test]
fn token_of_another_type_is_refused() {
    let stage = Stage::set();
    let header = json!({"alg": "ES256", "kid": "key-1", "typ": "dpop+jwt"});
    let token = stage.issuer.key().mint_as(&header, &stage.claims());
    refuse(stage, &token, "type_refused");
}

#[test]
fn token_with_a_caller_that_no_header_can_carry_is_refused() {
    let stage = Stage::set();
    let token = stage.token_but("sub", json!("billing\r\nX-Admin: yes"));
    refuse(stage, &token, "caller_unusable");
}

#[test]
fn token_larger_than_the_limit_is_refused() {
    let stage = Stage::set();
    let token = stage.token_but("padding", json!("x".repeat(9000)));
    let detail = refuse(stage, &token, "token_too_large");
    assert!(detail.contains("8"), "it says the limit: {detail}");
}

#[test]
fn token_that_lacks_a_required_claim_is_refused() {
    let required = |setup: testkit::setup::Setup| setup.with("required_claims = { env = \"production\" }");
    let stage = Stage::set_with(required);
    let good = stage.token_but("env", json!("production"));
    assert_eq!(stage.ask(&Request::send().bearer(&good)).status(), 202);
    let without = stage.ask(&Request::send().bearer(&stage.token()));
    assert!(assert_unauthorized(&without, "claim_missing").contains("env"));
    let other = stage.token_but("env", json!("staging"));
    assert!(assert_unauthorized(&stage.ask(&Request::send().bearer(&other)), "claim_invalid").contains("env"));
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn token_that_lives_too_long_is_refused() {
    let stage = Stage::set_with(|setup| setup.with("max_lifetime = \"2h\""));
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    let eternal = stage.token_but("exp", json!(now() + 86_400));
    assert_unauthorized(&stage.ask(&Request::send().bearer(&eternal)), "lifetime_exceeded");
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn refused_request_leaves_the_connection_usable() {
    let stage = Stage::set();
    let mut connection = stage.sidecar.connect();
    for _ in 0..3 {
        assert_unauthorized(&connection.exchange(Request::send().bytes()).unwrap(), "token_missing");
        let accepted = connection.exchange(Request::send().bearer(&stage.token()).bytes()).unwrap();
        assert_eq!(accepted.status(), 202);
    }
    assert_eq!(stage.email.received().len(), 3);
    stage.end();
}

#[test]
fn refusal_of_a_head_request_has_a_challenge_and_no_body() {
    let stage = Stage::set();
    let mut connection = stage.sidecar.connect();
    let refused = connection.exchange(Request::new("HEAD", "/send").bytes()).unwrap();
    assert_eq!(refused.status(), 401);
    assert!(refused.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer realm=")));
    // Had a body followed, this answer could not be read.
    let accepted = connection.exchange(Request::send().bearer(&stage.token()).bytes()).unwrap();
    assert_eq!(accepted.status(), 202);
    stage.end();
}
