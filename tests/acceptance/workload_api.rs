//! Keys from the SPIFFE Workload API: an agent at a socket, whose stream is followed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use testkit::email_service::EmailService;
use testkit::http::{Answer, PATIENCE};
use testkit::issuer::now;
use testkit::keys::Key;
use testkit::process::{self, Process};
use testkit::refusal::{assert_problem, assert_unauthorized, request_id};
use testkit::request::Request;
use testkit::setup::Setup;
use testkit::sidecar::Sidecar;
use testkit::stage::{binary, start, start_ready};
use testkit::workload_api::{Agent, Says};

/// A service whose callers have SVIDs of `a.example` and of `b.example`, and the place of its agent.
struct Workload {
    directory: TempDir,
    email: EmailService,
}

impl Workload {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), email: EmailService::start() }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("agent.sock")
    }

    fn setup(&self, domains: &[&str]) -> Setup {
        let issuer = |domain: &&str| {
            format!(
                "[[issuers]]\npreset = \"spiffe\"\ntrust_domain = \"{domain}\"\naudiences = [\"email\"]\n\
                 keys = {{ workload_api = \"unix://{}\", unknown_key_cooldown = \"1h\", timeout = \"1s\" }}\n",
                self.socket().display()
            )
        };
        let issuers: String = domains.iter().map(issuer).collect();
        Setup::before(self.email.address()).with(&issuers).with("[limits]\nkey_wait = \"200ms\"")
    }

    fn callers_seen(&self) -> Vec<String> {
        let received = self.email.received();
        received.iter().flat_map(|request| request.head.all("x-caller-service")).map(str::to_owned).collect()
    }
}

/// A bundle as an agent gives it: without `use` and `alg`.
fn bundle(domain: &str, keys: &[&Key]) -> (String, Value) {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            let mut jwk = key.jwk();
            let members = jwk.as_object_mut().unwrap();
            members.remove("use");
            members.remove("alg");
            jwk
        })
        .collect();
    (domain.to_owned(), json!({ "keys": keys }))
}

fn svid(key: &Key, subject: &str) -> String {
    key.mint(&json!({"aud": ["email"], "exp": now() + 300, "iat": now(), "sub": subject}))
}

fn ask(sidecar: &Sidecar, token: &str) -> Answer {
    sidecar.connect().exchange(Request::send().bearer(token).bytes()).unwrap()
}

fn ask_until(sidecar: &Sidecar, token: &str, status: u16) {
    let end = Instant::now() + PATIENCE;
    while ask(sidecar, token).status() != status {
        assert!(Instant::now() < end, "it should become {status}\n{}", sidecar.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What /readyz says of the only issuer, once it says this.
fn wait_for_detail(sidecar: &Sidecar, wanted: &str) -> Value {
    let says = |answer: &Answer| answer.json()["issuers"][0]["detail"].to_string().contains(wanted);
    sidecar.wait_for_readyz(says).unwrap_or_else(|answer| panic!("{wanted}: {}", answer.text())).json()
}

#[test]
fn bundles_of_several_trust_domains_come_from_one_agent_and_are_told_apart() {
    let workload = Workload::new();
    let (a, b) = (Key::generate("ES256", "jwt-1"), Key::generate("ES256", "jwt-1"));
    let mut certificate = Key::generate("ES256", "x509-1").jwk();
    certificate["use"] = json!("x509-svid");
    let (domain, mut bundle_of_a) = bundle("a.example", &[&a]);
    bundle_of_a["keys"].as_array_mut().unwrap().push(certificate);
    let agent =
        Agent::start(&workload.socket(), Says::Bundles(vec![(domain, bundle_of_a), bundle("b.example", &[&b])]));
    let sidecar = start_ready(&workload.setup(&["a.example", "b.example"]));

    assert_eq!(ask(&sidecar, &svid(&a, "spiffe://a.example/billing")).status(), 202);
    assert_eq!(ask(&sidecar, &svid(&b, "spiffe://b.example/orders")).status(), 202);
    let refused = ask(&sidecar, &svid(&a, "spiffe://b.example/orders"));
    assert_unauthorized(&refused, "signature_invalid");
    assert_unauthorized(&ask(&sidecar, &svid(&b, "spiffe://a.example/billing")), "signature_invalid");
    assert_unauthorized(&ask(&sidecar, &svid(&b, "spiffe://c.example/billing")), "issuer_untrusted");

    assert_eq!(workload.callers_seen(), ["spiffe://a.example/billing", "spiffe://b.example/orders"]);
    let record = sidecar.audit_for(&request_id(&refused)).expect("the refusal is in the audit");
    assert_eq!((&record["issuer"], &record["caller"]), (&json!("spiffe://b.example"), &Value::Null));
    let status = sidecar.ask_admin("/status").json();
    let from = &status["issuers"][0]["keys_from"];
    let wanted = format!("the bundle of a.example from the Workload API at {}", agent.address());
    assert_eq!(*from, json!(wanted), "{status:#}");
}

#[test]
fn what_the_agent_says_by_itself_counts_at_once() {
    let workload = Workload::new();
    let (old, new) = (Key::generate("ES256", "jwt-1"), Key::generate("ES256", "jwt-2"));
    let agent = Agent::start(&workload.socket(), Says::Bundles(vec![bundle("a.example", &[&old])]));
    let sidecar = start_ready(&workload.setup(&["a.example"]));
    let (by_old, by_new) = (svid(&old, "spiffe://a.example/billing"), svid(&new, "spiffe://a.example/billing"));
    assert_eq!(ask(&sidecar, &by_old).status(), 202);

    agent.says(Says::Bundles(vec![bundle("a.example", &[&new])]));
    // No request causes it: a token of the old key needs no fetch.
    ask_until(&sidecar, &by_old, 401);
    assert_unauthorized(&ask(&sidecar, &by_old), "key_unknown");
    assert_eq!(ask(&sidecar, &by_new).status(), 202);
    assert!(agent.streams() <= 2, "the stream is followed, and not opened again: {}", agent.streams());
}

#[test]
fn an_agent_that_gives_nothing_is_an_outage_that_heals() {
    let workload = Workload::new();
    let key = Key::generate("ES256", "jwt-1");
    let token = svid(&key, "spiffe://a.example/billing");
    let sidecar = start(&workload.setup(&["a.example"]));
    wait_for_detail(&sidecar, "has no socket there (agent), asked for the JWT bundle at unix:");
    let answer = ask(&sidecar, &token);
    assert_eq!(answer.status(), 503);
    assert_problem(&answer, "keys_unavailable");

    let agent = Agent::start(&workload.socket(), Says::Denied);
    wait_for_detail(&sidecar, "gives this workload nothing (PermissionDenied)");
    agent.says(Says::Bundles(Vec::new()));
    wait_for_detail(&sidecar, "has no bundle of the trust domain");
    agent.says(Says::Nothing);
    wait_for_detail(&sidecar, "no complete answer within the time limit");
    assert_problem(&ask(&sidecar, &token), "keys_unavailable");
    assert!(workload.callers_seen().is_empty());

    agent.says(Says::Bundles(vec![bundle("b.example", &[]), bundle("a.example", &[&key])]));
    sidecar.wait_for_readiness(200).expect("it heals by itself");
    assert_eq!(ask(&sidecar, &token).status(), 202);
    assert_eq!(workload.callers_seen(), ["spiffe://a.example/billing"]);
}

#[test]
fn keys_go_on_serving_while_the_agent_restarts_and_the_new_one_is_found() {
    let workload = Workload::new();
    let (old, new) = (Key::generate("ES256", "jwt-1"), Key::generate("ES256", "jwt-2"));
    let (by_old, by_new) = (svid(&old, "spiffe://a.example/billing"), svid(&new, "spiffe://a.example/billing"));
    let agent = Agent::start(&workload.socket(), Says::Bundles(vec![bundle("a.example", &[&old])]));
    let keep = format!("[keys]\nsnapshot_dir = \"{}\"", workload.directory.path().join("cache").display());
    let setup = workload.setup(&["a.example"]).with(&keep);
    let sidecar = start_ready(&setup);
    assert_eq!(ask(&sidecar, &by_old).status(), 202);

    // A message without the bundle takes no key away, and neither does the end.
    agent.says(Says::Bundles(Vec::new()));
    wait_for_detail(&sidecar, "has no bundle of the trust domain");
    assert_eq!(ask(&sidecar, &by_old).status(), 202);
    drop(agent);
    wait_for_detail(&sidecar, "has no socket there");
    assert_eq!(ask(&sidecar, &by_old).status(), 202);
    assert_eq!(sidecar.ask_admin("/readyz").status(), 200, "there are keys that are not stale");

    // Another instance begins with what was kept.
    let again = start_ready(&setup);
    assert_eq!(ask(&again, &by_old).status(), 202);
    assert_unauthorized(&ask(&again, &svid(&new, "spiffe://b.example/billing")), "issuer_untrusted");

    let _agent = Agent::start(&workload.socket(), Says::Bundles(vec![bundle("a.example", &[&new])]));
    ask_until(&sidecar, &by_new, 202);
    assert_unauthorized(&ask(&sidecar, &by_old), "key_unknown");
}

#[test]
fn with_true_the_environment_names_the_socket() {
    let workload = Workload::new();
    let key = Key::generate("ES256", "jwt-1");
    let _agent = Agent::start(&workload.socket(), Says::Bundles(vec![bundle("a.example", &[&key])]));
    let config = workload.setup(&["a.example"]).toml();
    let written = format!("\"unix://{}\"", workload.socket().display());
    assert!(config.contains(&written), "{config}");
    let config = config.replace(&written, "true");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sidecar.toml");
    std::fs::write(&file, &config).unwrap();
    let with = |variable: &str, command: &str| {
        let variable = format!("SPIFFE_ENDPOINT_SOCKET={variable}");
        let arguments = [variable.into(), binary().into(), command.into(), "--config".into(), file.clone()];
        arguments.map(PathBuf::into_os_string)
    };

    let env = Path::new("/usr/bin/env");
    let here = format!("unix://{}", workload.socket().display());
    let run = with(&here, "run");
    let process = Process::start(env, &run.each_ref().map(AsRef::as_ref)).unwrap();
    let sidecar = Sidecar::wait_until_listening(process, directory, &config).unwrap();
    sidecar.wait_for_readiness(200).expect("the agent is found");
    assert_eq!(ask(&sidecar, &svid(&key, "spiffe://a.example/billing")).status(), 202);

    let file = sidecar.config();
    for (arguments, wanted) in [
        (vec![binary().as_os_str()], "SPIFFE_ENDPOINT_SOCKET is not set where this runs"),
        (
            vec!["SPIFFE_ENDPOINT_SOCKET=tcp://127.0.0.1:8081".as_ref(), binary().as_os_str()],
            "is no socket of this machine",
        ),
    ] {
        let unset = ["-u".as_ref(), "SPIFFE_ENDPOINT_SOCKET".as_ref()];
        let check = ["check".as_ref(), "--config".as_ref(), file.as_os_str()];
        let ended = process::run(env, &[&unset[..], &arguments, &check].concat()).unwrap();
        assert_eq!(ended.code, Some(78), "{}", ended.stderr);
        assert!(ended.stderr.contains(wanted) || ended.stdout.contains(wanted), "{}{}", ended.stdout, ended.stderr);
    }
}

#[test]
fn an_agent_of_the_published_protocol_and_its_svids_are_understood() {
    let workload = Workload::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/interop/python.sh");
    let mut agent = Command::new(script)
        .arg("agent.py")
        .arg(workload.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a script");
    let mut said = String::new();
    BufReader::new(agent.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let Ok(tokens) = serde_json::from_str::<Value>(&said) else {
        assert_eq!(agent.wait().unwrap().code(), Some(69), "it says when it cannot be installed");
        return testkit::tools::skip("the test of a SPIFFE agent by py-spiffe", "python3 or its packages are missing");
    };
    let sidecar = start_ready(&workload.setup(&["example.org"]));
    let ask = |token: &str| ask(&sidecar, tokens[token].as_str().unwrap());
    assert_eq!(ask("good").status(), 202);
    assert_unauthorized(&ask("forged"), "signature_invalid");
    assert_eq!(workload.callers_seen(), ["spiffe://example.org/billing"]);
    drop(agent.stdin.take());
    assert!(agent.wait().unwrap().success());
}
