//! Server-sent events: each comes through in the moment it is sent, and a stream that outlives its token is ended if that is
//! asked for.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use testkit::http::{Body, Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::refusal::assert_unauthorized;
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

struct Scene {
    issuer: Issuer,
    sidecar: Sidecar,
    /// What is put in here, the upstream sends.
    events: Sender<&'static str>,
    callers: Arc<Mutex<Vec<String>>>,
    _upstream: Server,
}

/// A stream of events on the client's side.
struct Stream {
    connection: Connection,
    body: Body,
}

impl Scene {
    /// An upstream whose answer ends only when the test does.
    fn set(more: &str) -> Self {
        let (events, next) = mpsc::channel::<&'static str>();
        let next = Mutex::new(next);
        let callers = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&callers);
        let upstream = Server::local(Arc::new(move |mut connection: Connection| {
            let Some(head) = connection.read_head()? else { return Ok(()) };
            seen.lock().unwrap().push(head.all("x-caller-service").join(","));
            connection
                .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            while let Ok(event) = next.lock().unwrap().recv_timeout(PATIENCE) {
                connection.send_chunk(event.as_bytes())?;
            }
            Ok(())
        }));
        let upstream = upstream.unwrap();
        let issuer = Issuer::start("https://auth.internal.example");
        let keys = format!("leeway = \"2s\"\nkeys = {{ url = \"{}\" }}", issuer.jwks_url());
        let sidecar = start_ready(&Setup::before(upstream.address()).trusting_with(&issuer, &keys).with(more));
        Self { issuer, sidecar, events, callers, _upstream: upstream }
    }

    fn asking(&self) -> Request {
        Request::new("GET", "/events").header("Accept", "text/event-stream")
    }

    /// Opens a stream with a token of so many seconds.
    fn open(&self, life: u64) -> Stream {
        let mut claims = self.issuer.claims("billing", AUDIENCE);
        claims["exp"] = json!(claims["iat"].as_u64().unwrap() + life);
        let mut connection = self.sidecar.connect();
        connection.send(self.asking().bearer(&self.issuer.mint(&claims)).bytes()).unwrap();
        let head = connection.read_head().unwrap().unwrap();
        assert_eq!((head.status(), head.header("content-type")), (200, Some("text/event-stream")));
        Stream { connection, body: Connection::answer_body(&head, "GET") }
    }

    /// Sends an event and waits until it comes through, with nothing after it.
    fn passes(&self, stream: &mut Stream, event: &'static str) {
        self.events.send(event).unwrap();
        assert_eq!(stream.connection.read_piece(&mut stream.body).unwrap().unwrap(), event.as_bytes());
    }
}

#[test]
fn each_event_comes_through_before_the_answer_has_ended() {
    let scene = Scene::set("");
    let refused = scene.sidecar.connect().exchange(scene.asking().bytes()).unwrap();
    assert_unauthorized(&refused, "token_missing");
    assert!(scene.callers.lock().unwrap().is_empty());
    let mut stream = scene.open(60);
    for event in ["data: 1\n\n", "d", "ata: 2\n\n", ": still here\n\n"] {
        scene.passes(&mut stream, event);
    }
    assert_eq!(*scene.callers.lock().unwrap(), ["billing"]);
    drop(stream);
    // The upstream is still sending: the record is of a client that left.
    let audit = scene.sidecar.audit_where(|record| record["caller"] == "billing").expect("it is in the audit");
    assert_eq!((&audit["status"], &audit["reason"]), (&json!(200), &json!(null)));
}

#[test]
fn a_stream_of_events_is_ended_at_expiry_and_leeway_if_that_is_asked_for() {
    let scene = Scene::set("[limits]\nclose_at_expiry = \"always\"");
    let began = Instant::now();
    let mut stream = scene.open(2);
    scene.passes(&mut stream, "data: 1\n\n");
    // Nothing more is said until then.
    assert!(stream.connection.read_piece(&mut stream.body).is_err(), "it is cut, and no whole answer");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(3500) && took < PATIENCE, "2 s and 2 s of leeway; it took {took:?}");
    let audit = scene.sidecar.audit(0).expect("it is in the audit");
    assert_eq!((&audit["status"], &audit["reason"]), (&json!(200), &json!("token_expired")));
}

#[test]
fn a_stream_of_events_outlives_its_token_if_nothing_is_said() {
    let scene = Scene::set("");
    let mut stream = scene.open(1);
    scene.passes(&mut stream, "data: 1\n\n");
    std::thread::sleep(Duration::from_secs(5));
    scene.passes(&mut stream, "data: 2\n\n");
}
