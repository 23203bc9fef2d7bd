//! What the watchers get: a real Prometheus scrapes the sidecar, loads the alert rules and answers every query of the
//! dashboard; promtool finds no fault. Where Prometheus is missing this is skipped, and says so.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::samples::{sample, wait_for_sample};
use testkit::email_service::EmailService;
use testkit::http::{Answer, Connection};
use testkit::issuer::{Issuer, now};
use testkit::process::{Ended, Process, run};
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::{Stage, binary, start_ready};
use testkit::tools;

/// Where the watchers' files are.
fn monitoring(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring").join(file)
}

/// A program of Debian's package `prometheus`.
fn tool(name: &str) -> Option<PathBuf> {
    let found = tools::find(name);
    if found.is_none() {
        tools::skip("a test of the metrics, the alerts or the dashboard", &format!("{name} is missing"));
    }
    found
}

fn promtool(arguments: &[&OsStr]) -> Option<Ended> {
    let ended = run(&tool("promtool")?, arguments).unwrap();
    Some(ended)
}

/// Requests with every outcome.
fn traffic(stage: &Stage) {
    for _ in 0..3 {
        assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    }
    assert_eq!(stage.ask(&Request::new("GET", "/healthz")).status(), 200);
    let expired = stage.token_but("exp", json!(now() - 3600));
    assert_eq!(stage.ask(&Request::send().bearer(&expired)).status(), 401);
    assert_eq!(stage.ask(&Request::new("GET", "/reported").bearer(&expired)).status(), 404);
}

fn stage() -> Stage {
    stage_with("")
}

/// With more tables.
fn stage_with(tables: &str) -> Stage {
    let reported = "[[report]]\npath = \"/reported\"\nmethods = [\"GET\"]";
    let public = "[[public]]\npath = \"/healthz\"\nmethods = [\"GET\"]";
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let keys = format!("keys = {{ url = \"{}\" }}\nbinding = [\"dpop\"]", issuer.jwks_url());
    let urls = "[forwarding]\nexternal_urls = [\"https://mail.example\"]";
    let setup = Setup::before(email.address()).trusting_with(&issuer, &keys).with(urls).with(reported).with(public);
    let sidecar = start_ready(&setup.with(tables));
    Stage { issuer, email, sidecar }
}

#[test]
fn metrics_have_no_fault_that_promtool_knows() {
    let Some(promtool) = tool("promtool") else { return };
    let stage = stage();
    traffic(&stage);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("metrics");
    std::fs::write(&file, stage.sidecar.ask_admin("/metrics").body).unwrap();
    let checked = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::from(std::fs::File::open(&file).unwrap()))
        .output()
        .unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{}", String::from_utf8_lossy(&checked.stderr));
    stage.end();
}

#[test]
fn every_metric_is_in_the_documentation_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let table = std::fs::read_to_string(path).unwrap();
    let table = table.split_once("\n## Metrics").unwrap().1.split_once("\n## ").unwrap().0;
    let documented: Vec<_> = table.split('`').filter(|word| word.starts_with("callgate_")).collect();
    // Where nobody listens, a store has its metrics too.
    let stage = stage_with("[replay]\nstore = \"redis://127.0.0.1:1\"");
    traffic(&stage);
    stage.issuer.rotate("key-2");
    stage.ask(&Request::send().bearer(&stage.token()));
    let metrics = stage.sidecar.ask_admin("/metrics").text();
    let exposed: Vec<_> = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for name in exposed.iter().filter(|name| name.starts_with("callgate_")) {
        assert!(documented.contains(name), "{name} is not in docs/operations.md");
    }
    for name in documented {
        assert!(exposed.contains(&name), "docs/operations.md has {name}, which is no metric");
    }
    stage.end();
}

#[test]
fn answers_of_the_service_are_counted_by_their_class_and_refusals_are_not() {
    let issuer = Issuer::start("https://auth.internal.example");
    let failing = Server::local(Arc::new(|mut connection: Connection| {
        while let Some(head) = connection.read_head()? {
            connection.read_body(Connection::request_body(&head))?;
            connection.send_answer("503 Service Unavailable", &[], b"")?;
        }
        Ok(())
    }))
    .unwrap();
    let sidecar = Sidecar::start(binary(), &Setup::before(failing.address()).trusting(&issuer).toml()).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let ask = |request: Request| sidecar.connect().exchange(request.bytes()).unwrap().status();
    assert_eq!((ask(Request::send().bearer(&token)), ask(Request::send())), (503, 401));
    wait_for_sample(&sidecar, "callgate_upstream_responses_total", &["5xx"], |answers| answers > 0.5);
    for (class, answers) in [("1xx", 0.0), ("2xx", 0.0), ("3xx", 0.0), ("4xx", 0.0), ("5xx", 1.0)] {
        assert_eq!(sample(&sidecar, "callgate_upstream_responses_total", &[class]), Some(answers), "{class}");
    }
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    let (rules, cases) = (monitoring("rules.yaml"), monitoring("rules.test.yaml"));
    let Some(checked) = promtool(&["check".as_ref(), "rules".as_ref(), rules.as_ref()]) else { return };
    assert_eq!(checked.code, Some(0), "{}{}", checked.stdout, checked.stderr);
    let tested = promtool(&["test".as_ref(), "rules".as_ref(), cases.as_ref()]).unwrap();
    assert_eq!(tested.code, Some(0), "{}{}", tested.stdout, tested.stderr);
}

#[test]
fn every_alert_has_its_cases_and_its_paragraph() {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let (rules, cases) = (read(monitoring("rules.yaml")), read(monitoring("rules.test.yaml")));
    let runbook = read(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md"));
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 10, "the rules are read: {alerts:?}");
    for alert in &alerts {
        assert!(runbook.contains(&format!("\n## {alert}\n")), "docs/runbook.md has no paragraph for {alert}");
        assert!(rules.contains(&format!("docs/runbook.md#{}\n", alert.to_lowercase())), "{alert} names its paragraph");
        let case = format!("alertname: {alert}\n        exp_alerts:");
        assert!(cases.contains(&format!("{case} []")), "no case in which {alert} is silent");
        assert!(cases.contains(&format!("{case}\n")), "no case in which {alert} fires");
    }
    for paragraph in runbook.lines().filter_map(|line| line.strip_prefix("## Callgate")) {
        assert!(alerts.contains(&format!("Callgate{paragraph}").as_str()), "there is no alert Callgate{paragraph}");
    }
}

/// A running Prometheus.
struct Prometheus {
    address: String,
    _process: Process,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    fn scraping(target: &str) -> Option<Self> {
        let binary = tool("prometheus")?;
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{:?}]\nscrape_configs:\n\
             - {{job_name: email, static_configs: [{{targets: [{target:?}]}}]}}\n",
            monitoring("rules.yaml")
        );
        std::fs::write(&config, text).unwrap();
        // It takes no port 0, so a free one is looked for; should somebody else take it meanwhile, it ends and says so.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", directory.path().join("data").display()),
            format!("--web.listen-address={address}"),
        ];
        let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        let process = Process::start(&binary, &arguments).unwrap();
        let ready = process.stderr.find(Duration::from_secs(60), |line| {
            line.contains("Server is ready to receive web requests").then_some(())
        });
        assert!(ready.is_some(), "Prometheus starts: {}", process.stderr.all());
        Some(Self { address, _process: process, _directory: directory })
    }

    fn ask(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        Connection::open(&self.address).unwrap().exchange(request).unwrap()
    }

    /// The series that a query returns.
    fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.ask(&format!("/api/v1/query?query={encoded}"));
        assert_eq!(answer.status(), 200, "{query}: {}", answer.text());
        answer.json()["data"]["result"].as_array().unwrap().clone()
    }
}

/// Every query of the dashboard, with its variables filled in.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(monitoring("dashboard.json")).unwrap()).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let query = query.replace("$namespace", ".*").replace("$instance", ".*");
            let query = query.replace("$service", "email").replace("$__rate_interval", "30s");
            assert!(!query.contains('$'), "{query}");
            queries.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    assert!(queries.len() > 20, "the dashboard is read");
    queries
}

/// Loki is in no package: its queries are compared with what the records have, and `make manifests` checks their grammar.
#[test]
fn log_queries_of_the_dashboard_ask_for_fields_of_the_records() {
    let read = |path: PathBuf| -> Value { serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    let schema = read(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.schema.json"));
    let fields = schema["properties"].as_object().unwrap();
    let dashboard = read(monitoring("dashboard.json"));
    let rows = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] == "row");
    let panels: Vec<_> = rows.flat_map(|row| row["panels"].as_array().unwrap()).collect();
    assert_eq!(panels.len(), 2);
    for panel in panels {
        assert_eq!(panel["datasource"], json!({ "type": "loki", "uid": "${logs}" }));
        let query = panel["targets"][0]["expr"].as_str().unwrap();
        let asked = query.split_once("| json ").unwrap().1.split_once(" |").unwrap().0;
        let asked: Vec<_> = asked.split(',').map(|field| field.split_once('=').unwrap()).collect();
        for (label, field) in &asked {
            assert_eq!(field.trim_matches('"'), *label, "{query}");
            assert!(fields.contains_key(*label), "the records have no {label}: {query}");
        }
        let by = query.split_once("sum by (").unwrap().1.split_once(')').unwrap().0;
        for label in by.split(", ") {
            assert!(asked.iter().any(|(name, _)| *name == label), "{label} is not asked for: {query}");
        }
        // What is refused, and no line about lost records.
        assert!(query.contains(r#"| event="request" | decision="reject""#), "{query}");
    }
}

#[test]
fn prometheus_scrapes_the_sidecar_loads_the_rules_and_answers_every_query_of_the_dashboard() {
    let stage = stage();
    traffic(&stage);
    let Some(prometheus) = Prometheus::scraping(&stage.sidecar.admin().to_string()) else { return };
    let rules = prometheus.ask("/api/v1/rules").json();
    let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap().clone();
    assert!(rules.len() >= 12 && rules.iter().all(|rule| rule["health"] != "err"), "{rules:#?}");

    let mut missing = queries();
    let end = Instant::now() + Duration::from_secs(60);
    while !missing.is_empty() {
        traffic(&stage);
        missing.retain(|(_, query)| prometheus.query(query).is_empty());
        assert!(Instant::now() < end, "no data for {missing:#?}");
        std::thread::sleep(Duration::from_millis(500));
    }
    let forwarded = prometheus.query("sum(callgate_requests_total{outcome=\"forward\"})");
    assert!(forwarded[0]["value"][1].as_str().unwrap().parse::<f64>().unwrap() >= 3.0, "{forwarded:?}");
    let up = prometheus.query("up{job=\"email\"}");
    assert_eq!(up[0]["value"][1], "1");
    stage.end();
}
