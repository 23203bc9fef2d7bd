//! `callgate explain`: the real binary, a configuration, a token, and what a person or a machine reads.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use testkit::dpop::Client;
use testkit::signing::pair;
use testkit::token::{TokenSpec, token};
use testkit::workload::Workload;
use testkit::world::NOW;

/// A directory with a configuration and a key set.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self::with("keys = { file = \"keys.json\" }", "")
    }

    fn with(keys: &str, more: &str) -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        let config = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n[upstream]\naddress = \"127.0.0.1:1\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [[issuers]]\nissuer = \"https://issuer.test\"\naudiences = [\"email-service\"]\nalgorithms = [\"ES256\"]\n{keys}\n{more}"
        );
        place.write("sidecar.toml", &config);
        let keys = json!({"keys": [pair("p256").jwk(Some("p256")), pair("other-p256").jwk(Some("other"))]});
        place.write("keys.json", &keys.to_string());
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.arg("explain").arg("--config").arg(self.path("sidecar.toml")).args(arguments).env_remove("NO_COLOR");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Explains what comes on standard input.
    fn read(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).spawn().expect("the binary");
        // One that ends over its configuration has closed the pipe before it is written to; its end is what counts.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("an end")
    }

    /// Explains a token at the time of the kit.
    fn explain(&self, token: &TokenSpec, arguments: &[&str]) -> Output {
        let now = NOW.to_string();
        self.read(&[arguments, &["--at", &now]].concat(), &text(token))
    }

    fn json(&self, token: &TokenSpec) -> Value {
        let output = self.explain(token, &["--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

fn text(token: &TokenSpec) -> String {
    String::from_utf8(token.build()).expect("text")
}

fn said(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn accepted_token_is_explained_with_its_caller_its_key_and_the_time_left() {
    let output = Place::new().explain(&token(), &[]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for words in [
        "ok  aud             'email-service'",
        "ok  signature       made with key 'p256' (P-256)",
        "ok  exp             2026-01-01T00:04:50Z, in 4m 50s",
        "wanted: 'https://issuer.test'",
        "Times       issued 10s ago, 4m 50s left",
        "Caller      billing",
        "Verdict     accepted",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert!(!said.contains("NO "), "{said}");
}

#[test]
fn refused_token_is_explained_with_all_that_is_wrong_and_the_one_reason_of_the_answer() {
    let bad = token().claim("aud", "\"invoice-service\"").claim("exp", &(NOW - 3600).to_string()).without("sub");
    let output = Place::new().explain(&bad, &[]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in [
        "NO  aud             'invoice-service'",
        "wanted: 'email-service', alone or in a list of strings",
        "no  exp             2025-12-31T23:00:00Z, 1h ago",
        "token_expired (would be refused too)",
        "no  caller          the token has no claim 'sub' to name its caller",
        "Times       issued 10s ago, expired 1h ago",
        "Verdict     refused: audience_mismatch",
        "What to do  The caller asks its issuer for a token for this service",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert!(!said.contains("Caller      "), "{said}");
}

#[test]
fn clocks_that_differ_are_told_by_how_much() {
    let place = Place::new();
    let early = token().claim("iat", &(NOW + 300).to_string()).claim("nbf", &(NOW + 300).to_string());
    let early = early.claim("exp", &(NOW + 600).to_string());
    let text = said(&place.explain(&early, &[]));
    for words in [
        "NO  nbf             2026-01-01T00:05:00Z, in 5m",
        "no  iat             2026-01-01T00:05:00Z, in 5m",
        "Times       issued in 5m: its issuer's clock is ahead by that or more, or this one is behind, good in 5m, 10m left",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert_eq!(place.json(&early)["times"]["issuer_ahead_seconds"], 300);
    assert_eq!(place.json(&token())["times"]["issuer_ahead_seconds"], Value::Null);
}

#[test]
fn keys_that_were_tried_in_vain_are_named() {
    let forged = token().without_head("kid").signed_by("eve-p256", "ES256");
    let output = Place::new().explain(&forged, &[]);
    let said = said(&output);
    assert!(said.contains("Keys tried  key 'p256' (P-256), key 'other' (P-256)"), "{said}");
    assert!(said.contains("NO  signature"), "{said}");
    assert!(said.contains("ok  aud"), "the claims are looked at all the same\n{said}");
}

#[test]
fn what_cannot_be_checked_is_said_to_be_unchecked() {
    let output = Place::new().explain(&token().text(|token| token.replace('.', "")), &[]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("NO  form            the token has one part;"), "{said}");
    assert!(
        said.contains("--  signature       not checked") && said.contains("--  caller          not checked"),
        "{said}"
    );
    assert!(said.contains("Verdict     refused: token_malformed"), "{said}");
}

#[test]
fn machines_read_the_same_as_people() {
    let place = Place::new();
    let accepted = place.json(&token());
    assert_eq!((&accepted["accepted"], &accepted["caller"]), (&json!(true), &json!("billing")), "{accepted:#}");
    assert_eq!(accepted["reason"], Value::Null);
    assert_eq!(accepted["times"]["seconds_left"], 290);
    assert_eq!(accepted["times"]["seconds_since_issue"], 10);
    assert_eq!(accepted["keys_tried"], json!([{"kid": "p256", "kind": "P-256", "signature_holds": true}]));

    let refused = place.json(&token().claim("exp", &(NOW - 3600).to_string()));
    assert_eq!((&refused["accepted"], &refused["caller"]), (&json!(false), &Value::Null), "{refused:#}");
    assert_eq!((&refused["reason"], &refused["status"]), (&json!("token_expired"), &json!(401)));
    assert_eq!(refused["times"]["seconds_left"], -3600);
    let checks = refused["checks"].as_array().expect("a list");
    assert_eq!(checks.len(), 20, "{refused:#}");
    let of = |name: &str| checks.iter().find(|check| check["check"] == name).expect("a check");
    assert_eq!((&of("exp")["outcome"], &of("exp")["reason"]), (&json!("refused"), &json!("token_expired")));
    assert_eq!((&of("aud")["outcome"], &of("aud")["reason"]), (&json!("passed"), &Value::Null));
    let names: Vec<_> = accepted["checks"].as_array().expect("a list").iter().map(|check| &check["check"]).collect();
    assert_eq!(
        names,
        checks.iter().map(|check| &check["check"]).collect::<Vec<_>>(),
        "the checks do not depend on the token"
    );
}

#[test]
fn token_is_read_from_the_argument_from_standard_input_and_from_a_pasted_line() {
    let place = Place::new();
    let now = NOW.to_string();
    let token = text(&token());
    let argument = place.read(&["--at", &now, &token], "");
    assert_eq!(argument.status.code(), Some(0), "{}", said(&argument));
    for (arguments, input) in [
        (vec!["--at", &now], token.clone()),
        (vec!["--at", &now, "-"], format!("{token}\n")),
        (vec!["--at", &now, "-"], format!("{token}\r\n")),
        (vec!["--at", &now], format!("Bearer {token}")),
        (vec!["--at", &now], format!("Authorization: Bearer {token}\n")),
        (vec!["--at", "2026-01-01T00:00:00Z"], format!("authorization: bearer {token}\n")),
    ] {
        assert_eq!(place.read(&arguments, &input).status.code(), Some(0), "{arguments:?}");
    }
    let basic = place.read(&["--json"], "Authorization: Basic YTpi\n");
    assert!(said(&basic).contains("\"token_missing\""));
    let nothing = place.read(&[], "\n");
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("there is no token"));
}

#[test]
fn keys_of_a_file_stand_in_for_the_issuers() {
    let unreachable = Place::with("keys = { url = \"http://127.0.0.1:1/jwks.json\", timeout = \"1s\" }", "");
    let refused = unreachable.json(&token());
    assert_eq!(refused["reason"], "keys_unavailable", "{refused:#}");
    let keys = refused["checks"].as_array().expect("a list").iter().find(|check| check["check"] == "keys").expect("it");
    assert!(keys["found"].as_str().is_some_and(|found| found.starts_with("there are none: ")), "{keys:#}");

    let file = unreachable.path("keys.json").display().to_string();
    let accepted = unreachable.explain(&token(), &["--keys", &file]);
    assert_eq!(accepted.status.code(), Some(0), "{}", said(&accepted));
    let missing = unreachable.explain(&token(), &["--keys", "/nowhere.json"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere.json cannot be read"));
}

/// They were read as if every issuer's keys were for signatures: a bundle was refused, and a key of another use accepted.
#[test]
fn keys_of_a_file_must_be_meant_for_what_the_issuers_are() {
    let place = Place::with("keys = { url = \"http://127.0.0.1:1/bundle\", use = \"jwt-svid\" }", "");
    let with_use = |usage: &str| {
        let mut key = pair("p256").jwk(Some("p256"));
        key["use"] = json!(usage);
        place.write("bundle.json", &json!({"keys": [key]}).to_string());
        let file = place.path("bundle.json").display().to_string();
        place.explain(&token(), &["--keys", &file])
    };
    let accepted = with_use("jwt-svid");
    assert_eq!(accepted.status.code(), Some(0), "{accepted:?}");
    let refused = with_use("sig");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is no key set for the token's issuer"), "{refused:?}");
}

#[test]
fn deny_list_is_looked_at() {
    let place = Place::new();
    place.write("revoked.jsonl", "{\"jti\":\"token-1\"}");
    let config = fs::read_to_string(place.path("sidecar.toml")).expect("a file");
    place.write("sidecar.toml", &format!("{config}\n[revocation]\nfile = \"revoked.jsonl\"\n"));
    assert_eq!(place.json(&token())["reason"], "token_revoked");
    assert_eq!(place.json(&token().claim("jti", "\"token-2\""))["accepted"], true);
}

#[test]
fn bound_token_is_refused_as_the_proxy_does() {
    let place = Place::new();
    let refused = place.json(&token().claim("cnf", r#"{"jkt":"abc"}"#));
    assert_eq!((&refused["accepted"], &refused["reason"]), (&json!(false), &json!("token_bound")));
    let check = refused["checks"].as_array().expect("a list").iter().find(|check| check["check"] == "cnf").expect("it");
    assert_eq!((&check["wanted"], &check["found"]), (&json!("missing"), &json!("an object with 'jkt'")));
    assert_eq!(place.json(&token())["accepted"], true);
}

#[test]
fn neither_token_nor_signature_is_ever_printed() {
    let place = Place::new();
    for bad in
        [token(), token().claim("exp", "1"), token().signed_by("eve-p256", "ES256"), token().head("alg", "\"none\"")]
    {
        let text = text(&bad);
        for arguments in [&[][..], &["--json"]] {
            let output = place.explain(&bad, arguments);
            let all = [output.stdout, output.stderr].concat();
            let all = String::from_utf8(all).expect("text");
            for part in text.split('.') {
                assert!(!all.contains(part), "{all}");
            }
        }
    }
}

#[test]
fn there_are_no_colours_but_on_a_terminal() {
    let output = Place::new().explain(&token(), &[]);
    assert!(!said(&output).contains('\x1b'));
}

#[test]
fn bad_configuration_is_told_with_its_exit_code() {
    let place = Place::new();
    place.write("sidecar.toml", "[listen]\n");
    let output = place.read(&[], "a.b.c");
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the configuration cannot be used"));
    let usage = Place::new().read(&["--at", "yesterday"], "a.b.c");
    assert_eq!(usage.status.code(), Some(2));
}

/// Explains without any configuration, in a directory that has none.
fn read_alone(arguments: &[&str], input: &str) -> Output {
    let place = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.arg("explain").args(arguments).current_dir(place.path()).env_remove("CALLGATE_CONFIG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("a pipe");
    child.wait_with_output().expect("an end")
}

#[test]
fn without_a_configuration_the_tokens_own_words_are_shown_as_unverified() {
    let now = NOW.to_string();
    let answer = json!({"access_token": text(&token()), "token_type": "Bearer", "expires_in": 300}).to_string();
    for input in [text(&token()), answer] {
        let output = read_alone(&["--at", &now], &input);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "nothing is accepted: {said}");
        for words in [
            "Not verified",
            "iss             'https://issuer.test'",
            "aud             'email-service'",
            "exp             2026-01-01T00:04:50Z, in 4m 50s",
            "Verdict     none",
        ] {
            assert!(said.contains(words), "{words}\n{said}");
        }
        for part in text(&token()).split('.') {
            assert!(!said.contains(part), "{said}");
        }
        let object = read_alone(&["--at", &now, "--json"], &input);
        let object: Value = serde_json::from_slice(&object.stdout).expect("JSON");
        assert_eq!((&object["verified"], &object["stated"]["aud"]), (&json!(false), &json!("'email-service'")));
    }
    let forged = token().claim("sub", "\"a\\u001b[2Jb\"").claim("exp", "\"soon\"");
    let said = said(&read_alone(&["--at", &now], &text(&forged)));
    assert!(said.contains("sub             'a?[2Jb'") && said.contains("exp             'soon'"), "{said}");
    let no_token = read_alone(&[], "not a token");
    assert_eq!((no_token.status.code(), no_token.stdout.as_slice()), (Some(1), &b""[..]));
    // A configuration that is named and missing is an error, not a reason to look less closely.
    assert_eq!(read_alone(&["--config", "gone.toml"], &text(&token())).status.code(), Some(78));
    assert_eq!(read_alone(&["--keys", "keys.json"], &text(&token())).status.code(), Some(1));
}

#[test]
fn a_bound_token_is_explained_for_the_certificate_that_the_client_shows() {
    let certificate = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        (certificate.pem(), key.serialize_pem(), URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate.der())))
    };
    let place = Place::with(
        "keys = { file = \"keys.json\" }\nbinding = [\"certificate\"]\nbearer = false",
        "[listen.tls]\ncert = \"own.crt\"\nkey = \"own.key\"\nclient_ca = \"own.crt\"",
    );
    let ((own, key, hash), (other, ..)) = (certificate("own"), certificate("other"));
    place.write("own.crt", &own);
    place.write("own.key", &key);
    place.write("other.crt", &other);
    let bound = token().claim("cnf", &json!({"x5t#S256": hash}).to_string());
    let with = |name: &str| {
        let path = place.path(name).display().to_string();
        place.explain(&bound, &["--certificate", &path])
    };
    let accepted = with("own.crt");
    assert_eq!(accepted.status.code(), Some(0), "{}", said(&accepted));
    assert!(said(&accepted).contains(&format!("the client's certificate, with the SHA-256 {hash}")));
    for (output, reason) in [
        (with("other.crt"), "certificate_mismatch"),
        (place.explain(&bound, &[]), "certificate_missing"),
        (place.explain(&token(), &[]), "token_unbound"),
    ] {
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(&format!("refused: {reason}")), "{}", said(&output));
    }
    let odd = with("own.key");
    assert!(String::from_utf8_lossy(&odd.stderr).contains("is no certificate in PEM"), "{odd:?}");
}

#[test]
fn a_proof_is_explained_check_by_check_for_the_request_that_it_is_for() {
    let place = Place::with(
        "keys = { file = \"keys.json\" }\nbinding = [\"dpop\"]\nbearer = false",
        "[forwarding]\nexternal_urls = [\"https://gate.example/mail\"]\n[dpop]\nnonce = true\n[[public]]\npath = \"/open\"\nmethods = [\"GET\"]",
    );
    let (client, url) = (Client::new("ES256"), "https://gate.example/mail/send");
    // Each signature is another one: what a proof is for is one text.
    let bound = |client: &Client| text(&token().claim("cnf", &client.confirmation().to_string()));
    let (alone, other) = (&*bound(&client), bound(&Client::new("ES256")));
    let shown = format!("DPoP {alone}");
    let mut claims = client.claims("POST", url, alone);
    claims["iat"] = json!(NOW - 5);
    place.write("proof", &format!("{}\n", client.sign(&claims)));
    let (file, now) = (place.path("proof").display().to_string(), NOW.to_string());
    let with = |token: &str, method: &str, url: &str| {
        place.read(&["--proof", &file, "--method", method, "--url", url, "--at", &now], token)
    };
    // A token alone is presented with the proof's scheme.
    for token in [&shown, alone] {
        let accepted = with(token, "POST", &format!("{url}?a=b"));
        assert_eq!(accepted.status.code(), Some(0), "{}", said(&accepted));
        for words in ["proof's htu", "'https://gate.example/mail/send'", "proof's ath", "proof's jti", "billing"] {
            assert!(said(&accepted).contains(words), "{words}: {}", said(&accepted));
        }
    }
    for (output, reason, check) in [
        (with(&shown, "GET", url), "proof_invalid", "proof's htm"),
        (with(&shown, "POST", "https://gate.example/mail/other"), "proof_invalid", "proof's htu"),
        (with(&shown, "POST", "https://eve.example/mail/send"), "proof_invalid", "proof's htu"),
        (with(&other, "POST", url), "proof_invalid", "proof's ath"),
        (with(&format!("Bearer {alone}"), "POST", url), "token_bound", "scheme"),
        (place.read(&["--at", &now], &shown), "proof_missing", "proof"),
        (with(&text(&token()), "POST", url), "token_unbound", "cnf"),
    ] {
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("refused: {reason}")) && said.contains(check), "{reason}, {check}: {said}");
        assert!(!said.contains(alone), "the token is not shown");
    }
    for (arguments, words) in [
        (["--proof", &file, "--method", "GET", "--url", "https://gate.example/mail/open"], "needs no token"),
        (["--proof", &file, "--method", "GET", "--url", "mail"], "is no URL of a request"),
        (["--proof", "/nowhere", "--method", "GET", "--url", url], "cannot be read"),
    ] {
        let refused = place.read(&arguments, &shown);
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains(words), "{refused:?}");
    }
    let without = place.command(&["--proof", &file]).output().expect("the binary");
    assert_ne!(without.status.code(), Some(0), "a proof is for a request");
    assert!(String::from_utf8_lossy(&without.stderr).contains("--method"), "{without:?}");
}

#[test]
fn a_workload_token_is_explained_with_its_proof() {
    let place = Place::with(
        "keys = { file = \"keys.json\" }\nbinding = [\"wimse\"]",
        "[forwarding]\nexternal_urls = [\"https://gate.example/mail\"]",
    );
    let (workload, url) = (Workload::new("ES256"), "https://gate.example/mail/send");
    let of = |workload: &Workload| {
        let cnf = workload.confirmation().to_string();
        let own = token().head("typ", "\"wit+jwt\"").without("aud").claim("sub", "\"wimse://example.com/billing\"");
        text(&own.claim("cnf", &cnf))
    };
    let (own, other) = (of(&workload), of(&Workload::new("ES256")));
    let mut claims = workload.claims(url, &own);
    claims["exp"] = json!(NOW + 60);
    place.write("proof", &format!("{}\n", workload.sign(&claims)));
    let (file, now) = (place.path("proof").display().to_string(), NOW.to_string());
    let with =
        |token: &str, url: &str| place.read(&["--proof", &file, "--method", "POST", "--url", url, "--at", &now], token);
    for token in [own.clone(), format!("Workload-Identity-Token: {own}\n")] {
        let accepted = with(&token, &format!("{url}?a=b"));
        assert_eq!(accepted.status.code(), Some(0), "{}", said(&accepted));
        for words in
            ["proof's aud", "'https://gate.example/mail/send' alone", "proof's wth", "wimse://example.com/billing"]
        {
            assert!(said(&accepted).contains(words), "{words}: {}", said(&accepted));
        }
    }
    for (output, reason, check) in [
        (with(&own, "https://gate.example/mail/other"), "proof_invalid", "proof's aud"),
        (with(&other, url), "proof_invalid", "proof's wth"),
        (place.read(&["--at", &now], &own), "proof_missing", "proof"),
        (with(&format!("Authorization: Bearer {own}"), url), "token_bound", "place"),
        (with(&format!("Workload-Identity-Token: {}", text(&token())), url), "type_refused", "field"),
    ] {
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("refused: {reason}")) && said.contains(check), "{reason}, {check}: {said}");
        assert!(!said.contains(&own), "the token is not shown");
    }
    // Where none is accepted, it is a token like any other.
    let usual = Place::new().explain(&token().head("typ", "\"wit+jwt\""), &[]);
    assert!(said(&usual).contains("refused: type_refused"), "{}", said(&usual));
}

#[test]
fn the_version_names_the_drafts_that_it_follows() {
    let version = Command::new(testkit::stage::binary()).arg("--version").output().expect("the binary");
    let said = said(&version);
    assert!(said.starts_with(&format!("callgate {}\n", env!("CARGO_PKG_VERSION"))), "{said}");
    assert!(said.contains("draft-ietf-wimse-workload-creds-02 and draft-ietf-wimse-wpt-02"), "{said}");
    let short = Command::new(testkit::stage::binary()).arg("-V").output().expect("the binary");
    assert_eq!(String::from_utf8_lossy(&short.stdout), format!("callgate {}\n", env!("CARGO_PKG_VERSION")));
}
