//! WebSockets: opened only with a token, a plain tunnel while it is good, and closed when it no longer is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use testkit::http::{Connection, Head, PATIENCE};
use testkit::issuer::Issuer;
use testkit::refusal::{assert_problem, assert_unauthorized};
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

struct Scene {
    issuer: Issuer,
    sidecar: Sidecar,
    _upstream: Server,
}

impl Scene {
    /// An upstream that switches protocols whether or not it is asked to, and then sends everything back in capitals.
    fn set(more: &str) -> Self {
        Self::set_with(more, "")
    }

    fn set_with(more: &str, of_upstream: &str) -> Self {
        let upstream = Server::local(Arc::new(|mut connection: Connection| {
            let Some(head) = connection.read_head()? else { return Ok(()) };
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")?;
            let seen = head.all("upgrade").join(",");
            connection
                .send(format!("X-Seen: {seen}\r\nX-Caller: {}\r\n\r\n", head.all("x-caller-service").join(",")))?;
            while let Some(byte) = connection.read_byte()? {
                connection.send([byte.to_ascii_uppercase()])?;
            }
            Ok(())
        }));
        let upstream = upstream.unwrap();
        let issuer = Issuer::start("https://auth.internal.example");
        let keys = format!("leeway = \"0s\"\nkeys = {{ url = \"{}\" }}", issuer.jwks_url());
        let sidecar = start_ready(
            &Setup::before(upstream.address()).upstream(of_upstream).trusting_with(&issuer, &keys).with(more),
        );
        Self { issuer, sidecar, _upstream: upstream }
    }

    fn token(&self, life: u64) -> String {
        let mut claims = self.issuer.claims("billing", AUDIENCE);
        claims["exp"] = json!(claims["iat"].as_u64().unwrap() + life);
        self.issuer.mint(&claims)
    }

    fn open(&self, request: &Request) -> (Connection, Head) {
        let mut connection = self.sidecar.connect();
        connection.send(request.bytes()).unwrap();
        let head = connection.read_head().unwrap().unwrap();
        (connection, head)
    }
}

fn asking() -> Request {
    Request::new("GET", "/chat")
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn echo(connection: &mut Connection, word: &str) {
    connection.send(word).unwrap();
    let back: Vec<_> = word.bytes().map(|_| connection.read_byte().unwrap().unwrap()).collect();
    assert_eq!(back, word.to_uppercase().as_bytes());
}

#[test]
fn a_websocket_is_opened_with_a_token_and_only_with_one() {
    let scene = Scene::set("");
    let refused = scene.sidecar.connect().exchange(asking().bytes()).unwrap();
    assert_unauthorized(&refused, "token_missing");
    let (mut connection, head) = scene.open(&asking().bearer(&scene.token(60)));
    assert_eq!(head.status(), 101);
    assert_eq!((head.header("x-seen"), head.header("x-caller")), (Some("websocket"), Some("billing")));
    echo(&mut connection, "hello");
    echo(&mut connection, "GET / HTTP/1.1\r\n\r\n");
    drop(connection);
    let audit = scene.sidecar.audit_where(|record| record["status"] == 101).expect("it is in the audit");
    assert_eq!(audit["caller"], "billing");
}

#[test]
fn a_websocket_on_a_public_path_is_no_way_around_a_token() {
    let scene = Scene::set("[[public]]\npath = \"/chat\"\nmethods = [\"GET\"]");
    let (_, head) = scene.open(&asking());
    assert_eq!(
        head.status(),
        502,
        "the upgrade was taken away, and an upstream that upgrades all the same is at fault: {head:?}"
    );
}

#[test]
fn an_upgrade_to_anything_else_is_not_seen_by_the_upstream() {
    let scene = Scene::set("");
    for (connection, upgrade) in
        [("Upgrade, HTTP2-Settings", "h2c"), ("Upgrade", "TLS/1.0"), ("keep-alive", "websocket")]
    {
        let request = Request::new("GET", "/chat").header("Connection", connection).header("Upgrade", upgrade);
        let (_, head) = scene.open(&request.bearer(&scene.token(60)));
        assert_eq!(head.status(), 502, "{upgrade}: a tunnel that nobody asked for is not opened: {head:?}");
    }
}

#[test]
fn a_websocket_is_closed_when_its_token_expires() {
    let scene = Scene::set("");
    let began = Instant::now();
    let (mut connection, head) = scene.open(&asking().bearer(&scene.token(3)));
    assert_eq!(head.status(), 101);
    echo(&mut connection, "hello");
    // Idle when the time comes.
    assert!(matches!(connection.read_byte(), Ok(None) | Err(_)), "it should be closed");
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2) && took < PATIENCE, "it took {took:?}");
    let audit = scene.sidecar.audit_where(|record| record["status"] == 101).expect("it is in the audit");
    assert_eq!(audit["reason"], "token_expired");
}

#[test]
fn a_busy_websocket_is_closed_when_its_token_expires() {
    let scene = Scene::set("");
    let began = Instant::now();
    let (mut connection, _) = scene.open(&asking().bearer(&scene.token(3)));
    while connection.send("x").is_ok() && matches!(connection.read_byte(), Ok(Some(b'X'))) {
        assert!(began.elapsed() < PATIENCE, "it goes on after its token");
    }
    assert!(began.elapsed() >= Duration::from_secs(2));
}

#[test]
fn a_websocket_outlives_its_token_if_that_is_allowed() {
    let scene = Scene::set("[limits]\nclose_at_expiry = \"never\"");
    let (mut connection, head) = scene.open(&asking().bearer(&scene.token(2)));
    assert_eq!(head.status(), 101);
    std::thread::sleep(Duration::from_secs(4));
    echo(&mut connection, "still here");
}

#[test]
fn an_upgrade_may_say_that_it_has_no_body_and_must_not_have_one() {
    let scene = Scene::set("");
    let token = scene.token(60);
    let (mut connection, head) = scene.open(&asking().bearer(&token).header("Content-Length", "0"));
    assert_eq!((head.status(), head.header("x-caller")), (101, Some("billing")));
    echo(&mut connection, "hello");
    drop(connection);
    let refused = scene.sidecar.connect().exchange(asking().bearer(&token).body(b"{}").bytes()).unwrap();
    assert_problem(&refused, "request_malformed");
}

#[test]
fn a_websocket_that_is_quiet_both_ways_is_closed_in_a_time_of_its_own() {
    let times = "read_timeout = \"300ms\"\ntunnel_idle_time = \"2s\"";
    let scene = Scene::set_with(&format!("[limits]\n{times}"), "read_timeout = \"300ms\"");
    let (mut connection, head) = scene.open(&asking().bearer(&scene.token(60)));
    assert_eq!(head.status(), 101);
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(1200));
        echo(&mut connection, "still here");
    }
    let quiet_since = Instant::now();
    assert!(matches!(connection.read_byte(), Ok(None) | Err(_)), "it should be closed");
    let took = quiet_since.elapsed();
    assert!(took >= Duration::from_millis(1900) && took < PATIENCE, "it took {took:?}");
    let audit = scene.sidecar.audit_where(|record| record["status"] == 101).expect("it is in the audit");
    assert_eq!((&audit["decision"], &audit["reason"]), (&json!("forward"), &json!("tunnel_idle")));
}

#[test]
fn an_upstream_that_does_not_answer_an_upgrade_is_given_up_in_its_time() {
    let upstream = Server::local(Arc::new(|mut connection: Connection| {
        while connection.read_head()?.is_some() {}
        Ok(())
    }));
    let upstream = upstream.unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let setup = Setup::before(upstream.address()).upstream("read_timeout = \"300ms\"").trusting(&issuer);
    let sidecar = start_ready(&setup);
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let answer = sidecar.connect().exchange(asking().bearer(&token).bytes()).unwrap();
    assert_eq!(answer.status(), 504, "{}", answer.text());
    assert_problem(&answer, "upstream_timeout");
}
