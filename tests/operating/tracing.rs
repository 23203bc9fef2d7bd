//! OpenTelemetry: spans as a collector's OTLP receiver gets them, and nothing at all when it is off.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::samples::{sample, wait_for_sample};
use testkit::email_service::EmailService;
use testkit::http::{Connection, PATIENCE};
use testkit::issuer::{Issuer, now};
use testkit::process::{Process, run};
use testkit::request::Request;
use testkit::server::{Address, Server};
use testkit::setup::Setup;
use testkit::sidecar::Sidecar;
use testkit::stage::{Stage, binary};
use testkit::tools;

/// A receiver of the protocol (OTLP/HTTP, JSON).
struct Collector {
    server: Server,
    posts: Arc<Mutex<Vec<Value>>>,
    /// The field `x-key` of each post.
    keys: Arc<Mutex<Vec<Option<String>>>>,
}

impl Collector {
    fn start(status: &'static str) -> Self {
        let posts = Arc::<Mutex<Vec<Value>>>::default();
        let keys = Arc::<Mutex<Vec<Option<String>>>>::default();
        let (received, received_keys) = (Arc::clone(&posts), Arc::clone(&keys));
        let server = Server::local(Arc::new(move |mut connection: Connection| {
            while let Some(head) = connection.read_head()? {
                let body = connection.read_body(Connection::request_body(&head))?;
                assert_eq!(head.start, "POST /v1/traces HTTP/1.1");
                assert_eq!(head.header("content-type"), Some("application/json"));
                received_keys.lock().unwrap().push(head.header("x-key").map(str::to_owned));
                received.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                connection.send_answer(status, &[("Content-Type", "application/json")], b"{}")?;
            }
            Ok(())
        }));
        Self { server: server.unwrap(), posts, keys }
    }

    fn endpoint(&self) -> String {
        let Address::Tcp(address) = self.server.address() else { unreachable!("it is TCP") };
        format!("http://{address}")
    }

    fn table(&self) -> String {
        format!("[tracing]\nendpoint = \"{}\"", self.endpoint())
    }

    /// The value of an attribute of the resource of the first post.
    fn resource(&self, key: &str) -> Option<String> {
        let posts = self.posts.lock().unwrap();
        Some(attribute(&posts[0]["resourceSpans"][0]["resource"], key)["stringValue"].as_str()?.to_owned())
    }

    /// Waits for so many spans.
    fn spans(&self, count: usize) -> Vec<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let spans: Vec<_> = self.posts.lock().unwrap().iter().flat_map(spans).collect();
            if spans.len() >= count {
                assert_eq!(spans.len(), count, "{spans:#?}");
                return spans;
            }
            assert!(Instant::now() < end, "{count} spans should come: {spans:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn spans(post: &Value) -> Vec<Value> {
    post["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

fn attribute<'s>(span: &'s Value, key: &str) -> &'s Value {
    let found = span["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == key);
    found.map_or(&Value::Null, |found| &found["value"])
}

fn nanos(span: &Value, name: &str) -> u128 {
    span[name].as_str().unwrap_or_else(|| panic!("64-bit numbers are texts: {span:#}")).parse().unwrap()
}

#[test]
fn request_is_a_span_with_its_authentication_as_a_child_in_the_callers_trace() {
    let collector = Collector::start("200 OK");
    let stage = Stage::set_with(|setup| setup.with(&collector.table()));
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let request = Request::send().bearer(&stage.token()).header("traceparent", &format!("00-{trace}-{parent}-01"));
    assert_eq!(stage.ask(&request).status(), 202);
    let spans = collector.spans(2);
    let (whole, authentication) = (&spans[0], &spans[1]);
    assert_eq!((&whole["traceId"], &whole["parentSpanId"]), (&json!(trace), &json!(parent)));
    assert_eq!((&whole["name"], &whole["kind"]), (&json!("POST"), &json!(2)));
    assert_eq!((&authentication["name"], &authentication["parentSpanId"]), (&json!("authenticate"), &whole["spanId"]));
    assert_eq!(authentication["traceId"], trace);
    assert_eq!(attribute(whole, "http.response.status_code"), &json!({"intValue": "202"}));
    assert_eq!(attribute(whole, "callgate.caller"), &json!({"stringValue": "billing"}));
    // What OpenTelemetry's semantic conventions ask of a server's span.
    let listen = stage.sidecar.listen();
    for (key, value) in [
        ("http.request.method", json!({"stringValue": "POST"})),
        ("url.scheme", json!({"stringValue": "http"})),
        ("network.protocol.version", json!({"stringValue": "1.1"})),
        ("client.address", json!({"stringValue": "127.0.0.1"})),
        ("error.type", Value::Null),
        ("http.request.method_original", Value::Null),
    ] {
        assert_eq!(attribute(whole, key), &value, "{key}");
    }
    assert!(attribute(whole, "server.address")["stringValue"].is_string(), "{listen}: {whole:#}");
    assert!(attribute(whole, "client.port")["intValue"].is_string(), "{whole:#}");
    assert_eq!(collector.resource("service.name").as_deref(), Some("callgate"));
    assert!(collector.resource("service.instance.id").is_some_and(|id| id.len() == 36));
    assert_eq!(attribute(whole, "callgate.decision"), &json!({"stringValue": "forward"}));
    let (began, ended) = (nanos(whole, "startTimeUnixNano"), nanos(whole, "endTimeUnixNano"));
    assert!(began <= ended && ended / 1_000_000_000 >= u128::from(now()) - 60);
    assert!(nanos(authentication, "endTimeUnixNano") <= ended);
    assert_eq!(nanos(authentication, "startTimeUnixNano"), began);

    // The upstream's spans are children of ours, and the audit names the trace.
    let received = stage.only_received();
    let expected = format!("00-{trace}-{}-01", whole["spanId"].as_str().unwrap());
    assert_eq!(received.head.all("traceparent"), [expected]);
    assert_eq!(stage.audit(0)["trace_id"], trace);
    assert_eq!(attribute(whole, "callgate.request_id")["stringValue"], stage.audit(0)["request_id"]);
    stage.end();
}

#[test]
fn refusal_is_traced_with_its_reason_and_without_a_caller() {
    let collector = Collector::start("200 OK");
    let stage = Stage::set_with(|setup| setup.with(&collector.table()));
    let expired = stage.token_but("exp", json!(now() - 3600));
    assert_eq!(stage.ask(&Request::send().to("POST", "/send?secret=hunter2").bearer(&expired)).status(), 401);
    let spans = collector.spans(2);
    assert_eq!(attribute(&spans[0], "callgate.reason"), &json!({"stringValue": "token_expired"}));
    assert_eq!(attribute(&spans[0], "callgate.caller"), &Value::Null);
    assert_eq!(attribute(&spans[0], "url.path"), &json!({"stringValue": "/send"}));
    assert!(spans[0].get("parentSpanId").is_none(), "a trace of its own");
    assert_eq!(stage.audit(0)["trace_id"], spans[0]["traceId"]);
    let all = collector.posts.lock().unwrap().iter().map(Value::to_string).collect::<String>();
    assert!(!all.contains("hunter2") && !all.contains(&expired), "{all}");
    stage.end();
}

#[test]
fn callers_decision_not_to_sample_holds() {
    let collector = Collector::start("200 OK");
    let stage = Stage::set_with(|setup| setup.with(&collector.table()));
    let unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    stage.ask(&Request::send().bearer(&stage.token()).header("traceparent", unsampled));
    assert_eq!(stage.only_received().head.all("traceparent"), [unsampled]);
    stage.ask(&Request::send().bearer(&stage.token()));
    collector.spans(2);
    assert!(stage.end().stderr.contains("Callgate has stopped."));
}

#[test]
fn collector_in_trouble_troubles_no_request_and_last_spans_are_sent_at_the_end() {
    let broken = Collector::start("503 Service Unavailable");
    let stage = Stage::set_with(|setup| setup.with(&broken.table()));
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    wait_for_sample(&stage.sidecar, "callgate_spans_dropped_total", &[], |dropped| dropped > 0.5);
    stage.end();

    let collector = Collector::start("200 OK");
    let stage = Stage::set_with(|setup| setup.with(&collector.table()));
    for _ in 0..3 {
        stage.ask(&Request::send().bearer(&stage.token()));
    }
    stage.end();
    collector.spans(6);
}

#[test]
fn without_an_endpoint_nothing_is_traced() {
    let stage = Stage::set();
    stage.ask(&Request::send().bearer(&stage.token()));
    assert_eq!(stage.only_received().head.header("traceparent"), None);
    assert_eq!(stage.audit(0)["trace_id"], Value::Null);
    assert_eq!(sample(&stage.sidecar, "callgate_spans_exported_total", &[]), Some(0.0));
    stage.end();
}

#[test]
fn what_is_sent_is_a_message_of_the_published_protocol() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/venv/bin/python3");
    let has_messages = || run(&python, &["-c", "import opentelemetry.proto"]).is_ok_and(|ended| ended.code == Some(0));
    if !python.exists() || !has_messages() {
        tools::skip("a test of the traces' encoding", "opentelemetry-proto is missing");
        return;
    }
    let collector = Collector::start("200 OK");
    let stage = Stage::set_with(|setup| setup.with(&collector.table()));
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    stage.ask(&Request::send().bearer(&stage.token()).header("traceparent", parent));
    collector.spans(2);
    let sent = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(sent.path(), collector.posts.lock().unwrap()[0].to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operating/decode_spans.py");
    let ended = run(&python, &[Path::new("-B"), &script, sent.path()]).unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let decoded = "callgate\nPOST SPAN_KIND_SERVER 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 status=202\n\
                   authenticate SPAN_KIND_INTERNAL 4bf92f3577b34da6a3ce929d0e0e4736";
    assert!(ended.stdout.starts_with(decoded), "{}", ended.stdout);
    stage.end();
}

#[test]
fn a_method_that_nobody_knows_and_an_upstream_that_is_gone_are_named_as_the_conventions_say() {
    let collector = Collector::start("200 OK");
    let issuer = Issuer::start("https://auth.internal.example");
    let setup = Setup::before_address("127.0.0.1:1").trusting(&issuer).with(&collector.table());
    let sidecar = Sidecar::start(binary(), &setup.toml()).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    let token = issuer.mint(&issuer.claims("billing", testkit::setup::AUDIENCE));
    let request = Request::new("BREW", "/pot").bearer(&token);
    assert_eq!(sidecar.connect().exchange(request.bytes()).unwrap().status(), 502);
    let spans = collector.spans(2);
    assert_eq!(spans[0]["name"], "HTTP");
    for (key, value) in [
        ("http.request.method", json!({"stringValue": "_OTHER"})),
        ("http.request.method_original", json!({"stringValue": "BREW"})),
        ("error.type", json!({"stringValue": "upstream_unreachable"})),
    ] {
        assert_eq!(attribute(&spans[0], key), &value, "{key}");
    }
    assert_eq!(spans[0]["status"], json!({"code": 2}));
    sidecar.stop();
}

/// A sidecar that starts with these variables in its environment.
fn started_with(environment: &str, config: &str) -> Sidecar {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sidecar.toml");
    std::fs::write(&file, config).unwrap();
    let script = format!("{environment} exec \"$0\" \"$@\"");
    let program = binary().as_os_str();
    let arguments = ["-c".as_ref(), script.as_ref(), program, "run".as_ref(), "--config".as_ref(), file.as_ref()];
    let process = Process::start("/bin/sh".as_ref(), &arguments).unwrap();
    Sidecar::wait_until_listening(process, directory, config).unwrap()
}

#[test]
fn variables_of_opentelemetry_are_obeyed_and_the_file_goes_before_them() {
    let (one, other) = (Collector::start("200 OK"), Collector::start("200 OK"));
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let config = Setup::before(email.address()).trusting(&issuer).toml();
    let environment = format!(
        "OTEL_EXPORTER_OTLP_ENDPOINT={} OTEL_SERVICE_NAME=email OTEL_RESOURCE_ATTRIBUTES=team=mail,service.name=x \
         OTEL_EXPORTER_OTLP_HEADERS=x-key=a%20b OTEL_EXPORTER_OTLP_TIMEOUT=3000",
        one.endpoint()
    );
    let sidecar = started_with(&environment, &config);
    assert_eq!(sidecar.connect().exchange(Request::send().bytes()).unwrap().status(), 401);
    one.spans(2);
    assert_eq!(one.resource("service.name").as_deref(), Some("email"));
    assert_eq!(one.resource("team").as_deref(), Some("mail"));
    assert_eq!(one.keys.lock().unwrap()[0].as_deref(), Some("a b"));
    assert!(!sidecar.stop().stderr.contains("a b"), "a header may be a secret");

    let sidecar = started_with(&environment, &format!("{config}\n{}", other.table()));
    assert_eq!(sidecar.connect().exchange(Request::send().bytes()).unwrap().status(), 401);
    other.spans(2);
    sidecar.stop();
    one.spans(2);

    for (environment, said) in [
        (format!("{environment} OTEL_SDK_DISABLED=true"), "Nothing is traced: OTEL_SDK_DISABLED is true."),
        ("OTEL_EXPORTER_OTLP_ENDPOINT=http://192.0.2.1:4318".to_owned(), "the OTLP endpoint of the environment"),
        (format!("{environment} OTEL_EXPORTER_OTLP_PROTOCOL=grpc"), "the OTLP endpoint of the environment"),
    ] {
        let sidecar = started_with(&environment, &config);
        assert_eq!(sidecar.connect().exchange(Request::send().bytes()).unwrap().status(), 401);
        let ended = sidecar.stop();
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(ended.stdout.contains("\"trace_id\":null"), "{}", ended.stdout);
    }
    one.spans(2);
}

#[test]
fn proxy_variables_of_the_environment_are_obeyed_only_if_asked() {
    // A proxy that refuses every connection.
    let environment = "HTTP_PROXY=http://127.0.0.1:1 http_proxy=http://127.0.0.1:1";
    for (asked, metric) in [("false", "exported"), ("true", "dropped")] {
        let collector = Collector::start("200 OK");
        let table = format!("{}\nuse_proxy_env = {asked}", collector.table());
        let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
        let config = Setup::before(email.address()).trusting(&issuer).with(&table).toml();
        let sidecar = started_with(environment, &config);
        assert_eq!(sidecar.connect().exchange(Request::send().bytes()).unwrap().status(), 401);
        wait_for_sample(&sidecar, &format!("callgate_spans_{metric}_total"), &[], |spans| spans > 0.5);
        sidecar.stop();
    }
}
