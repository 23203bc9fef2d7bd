//! A valid token: the request reaches the upstream unchanged, with the caller's name.

use serde_json::json;

use testkit::email_service::EmailService;
use testkit::issuer::Issuer;
use testkit::keys::{ALGORITHMS, Key};
use testkit::request::{Request, noise};
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::{Stage, start_ready};

#[test]
fn request_with_a_valid_token_reaches_the_upstream_byte_for_byte_with_the_callers_name() {
    let stage = Stage::set();
    let body = noise(4096);
    let request = Request::new("POST", "/send?priority=high&tag=a%2Fb")
        .bearer(&stage.token())
        .header("Content-Type", "application/octet-stream")
        .header("X-Trace", "abc")
        .header("X-Trace", "def")
        .body(&body);
    let answer = stage.ask(&request);
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.json(), json!({"status": "queued", "id": "email-1"}));

    let received = stage.only_received();
    assert_eq!(received.head.start, "POST /send?priority=high&tag=a%2Fb HTTP/1.1");
    assert_eq!(received.callers(), ["billing"]);
    assert_eq!(received.head.header("content-type"), Some("application/octet-stream"));
    assert_eq!(received.head.all("x-trace"), ["abc", "def"]);
    assert_eq!(received.head.header("host"), Some("email.internal.example"));
    assert_eq!(received.body, body);

    let audit = stage.audit(0);
    assert_eq!(audit["event"], "request");
    assert_eq!(audit["version"], 1);
    assert_eq!(audit["decision"], "forward");
    assert!(audit["reason"].is_null());
    assert_eq!(audit["caller"], "billing");
    assert_eq!(audit["issuer"], stage.issuer.name());
    assert_eq!(audit["kid"], "key-1");
    assert_eq!(audit["alg"], "ES256");
    assert_eq!(audit["method"], "POST");
    assert_eq!(audit["status"], 202);
    assert_eq!(audit["request_bytes"], 4096);
    assert_eq!(audit["response_bytes"], answer.body.len());
    stage.end();
}

#[test]
fn token_of_every_algorithm_is_accepted() {
    let keys = ALGORITHMS.iter().map(|alg| Key::generate(alg, &format!("{alg}-key"))).collect();
    let issuer = Issuer::with_keys("https://auth.internal.example", keys);
    let email = EmailService::start();
    let sidecar = start_ready(&Setup::before(email.address()).trusting(&issuer));
    let mut connection = sidecar.connect();
    for (n, key) in issuer.keys().iter().enumerate() {
        let token = key.mint(&issuer.claims("billing", AUDIENCE));
        let answer = connection.exchange(Request::send().bearer(&token).bytes()).unwrap();
        assert_eq!(answer.status(), 202, "{}: {}", key.alg(), answer.text());
        let audit = sidecar.audit(n).unwrap();
        assert_eq!(audit["alg"], key.alg());
        assert_eq!(audit["kid"], key.kid());
    }
    assert_eq!(email.received().len(), ALGORITHMS.len());
    assert!(email.received().iter().all(|received| received.callers() == ["billing"]));
    // The audit has the token's own word, the metrics have one for an algorithm.
    let metrics = sidecar.ask_admin("/metrics").text();
    assert!(metrics.contains(r#"algorithm="Ed25519""#) && !metrics.contains(r#"algorithm="EdDSA""#), "{metrics}");
}

#[test]
fn algorithm_that_is_not_configured_is_refused_though_the_key_is_published() {
    let keys = vec![Key::generate("ES256", "allowed"), Key::generate("EdDSA", "not-allowed")];
    let issuer = Issuer::with_keys("https://auth.internal.example", keys);
    let email = EmailService::start();
    let only_es256 = format!(
        "[[issuers]]\nissuer = \"{}\"\naudiences = [\"{AUDIENCE}\"]\nalgorithms = [\"ES256\"]\nkeys = {{ url = \"{}\" }}",
        issuer.name(),
        issuer.jwks_url()
    );
    let sidecar = start_ready(&Setup::before(email.address()).with(&only_es256));
    let ask = |key: &Key| {
        let token = key.mint(&issuer.claims("billing", AUDIENCE));
        sidecar.connect().exchange(Request::send().bearer(&token).bytes()).unwrap()
    };
    let [allowed, not_allowed] = &issuer.keys()[..] else { panic!("two keys") };
    assert_eq!(ask(allowed).status(), 202);
    testkit::refusal::assert_unauthorized(&ask(not_allowed), "algorithm_refused");
    assert_eq!(email.received().len(), 1);
}

#[test]
fn upstream_on_a_unix_socket_is_reached_like_one_on_tcp() {
    let directory = tempfile::tempdir().unwrap();
    let email = EmailService::start_unix(&directory.path().join("email.sock"));
    let stage = Stage::set_before(email, |setup| setup);
    let refused = stage.ask(&Request::send());
    assert_eq!(refused.status(), 401);
    stage.assert_nothing_received();
    let answer = stage.ask(&Request::send().bearer(&stage.token()));
    assert_eq!(answer.status(), 202, "{}", answer.text());
    assert_eq!(stage.only_received().callers(), ["billing"]);
    assert!(stage.sidecar.audit_where(|record| record["decision"] == "forward").is_some());
    stage.end();
}

#[test]
fn caller_is_named_by_the_claim_and_header_that_are_configured() {
    let stage = Stage::set_with(|setup| {
        setup.with("[caller]\nheader = \"X-Workload\"\nclaim = \"/kubernetes.io/serviceaccount/name\"")
    });
    let named = stage.token_but("kubernetes.io", json!({"serviceaccount": {"name": "invoicing"}}));
    assert_eq!(stage.ask(&Request::send().bearer(&named)).status(), 202);
    assert_eq!(stage.only_received().head.all("x-workload"), ["invoicing"]);
    assert_eq!(stage.audit(0)["caller"], "invoicing");

    let nameless = stage.ask(&Request::send().bearer(&stage.token()));
    assert_eq!(nameless.status(), 401, "{}", nameless.text());
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn answer_of_the_upstream_comes_back_unchanged_whatever_its_status() {
    let stage = Stage::set();
    let answer = stage.ask(&Request::new("GET", "/nowhere").bearer(&stage.token()));
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.json()["message"], "Cannot GET /nowhere");
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(stage.audit(0)["status"], 404);
    assert_eq!(stage.audit(0)["decision"], "forward");
    stage.end();
}

#[test]
fn public_path_passes_without_a_token_and_only_with_its_methods() {
    let stage = Stage::set_with(|setup| setup.with("[[public]]\npath = \"/healthz\"\nmethods = [\"GET\"]"));
    assert_eq!(stage.ask(&Request::new("GET", "/healthz")).status(), 200);
    assert_eq!(stage.audit(0)["decision"], "pass");
    assert!(stage.audit(0)["caller"].is_null());
    let lookalikes = ["/healthz/", "/healthz/../send", "//healthz", "/%68ealthz", "/healthz;x", "/HEALTHZ"];
    for target in lookalikes {
        let answer = stage.ask(&Request::new("GET", target));
        assert!(matches!(answer.status(), 400 | 401), "{target}: {}", answer.text());
    }
    assert_eq!(stage.ask(&Request::new("POST", "/healthz").body(b"")).status(), 401);
    assert_eq!(stage.only_received().head.target(), "/healthz");
    stage.end();
}
