//! A bad sidecar.toml: exit 78, every error with its place, and nothing ever listens.

use std::ffi::OsStr;
use std::net::TcpListener;

use testkit::email_service::EmailService;
use testkit::issuer::Issuer;
use testkit::process::{Ended, run};
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::{binary, start_ready};

/// A good file, line by line, to be spoiled.
const GOOD: &str = r#"[listen]
address = "127.0.0.1:0"

[upstream]
address = "127.0.0.1:3000"

[admin]
address = "127.0.0.1:0"

[[issuers]]
issuer = "https://auth.internal.example"
audiences = ["email-service"]
algorithms = ["ES256"]
keys = { url = "https://auth.internal.example/jwks.json" }
"#;

const EX_CONFIG: Option<i32> = Some(78);

fn callgate(command: &str, config: &str) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sidecar.toml");
    std::fs::write(&file, config).unwrap();
    run(binary(), &[OsStr::new(command), "--config".as_ref(), file.as_ref()]).unwrap()
}

/// Asserts that both commands refuse the file and say each of these things, in one go.
fn assert_refused(config: &str, said: &[&str]) {
    for command in ["run", "check"] {
        let ended = callgate(command, config);
        assert_eq!(ended.code, EX_CONFIG, "`{command}` said {}{}", ended.stdout, ended.stderr);
        for words in said {
            assert!(ended.stderr.contains(words), "`{command}` should say {words:?}:\n{}", ended.stderr);
        }
        assert!(!ended.stderr.contains("Callgate is listening."), "{}", ended.stderr);
    }
}

fn spoiled(good: &str, bad: &str) -> String {
    assert!(GOOD.contains(good), "{good} is not in the good file");
    GOOD.replace(good, bad)
}

#[test]
fn good_file_is_accepted_by_check_which_binds_and_asks_nothing() {
    // The issuer of the good file does not exist, so that a check that asked for its keys would fail.
    let ended = callgate("check", GOOD);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.is_empty(), "a short summary");
}

#[test]
fn unknown_key_is_refused_with_its_place_and_the_nearest_known_one() {
    assert_refused(&spoiled("audiences =", "audience ="), &["sidecar.toml:12:1", "audience", "audiences"]);
}

#[test]
fn unknown_table_is_refused_with_its_place() {
    let config = format!("{GOOD}\n[limit]\nconnections = 5\n");
    assert_refused(&config, &["sidecar.toml:16:2", "limit", "limits"]);
}

#[test]
fn wrong_type_is_refused_with_its_place() {
    assert_refused(&spoiled("address = \"127.0.0.1:3000\"", "address = 3000"), &["sidecar.toml:5:11", "string"]);
}

#[test]
fn missing_table_is_refused_by_its_name() {
    assert_refused(&spoiled("[admin]\naddress = \"127.0.0.1:0\"\n", ""), &["sidecar.toml", "admin"]);
}

#[test]
fn empty_list_of_audiences_is_refused() {
    assert_refused(&spoiled("[\"email-service\"]", "[]"), &["sidecar.toml:12:", "issuers[0].audiences"]);
}

#[test]
fn empty_list_of_algorithms_is_refused() {
    assert_refused(&spoiled("[\"ES256\"]", "[]"), &["sidecar.toml:13:", "issuers[0].algorithms"]);
}

#[test]
fn algorithm_that_is_unknown_is_refused() {
    assert_refused(&spoiled("\"ES256\"", "\"ES255\""), &["sidecar.toml:13:", "ES255"]);
}

#[test]
fn algorithms_without_a_public_key_are_refused() {
    for algorithm in ["none", "HS256"] {
        assert_refused(&spoiled("ES256", algorithm), &["sidecar.toml:13:", algorithm]);
    }
}

#[test]
fn plain_http_to_another_machine_is_refused() {
    assert_refused(&spoiled("url = \"https:", "url = \"http:"), &["sidecar.toml:14:", "http"]);
}

#[test]
fn two_tables_for_the_same_issuer_are_refused() {
    let (_, issuer) = GOOD.split_once("[[issuers]]").unwrap();
    assert_refused(&format!("{GOOD}\n[[issuers]]{issuer}"), &["issuers[1].issuer"]);
}

#[test]
fn every_error_is_told_at_once() {
    let config = spoiled("[\"email-service\"]", "[]").replace("ES256", "ES255").replace("127.0.0.1:3000", "nowhere");
    assert_refused(&config, &["sidecar.toml:5:", "sidecar.toml:12:", "sidecar.toml:13:"]);
}

#[test]
fn file_that_is_not_toml_is_refused_with_its_place() {
    assert_refused("[listen\naddress = 1\n", &["sidecar.toml:1:"]);
}

#[test]
fn file_that_cannot_be_read_is_refused() {
    let missing = tempfile::tempdir().unwrap().path().join("nowhere.toml");
    for command in ["run", "check"] {
        let ended = run(binary(), &[OsStr::new(command), "--config".as_ref(), missing.as_ref()]).unwrap();
        assert_eq!(ended.code, EX_CONFIG, "{}", ended.stderr);
        assert!(ended.stderr.contains("nowhere.toml"), "{}", ended.stderr);
    }
}

#[test]
fn port_in_use_ends_the_start_with_another_exit_code() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = spoiled(
        "[listen]\naddress = \"127.0.0.1:0\"",
        &format!("[listen]\naddress = \"{}\"", taken.local_addr().unwrap()),
    );
    let ended = callgate("run", &config);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&taken.local_addr().unwrap().to_string()), "{}", ended.stderr);
}

#[test]
fn unknown_command_line_option_is_a_usage_error() {
    assert_eq!(run(binary(), &["run", "--confg", "x"]).unwrap().code, Some(2));
}

#[test]
fn configuration_that_was_refused_serves_once_it_is_corrected() {
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let corrected = Setup::before(email.address()).trusting(&issuer);
    let broken = corrected.toml().replace(&format!("[\"{AUDIENCE}\"]"), "[]");
    let error = Sidecar::start(binary(), &broken).err().expect("it should not start");
    assert!(error.contains("exit code Some(78)"), "{error}");
    let sidecar = start_ready(&corrected);
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let answer = sidecar.connect().exchange(Request::send().bearer(&token).bytes()).unwrap();
    assert_eq!(answer.status(), 202);
}

#[test]
fn a_key_that_is_not_the_certificates_is_found_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let pair = |name: &str| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(at(&format!("{name}.crt")), made.cert.pem()).unwrap();
        std::fs::write(at(&format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    };
    pair("old");
    pair("new");
    let with = |key: &str| {
        let table = format!("[listen.tls]\ncert = \"{}\"\nkey = \"{}\"\n\n[upstream]", at("new.crt"), at(key));
        spoiled("[upstream]", &table)
    };
    let good = callgate("check", &with("new.key"));
    assert_eq!(good.code, Some(0), "{}", good.stderr);
    let (cert, key) = (at("new.crt"), at("old.key"));
    let said = format!("{key:?} is not the key of the certificate in {cert:?}");
    assert_refused(&with("old.key"), &["6:7: error: listen.tls.key", &said]);
}
