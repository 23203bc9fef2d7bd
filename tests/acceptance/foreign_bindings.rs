//! Tokens that an issuer of others binds to a key or a certificate, used by a client of others: oidc-provider and openid-client, each
//! under its own defaults but for what turns the binding on.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use testkit::email_service::EmailService;
use testkit::setup::Setup;
use testkit::stage::start_ready;
use testkit::tls::Ca;

/// What the token is bound to and what the client shows, and how it is answered. All but those with a certificate are without TLS.
const CASES: [(&str, u16, &str); 13] = [
    ("key: a proof", 202, ""),
    ("key: another proof", 202, ""),
    ("key: a proof of another key", 401, "proof_invalid"),
    ("key: as Bearer", 401, "token_bound"),
    ("key: no proof", 401, "proof_missing"),
    ("certificate: it", 202, ""),
    ("certificate: it again", 202, ""),
    ("certificate: another one", 401, "certificate_mismatch"),
    ("certificate: it, with a proof of a key", 401, "token_bound"),
    ("certificate: none on the way to a proxy", 401, "certificate_missing"),
    // The handshake fails.
    ("certificate: none", 0, ""),
    ("nothing: as Bearer", 401, "token_unbound"),
    ("nothing: with a proof", 401, "token_unbound"),
];

#[test]
fn bound_tokens_of_oidc_provider_pass_with_what_openid_client_proves_and_with_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let ca = Ca::generate();
    std::fs::write(at("ca.pem"), &ca.pem).unwrap();
    for name in ["server", "client", "other"] {
        let (certificate, key) = ca.issue();
        std::fs::write(at(&format!("{name}.crt")), certificate).unwrap();
        std::fs::write(at(&format!("{name}.key")), key).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/interop/node.sh");
    let mut others = Command::new(script)
        .args(["bound.mjs", &at("")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a script");
    let mut said = BufReader::new(others.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let Ok(made) = serde_json::from_str::<Value>(&line) else {
        assert_eq!(others.wait().unwrap().code(), Some(69), "it says when they cannot be had");
        return testkit::tools::skip("the test of bound tokens of oidc-provider", "node or its packages are missing");
    };
    let email = EmailService::start();
    let url = made["url"].as_str().unwrap();
    let issuer = format!(
        "[[issuers]]\npreset = \"rfc9068\"\nissuer = \"{url}\"\naudiences = [\"email-service\"]\n\
         binding = [\"certificate\", \"dpop\"]\nbearer = false"
    );
    // Before the first one stands a proxy that ends TLS, but none from here.
    let proxied = "[forwarding]\nexternal_urls = [\"https://mail.example\"]\nclient_certificate = \"rfc9440\"\n\
                   client_certificate_from = [\"192.0.2.1\"]";
    let plain = start_ready(&Setup::before(email.address()).with(&issuer).with(proxied));
    let tls = format!(
        "[listen.tls]\ncert = {:?}\nkey = {:?}\nclient_ca = {:?}\n[forwarding]\nexternal_urls = [\"https://mail.example\"]",
        at("server.crt"),
        at("server.key"),
        at("ca.pem")
    );
    let over_tls = start_ready(&Setup::before(email.address()).with(&issuer).with(&tls));

    let (plain_url, tls_url) = (format!("http://{}", plain.listen()), format!("https://{}", over_tls.listen()));
    writeln!(others.stdin.take().unwrap(), "{}", json!({"plain": plain_url, "tls": tls_url})).unwrap();
    line.clear();
    said.read_line(&mut line).unwrap();
    assert!(others.wait().unwrap().success(), "{line}");
    let made: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(made["type"], "dpop", "the token's own word for how it is presented");
    let told = made["told"].as_array().unwrap();
    let found: Vec<_> = told
        .iter()
        .map(|it| {
            let status = u16::try_from(it["status"].as_u64().unwrap()).unwrap();
            (it["what"].as_str().unwrap(), status, it["reason"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(found, CASES, "{made:#}");

    let received = email.received();
    let callers: Vec<_> = received.iter().map(|request| request.callers().join(" ")).collect();
    assert_eq!(callers, ["with-key", "with-key", "with-certificate", "with-certificate"]);
    assert!(received.iter().all(|request| request.head.header("dpop").is_none()), "{received:#?}");
    let (plain, over_tls) = (plain.stop(), over_tls.stop());
    assert_eq!([plain.code, over_tls.code], [Some(0), Some(0)]);
    let records = |audit: &str| audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    for (audit, caller) in [(&plain.stdout, "with-key"), (&over_tls.stdout, "with-certificate")] {
        let passed: Vec<_> = records(audit).into_iter().filter(|record| record["decision"] == "forward").collect();
        assert_eq!(passed.len(), 2, "{passed:#?}");
        assert!(passed.iter().all(|record| record["caller"] == caller && record["issuer"] == url), "{passed:#?}");
    }
    let records = records(&(plain.stdout + &over_tls.stdout));
    for (told, (what, status, reason)) in told.iter().zip(CASES).filter(|(_, (_, status, _))| *status == 401) {
        let record = records.iter().find(|record| record["request_id"] == told["request_id"]);
        let record = record.unwrap_or_else(|| panic!("{what} has no record"));
        assert_eq!((&record["reason"], &record["status"]), (&json!(reason), &json!(status)), "{what}");
        assert_eq!((&record["caller"], &record["issuer"]), (&Value::Null, &json!(url)), "{what}");
    }
}
