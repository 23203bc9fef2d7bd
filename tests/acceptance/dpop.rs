//! Tokens that are bound to a key, with proofs of it (DPoP, RFC 9449).

use std::fs;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use testkit::dpop::Client;
use testkit::email_service::EmailService;
use testkit::http::{Answer, PATIENCE};
use testkit::issuer::{Issuer, now};
use testkit::refusal::assert_problem;
use testkit::request::Request;
use testkit::setup::Setup;
use testkit::stage::{Stage, start_ready};

/// What the service is called outside.
const URL: &str = "https://mail.example/send";
const ALONE: &str = "binding = [\"dpop\"]\nbearer = false";
const BESIDE: &str = "binding = [\"dpop\"]";

/// A service for tokens that are bound to a key, with these lines for its issuer and for proofs.
fn setup(issuer: &Issuer, email: &EmailService, lines: &str, dpop: &str) -> Setup {
    let lines = format!("keys = {{ url = \"{}\" }}\n{lines}", issuer.jwks_url());
    let tables = format!("[forwarding]\nexternal_urls = [\"https://mail.example\"]\n[dpop]\n{dpop}");
    Setup::before(email.address()).trusting_with(issuer, &lines).with(&tables)
}

fn stage(lines: &str, dpop: &str) -> Stage {
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let sidecar = start_ready(&setup(&issuer, &email, lines, dpop));
    Stage { issuer, email, sidecar }
}

/// A good token that is bound to this client's key.
fn token(stage: &Stage, client: &Client) -> String {
    stage.token_but("cnf", client.confirmation())
}

fn with(scheme: &str, token: &str, proofs: &[&str]) -> Request {
    let request = Request::send().header("Authorization", &format!("{scheme} {token}"));
    proofs.iter().fold(request, |request, proof| request.header("DPoP", proof))
}

/// Asserts that this is a refusal for want of a proof, with this error in the challenge of the scheme `DPoP`.
fn assert_refused(answer: &Answer, reason: &str, error: &str) -> String {
    assert_eq!(answer.status(), 401, "{}", answer.text());
    let detail = assert_problem(answer, reason);
    let challenges = answer.head.all("www-authenticate");
    let dpop = challenges.iter().find(|challenge| challenge.starts_with("DPoP ")).expect("a challenge");
    let wanted = format!("error=\"{error}\", error_description=\"{reason}: {detail}\"");
    assert!(dpop.contains("algs=\"ES256 Ed25519 EdDSA\"") && dpop.ends_with(&wanted), "{dpop}");
    detail
}

/// The value of a metric, with its labels as they are written.
fn metric(stage: &Stage, name: &str) -> u64 {
    let text = stage.sidecar.ask_admin("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().expect("a number"))
}

/// Asserts that so many proofs had this result. A request is counted when it has ended, a moment after its answer.
fn assert_proofs(stage: &Stage, result: &str, wanted: u64) {
    let name = format!("callgate_proofs_total{{binding=\"dpop\",result=\"{result}\"}}");
    let end = Instant::now() + PATIENCE;
    while metric(stage, &name) < wanted && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(metric(stage, &name), wanted, "{result}");
}

#[test]
fn a_token_passes_with_proofs_of_its_key_and_the_upstream_sees_none() {
    let stage = stage(ALONE, "");
    for (client, query) in [(Client::new("ES256"), ""), (Client::new("Ed25519"), "?a=b")] {
        let token = token(&stage, &client);
        // Also when it is remembered, from the second time on.
        for _ in 0..4 {
            let proof = client.proof("POST", &format!("{URL}{query}"), &token);
            let request = with("DPoP", &token, &[&proof]).header("D_PoP", "a").header("dpop-", "b");
            let answer = stage.ask(&request.to("POST", &format!("/send{query}")));
            assert_eq!(answer.status(), 202, "{}", answer.text());
            assert_eq!(answer.header("dpop-nonce"), None, "nobody asked for one");
        }
    }
    let received = stage.email.received();
    assert_eq!(received.len(), 8);
    for request in received {
        assert_eq!(request.callers(), ["billing"]);
        let folded = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
        let names: Vec<_> = request.head.headers.iter().map(|(name, _)| folded(name)).collect();
        assert!(!names.contains(&"dpop".to_owned()), "{names:?}");
    }
    let record = stage.audit(7);
    assert_eq!((&record["decision"], &record["caller"]), (&json!("forward"), &json!("billing")), "{record:#}");
    assert_proofs(&stage, "accepted", 8);
    assert_eq!(metric(&stage, "callgate_replay_memory_proofs"), 8);
    assert_eq!(metric(&stage, "callgate_replay_memory_limit_proofs"), 209_715);
    stage.end();
}

#[test]
fn a_stolen_token_is_worth_nothing_without_its_key() {
    let stage = stage(ALONE, "");
    let (client, thief) = (Client::new("ES256"), Client::new("ES256"));
    let stolen = token(&stage, &client);
    let good = |token: &str| client.proof("POST", URL, token);
    assert_eq!(stage.ask(&with("DPoP", &stolen, &[&good(&stolen)])).status(), 202);

    let claims = |name: &str, value: Value| {
        let mut claims = client.claims("POST", URL, &stolen);
        claims[name] = value;
        client.sign(&claims)
    };
    let spent = good(&stolen);
    assert_eq!(stage.ask(&with("DPoP", &stolen, &[&spent])).status(), 202);
    stage.audit(1);
    let other = token(&stage, &thief);
    let cases = [
        (vec![], "proof_missing"),
        (vec![good(&stolen), good(&stolen)], "proof_invalid"),
        (vec!["a.b.c".to_owned()], "proof_invalid"),
        (vec![thief.proof("POST", URL, &stolen)], "proof_invalid"),
        (vec![client.proof("GET", URL, &stolen)], "proof_invalid"),
        (vec![client.proof("POST", "https://mail.example/other", &stolen)], "proof_invalid"),
        // What the request itself says of its host has no say.
        (vec![client.proof("POST", "https://email.internal.example/send", &stolen)], "proof_invalid"),
        (vec![client.proof("POST", "http://mail.example/send", &stolen)], "proof_invalid"),
        (vec![good(&other)], "proof_invalid"),
        (vec![claims("iat", json!(now() - 120))], "proof_expired"),
        (vec![claims("iat", json!(now() + 120))], "proof_expired"),
        (vec![spent], "proof_replayed"),
    ];
    for (n, (sent, reason)) in cases.iter().enumerate() {
        let sent: Vec<_> = sent.iter().map(String::as_str).collect();
        let request = with("DPoP", &stolen, &sent).header("X-Forwarded-Host", "email.internal.example");
        let answer = stage.ask(&request);
        assert_refused(&answer, reason, "invalid_dpop_proof");
        let text = answer.text();
        assert!(sent.iter().all(|proof| proof.len() < 10 || !text.contains(proof)), "{text}");
        let record = stage.audit(n + 2);
        assert_eq!((&record["reason"], &record["caller"]), (&json!(reason), &Value::Null), "{record:#}");
        assert_eq!(record["claimed_caller"], "billing");
    }
    assert_eq!(stage.email.received().len(), 2);
    for (result, wanted) in [("proof_missing", 1), ("proof_invalid", 8), ("proof_expired", 2), ("proof_replayed", 1)] {
        assert_proofs(&stage, result, wanted);
    }
    stage.end();
}

#[test]
fn the_scheme_must_fit_the_token_also_when_it_is_remembered() {
    let stage = stage(BESIDE, "");
    let client = Client::new("ES256");
    let (bound, free) = (token(&stage, &client), stage.token());
    for _ in 0..3 {
        assert_eq!(stage.ask(&with("DPoP", &bound, &[&client.proof("POST", URL, &bound)])).status(), 202);
        assert_eq!(stage.ask(&with("Bearer", &free, &[])).status(), 202);
        let as_bearer = stage.ask(&with("Bearer", &bound, &[&client.proof("POST", URL, &bound)]));
        assert_refused(&as_bearer, "token_bound", "invalid_token");
        let challenges = as_bearer.head.all("www-authenticate");
        assert!(challenges.len() == 2 && challenges[0].starts_with("Bearer "), "{challenges:?}");
        let as_proven = stage.ask(&with("dpop", &free, &[&client.proof("POST", URL, &free)]));
        assert_refused(&as_proven, "token_unbound", "invalid_token");
    }
    assert_eq!(stage.email.received().len(), 6);
    let missing = stage.ask(&Request::send());
    assert_eq!(missing.status(), 401);
    let challenges = missing.head.all("www-authenticate");
    assert_eq!(challenges.len(), 2, "{challenges:?}");
    assert!(challenges.iter().all(|challenge| !challenge.contains("error")), "{challenges:?}");
    stage.end();
}

#[test]
fn where_tokens_must_be_bound_no_other_passes_and_none_is_asked_for() {
    let stage = stage(ALONE, "");
    let client = Client::new("ES256");
    let (bound, free) = (token(&stage, &client), stage.token());
    assert_eq!(stage.ask(&with("DPoP", &bound, &[&client.proof("POST", URL, &bound)])).status(), 202);
    let refused = stage.ask(&with("Bearer", &free, &[]));
    assert_refused(&refused, "token_unbound", "invalid_token");
    assert_eq!(refused.head.all("www-authenticate").len(), 1);
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn without_proofs_nothing_changes_and_the_field_is_the_upstreams() {
    let stage = Stage::set();
    let client = Client::new("ES256");
    let answer = stage.ask(&with("Bearer", &stage.token(), &["of the upstream's own"]));
    assert_eq!(answer.status(), 202, "{}", answer.text());
    assert_eq!(stage.only_received().head.header("dpop"), Some("of the upstream's own"));
    let bound = token(&stage, &client);
    let answer = stage.ask(&with("DPoP", &bound, &[&client.proof("POST", URL, &bound)]));
    assert_eq!(answer.status(), 401);
    assert_problem(&answer, "token_missing");
    assert_eq!(answer.head.all("www-authenticate").len(), 1);
    assert_eq!(metric(&stage, "callgate_replay_memory_limit_proofs"), 0);
    stage.end();
}

#[test]
fn a_proof_that_is_shown_a_hundred_times_at_once_passes_once() {
    let stage = stage(ALONE, "");
    let client = Client::new("ES256");
    let token = token(&stage, &client);
    let proof = client.proof("POST", URL, &token);
    let request = with("DPoP", &token, &[&proof]);
    let barrier = Barrier::new(100);
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = stage.sidecar.connect();
                    barrier.wait();
                    connection.exchange(request.bytes()).unwrap().status()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 99, "{statuses:?}");
    assert_eq!(stage.email.received().len(), 1);
    assert_proofs(&stage, "proof_replayed", 99);
    stage.end();
}

#[test]
fn a_proof_counts_once_where_its_request_waits_for_keys() {
    let stage = stage(ALONE, "");
    let client = Client::new("ES256");
    let fetches = stage.issuer.fetches();
    stage.issuer.add_key("next");
    let token = token(&stage, &client);
    let proof = client.proof("POST", URL, &token);
    let answer = stage.ask(&with("DPoP", &token, &[&proof]));
    assert_eq!(answer.status(), 202, "{}", answer.text());
    assert_eq!(stage.issuer.fetches(), fetches + 1, "it was decided twice");
    assert_refused(&stage.ask(&with("DPoP", &token, &[&proof])), "proof_replayed", "invalid_dpop_proof");
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn a_reload_forgets_no_proof() {
    let stage = stage(ALONE, "");
    let client = Client::new("ES256");
    let token = token(&stage, &client);
    let proof = client.proof("POST", URL, &token);
    assert_eq!(stage.ask(&with("DPoP", &token, &[&proof])).status(), 202);
    let larger = setup(&stage.issuer, &stage.email, ALONE, "memory = \"32MiB\"\nwindow = \"2m\"");
    fs::write(stage.sidecar.config(), larger.toml()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while metric(&stage, "callgate_replay_memory_limit_proofs") != 419_430 {
        assert!(Instant::now() < deadline, "it was not loaded\n{}", stage.sidecar.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_refused(&stage.ask(&with("DPoP", &token, &[&proof])), "proof_replayed", "invalid_dpop_proof");
    assert_eq!(stage.ask(&with("DPoP", &token, &[&client.proof("POST", URL, &token)])).status(), 202);
    assert_eq!(stage.email.received().len(), 2);
    stage.end();
}

#[test]
fn with_a_full_memory_nothing_passes_and_everybody_is_told_whose_fault_it_is() {
    let stage = stage(BESIDE, "memory = \"64KiB\"");
    let client = Client::new("Ed25519");
    let token = token(&stage, &client);
    let limit = metric(&stage, "callgate_replay_memory_limit_proofs");
    assert_eq!(limit, 819);
    let mut connection = stage.sidecar.connect();
    for _ in 0..limit {
        let request = with("DPoP", &token, &[&client.proof("POST", URL, &token)]);
        assert_eq!(connection.exchange(request.bytes()).unwrap().status(), 202);
    }
    let refused = stage.ask(&with("DPoP", &token, &[&client.proof("POST", URL, &token)]));
    assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("2")), "{}", refused.text());
    assert_problem(&refused, "proof_uncheckable");
    assert_eq!(refused.head.all("www-authenticate").len(), 0);
    assert_eq!(stage.ask(&with("Bearer", &stage.token(), &[])).status(), 202, "it concerns proofs alone");
    assert_proofs(&stage, "proof_uncheckable", 1);
    assert_eq!(metric(&stage, "callgate_replay_memory_proofs"), limit);
    assert_eq!(stage.email.received().len() as u64, limit + 1);
    stage.end();
}

#[test]
fn a_nonce_is_asked_for_and_given_with_every_answer() {
    let stage = stage(BESIDE, "nonce = true");
    let client = Client::new("ES256");
    let token = token(&stage, &client);
    let refused = stage.ask(&with("DPoP", &token, &[&client.proof("POST", URL, &token)]));
    assert_refused(&refused, "proof_nonce_wanted", "use_dpop_nonce");
    let nonce = refused.header("dpop-nonce").expect("a nonce").to_owned();
    let with_nonce = |nonce: &str| {
        let mut claims = client.claims("POST", URL, &token);
        claims["nonce"] = json!(nonce);
        stage.ask(&with("DPoP", &token, &[&client.sign(&claims)]))
    };
    let answer = with_nonce(&nonce);
    assert_eq!(answer.status(), 202, "{}", answer.text());
    assert!(answer.header("dpop-nonce").is_some(), "the next one");
    let refused = with_nonce("AAAAAAAAAAAAAAAAAAAAAA");
    assert_refused(&refused, "proof_nonce_wanted", "use_dpop_nonce");
    assert!(refused.header("dpop-nonce").is_some());
    let free = stage.ask(&with("Bearer", &stage.token(), &[]));
    assert_eq!((free.status(), free.header("dpop-nonce")), (202, None), "a bearer token needs none");
    assert_eq!(stage.email.received().len(), 2);
    assert_proofs(&stage, "proof_nonce_wanted", 2);
    stage.end();
}

#[test]
fn metadata_tells_of_the_proofs_that_are_accepted() {
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let more = "[protected_resource]\nresource = \"https://mail.example\"";
    let sidecar = start_ready(&setup(&issuer, &email, ALONE, "algorithms = [\"ES256\"]").with(more));
    let stage = Stage { issuer, email, sidecar };
    let answer = stage.ask(&Request::new("GET", "/.well-known/oauth-protected-resource"));
    let metadata = answer.json();
    assert_eq!(metadata["dpop_signing_alg_values_supported"], json!(["ES256"]), "{metadata:#}");
    assert_eq!(metadata["dpop_bound_access_tokens_required"], true);
    let client = Client::new("Ed25519");
    let token = token(&stage, &client);
    let refused = stage.ask(&with("DPoP", &token, &[&client.proof("POST", URL, &token)]));
    assert_problem(&refused, "proof_invalid");
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains("algs=\"ES256\"") && challenge.contains("resource_metadata=\"https://"), "{challenge}");
    stage.assert_nothing_received();
    stage.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_are_judged_over_http2_like_over_http1() {
    let stage = stage(ALONE, "");
    let client = Client::new("ES256");
    let token = token(&stage, &client);
    let stream = TcpStream::connect(stage.sidecar.listen()).await.unwrap();
    let (mut http2, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let good = client.proof("POST", URL, &token);
    let twice = [client.proof("POST", URL, &token), client.proof("POST", URL, &token)];
    for (sent, status) in [
        (vec![good.as_str()], 202),
        (vec![good.as_str()], 401),
        (vec![], 401),
        (vec![twice[0].as_str(), twice[1].as_str()], 401),
        (vec![twice[0].as_str()], 202),
    ] {
        http2 = http2.ready().await.unwrap();
        let request =
            http::Request::post("https://other.example/send").header("authorization", format!("DPoP {token}"));
        let request = sent.iter().fold(request, |request, proof| request.header("dpop", *proof));
        let (answer, _) = http2.send_request(request.body(()).unwrap(), true).unwrap();
        assert_eq!(answer.await.unwrap().status().as_u16(), status, "{}", sent.len());
    }
    let received = stage.email.received();
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|request| request.head.header("dpop").is_none() && request.callers() == ["billing"]));
    for reason in ["proof_replayed", "proof_missing", "proof_invalid"] {
        assert!(stage.sidecar.audit_where(|record| record["reason"] == reason).is_some(), "{reason}");
    }
    stage.end();
}
