//! Where keys come from: URL, discovery or file. And what happens if they do not come, or change.

use std::time::Duration;

use serde_json::Value;

use testkit::email_service::EmailService;
use testkit::http::{Answer, PATIENCE};
use testkit::issuer::{Behaviour, Issuer};
use testkit::refusal::{assert_problem, assert_unauthorized, request_id};
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::{start, start_ready};
use testkit::tls::TlsFront;

/// A sidecar that soon asks again, in front of an email service of its own.
struct Fetching {
    issuer: Issuer,
    email: EmailService,
    sidecar: Sidecar,
}

impl Fetching {
    /// Starts it while the issuer is in the state that `spoil` has put it into.
    fn from(issuer: Issuer, spoil: impl FnOnce(&Issuer)) -> Self {
        let email = EmailService::start();
        let keys =
            format!("keys = {{ url = \"{}\", unknown_key_cooldown = \"1s\", timeout = \"1s\" }}", issuer.jwks_url());
        let setup = Setup::before(email.address()).trusting_with(&issuer, &keys).with("[limits]\nkey_wait = \"200ms\"");
        spoil(&issuer);
        Self { sidecar: start(&setup), issuer, email }
    }

    fn ask(&self) -> Answer {
        ask(&self.sidecar, &self.issuer.mint(&self.issuer.claims("billing", AUDIENCE)))
    }

    fn assert_not_ready(&self) {
        let readiness = explained(&self.sidecar);
        assert_eq!(readiness["ready"], false, "{readiness:#}");
        let issuer = &readiness["issuers"][0];
        assert_eq!(issuer["issuer"], self.issuer.name(), "{readiness:#}");
        assert_eq!(issuer["ready"], false, "{readiness:#}");
        assert_eq!(issuer["keys"], 0, "{readiness:#}");
    }

    /// The token may be good and nobody can tell: 503, and the upstream sees nothing.
    fn assert_refused_for_now(&self) {
        let answer = self.ask();
        assert_eq!(answer.status(), 503, "{}", answer.text());
        assert_problem(&answer, "keys_unavailable");
        assert_eq!(answer.header("www-authenticate"), None, "the caller's token is not to blame");
        let seconds: Option<u64> = answer.header("retry-after").and_then(|value| value.parse().ok());
        assert!(seconds.is_some_and(|seconds| seconds >= 1), "Retry-After: {seconds:?}");
        assert!(self.email.received().is_empty());
        let audit = self.sidecar.audit_for(&request_id(&answer)).expect("the refusal is in the audit");
        assert_eq!(audit["reason"], "keys_unavailable");
        assert_eq!(audit["status"], 503);
        assert_eq!(audit["caller"], Value::Null);
    }

    fn assert_heals(&self) {
        let readiness = self.sidecar.wait_for_readiness(200).expect("it should heal by itself").json();
        assert_eq!(readiness["ready"], true, "{readiness:#}");
        assert_eq!(self.ask().status(), 202);
        assert_eq!(self.email.received().len(), 1);
    }
}

/// The answer of /readyz once the first attempt to fetch has failed and it says why.
fn explained(sidecar: &Sidecar) -> Value {
    let says_why = |answer: &Answer| answer.status() == 503 && answer.json()["issuers"][0]["failures"] != 0;
    sidecar.wait_for_readyz(says_why).expect("/readyz should say why it is not ready").json()
}

fn ask(sidecar: &Sidecar, token: &str) -> Answer {
    sidecar.connect().exchange(Request::send().bearer(token).bytes()).unwrap()
}

fn plain_issuer() -> Issuer {
    Issuer::start("https://auth.internal.example")
}

#[test]
fn issuer_that_is_down_costs_503_and_all_is_well_once_it_is_back() {
    let fetching = Fetching::from(plain_issuer(), Issuer::go_down);
    fetching.assert_not_ready();
    fetching.assert_refused_for_now();
    fetching.issuer.come_up();
    fetching.assert_heals();
}

#[test]
fn issuer_that_answers_500_costs_503_until_it_recovers() {
    let fetching = Fetching::from(plain_issuer(), |issuer| issuer.behave(Behaviour::Failing));
    fetching.assert_not_ready();
    fetching.assert_refused_for_now();
    fetching.issuer.behave(Behaviour::Healthy);
    fetching.assert_heals();
}

#[test]
fn issuer_that_answers_garbage_costs_503_until_it_recovers() {
    let fetching = Fetching::from(plain_issuer(), |issuer| issuer.behave(Behaviour::Garbage));
    fetching.assert_not_ready();
    fetching.assert_refused_for_now();
    fetching.issuer.behave(Behaviour::Healthy);
    fetching.assert_heals();
}

#[test]
fn issuer_without_a_single_key_costs_503_until_it_publishes_one() {
    let fetching = Fetching::from(plain_issuer(), |issuer| issuer.behave(Behaviour::Empty));
    fetching.assert_not_ready();
    fetching.assert_refused_for_now();
    fetching.issuer.behave(Behaviour::Healthy);
    fetching.assert_heals();
}

#[test]
fn issuer_that_is_too_slow_costs_503_until_it_is_quicker() {
    let too_slow = Behaviour::Slow(Duration::from_secs(3));
    let fetching = Fetching::from(plain_issuer(), |issuer| issuer.behave(too_slow));
    fetching.assert_refused_for_now();
    fetching.issuer.behave(Behaviour::Healthy);
    fetching.assert_heals();
}

#[test]
fn one_issuer_that_is_down_does_not_harm_the_callers_of_another() {
    let (up, down) = (plain_issuer(), Issuer::start("https://down.example"));
    down.go_down();
    let email = EmailService::start();
    let setup = Setup::before(email.address()).trusting(&up).trusting(&down).with("[limits]\nkey_wait = \"200ms\"");
    let sidecar = start(&setup);
    let readiness = sidecar.wait_for_readiness(503).expect("/readyz names the issuer that is down").json();
    let ready = |issuer: &Issuer| {
        let issuers = readiness["issuers"].as_array().unwrap();
        issuers.iter().find(|found| found["issuer"] == issuer.name()).unwrap()["ready"].clone()
    };
    assert_eq!(ready(&down), false, "{readiness:#}");
    assert_eq!(ask(&sidecar, &up.mint(&up.claims("billing", AUDIENCE))).status(), 202);
    assert_eq!(ask(&sidecar, &down.mint(&down.claims("billing", AUDIENCE))).status(), 503);
    assert_eq!(email.received().len(), 1);
}

#[test]
fn keys_that_were_fetched_go_on_serving_while_the_issuer_is_down() {
    let fetching = Fetching::from(plain_issuer(), |_| ());
    fetching.sidecar.wait_for_readiness(200).unwrap();
    fetching.issuer.go_down();
    for n in 1..=3 {
        assert_eq!(fetching.ask().status(), 202);
        assert_eq!(fetching.email.received().len(), n);
    }
}

#[test]
fn rotated_key_is_found_without_a_restart_and_the_old_one_no_longer_serves() {
    let fetching = Fetching::from(plain_issuer(), |_| ());
    fetching.sidecar.wait_for_readiness(200).unwrap();
    assert_eq!(fetching.ask().status(), 202);
    let old = fetching.issuer.mint(&fetching.issuer.claims("billing", AUDIENCE));
    fetching.issuer.rotate("key-2");
    // The first tokens may come within the cooldown of the last fetch; they are refused, and asking again helps.
    let end = std::time::Instant::now() + PATIENCE;
    while fetching.ask().status() != 202 {
        assert!(std::time::Instant::now() < end, "the new key should be found\n{}", fetching.sidecar.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_unauthorized(&ask(&fetching.sidecar, &old), "key_unknown");
}

#[test]
fn flood_of_unknown_kids_does_not_become_a_flood_of_fetches() {
    let issuer = plain_issuer();
    let email = EmailService::start();
    let keys = format!("keys = {{ url = \"{}\", unknown_key_cooldown = \"1h\" }}", issuer.jwks_url());
    let sidecar = start_ready(&Setup::before(email.address()).trusting_with(&issuer, &keys));
    let before = issuer.fetches();
    for n in 0..20 {
        let header = serde_json::json!({"alg": "ES256", "kid": format!("invented-{n}")});
        let token = issuer.key().mint_as(&header, &issuer.claims("billing", AUDIENCE));
        assert_unauthorized(&ask(&sidecar, &token), "key_unknown");
    }
    assert!(issuer.fetches() <= before + 1, "{} fetches for 20 requests", issuer.fetches() - before);
    assert_eq!(ask(&sidecar, &issuer.mint(&issuer.claims("billing", AUDIENCE))).status(), 202);
    assert_eq!(email.received().len(), 1);
}

#[test]
fn keys_found_by_discovery_are_accepted() {
    let issuer = Issuer::at_its_own_address();
    let email = EmailService::start();
    let sidecar = start_ready(&Setup::before(email.address()).trusting_with(&issuer, "keys = { discovery = true }"));
    assert_eq!(ask(&sidecar, &issuer.mint(&issuer.claims("billing", AUDIENCE))).status(), 202);
    let mut expired = issuer.claims("billing", AUDIENCE);
    expired["exp"] = 1.into();
    assert_unauthorized(&ask(&sidecar, &issuer.mint(&expired)), "token_expired");
    assert_eq!(email.received().len(), 1);
}

#[test]
fn discovery_document_of_another_issuer_is_refused() {
    let issuer = Issuer::at_its_own_address();
    let email = EmailService::start();
    let setup = Setup::before(email.address()).trusting_with(&issuer, "keys = { discovery = true }");
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    issuer.rename("https://somebody.else.example");
    let sidecar = start(&setup.with("[limits]\nkey_wait = \"200ms\""));
    let readiness = explained(&sidecar);
    let detail = readiness["issuers"][0]["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("issuer"), "it says what is wrong: {readiness:#}");
    assert_problem(&ask(&sidecar, &token), "keys_unavailable");
    assert!(email.received().is_empty());
    assert_eq!(issuer.fetches(), 0, "the key set that it names is not asked for");
}

#[test]
fn keys_in_a_file_are_accepted_without_any_fetch() {
    let issuer = plain_issuer();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwks.json");
    std::fs::write(&file, issuer.jwks().to_string()).unwrap();
    let email = EmailService::start();
    let keys = format!("keys = {{ file = \"{}\" }}", file.display());
    let sidecar = start_ready(&Setup::before(email.address()).trusting_with(&issuer, &keys));
    assert_eq!(ask(&sidecar, &issuer.mint(&issuer.claims("billing", AUDIENCE))).status(), 202);
    let stranger = plain_issuer();
    let forged = stranger.mint(&issuer.claims("billing", AUDIENCE));
    assert_unauthorized(&ask(&sidecar, &forged), "signature_invalid");
    assert_eq!(email.received().len(), 1);
    assert_eq!(issuer.fetches(), 0);
}

#[test]
fn a_single_jwk_or_a_public_key_in_pem_is_accepted_from_a_file() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let issuer = plain_issuer();
    let jwk = issuer.jwks()["keys"][0].clone();
    let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    // SubjectPublicKeyInfo of a P-256 key (RFC 5480 section 2).
    let beginning = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
    let der = [STANDARD.decode(beginning).unwrap(), number("x"), number("y")].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der));
    // A key in PEM has no name, so a token that names another may be of a newer key.
    for (content, reason) in
        [(jwk.to_string(), "signature_invalid"), (format!("\u{feff}{jwk}"), "signature_invalid"), (pem, "key_unknown")]
    {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, &content).unwrap();
        let email = EmailService::start();
        let keys = format!("keys = {{ file = \"{}\" }}", file.display());
        let sidecar = start_ready(&Setup::before(email.address()).trusting_with(&issuer, &keys));
        assert_eq!(ask(&sidecar, &issuer.mint(&issuer.claims("billing", AUDIENCE))).status(), 202, "{content}");
        let forged = plain_issuer().mint(&issuer.claims("billing", AUDIENCE));
        let refused = ask(&sidecar, &forged);
        assert_unauthorized(&refused, reason);
        assert_eq!(email.received().len(), 1);
        assert_eq!(email.received()[0].callers(), ["billing"]);
        let audit = sidecar.audit_for(&request_id(&refused)).expect("the refusal is in the audit");
        assert_eq!(audit["reason"], reason);
    }
}

#[test]
fn keys_behind_https_are_accepted_from_the_authority_that_is_configured() {
    let issuer = plain_issuer();
    let front = TlsFront::before(&issuer);
    let email = EmailService::start();
    let keys = format!("keys = {{ url = \"{}\", ca_file = \"{}\" }}", front.jwks_url(), front.ca_file().display());
    let sidecar = start_ready(&Setup::before(email.address()).trusting_with(&issuer, &keys));
    assert_eq!(ask(&sidecar, &issuer.mint(&issuer.claims("billing", AUDIENCE))).status(), 202);
    assert_eq!(email.received().len(), 1);
}

#[test]
fn keys_behind_https_are_refused_from_an_authority_that_is_not_configured() {
    let issuer = plain_issuer();
    let (front, other) = (TlsFront::before(&issuer), TlsFront::before(&issuer));
    let email = EmailService::start();
    for ca in [String::new(), format!(", ca_file = \"{}\"", other.ca_file().display())] {
        let keys = format!("keys = {{ url = \"{}\"{ca} }}", front.jwks_url());
        let setup = Setup::before(email.address()).trusting_with(&issuer, &keys).with("[limits]\nkey_wait = \"200ms\"");
        let sidecar = start(&setup);
        explained(&sidecar);
        assert_problem(&ask(&sidecar, &issuer.mint(&issuer.claims("billing", AUDIENCE))), "keys_unavailable");
    }
    assert!(email.received().is_empty());
    assert_eq!(issuer.fetches(), 0, "nothing was asked over a connection that is not trusted");
}
