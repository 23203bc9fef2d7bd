//! `callgate init`: what it writes is good, and says what it could not know.

use std::path::Path;

use testkit::issuer::Issuer;
use testkit::keys::Key;
use testkit::process::{Ended, run};
use testkit::stage::binary;

fn init(issuer: &str, more: &[&str]) -> Ended {
    let fixed = ["init", "--issuer", issuer, "--audience", "email-service", "--upstream", "127.0.0.1:3000"];
    run(binary(), &[&fixed, more].concat()).unwrap()
}

/// What `check` says of a text.
fn check(text: &str) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sidecar.toml");
    std::fs::write(&file, text).unwrap();
    run(binary(), &[Path::new("check"), Path::new("--config"), &file]).unwrap()
}

fn table(text: &str) -> toml::Table {
    text.parse::<toml::Table>().unwrap()["issuers"][0].as_table().unwrap().clone()
}

#[test]
fn an_issuer_is_asked_for_its_algorithms_and_the_file_is_good() {
    let issuer = Issuer::at_its_own_address();
    let ended = init(&issuer.name(), &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let table = table(&ended.stdout);
    assert_eq!(table["issuer"].as_str(), Some(&*issuer.name()));
    assert_eq!(table["algorithms"].to_string(), "[\"ES256\"]");
    assert_eq!(table["audiences"].to_string(), "[\"email-service\"]");
    assert_eq!(table["keys"]["discovery"].as_bool(), Some(true));
    assert!(ended.stdout.contains("'key-1' for ES256"), "{}", ended.stdout);
    assert_eq!(ended.stdout.matches("NOT KNOWN").count(), 1, "the typ alone: {}", ended.stdout);
    let checked = check(&ended.stdout);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

#[test]
fn several_keys_make_several_algorithms_and_no_key_can_write_into_the_file() {
    let keys = vec![Key::generate("ES256", "a\"\nmode = \"report\""), Key::generate("EdDSA", "b")];
    let issuer = Issuer::with_keys("", keys);
    issuer.rename(issuer.jwks_url().trim_end_matches("/.well-known/jwks.json"));
    let ended = init(&issuer.name(), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(table(&ended.stdout)["algorithms"].as_array().unwrap().len(), 2, "{}", ended.stdout);
    assert!(!ended.stdout.parse::<toml::Table>().unwrap().contains_key("mode"), "{}", ended.stdout);
    assert!(!ended.stdout.lines().any(|line| line.starts_with("mode")), "{}", ended.stdout);
}

#[test]
fn an_issuer_that_is_down_makes_a_good_file_that_says_what_is_a_guess() {
    let issuer = Issuer::at_its_own_address();
    issuer.go_down();
    let ended = init(&issuer.name(), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("its algorithms are a guess"), "{}", ended.stderr);
    assert!(ended.stdout.contains("The issuer could not be asked"), "{}", ended.stdout);
    assert!(ended.stdout.contains("refused"), "it says why: {}", ended.stdout);
    let checked = check(&ended.stdout);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

#[test]
fn a_file_is_never_overwritten_and_bad_arguments_make_none() {
    let issuer = Issuer::at_its_own_address();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sidecar.toml");
    let output = ["--output", file.to_str().unwrap()];
    let first = init(&issuer.name(), &output);
    assert_eq!((first.code, first.stdout.as_str()), (Some(0), ""), "{}", first.stderr);
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains("email-service"));
    let second = init(&issuer.name(), &output);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("is not overwritten"), "{}", second.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);

    let plain = init("http://auth.example", &[]);
    assert_eq!((plain.code, plain.stdout.as_str()), (Some(78), ""), "{}", plain.stderr);
    assert!(plain.stderr.contains("issuers[0]"), "{}", plain.stderr);
}
