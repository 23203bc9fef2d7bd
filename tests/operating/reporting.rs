//! `mode = "report"`: what would be refused gets through without a caller, and is told in every place. What `callgate rollout`
//! says of it.

use std::fs;

use serde_json::{Value, json};

use crate::samples::{sample, wait_for_sample};
use testkit::dpop::Client;
use testkit::email_service::EmailService;
use testkit::http::Answer;
use testkit::issuer::{Behaviour, Issuer, now};
use testkit::process::{Ended, run};
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::{Stage, binary, start_ready};

/// A stage whose configuration begins with this line.
fn beginning_with(line: &str, tables: &str) -> Stage {
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let setup = Setup::before(email.address()).trusting(&issuer).with(tables);
    let sidecar = Sidecar::start(binary(), &format!("{line}\n{}", setup.toml())).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    Stage { issuer, email, sidecar }
}

fn rollout(stage: &Stage, more: &[&str]) -> Ended {
    let admin = stage.sidecar.admin().to_string();
    run(binary(), &[&["rollout", "--admin", &admin], more].concat()).unwrap()
}

fn asked_with(stage: &Stage, token: &str) -> (Answer, Value) {
    let answered = stage.sidecar.audit_so_far().len();
    let answer = stage.ask(&Request::send().bearer(token).header("X-Caller-Service", "root"));
    (answer, stage.audit(answered))
}

#[test]
fn what_would_be_refused_is_forwarded_without_a_caller_and_told_everywhere() {
    let stage = beginning_with("mode = \"report\"", "");
    let expired = stage.token_but("exp", json!(now() - 3600));
    let (answer, audit) = asked_with(&stage, &expired);
    assert_eq!(answer.status(), 202);
    assert!(stage.only_received().callers().is_empty(), "no caller, not even the client's");
    assert_eq!(audit["decision"], "would_reject");
    assert_eq!(audit["reason"], "token_expired");
    assert_eq!((&audit["caller"], &audit["claimed_caller"]), (&Value::Null, &json!("billing")));

    let (answer, audit) = asked_with(&stage, &stage.token());
    assert_eq!(answer.status(), 202);
    assert_eq!(stage.email.latest().unwrap().callers(), ["billing"], "who is proven is named");
    assert_eq!(audit["decision"], "forward");
    assert_eq!((&audit["caller"], &audit["claimed_caller"]), (&json!("billing"), &Value::Null));

    assert_eq!(stage.ask(&Request::send()).status(), 202, "no token");
    wait_for_sample(&stage.sidecar, "callgate_requests_total", &["would_reject", "token_expired"], |count| count > 0.5);
    let labels = ["claimed_caller=\"billing\"", "reason=\"token_expired\"", "auth.internal"];
    assert_eq!(sample(&stage.sidecar, "callgate_would_reject_total", &labels), Some(1.0));
    let labels = ["claimed_caller=\"none\"", "reason=\"token_missing\""];
    wait_for_sample(&stage.sidecar, "callgate_would_reject_total", &labels, |count| count > 0.5);
    assert_eq!(sample(&stage.sidecar, "callgate_report_only", &["scope=\"all\""]), Some(1.0));
    let ended = stage.end();
    assert!(ended.stderr.contains("Requests are only reported and never refused."), "it is loud: {}", ended.stderr);
    assert!(ended.stderr.contains("nothing is protected"), "it is loud: {}", ended.stderr);
}

#[test]
fn without_the_mode_nothing_is_reported_and_the_record_has_the_claim() {
    let stage = Stage::set();
    let expired = stage.token_but("exp", json!(now() - 3600));
    let (answer, audit) = asked_with(&stage, &expired);
    assert_eq!(answer.status(), 401);
    assert_eq!((&audit["decision"], &audit["claimed_caller"]), (&json!("reject"), &json!("billing")));
    assert_eq!(audit["caller"], Value::Null);
    assert_eq!(sample(&stage.sidecar, "callgate_report_only", &["scope=\"all\""]), Some(0.0));
    assert_eq!(sample(&stage.sidecar, "callgate_would_reject_total", &[]), None);
    let ended = rollout(&stage, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(ended.stdout.contains("Everything is enforced."), "{}", ended.stdout);
    stage.end();
}

#[test]
fn one_path_or_one_issuer_is_reported_and_the_rest_is_refused() {
    let stage = beginning_with("", "[[report]]\npath = \"/send\"\nmethods = [\"POST\"]");
    assert_eq!(stage.ask(&Request::send()).status(), 202);
    for (method, path) in [("GET", "/send"), ("POST", "/send/"), ("POST", "//send"), ("POST", "/other")] {
        assert_eq!(stage.ask(&Request::send().to(method, path)).status(), 401, "{method} {path}");
    }
    stage.end();

    let (lenient, strict) = (Issuer::start("https://lenient.example"), Issuer::start("https://strict.example"));
    let email = EmailService::start();
    let keys = format!("mode = \"report\"\nkeys = {{ url = \"{}\" }}", lenient.jwks_url());
    let setup = Setup::before(email.address()).trusting_with(&lenient, &keys).trusting(&strict);
    let sidecar = start_ready(&setup);
    let ask = |issuer: &Issuer, audience: &str| {
        let token = issuer.mint(&issuer.claims("billing", audience));
        sidecar.connect().exchange(Request::send().bearer(&token).bytes()).unwrap().status()
    };
    assert_eq!([ask(&lenient, AUDIENCE), ask(&lenient, "other")], [202, 202]);
    assert_eq!([ask(&strict, AUDIENCE), ask(&strict, "other")], [202, 401]);
    assert_eq!(sidecar.connect().exchange(Request::send().bytes()).unwrap().status(), 401);
    assert_eq!(sidecar.stop().code, Some(0));
}

#[test]
fn what_is_only_reported_cannot_lead_the_upstream_to_another_path() {
    let stage = beginning_with("", "[[report]]\npath = \"/send\"\nmethods = [\"POST\"]");
    let request = Request::send().header("X-Original-URL", "/admin").header("X-HTTP-Method-Override", "DELETE");
    assert_eq!(stage.ask(&request).status(), 202);
    let head = stage.only_received().head;
    assert_eq!((head.header("x-original-url"), head.header("x-http-method-override")), (None, None));
    assert_eq!(stage.ask(&request.bearer(&stage.token())).status(), 202);
    let head = stage.email.latest().unwrap().head;
    assert_eq!(head.header("x-original-url"), Some("/admin"), "who is proven may say so, as ever");
    stage.end();
}

#[test]
fn upstream_that_does_not_answer_is_still_told_as_such() {
    let issuer = Issuer::start("https://auth.internal.example");
    let setup = Setup::before_address("127.0.0.1:1").trusting(&issuer);
    let sidecar = Sidecar::start(binary(), &format!("mode = \"report\"\n{}", setup.toml())).unwrap();
    assert_eq!(sidecar.connect().exchange(Request::send().bytes()).unwrap().status(), 502);
    let audit = sidecar.audit(0).unwrap();
    assert_eq!((&audit["decision"], &audit["status"]), (&json!("would_reject"), &json!(502)));
    assert_eq!(audit["reason"], "token_missing");
    sidecar.stop();
}

#[test]
fn keys_that_are_missing_do_not_stop_what_is_only_reported() {
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    issuer.behave(Behaviour::Failing);
    let setup = Setup::before(email.address()).trusting(&issuer).with("[limits]\nkey_wait = \"0s\"");
    let sidecar = Sidecar::start(binary(), &format!("mode = \"report\"\n{}", setup.toml())).unwrap();
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    assert_eq!(sidecar.connect().exchange(Request::send().bearer(&token).bytes()).unwrap().status(), 202);
    assert_eq!(sidecar.audit(0).unwrap()["reason"], "keys_unavailable");
    sidecar.stop();
}

#[test]
fn claimed_callers_are_bounded_and_cannot_break_out_of_their_place() {
    let stage = beginning_with("mode = \"report\"", "");
    let evil = format!("a\"}} 1\ncallgate_evil 1\n{}", "x".repeat(5000));
    let mut claims = stage.claims();
    (claims["sub"], claims["exp"]) = (json!(evil), json!(now() - 3600));
    let (answer, audit) = asked_with(&stage, &stage.issuer.mint(&claims));
    assert_eq!(answer.status(), 202);
    let claimed = audit["claimed_caller"].as_str().unwrap();
    assert!(claimed.len() <= 64 && claimed.starts_with("a?}?1?callgate_evil?1?"), "{claimed}");
    for n in 0..400 {
        claims["sub"] = json!(format!("caller-{n}"));
        stage.ask(&Request::send().bearer(&stage.issuer.mint(&claims)));
    }
    wait_for_sample(&stage.sidecar, "callgate_would_reject_total", &["claimed_caller=\"other\""], |count| {
        count > 100.0
    });
    let metrics = stage.sidecar.ask_admin("/metrics").text();
    assert!(!metrics.contains("\ncallgate_evil"), "{metrics}");
    assert!(metrics.matches("callgate_would_reject_total{").count() <= 301);
    stage.end();
}

#[test]
fn rollout_says_whether_refusing_may_begin() {
    let stage = beginning_with("mode = \"report\"", "");
    let ended = rollout(&stage, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stdout.contains("Not known yet"), "{}", ended.stdout);

    stage.ask(&Request::send().bearer(&stage.token()));
    wait_for_sample(&stage.sidecar, "callgate_requests_total", &["outcome=\"forward\""], |count| count > 0.5);
    let ended = rollout(&stage, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(ended.stdout.contains("Yes: nobody would have been refused."), "{}", ended.stdout);

    stage.ask(&Request::send().bearer(&stage.token_but("aud", json!("another"))));
    wait_for_sample(&stage.sidecar, "callgate_would_reject_total", &[], |count| count > 0.5);
    let ended = rollout(&stage, &["--within", "24"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    for words in ["1 × audience_mismatch", "billing", "Only reported: all requests", "Not yet"] {
        assert!(ended.stdout.contains(words), "{words} in {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("without a token"), "all had one: {}", ended.stdout);
    for (method, path) in [("POST", "/send"), ("POST", "/send"), ("GET", "/reports?of=me")] {
        stage.ask(&Request::send().to(method, path));
    }
    let labels = ["reason=\"token_missing\""];
    wait_for_sample(&stage.sidecar, "callgate_would_reject_total", &labels, |count| count > 2.5);
    let ended = rollout(&stage, &["--within", "24"]);
    for words in
        ["2 × without a token from 127.0.0.1: POST /send, last ", "1 × without a token from 127.0.0.1: GET /reports, "]
    {
        assert!(ended.stdout.contains(words), "{words} in {}", ended.stdout);
    }
    let nobody = run(binary(), &["rollout", "--admin", "127.0.0.1:1"]).unwrap();
    assert_eq!(nobody.code, Some(69), "{}", nobody.stderr);
    let wrong = run(binary(), &["rollout", "--admin", &stage.sidecar.listen().to_string()]).unwrap();
    assert_eq!(wrong.code, Some(69), "{}", wrong.stderr);
    stage.end();
}

#[test]
fn rollout_says_of_each_issuer_whether_its_tokens_may_have_to_be_bound() {
    let (binding, plain) = (Issuer::start("https://binding.example"), Issuer::start("https://plain.example"));
    let email = EmailService::start();
    let setup = |lines: &str| {
        let lines = format!("keys = {{ url = \"{}\" }}\nbinding = [\"dpop\"]\n{lines}", binding.jwks_url());
        let urls = "[forwarding]\nexternal_urls = [\"https://mail.example\"]";
        Setup::before(email.address()).trusting_with(&binding, &lines).trusting(&plain).with(urls)
    };
    let sidecar = start_ready(&setup(""));
    let admin = sidecar.admin().to_string();
    let rollout = |more: &[&str]| run(binary(), &[&["rollout", "--admin", &admin], more].concat()).unwrap();
    let assert_says = |words: &[&str]| {
        let ended = rollout(&[]);
        assert_eq!(ended.code, Some(0), "it is about refusing: {}", ended.stdout);
        for word in words {
            assert!(ended.stdout.contains(word), "{word} in {}", ended.stdout);
        }
        assert!(!ended.stdout.contains("plain.example"), "{}", ended.stdout);
    };
    let told = |place: &str| {
        let status = sidecar.ask_admin("/status").json();
        assert_eq!(status["issuers"][1]["bound_tokens"], Value::Null, "its tokens may be bound to nothing");
        status["issuers"][0]["bound_tokens"][place].clone()
    };
    let send = |request: &Request| sidecar.connect().exchange(request.bytes()).unwrap();
    let bearer = |issuer: &Issuer, caller: &str| {
        let answer = send(&Request::send().bearer(&issuer.mint(&issuer.claims(caller, AUDIENCE))));
        (answer.status(), answer)
    };
    let client = Client::new("ES256");
    let proven = || {
        let mut claims = binding.claims("billing", AUDIENCE);
        claims["cnf"] = client.confirmation();
        let token = binding.mint(&claims);
        let proof = client.proof("POST", "https://mail.example/send", &token);
        let request = Request::send().header("Authorization", &format!("DPoP {token}")).header("DPoP", &proof);
        assert_eq!(send(&request).status(), 202);
    };

    assert_eq!(bearer(&plain, "reports").0, 202);
    assert_says(&[
        "0 bound by dpop, 0 bound to nothing",
        "'bearer = false' for https://binding.example: not known yet",
    ]);
    proven();
    proven();
    let bound = ["https://binding.example", "binding=\"dpop\""];
    wait_for_sample(&sidecar, "callgate_token_bindings_total", &bound, |count| count > 1.5);
    assert_says(&["2 bound by dpop, 0 bound to nothing", "'bearer = false' for https://binding.example: yes"]);
    assert_eq!(told("answer"), "yes");

    for caller in ["orders", "billing", "billing"] {
        assert_eq!(bearer(&binding, caller).0, 202);
    }
    for (caller, requests) in [("billing", 1.5), ("orders", 0.5)] {
        let labels = [format!("caller=\"{caller}\""), "issuer=\"https://binding.example\"".to_owned()];
        let labels = labels.each_ref().map(String::as_str);
        wait_for_sample(&sidecar, "callgate_unbound_requests_total", &labels, |count| count > requests);
    }
    let no = "'bearer = false' for https://binding.example: not yet";
    assert_says(&["2 bound by dpop, 3 bound to nothing", "2 × bound to nothing, caller: billing, last 20", no]);
    assert_says(&["1 × bound to nothing, caller: orders, last 20"]);
    assert_eq!(
        (told("answer"), told("unbound"), told("bound")["dpop"].clone()),
        (json!("not_yet"), json!(3), json!(2))
    );
    let callers = told("unbound_callers");
    let callers: Vec<_> = callers.as_array().unwrap().iter().map(|it| (&it["caller"], &it["requests"])).collect();
    assert_eq!(callers, [(&json!("billing"), &json!(2)), (&json!("orders"), &json!(1))]);
    assert!(rollout(&["--within", "24"]).stdout.contains(no), "they were seen a moment ago");

    fs::write(sidecar.config(), setup("bearer = false").toml()).unwrap();
    assert_eq!(run(binary(), &["reload", "--admin", &admin]).unwrap().code, Some(0));
    let (status, answer) = bearer(&binding, "billing");
    assert_eq!((status, answer.json()["reason"].clone()), (401, json!("token_unbound")));
    assert_eq!(bearer(&plain, "reports").0, 202, "another issuer's tokens need not be bound");
    proven();
    wait_for_sample(&sidecar, "callgate_token_bindings_total", &bound, |count| count > 2.5);
    assert_says(&["3 bound by dpop, 3 bound to nothing", "'bearer = false' for https://binding.example: it is set"]);
    assert!(!rollout(&[]).stdout.contains("caller: billing"), "it is settled");
    let received: Vec<_> = email.received().iter().map(|request| request.callers().join(" ")).collect();
    let wanted = ["reports", "billing", "billing", "orders", "billing", "billing", "reports", "billing"];
    assert_eq!(received, wanted);
    let refused = sidecar.audit_where(|record| record["reason"] == "token_unbound").expect("a record");
    assert_eq!((&refused["decision"], &refused["caller"]), (&json!("reject"), &Value::Null));
    assert_eq!(sidecar.stop().code, Some(0));
}

#[test]
fn an_answer_tells_as_much_as_refusals_allows_and_the_records_tell_all() {
    for (refusals, reason) in
        [("full", json!("token_expired")), ("reason", json!("token_expired")), ("bare", Value::Null)]
    {
        let stage = beginning_with(&format!("refusals = \"{refusals}\""), "");
        let expired = stage.token_but("exp", json!(now() - 3600));
        let (answer, audit) = asked_with(&stage, &expired);
        assert_eq!(answer.status(), 401);
        let problem = answer.json();
        assert_eq!(problem["reason"], reason, "{refusals}");
        assert_eq!(problem["detail"].is_string(), refusals == "full", "{problem:#}");
        assert_eq!(problem["request_id"], audit["request_id"], "whoever is asked can find the record");
        let told = format!("{}{:?}", answer.text(), answer.header("www-authenticate"));
        assert_eq!(told.contains("expired"), refusals != "bare", "{told}");
        assert!(told.contains("invalid_token"), "RFC 6750 section 3.1: {told}");
        stage.assert_nothing_received();
        assert_eq!((&audit["decision"], &audit["reason"]), (&json!("reject"), &json!("token_expired")));
        let labels = ["reason=\"token_expired\""];
        wait_for_sample(&stage.sidecar, "callgate_requests_total", &labels, |count| count > 0.5);
        assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
        assert_eq!(stage.only_received().callers(), ["billing"]);
        stage.end();
    }
}
