//! Issuers that fail in every way they can: the last keys stay in use up to their limit, a snapshot survives a restart, and nobody
//! waits longer than the bound.

use std::time::{Duration, Instant};

use testkit::email_service::EmailService;
use testkit::http::PATIENCE;
use testkit::issuer::{Behaviour, Issuer};
use testkit::refusal::{assert_problem, assert_unauthorized};
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::{binary, start, start_ready};

struct Outage {
    issuer: Issuer,
    email: EmailService,
}

impl Outage {
    fn new() -> Self {
        Self { issuer: Issuer::start("https://auth.internal.example"), email: EmailService::start() }
    }

    fn setup(&self, keys: &str, more: &str) -> Setup {
        let keys = format!("keys = {{ url = \"{}\"{keys} }}", self.issuer.jwks_url());
        Setup::before(self.email.address()).trusting_with(&self.issuer, &keys).with(more)
    }

    fn ask(&self, sidecar: &Sidecar) -> u16 {
        let token = self.issuer.mint(&self.issuer.claims("billing", AUDIENCE));
        sidecar.connect().exchange(Request::send().bearer(&token).bytes()).expect("callgate answers").status()
    }

    /// Asks until this is the status.
    fn wait_for(&self, sidecar: &Sidecar, status: u16) {
        let end = Instant::now() + PATIENCE;
        while self.ask(sidecar) != status {
            assert!(Instant::now() < end, "{status} should come\n{}", sidecar.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn old_keys_serve_on_whatever_the_issuer_does_and_readyz_says_what_it_is() {
    let outage = Outage::new();
    let sidecar = start_ready(&outage.setup(", refresh = \"100ms\", timeout = \"300ms\"", ""));
    let cases = [
        (Behaviour::Empty, "no key in it can be used"),
        (Behaviour::Endless, "larger than"),
        (Behaviour::Failing, "HTTP 500"),
        (Behaviour::Garbage, "not a JSON object with a list 'keys'"),
        (Behaviour::Redirecting, "redirects"),
        (Behaviour::Slow(Duration::from_secs(2)), "time limit"),
        (Behaviour::Truncated, "broke off"),
    ];
    for (behaviour, words) in cases {
        outage.issuer.behave(behaviour);
        let told = sidecar.wait_for_readyz(|answer| {
            answer.json()["issuers"][0]["detail"].as_str().is_some_and(|detail| detail.contains(words))
        });
        let told = told.unwrap_or_else(|answer| panic!("{behaviour:?} should be told: {}", answer.text()));
        assert_eq!((told.status(), &told.json()["ready"]), (200, &true.into()), "{behaviour:?}");
        assert_eq!(outage.ask(&sidecar), 202, "{behaviour:?}");
    }
    outage.issuer.go_down();
    let told = sidecar.wait_for_readyz(|answer| answer.text().contains("refused"));
    assert!(told.is_ok());
    assert_eq!(outage.ask(&sidecar), 202);

    outage.issuer.come_up();
    outage.issuer.behave(Behaviour::Healthy);
    outage.issuer.rotate("after");
    outage.wait_for(&sidecar, 202);
}

#[test]
fn past_the_ceiling_tokens_get_503_until_the_issuer_is_back() {
    let outage = Outage::new();
    let keys = ", refresh = \"200ms\", stale_limit = \"3s\"";
    let sidecar = start_ready(&outage.setup(keys, "[limits]\nkey_wait = \"100ms\""));
    assert_eq!(outage.ask(&sidecar), 202);
    outage.issuer.go_down();
    assert_eq!(outage.ask(&sidecar), 202, "not at once");
    outage.wait_for(&sidecar, 503);
    assert!(sidecar.wait_for_readiness(503).is_ok());
    let metrics = sidecar.ask_admin("/metrics").text();
    assert!(metrics.contains("callgate_key_set_usable{issuer=\"https://auth.internal.example\"} 0"), "{metrics}");
    outage.issuer.come_up();
    outage.wait_for(&sidecar, 202);
    assert!(sidecar.wait_for_readiness(200).is_ok());
}

#[test]
fn a_new_key_that_cannot_be_fetched_costs_503_and_a_known_one_serves() {
    let outage = Outage::new();
    let sidecar = start_ready(&outage.setup("", "[limits]\nkey_wait = \"200ms\""));
    let known = outage.issuer.mint(&outage.issuer.claims("billing", AUDIENCE));
    let with = |token: &str| sidecar.connect().exchange(Request::send().bearer(token).bytes()).unwrap();
    outage.issuer.rotate("new");
    outage.issuer.go_down();
    let answer = with(&outage.issuer.mint(&outage.issuer.claims("billing", AUDIENCE)));
    assert_problem(&answer, "keys_unavailable");
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    assert_eq!(with(&known).status(), 202);

    let forged = known.rsplit_once('.').map(|(signed, _)| format!("{signed}.{}", "A".repeat(86)));
    assert_unauthorized(&with(&forged.expect("a token")), "signature_invalid");
    outage.issuer.come_up();
    outage.wait_for(&sidecar, 202);
}

#[test]
fn restart_while_the_issuer_is_down_answers_the_first_request_from_the_snapshot() {
    let outage = Outage::new();
    let directory = tempfile::tempdir().unwrap();
    let cache = format!("[keys]\nsnapshot_dir = \"{}\"", directory.path().join("cache").display());
    let sidecar = start_ready(&outage.setup("", &cache));
    assert_eq!(outage.ask(&sidecar), 202);
    assert_eq!(sidecar.stop().code, Some(0));

    outage.issuer.go_down();
    let without = start(&outage.setup("", "[limits]\nkey_wait = \"100ms\""));
    assert_eq!(outage.ask(&without), 503);
    let sidecar = start(&outage.setup("", &cache));
    assert_eq!(outage.ask(&sidecar), 202, "the first request\n{}", sidecar.log());
    let readiness = sidecar.ask_admin("/readyz");
    assert_eq!(readiness.status(), 200, "{}", readiness.text());
}

#[test]
fn no_request_waits_longer_than_the_bound_for_an_issuer_that_hangs() {
    let outage = Outage::new();
    outage.issuer.behave(Behaviour::Slow(Duration::from_secs(10)));
    let sidecar = start(&outage.setup(", timeout = \"8s\"", "[limits]\nkey_wait = \"300ms\""));
    for _ in 0..3 {
        let asked = Instant::now();
        assert_eq!(outage.ask(&sidecar), 503);
        let took = asked.elapsed();
        // The issuer would take ten seconds, the fetch is given up after eight.
        assert!(took >= Duration::from_millis(250) && took < Duration::from_secs(5), "{took:?}");
    }
    assert_eq!(outage.issuer.fetches(), 1, "all of them wait for one fetch");
}

#[test]
fn proxies_of_the_environment_are_used_only_if_the_configuration_says_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let outage = Outage::new();
    let directory = tempfile::tempdir().unwrap();
    let wrapper = directory.path().join("callgate");
    let proxies = "http_proxy=http://127.0.0.1:1 HTTP_PROXY=http://127.0.0.1:1";
    std::fs::write(&wrapper, format!("#!/bin/sh\n{proxies} exec '{}' \"$@\"\n", binary().display())).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o700)).unwrap();

    let direct = Sidecar::start(&wrapper, &outage.setup("", "").toml()).unwrap();
    assert!(direct.wait_for_readiness(200).is_ok(), "{}", direct.log());
    assert_eq!(outage.ask(&direct), 202);

    let proxied = Sidecar::start(&wrapper, &outage.setup(", use_proxy_env = true", "").toml()).unwrap();
    let told = proxied.wait_for_readyz(|answer| answer.text().contains("refused"));
    assert_eq!(told.unwrap_or_else(|answer| panic!("{}", answer.text())).status(), 503);
    assert_eq!(outage.ask(&proxied), 503);
}

/// One unreachable issuer of two made the instance unready although the other's tokens passed.
#[test]
fn outage_of_one_issuer_makes_the_instance_unready_only_if_it_is_needed() {
    let (up, down) = (Issuer::start("https://up.example"), Issuer::start("https://down.example"));
    down.go_down();
    let email = EmailService::start();
    let setup = |optional: &str, all: &str| {
        let keys = format!("keys = {{ url = \"{}\" }}\n{optional}", down.jwks_url());
        let setup = Setup::before(email.address()).trusting(&up).trusting_with(&down, &keys);
        let top = if all.is_empty() { String::new() } else { format!("readiness = \"{all}\"\n") };
        Sidecar::start(binary(), &(top + &setup.toml())).unwrap()
    };
    let token = up.mint(&up.claims("billing", AUDIENCE));
    for (optional, all, status) in [("", "", 503), ("", "any", 200), ("required = false", "", 200)] {
        let sidecar = setup(optional, all);
        let told = sidecar.wait_for_readyz(|answer| answer.status() == status && answer.text().contains("refused"));
        let told = told.unwrap_or_else(|answer| panic!("{}\n{}", answer.text(), sidecar.log())).json();
        assert_eq!(
            (&told["ready"], &told["readiness"]),
            (&(status == 200).into(), &if all.is_empty() { "all" } else { all }.into())
        );
        assert_eq!(
            (&told["issuers"][1]["ready"], &told["issuers"][1]["required"]),
            (&false.into(), &optional.is_empty().into())
        );
        let detail = told["issuers"][1]["detail"].as_str().unwrap();
        assert!(detail.contains("(unreachable)") && detail.contains(&down.jwks_url()), "{detail}");
        // What the alert looks at says it in each case.
        let metrics = sidecar.ask_admin("/metrics").text();
        assert!(metrics.contains("callgate_key_set_usable{issuer=\"https://down.example\"} 0"), "{metrics}");
        let answer = sidecar.connect().exchange(Request::send().bearer(&token).bytes()).unwrap();
        assert_eq!(answer.status(), 202, "the other's tokens pass");
    }
    assert_eq!(email.received().len(), 3);
}

#[test]
fn check_asks_the_issuers_once_and_says_what_came() {
    let outage = Outage::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sidecar.toml");
    std::fs::write(&file, outage.setup("", "").toml()).unwrap();
    let check = |more: &[&str]| {
        let command = std::process::Command::new(binary()).arg("check").args(more).arg("--config").arg(&file).output();
        let output = command.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!((check(&[]).0, outage.issuer.fetches()), (Some(0), 0), "it asks nobody unless it is told to");
    let (code, said) = check(&["--fetch"]);
    assert!(code == Some(0) && said.contains("fetched   https://auth.internal.example: 1 keys: \"key-1\""), "{said}");
    assert_eq!(outage.issuer.fetches(), 1);
    outage.issuer.behave(Behaviour::Failing);
    let (code, said) = check(&["--fetch"]);
    assert_eq!(code, Some(1));
    let wanted = format!(
        "failed    https://auth.internal.example: HTTP 500 (status), asked for the key set at {}; the server fails",
        outage.issuer.jwks_url()
    );
    assert!(said.contains(&wanted), "{said}");
}

#[test]
fn check_names_the_keys_that_are_published_and_left_out() {
    let outage = Outage::new();
    let directory = tempfile::tempdir().unwrap();
    let (file, keys) = (directory.path().join("sidecar.toml"), directory.path().join("keys.json"));
    let odd = serde_json::json!({"kty": "EC", "crv": "P-256", "kid": "odd", "x": "AA", "y": "AA"});
    std::fs::write(&keys, serde_json::json!({"keys": [outage.issuer.key().jwk(), odd]}).to_string()).unwrap();
    let setup = Setup::before(outage.email.address());
    let setup = setup.trusting_with(&outage.issuer, &format!("keys = {{ file = \"{}\" }}", keys.display()));
    std::fs::write(&file, setup.toml()).unwrap();
    let output =
        std::process::Command::new(binary()).args(["check", "--fetch", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("1 keys: \"key-1\"\n            left out 'odd': "), "{said}");
}

#[test]
fn a_snapshot_that_cannot_be_written_is_counted_and_stops_nobody() {
    let outage = Outage::new();
    // Nobody can make a directory there, whatever the user.
    let sidecar = start_ready(&outage.setup("", "[keys]\nsnapshot_dir = \"/proc/callgate\""));
    assert_eq!(outage.ask(&sidecar), 202);
    let failures = "callgate_key_snapshot_write_failures_total{issuer=\"https://auth.internal.example\"} 1";
    let end = Instant::now() + PATIENCE;
    // It is written behind the keys' back.
    while !sidecar.ask_admin("/metrics").text().contains(failures) {
        assert!(Instant::now() < end, "{}", sidecar.ask_admin("/metrics").text());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(outage.ask(&sidecar), 202);
}
