//! Tokens that are shown again: they cost no signature, and not one request more than they have a right to.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use testkit::email_service::EmailService;
use testkit::http::PATIENCE;
use testkit::issuer::Issuer;
use testkit::refusal::assert_unauthorized;
use testkit::request::Request;
use testkit::setup::Setup;
use testkit::stage::{Stage, start_ready};

/// The value of a metric without labels.
fn metric(stage: &Stage, name: &str) -> u64 {
    let text = stage.sidecar.ask_admin("/metrics").text();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    let value = line.unwrap_or_else(|| panic!("there is no {name}")).rsplit(' ').next();
    value.and_then(|value| value.parse().ok()).expect("a number")
}

fn ask_until(stage: &Stage, token: &str, status: u16) {
    let deadline = Instant::now() + PATIENCE;
    while stage.ask(&Request::send().bearer(token)).status() != status {
        assert!(Instant::now() < deadline, "it was not {status} in time\n{}", stage.sidecar.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn token_that_is_shown_again_is_verified_twice_and_forwarded_and_recorded_alike() {
    let stage = Stage::set();
    let token = stage.token();
    for n in 0..5 {
        assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);
        let audit = stage.audit(n);
        assert_eq!((&audit["caller"], &audit["decision"]), (&json!("billing"), &json!("forward")), "{audit:#}");
        for field in ["issuer", "kid", "alg", "jti"] {
            assert_eq!(audit[field], stage.audit(0)[field], "{field}");
        }
    }
    let received = stage.email.received();
    assert_eq!(received.len(), 5);
    assert!(received.iter().all(|request| request.callers() == ["billing"]), "{received:#?}");
    assert_eq!(metric(&stage, "callgate_token_cache_misses_total"), 2);
    assert_eq!(metric(&stage, "callgate_token_cache_hits_total"), 3);
    assert_eq!(metric(&stage, "callgate_token_cache_tokens"), 1);
    // One that comes once needs no memory.
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token_but("jti", json!("once")))).status(), 202);
    assert_eq!(metric(&stage, "callgate_token_cache_tokens"), 1);
    assert!((500..4096).contains(&metric(&stage, "callgate_token_cache_bytes")));
    stage.end();
}

#[test]
fn refused_tokens_are_not_remembered() {
    let stage = Stage::set();
    let expired = stage.token_but("exp", json!(1_000_000_000));
    for _ in 0..3 {
        assert_unauthorized(&stage.ask(&Request::send().bearer(&expired)), "token_expired");
    }
    stage.assert_nothing_received();
    assert_eq!(stage.audit(2)["reason"], json!("token_expired"));
    assert_eq!(metric(&stage, "callgate_token_cache_tokens"), 0);
    stage.end();
}

#[test]
fn remembered_token_is_refused_from_its_last_second_on() {
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let lines = format!("leeway = \"0s\"\nkeys = {{ url = \"{}\" }}", issuer.jwks_url());
    let sidecar = start_ready(&Setup::before(email.address()).trusting_with(&issuer, &lines));
    let stage = Stage { issuer, email, sidecar };
    let now = stage.claims()["iat"].as_u64().expect("a time");
    let token = stage.token_but("exp", json!(now + 2));
    for _ in 0..2 {
        assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);
    }
    assert_eq!(metric(&stage, "callgate_token_cache_tokens"), 1);
    ask_until(&stage, &token, 401);
    assert_unauthorized(&stage.ask(&Request::send().bearer(&token)), "token_expired");
    stage.end();
}

#[test]
fn without_memory_every_request_is_verified() {
    let stage = Stage::set_with(|setup| setup.with("[cache]\nsize = \"0B\""));
    let token = stage.token();
    for _ in 0..3 {
        assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);
    }
    assert_eq!(metric(&stage, "callgate_token_cache_misses_total"), 3);
    assert_eq!(metric(&stage, "callgate_token_cache_hits_total"), 0);
    stage.end();
}

#[test]
fn remembered_token_goes_with_its_key_and_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let keys = folder.path().join("keys.json");
    fs::write(&keys, issuer.jwks().to_string()).unwrap();
    let line = format!("keys = {{ file = {:?} }}", keys.display().to_string());
    let setup = Setup::before(email.address()).trusting_with(&issuer, &line);
    let sidecar = start_ready(&setup);
    let stage = Stage { issuer, email, sidecar };
    let token = stage.token();
    for _ in 0..2 {
        assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);
    }

    // Another key in the place of its own, and then its own again.
    let before = stage.issuer.jwks().to_string();
    stage.issuer.rotate("next");
    fs::write(&keys, stage.issuer.jwks().to_string()).unwrap();
    ask_until(&stage, &token, 401);
    assert_unauthorized(&stage.ask(&Request::send().bearer(&token)), "key_unknown");
    fs::write(&keys, before).unwrap();
    ask_until(&stage, &token, 202);

    // Another audience.
    let text = fs::read_to_string(stage.sidecar.config()).unwrap();
    fs::write(stage.sidecar.config(), text.replace("\"email-service\"", "\"another-service\"")).unwrap();
    ask_until(&stage, &token, 401);
    assert_unauthorized(&stage.ask(&Request::send().bearer(&token)), "audience_mismatch");
    stage.end();
}
