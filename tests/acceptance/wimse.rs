//! Workload tokens with proof (WIT and WPT, draft-ietf-wimse-workload-creds and draft-ietf-wimse-wpt).

use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use testkit::email_service::EmailService;
use testkit::http::{Answer, PATIENCE};
use testkit::issuer::{Issuer, now};
use testkit::refusal::assert_problem;
use testkit::request::Request;
use testkit::setup::Setup;
use testkit::stage::{Stage, start_ready};
use testkit::workload::{Workload, hash, token_with};

/// What the service is called outside.
const URL: &str = "https://mail.example/send";
const ALONE: &str = "binding = [\"wimse\"]\nbearer = false";
const BESIDE: &str = "binding = [\"wimse\"]";
const WHO: &str = "wimse://example.com/billing";

/// A service for workload tokens, with these lines for its issuer and these tables.
fn setup(issuer: &Issuer, email: &EmailService, lines: &str, tables: &str) -> Setup {
    let lines = format!("keys = {{ url = \"{}\" }}\n{lines}", issuer.jwks_url());
    let tables = format!("[forwarding]\nexternal_urls = [\"https://mail.example\"]\n{tables}");
    Setup::before(email.address()).trusting_with(issuer, &lines).with(&tables)
}

fn stage(lines: &str, tables: &str) -> Stage {
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let sidecar = start_ready(&setup(&issuer, &email, lines, tables));
    Stage { issuer, email, sidecar }
}

/// The claims of a good token: it has no audience, which its proof has.
fn claims(stage: &Stage) -> Value {
    json!({"iss": stage.issuer.name(), "sub": WHO, "exp": now() + 300, "jti": "w-1"})
}

fn token(stage: &Stage, workload: &Workload) -> String {
    workload.token(&stage.issuer.key(), &claims(stage))
}

fn with(token: &str, proofs: &[&str]) -> Request {
    let request = Request::send().header("Workload-Identity-Token", token);
    proofs.iter().fold(request, |request, proof| request.header("Workload-Proof-Token", proof))
}

/// Asserts that this is a refusal with this error in the challenge for workloads.
fn assert_refused(answer: &Answer, reason: &str, error: &str) -> String {
    assert_eq!(answer.status(), 401, "{}", answer.text());
    let detail = assert_problem(answer, reason);
    let challenges = answer.head.all("www-authenticate");
    let own = challenges.iter().find(|challenge| challenge.starts_with("WIMSE ")).expect("a challenge");
    let fields = "header=\"Workload-Identity-Token\", proof=\"Workload-Proof-Token\", algs=\"ES256 Ed25519 EdDSA\"";
    let wanted = format!("error=\"{error}\", error_description=\"{reason}: {detail}\"");
    assert!(own.contains(fields) && own.ends_with(&wanted), "{own}");
    detail
}

/// Asserts that so many proofs had this result. A request is counted when it has ended, a moment after its answer.
fn assert_proofs(stage: &Stage, result: &str, wanted: u64) {
    let name = format!("callgate_proofs_total{{binding=\"wimse\",result=\"{result}\"}}");
    let count = || {
        let text = stage.sidecar.ask_admin("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(&name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse::<u64>().expect("a number"))
    };
    let end = Instant::now() + PATIENCE;
    while count() < wanted && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(count(), wanted, "{result}");
}

#[test]
fn a_workload_passes_with_its_proof_and_the_upstream_sees_none() {
    let stage = stage(ALONE, "");
    for (workload, query) in [(Workload::new("ES256"), ""), (Workload::new("Ed25519"), "?a=b")] {
        let token = token(&stage, &workload);
        // Also when it is remembered, from the second time on.
        for _ in 0..4 {
            let proof = workload.proof(URL, &token);
            let request = with(&token, &[&proof])
                .header("Workload_Proof_Token", "a")
                .header("WorkloadProofToken", "b")
                .header("Workload_Identity_Token", "c")
                .header("workload-identitytoken", "d");
            let answer = stage.ask(&request.to("POST", &format!("/send{query}")));
            assert_eq!(answer.status(), 202, "{}", answer.text());
        }
    }
    let received = stage.email.received();
    assert_eq!(received.len(), 8);
    for request in received {
        assert_eq!(request.callers(), [WHO]);
        let folded = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
        let own: Vec<_> =
            request.head.headers.iter().filter(|(name, _)| folded(name).starts_with("workload")).collect();
        assert_eq!(own.len(), 1, "{own:?}");
        assert!(own[0].0.eq_ignore_ascii_case("Workload-Identity-Token") && own[0].1.starts_with("eyJ"), "{own:?}");
    }
    let record = stage.audit(7);
    assert_eq!((&record["decision"], &record["caller"]), (&json!("forward"), &json!(WHO)), "{record:#}");
    assert_eq!(record["jti"], "w-1");
    assert_proofs(&stage, "accepted", 8);
    stage.end();
}

#[test]
fn a_stolen_workload_token_is_worth_nothing_without_its_key() {
    let stage = stage(ALONE, "");
    let (workload, thief) = (Workload::new("ES256"), Workload::new("ES256"));
    let stolen = token(&stage, &workload);
    let good = |token: &str| workload.proof(URL, token);
    assert_eq!(stage.ask(&with(&stolen, &[&good(&stolen)])).status(), 202);

    let but = |name: &str, value: Value| {
        let mut claims = workload.claims(URL, &stolen);
        claims[name] = value;
        workload.sign(&claims)
    };
    let spent = good(&stolen);
    assert_eq!(stage.ask(&with(&stolen, &[&spent])).status(), 202);
    stage.audit(1);
    let other = token(&stage, &thief);
    let cases = [
        (vec![], "proof_missing"),
        (vec![good(&stolen), good(&stolen)], "proof_invalid"),
        (vec!["a.b.c".to_owned()], "proof_invalid"),
        (vec![thief.proof(URL, &stolen)], "proof_invalid"),
        (vec![workload.proof("https://mail.example/other", &stolen)], "proof_invalid"),
        // What the request itself says of its host has no say.
        (vec![workload.proof("https://email.internal.example/send", &stolen)], "proof_invalid"),
        (vec![good(&other)], "proof_invalid"),
        (vec![but("ath", json!(hash("at")))], "proof_invalid"),
        (vec![but("oth", json!({"x-user-token": hash("u")}))], "proof_invalid"),
        (vec![but("exp", json!(now() - 1))], "proof_expired"),
        (vec![but("exp", json!(now() + 3600))], "proof_expired"),
        (vec![spent], "proof_replayed"),
    ];
    for (n, (sent, reason)) in cases.iter().enumerate() {
        let sent: Vec<_> = sent.iter().map(String::as_str).collect();
        let request = with(&stolen, &sent).header("X-Forwarded-Host", "email.internal.example");
        let answer = stage.ask(&request);
        assert_refused(&answer, reason, "invalid_proof");
        assert_eq!(answer.head.all("www-authenticate").len(), 1, "nothing else passes");
        let text = answer.text();
        assert!(sent.iter().all(|proof| proof.len() < 10 || !text.contains(proof)), "{text}");
        let record = stage.audit(n + 2);
        assert_eq!((&record["reason"], &record["caller"]), (&json!(reason), &Value::Null), "{record:#}");
        assert_eq!(record["claimed_caller"], WHO);
    }
    assert_eq!(stage.email.received().len(), 2);
    for (result, wanted) in [("proof_missing", 1), ("proof_invalid", 8), ("proof_expired", 2), ("proof_replayed", 1)] {
        assert_proofs(&stage, result, wanted);
    }
    stage.end();
}

#[test]
fn a_workload_token_is_no_bearer_token_and_no_other_token_is_one_of_a_workload() {
    let stage = stage(BESIDE, "");
    let workload = Workload::new("ES256");
    let (own, free) = (token(&stage, &workload), stage.token());
    for _ in 0..3 {
        assert_eq!(stage.ask(&with(&own, &[&workload.proof(URL, &own)])).status(), 202);
        assert_eq!(stage.ask(&Request::send().bearer(&free)).status(), 202, "in a transition both pass");
        let as_bearer = Request::send().bearer(&own).header("Workload-Proof-Token", &workload.proof(URL, &own));
        assert_refused(&stage.ask(&as_bearer), "token_bound", "invalid_token");
        let as_workload = stage.ask(&with(&free, &[&workload.proof(URL, &free)]));
        assert_refused(&as_workload, "type_refused", "invalid_token");
    }
    let two = with(&own, &[&workload.proof(URL, &own)]).header("Workload-Identity-Token", &own);
    assert_refused(&stage.ask(&two), "token_ambiguous", "invalid_token");
    assert_eq!(stage.email.received().len(), 6);
    let missing = stage.ask(&Request::send());
    let detail = assert_problem(&missing, "token_missing");
    assert!(detail.contains("Bearer <token>', or a workload identity token in Workload-Identity-Token"), "{detail}");
    let challenges = missing.head.all("www-authenticate");
    assert!(challenges[0].starts_with("Bearer ") && challenges[1].starts_with("WIMSE "), "{challenges:?}");
    assert!(challenges.len() == 2 && challenges.iter().all(|it| !it.contains("error")), "{challenges:?}");
    stage.end();
}

#[test]
fn at_the_end_of_a_transition_bearer_tokens_pass_no_more() {
    let stage = stage(ALONE, "");
    let workload = Workload::new("ES256");
    let own = token(&stage, &workload);
    assert_eq!(stage.ask(&with(&own, &[&workload.proof(URL, &own)])).status(), 202);
    let refused = stage.ask(&Request::send().bearer(&stage.token()));
    assert_refused(&refused, "token_unbound", "invalid_token");
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn other_tokens_in_the_request_must_be_covered_by_the_proof() {
    let stage = stage(BESIDE, "");
    let workload = Workload::new("Ed25519");
    let own = token(&stage, &workload);
    let ask = |fields: &[(&str, &str)], more: &[(&str, Value)]| {
        let mut claims = workload.claims(URL, &own);
        for (name, value) in more {
            claims[*name] = value.clone();
        }
        let request = with(&own, &[&workload.sign(&claims)]);
        stage.ask(&fields.iter().fold(request, |request, (name, value)| request.header(name, value)))
    };
    let user = ("Authorization", "Bearer of-a-user");
    assert_eq!(ask(&[user], &[("ath", json!(hash("of-a-user")))]).status(), 202);
    let received = stage.only_received();
    assert_eq!(received.callers(), [WHO], "the user's token names nobody here");
    assert_eq!(received.head.header("authorization"), Some("Bearer of-a-user"));
    assert_refused(&ask(&[user], &[]), "proof_invalid", "invalid_proof");
    assert_refused(&ask(&[user], &[("ath", json!(hash("other")))]), "proof_invalid", "invalid_proof");
    // A token of this very issuer names its caller no more than that of a user does.
    let bearer = format!("Bearer {}", stage.token());
    assert_refused(&ask(&[("Authorization", &bearer)], &[]), "proof_invalid", "invalid_proof");
    assert_eq!(ask(&[("Authorization", "Basic YTpi")], &[]).status(), 202, "which is no token");
    let transaction = ("Txn-Token", "t.x.n");
    assert_eq!(ask(&[transaction], &[("tth", json!(hash("t.x.n")))]).status(), 202);
    assert_refused(&ask(&[transaction], &[]), "proof_invalid", "invalid_proof");
    let context = ("X-User-Token", "u");
    assert_eq!(ask(&[context], &[("oth", json!({"x-user-token": hash("u")}))]).status(), 202);
    assert_refused(&ask(&[context], &[("oth", json!({"x-user-token": hash("v")}))]), "proof_invalid", "invalid_proof");
    let twice = [transaction, transaction];
    assert_refused(&ask(&twice, &[("tth", json!(hash("t.x.n")))]), "token_ambiguous", "invalid_token");
    assert_eq!(stage.email.received().len(), 4);
    stage.end();
}

#[test]
fn what_a_workload_token_must_hold_is_refused_by_name_where_it_does_not() {
    let stage = stage(BESIDE, "");
    let workload = Workload::new("ES256");
    let with_cnf = || {
        let mut claims = claims(&stage);
        claims["cnf"] = workload.confirmation();
        claims
    };
    let but = |name: &str, value: Value| {
        let mut claims = with_cnf();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = with_cnf();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let jwk = |name: &str, value: Value| {
        let mut claims = with_cnf();
        claims["cnf"]["jwk"][name] = value;
        claims
    };
    let cases = [
        (with_cnf(), None),
        (but("aud", json!("email-service")), None),
        (but("iat", json!(now() + 3600)), None),
        (without("cnf"), Some("token_unbound")),
        (but("cnf", json!({"jkt": hash("a")})), Some("claim_invalid")),
        (but("cnf", json!({})), Some("claim_invalid")),
        (jwk("alg", Value::Null), Some("claim_invalid")),
        (jwk("alg", json!("none")), Some("claim_invalid")),
        (jwk("alg", json!("HS256")), Some("claim_invalid")),
        (jwk("alg", json!("ECDH-ES")), Some("claim_invalid")),
        (jwk("alg", json!("ES384")), Some("claim_invalid")),
        (jwk("d", json!("AAAA")), Some("claim_invalid")),
        (jwk("x", json!("AAAA")), Some("claim_invalid")),
        (but("aud", json!("invoices")), Some("audience_mismatch")),
        (without("sub"), Some("claim_missing")),
        (but("sub", json!("billing")), Some("claim_invalid")),
        (but("sub", json!("wimse:///billing")), Some("claim_invalid")),
        (but("sub", json!("wimse://a@example.com/billing")), Some("claim_invalid")),
        (but("sub", json!("wimse://example.com/billing?a")), Some("claim_invalid")),
        (without("exp"), Some("claim_missing")),
        (but("exp", json!(now() - 60)), Some("token_expired")),
        (but("nbf", json!(now() + 120)), Some("token_not_yet_valid")),
        (without("iss"), Some("claim_missing")),
        (but("iss", json!("https://eve.example")), Some("issuer_untrusted")),
    ];
    let mut passed = 0;
    for (claims, reason) in cases {
        let token = token_with(&stage.issuer.key(), &claims);
        let answer = stage.ask(&with(&token, &[&workload.proof(URL, &token)]));
        match reason {
            None => {
                assert_eq!(answer.status(), 202, "{claims} {}", answer.text());
                passed += 1;
            }
            Some(reason) => {
                assert_refused(&answer, reason, "invalid_token");
            }
        }
    }
    let eve = testkit::keys::Key::generate("ES256", "key-1");
    let forged = token_with(&eve, &with_cnf());
    assert_refused(&stage.ask(&with(&forged, &[&workload.proof(URL, &forged)])), "signature_invalid", "invalid_token");
    assert_eq!(stage.email.received().len(), passed);
    stage.end();
}

#[test]
fn without_workload_tokens_nothing_changes_and_the_fields_are_the_upstreams() {
    let stage = Stage::set();
    let workload = Workload::new("ES256");
    let own = token(&stage, &workload);
    let request = with("of the upstream's own", &["likewise"]).bearer(&stage.token());
    assert_eq!(stage.ask(&request).status(), 202);
    let received = stage.only_received();
    assert_eq!(received.head.header("workload-identity-token"), Some("of the upstream's own"));
    assert_eq!(received.head.header("workload-proof-token"), Some("likewise"));
    let answer = stage.ask(&with(&own, &[&workload.proof(URL, &own)]));
    assert_problem(&answer, "token_missing");
    assert_eq!(answer.head.all("www-authenticate").len(), 1);
    assert_problem(&stage.ask(&Request::send().bearer(&own)), "type_refused");
    stage.end();
}

#[test]
fn the_upstream_gets_no_workload_token_where_it_gets_no_token() {
    let stage = stage(BESIDE, "[caller]\nforward_token = false");
    let workload = Workload::new("ES256");
    let own = token(&stage, &workload);
    assert_eq!(stage.ask(&with(&own, &[&workload.proof(URL, &own)])).status(), 202);
    let received = stage.only_received();
    assert_eq!(received.callers(), [WHO]);
    assert!(received.head.headers.iter().all(|(name, _)| !name.to_ascii_lowercase().starts_with("workload")));
    stage.end();
}

#[test]
fn a_workloads_proof_that_is_shown_a_hundred_times_at_once_passes_once() {
    let stage = stage(ALONE, "");
    let workload = Workload::new("ES256");
    let own = token(&stage, &workload);
    let proof = workload.proof(URL, &own);
    let request = with(&own, &[&proof]);
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
fn both_kinds_of_proof_pass_side_by_side() {
    let stage = stage("binding = [\"dpop\", \"wimse\"]\nbearer = false", "");
    let (workload, client) = (Workload::new("ES256"), testkit::dpop::Client::new("ES256"));
    let (own, bound) = (token(&stage, &workload), stage.token_but("cnf", client.confirmation()));
    for _ in 0..2 {
        assert_eq!(stage.ask(&with(&own, &[&workload.proof(URL, &own)])).status(), 202);
        let proof = client.proof("POST", URL, &bound);
        let request = Request::send().header("Authorization", &format!("DPoP {bound}")).header("DPoP", &proof);
        assert_eq!(stage.ask(&request).status(), 202);
        assert_refused(&stage.ask(&with(&own, &[])), "proof_missing", "invalid_proof");
        let without = stage.ask(&Request::send().header("Authorization", &format!("DPoP {bound}")));
        assert_problem(&without, "proof_missing");
        let challenges = without.head.all("www-authenticate");
        assert!(challenges.len() == 2 && challenges[0].ends_with("send that in the DPoP field\""), "{challenges:?}");
        assert!(!challenges[1].contains("error"), "{challenges:?}");
    }
    assert_eq!(stage.email.received().len(), 4);
    stage.end();
}
