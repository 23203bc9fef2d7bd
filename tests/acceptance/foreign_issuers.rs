//! Issuers that others wrote, under their own defaults: their keys are fetched, and their tokens accepted.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use testkit::email_service::EmailService;
use testkit::refusal::{assert_unauthorized, request_id};
use testkit::request::Request;
use testkit::setup::Setup;
use testkit::stage::start_ready;

#[test]
fn tokens_of_oidc_provider_and_better_auth_are_accepted_under_their_own_defaults() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/interop/node.sh");
    let mut issuers =
        Command::new(script).arg("issuers.mjs").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a script");
    let mut said = String::new();
    BufReader::new(issuers.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let Ok(made) = serde_json::from_str::<Value>(&said) else {
        assert_eq!(issuers.wait().unwrap().code(), Some(69), "it says when they cannot be installed");
        return testkit::tools::skip("the test of oidc-provider and better-auth", "node or its packages are missing");
    };
    let text = |of: &str, what: &str| made[of][what].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
    let (provider, better_auth) = (text("oidc_provider", "url"), text("better_auth", "url"));
    let email = EmailService::start();
    let sidecar = start_ready(&Setup::before(email.address()).with(&format!(
        "[[issuers]]\npreset = \"rfc9068\"\nissuer = \"{provider}\"\naudiences = [\"email-service\"]\n\n\
         [[issuers]]\nissuer = \"{better_auth}\"\naudiences = [\"{better_auth}\"]\nalgorithms = [\"Ed25519\"]\n\
         keys = {{ url = \"{better_auth}/api/auth/jwks\" }}"
    )));

    for (issuer, caller) in [("oidc_provider", "billing".to_owned()), ("better_auth", text("better_auth", "user"))] {
        let token = text(issuer, "token");
        let ask = |token: &str| sidecar.connect().exchange(Request::send().bearer(token).bytes()).unwrap();
        let answer = ask(&token);
        assert_eq!(answer.status(), 202, "{issuer}: {}", answer.text());
        assert_eq!(email.latest().unwrap().head.all("x-caller-service"), [caller.as_str()], "{issuer}");
        let record = sidecar.audit_where(|record| record["caller"] == caller.as_str()).expect("an audit record");
        assert_eq!(record["issuer"], json!(text(issuer, "url")));

        let at = token.len() - 20;
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        let forged = ask(&format!("{}{other}{}", &token[..at], &token[at + 1..]));
        assert_unauthorized(&forged, "signature_invalid");
        let record = sidecar.audit_for(&request_id(&forged)).expect("an audit record");
        assert_eq!((&record["caller"], &record["reason"]), (&Value::Null, &json!("signature_invalid")));
    }
    assert_eq!(email.received().len(), 2);
    drop(issuers.stdin.take());
    assert!(issuers.wait().unwrap().success());
}
