//! What an operator lives with: /livez, /readyz, /metrics and the audit.

use std::time::{Duration, Instant};

use callgate::clock::UnixTime;
use serde_json::{Value, json};

use testkit::http::PATIENCE;
use testkit::issuer::now;
use testkit::refusal::request_id;
use testkit::request::Request;
use testkit::sidecar::Sidecar;
use testkit::stage::Stage;

/// Scrapes until a sample of this name, with these labels, has this value. An audit record and a counter are written one
/// after the other, so the first scrape may be too early.
fn assert_sample(sidecar: &Sidecar, name: &str, labels: &[&str], value: f64) {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = sidecar.ask_admin("/metrics");
        assert_eq!(answer.status(), 200);
        let text = answer.text();
        let mut samples =
            text.lines().filter(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")));
        let matching = samples.find(|line| labels.iter().all(|label| line.contains(label)));
        if matching.and_then(|line| line.rsplit(' ').next()?.parse().ok()) == Some(value) {
            return;
        }
        assert!(Instant::now() < end, "{name} {labels:?} should be {value}; it is {matching:?} in\n{text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn metrics_count_requests_by_outcome_reason_issuer_and_caller() {
    let stage = Stage::set();
    for _ in 0..2 {
        assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    }
    let expired = stage.token_but("exp", json!(now() - 3600));
    assert_eq!(stage.ask(&Request::send().bearer(&expired)).status(), 401);
    assert_eq!(stage.ask(&Request::send()).status(), 401);

    let issuer = format!("issuer=\"{}\"", stage.issuer.name());
    let requests = "callgate_requests_total";
    assert_sample(&stage.sidecar, requests, &["outcome=\"forward\"", &issuer], 2.0);
    assert_sample(&stage.sidecar, requests, &["outcome=\"reject\"", "reason=\"token_expired\"", &issuer], 1.0);
    assert_sample(&stage.sidecar, requests, &["outcome=\"reject\"", "reason=\"token_missing\""], 1.0);
    assert_sample(&stage.sidecar, "callgate_caller_requests_total", &["caller=\"billing\""], 2.0);
    assert_sample(&stage.sidecar, "callgate_authentication_seconds_count", &[], 4.0);
    assert_sample(&stage.sidecar, "callgate_request_seconds_count", &[], 4.0);
    assert_sample(&stage.sidecar, "callgate_upstream_seconds_count", &[], 2.0);
    assert_sample(&stage.sidecar, "callgate_key_set_keys", &[&issuer], 1.0);
    assert_sample(&stage.sidecar, "callgate_key_set_usable", &[&issuer], 1.0);
    assert_sample(&stage.sidecar, "callgate_build_info", &["version=\""], 1.0);
    stage.end();
}

#[test]
fn metrics_follow_the_exposition_format_and_have_help() {
    let stage = Stage::set();
    let answer = stage.sidecar.ask_admin("/metrics");
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{:?}", answer.head);
    let text = answer.text();
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
        assert!(name.starts_with("callgate_") || name.starts_with("process_"), "{name}");
    }
    assert!(text.contains("process_resident_memory_bytes "), "{text}");
    stage.end();
}

#[test]
fn unverified_names_never_become_labels() {
    let stage = Stage::set();
    let mut claims = stage.claims();
    claims["iss"] = json!("https://invented.example");
    claims["sub"] = json!("invented-caller");
    assert_eq!(stage.ask(&Request::send().bearer(&stage.issuer.mint(&claims))).status(), 401);
    assert_sample(&stage.sidecar, "callgate_requests_total", &["reason=\"issuer_untrusted\""], 1.0);
    assert!(!stage.sidecar.ask_admin("/metrics").text().contains("invented"));
    stage.end();
}

#[test]
fn admin_port_says_that_it_lives_and_is_ready() {
    let stage = Stage::set();
    let alive = stage.sidecar.ask_admin("/livez");
    assert_eq!((alive.status(), alive.text().trim()), (200, "ok"));
    let ready = stage.sidecar.ask_admin("/readyz");
    assert_eq!(ready.status(), 200);
    let ready = ready.json();
    assert_eq!(ready["ready"], true, "{ready:#}");
    assert_eq!(ready["issuers"][0]["issuer"], stage.issuer.name(), "{ready:#}");
    assert_eq!(ready["issuers"][0]["keys"], 1, "{ready:#}");
    assert_eq!(stage.sidecar.ask_admin("/nowhere").status(), 404);
    stage.end();
}

#[test]
fn admin_paths_on_the_public_port_are_no_exception() {
    let stage = Stage::set();
    for path in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(stage.ask(&Request::new("GET", path)).status(), 401, "{path}");
    }
    stage.assert_nothing_received();
    stage.end();
}

#[test]
fn audit_record_has_everything_about_a_request_but_its_query() {
    let stage = Stage::set();
    let token = stage.token_but("jti", json!("7d1c"));
    let before = now();
    let answer = stage.ask(&Request::send().to("POST", "/send?secret=hunter2").bearer(&token));
    assert_eq!(answer.status(), 202);
    let audit = stage.audit(0);
    assert_eq!(audit["path"], "/send");
    assert_eq!(audit["jti"], "7d1c");
    assert_eq!(audit["status"], 202);
    assert!(audit["request_id"].as_str().is_some_and(|id| !id.is_empty()));
    assert!(audit["client"].as_str().is_some_and(|client| client.starts_with("127.0.0.1:")), "{audit:#}");
    for duration in ["duration_us", "authentication_us", "upstream_us"] {
        assert!(audit[duration].is_u64(), "{duration}: {audit:#}");
    }
    let time = audit["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "RFC 3339 in ms: {time}");
    let ended = UnixTime::parse(time).unwrap().as_secs();
    assert!((before..=now()).contains(&ended), "{time} lies within the test");

    assert_eq!(stage.ask(&Request::send().to("POST", "/send?secret=hunter2")).status(), 401);
    assert_eq!(stage.audit(1)["path"], "/send");
    let ended = stage.end();
    assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn every_request_has_an_id_of_its_own_which_the_client_cannot_choose() {
    let stage = Stage::set();
    let ids: Vec<_> = (0..3).map(|_| request_id(&stage.ask(&Request::send().header("X-Request-Id", "mine")))).collect();
    for id in &ids {
        assert_ne!(id, "mine");
        assert_eq!(ids.iter().filter(|other| *other == id).count(), 1, "{ids:?}");
        assert!(stage.sidecar.audit_for(id).is_some(), "the audit knows {id}");
    }
    stage.end();
}

#[test]
fn log_of_the_lowest_level_holds_no_token_and_no_query() {
    let stage = Stage::set_with(|setup| setup.with("[log]\nlevel = \"trace\""));
    let token = stage.token();
    let ask = |token: &str| stage.ask(&Request::send().to("POST", "/send?secret=hunter2").bearer(token)).status();
    let (unsigned, signature) = token.rsplit_once('.').unwrap();
    assert_eq!((ask(&token), ask(&format!("{unsigned}.{}", "A".repeat(signature.len())))), (202, 401));
    let ended = stage.end();
    for secret in [unsigned, signature, "hunter2"] {
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    }
}

#[test]
fn audit_is_one_json_object_per_request_and_nothing_else_is_on_stdout() {
    let stage = Stage::set();
    let targets = ["/send", "/send?a=b", "/%22quoted%22", "/a\\b"];
    for target in targets {
        stage.ask(&Request::new("GET", target));
    }
    let ended = stage.end();
    let records: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), targets.len(), "{}", ended.stdout);
    assert!(records.iter().all(|record| record["event"] == "request"), "{}", ended.stdout);
}

#[test]
fn client_that_goes_away_in_the_middle_is_in_the_audit_too() {
    let stage = Stage::set();
    let mut connection = stage.sidecar.connect();
    let head = Request::new("POST", "/send").bearer(&stage.token()).header("Content-Length", "1000");
    connection.send(head.head()).unwrap();
    connection.send(b"only a little").unwrap();
    assert!(stage.email.wait_until(PATIENCE, |received| received.len() == 1));
    drop(connection);
    let audit = stage.audit(0);
    assert_eq!(audit["decision"], "forward");
    assert_eq!(audit["caller"], "billing");
    stage.end();
}

#[test]
fn what_an_unproven_token_says_is_cut_short_in_the_audit() {
    let stage = Stage::set();
    let header = json!({"alg": "ES256", "kid": "k".repeat(3000)});
    let refused = stage.ask(&Request::send().bearer(&stage.issuer.key().mint_as(&header, &stage.claims())));
    assert_eq!(refused.status(), 401);
    let line = stage.sidecar.audit_line(0).unwrap();
    assert!(line.len() < 1000, "{line}");
    let long = stage.ask(&Request::new("GET", &format!("/{}", "p".repeat(30_000))));
    assert_eq!(long.status(), 401);
    let line = stage.sidecar.audit_line(1).unwrap();
    assert!(line.len() < 5000, "{} bytes", line.len());
    stage.end();
}
