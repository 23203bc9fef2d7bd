//! How connections of HTTP/2 come to their end: told so before, and with what was under way answered.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::frames::{
    self, ACK, CANCEL, Client, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, NO_ERROR, PING,
    REFUSED_STREAM, RST_STREAM,
};
use testkit::http::{Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::refusal::assert_problem;
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

struct Scene {
    issuer: Issuer,
    sidecar: Sidecar,
    arrivals: Receiver<()>,
    go_on: Sender<()>,
    _upstream: Server,
}

impl Scene {
    /// An upstream that tells of each request, and answers it once for each word.
    fn set(upstream_more: &str, more: &str) -> Self {
        let (arrived, arrivals) = mpsc::channel();
        let (go_on, wait) = mpsc::channel();
        let (arrived, wait) = (Mutex::new(arrived), Mutex::new(wait));
        let upstream = Server::local(Arc::new(move |mut connection: Connection| {
            while connection.read_head()?.is_some() {
                let _test_is_over = arrived.lock().unwrap().send(());
                let _test_is_over = wait.lock().unwrap().recv_timeout(PATIENCE);
                connection.send_answer("200 OK", &[], b"at last")?;
            }
            Ok(())
        }));
        let upstream = upstream.unwrap();
        let issuer = Issuer::start("https://auth.internal.example");
        let setup = Setup::before(upstream.address()).upstream(upstream_more).trusting(&issuer).with(more);
        let sidecar = start_ready(&setup);
        Self { issuer, sidecar, arrivals, go_on, _upstream: upstream }
    }

    async fn connect(&self) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
        let stream = TcpStream::connect(self.sidecar.listen()).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        (client, tokio::spawn(connection))
    }

    fn request(&self, method: &str) -> http::Request<()> {
        let token = self.issuer.mint(&self.issuer.claims("billing", AUDIENCE));
        let request = http::Request::builder().method(method).uri("http://email.internal.example/slow");
        request.header("authorization", format!("Bearer {token}")).body(()).unwrap()
    }
}

/// Waits until the client has been told that no more requests are taken.
async fn said_goodbye(client: &SendRequest<Bytes>) -> h2::Error {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        match client.clone().ready().await {
            Err(error) => return error,
            Ok(_) => assert!(tokio::time::Instant::now() < end, "there is no GOAWAY"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_the_process_clients_are_told_and_what_is_under_way_is_answered() {
    let scene = Scene::set("", "");
    let (client, connection) = scene.connect().await;
    let (answer, _) = client.clone().ready().await.unwrap().send_request(scene.request("GET"), true).unwrap();
    scene.arrivals.recv_timeout(PATIENCE).unwrap();
    scene.sidecar.terminate();
    let told = said_goodbye(&client).await;
    assert!(told.is_go_away() && told.is_remote() && told.reason() == Some(h2::Reason::NO_ERROR), "{told}");
    scene.go_on.send(()).unwrap();
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200, "what had begun is finished");
    timeout(PATIENCE, connection).await.expect("it is closed").unwrap().expect("in order");
    let ended = scene.sidecar.wait(PATIENCE);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_requests_are_still_accepted_each_connection_is_told_with_its_next_answer() {
    let scene = Scene::set("", "[shutdown]\nlame_duck = \"20s\"");
    let (client, _connection) = scene.connect().await;
    let ask = async |client: &SendRequest<Bytes>| {
        scene.go_on.send(()).unwrap();
        let (answer, _) = client.clone().ready().await.unwrap().send_request(scene.request("GET"), true).unwrap();
        timeout(PATIENCE, answer).await.unwrap().unwrap().status().as_u16()
    };
    assert_eq!(ask(&client).await, 200);
    scene.sidecar.terminate();
    scene.sidecar.wait_for_readiness(503).unwrap();
    assert_eq!(ask(&client).await, 200, "it is still accepted");
    let told = said_goodbye(&client).await;
    assert!(told.is_go_away() && told.reason() == Some(h2::Reason::NO_ERROR), "{told}");
    let (another, _connection) = scene.connect().await;
    assert_eq!(ask(&another).await, 200, "the listener is open for as long as load balancers need");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_in_frames_is_given_up_when_the_upstream_has_waited_long_enough() {
    let scene = Scene::set("read_timeout = \"400ms\"", "");
    let (client, _connection) = scene.connect().await;
    let (answer, mut body) = client.clone().ready().await.unwrap().send_request(scene.request("POST"), false).unwrap();
    body.send_data(Bytes::from_static(b"hello"), false).unwrap();
    let answer = timeout(PATIENCE, answer).await.expect("it is given up").unwrap();
    assert_eq!(answer.status(), 504);
    let audit = scene.sidecar.audit(0).expect("it is in the audit");
    assert_eq!((&audit["status"], &audit["reason"]), (&504.into(), &"upstream_timeout".into()));
    // Beside it another request is served.
    scene.go_on.send(()).unwrap();
    scene.go_on.send(()).unwrap();
    let (answer, _) = client.clone().ready().await.unwrap().send_request(scene.request("GET"), true).unwrap();
    assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap().status(), 200);
}

#[test]
fn a_refusal_still_says_that_it_is_one_at_the_end() {
    let scene = Scene::set("", "[shutdown]\nlame_duck = \"20s\"");
    scene.sidecar.terminate();
    scene.sidecar.wait_for_readiness(503).unwrap();
    let refused = scene.sidecar.connect().exchange(Request::new("GET", "/slow").bytes()).unwrap();
    assert_eq!((refused.status(), refused.header("connection")), (401, Some("close")));
    assert_problem(&refused, "token_missing");
}

/// A request to the slow upstream as frames have it.
fn frames_request(scene: &Scene) -> Vec<u8> {
    let token = scene.issuer.mint(&scene.issuer.claims("billing", AUDIENCE));
    frames::request("GET", "/slow", &[("authorization", &format!("Bearer {token}"))])
}

#[test]
fn many_malformed_requests_end_a_connection_in_order_and_its_good_stream_is_answered() {
    let scene = Scene::set("", "");
    let mut client = Client::connect(scene.sidecar.listen(), &[]);
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, &frames_request(&scene)).unwrap();
    scene.arrivals.recv_timeout(PATIENCE).unwrap();
    for n in 0..40 {
        let malformed = frames::request("GET", "/", &[("host", "evil")]);
        client.send(HEADERS, END_HEADERS | END_STREAM, 2 * n + 3, &malformed).unwrap();
    }
    let goodbye = client.read_until(GOAWAY).expect("it is told");
    assert_eq!(goodbye.code(), NO_ERROR);
    scene.go_on.send(()).unwrap();
    let answered = std::iter::from_fn(|| client.read_answer()).find(|(stream, _)| *stream == 1);
    assert_eq!(answered, Some((1, "200".to_owned())));
    while client.read().is_some() {}
    let audit = scene.sidecar.audit(0).expect("it is in the audit");
    assert_eq!((&audit["status"], &audit["reason"]), (&200.into(), &serde_json::Value::Null));
}

#[test]
fn a_client_that_goes_on_with_malformed_requests_is_closed() {
    let scene = Scene::set("", "");
    let mut client = Client::connect(scene.sidecar.listen(), &[]);
    for n in 0..80 {
        let malformed = frames::request("GET", "/", &[("host", "evil")]);
        let _closed = client.send(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &malformed);
    }
    let codes: Vec<_> = std::iter::from_fn(|| client.read_until(GOAWAY)).map(|frame| frame.code()).collect();
    assert_eq!(codes, [NO_ERROR, ENHANCE_YOUR_CALM]);
}

#[test]
fn an_idle_connection_is_told_before_it_is_closed_whether_its_client_consents_or_not() {
    let scene = Scene::set("", "[limits]\nidle_time = \"300ms\"");
    for consents in [true, false] {
        let mut client = Client::connect(scene.sidecar.listen(), &[]);
        assert_eq!(client.read_until(GOAWAY).expect("it is told").code(), NO_ERROR);
        if consents {
            let ping = client.read_until(PING).unwrap();
            client.send(PING, ACK, 0, &ping.payload).unwrap();
        }
        // The last stream that was looked at: none.
        let last = client.read_until(GOAWAY).expect("it is told once more");
        assert_eq!((last.code(), &last.payload[..4]), (NO_ERROR, &[0; 4][..]));
        assert_eq!(client.read(), None);
    }
}

#[test]
fn a_client_that_answers_no_ping_opens_no_further_stream_and_is_closed_when_its_last_one_has_ended() {
    for end in ["requests_per_connection", "reload", "the end of the process"] {
        let limits = if end == "requests_per_connection" { "[limits]\nrequests_per_connection = 1" } else { "" };
        let scene = Scene::set("", limits);
        let mut client = Client::connect(scene.sidecar.listen(), &[]);
        client.send(HEADERS, END_HEADERS | END_STREAM, 1, &frames_request(&scene)).unwrap();
        scene.arrivals.recv_timeout(PATIENCE).unwrap();
        match end {
            "reload" => {
                let config = scene.sidecar.config();
                let text = std::fs::read_to_string(&config).unwrap();
                std::fs::write(&config, text + "\n[limits]\nbody_size = \"1KiB\"\n").unwrap();
                scene
                    .sidecar
                    .log_where("The configuration was loaded again and is in force.", |_| true)
                    .expect("it is reloaded");
                // With its next request it is told.
                client.send(HEADERS, END_HEADERS | END_STREAM, 3, &frames::request("GET", "/", &[])).unwrap();
            }
            "the end of the process" => scene.sidecar.terminate(),
            _ => {}
        }
        assert_eq!(client.read_until(GOAWAY).expect("it is told").code(), NO_ERROR, "{end}");
        std::thread::sleep(Duration::from_millis(1200));
        client.send(HEADERS, END_HEADERS | END_STREAM, 5, &frames_request(&scene)).unwrap();
        let refused = std::iter::from_fn(|| client.read_until(RST_STREAM)).find(|frame| frame.stream == 5);
        assert_eq!(refused.expect("it is refused").code(), REFUSED_STREAM, "{end}");
        scene.go_on.send(()).unwrap();
        assert_eq!(client.read_answer(), Some((1, "200".to_owned())), "{end}");
        assert_eq!(client.read_until(GOAWAY).expect("the last word").code(), NO_ERROR, "{end}");
        assert_eq!(client.read(), None, "{end}");
    }
}

#[test]
fn streams_that_are_opened_and_reset_leave_no_more_tasks_than_streams_are_allowed() {
    let scene = Scene::set("", "");
    let mut client = Client::connect(scene.sidecar.listen(), &[]);
    let request = frames_request(&scene);
    // Some of them come so close together that the protocol itself has enough; that is an end as well.
    for n in 0..600 {
        let opened = client.send(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &request);
        let reset = client.send(RST_STREAM, 0, 2 * n + 1, &CANCEL.to_be_bytes());
        if opened.and(reset).is_err() {
            break;
        }
        if n % 50 == 0 {
            let metrics = scene.sidecar.ask_admin("/metrics").text();
            let in_flight = metrics.lines().find_map(|line| line.strip_prefix("callgate_requests_in_flight "));
            assert!(in_flight.unwrap().parse::<u32>().unwrap() <= 100, "{in_flight:?}");
        }
    }
    let mut another = Client::connect(scene.sidecar.listen(), &[]);
    another.send(HEADERS, END_HEADERS | END_STREAM, 1, &frames_request(&scene)).unwrap();
    for _ in 0..700 {
        scene.go_on.send(()).unwrap();
    }
    assert_eq!(another.read_answer(), Some((1, "200".to_owned())));
    drop((client, another));
    // A client that cancels has done nothing wrong.
    for record in scene.sidecar.audit_so_far() {
        assert!(!record.contains("request_malformed") && !record.contains("internal_error"), "{record}");
    }
}

#[test]
fn a_cancelled_request_is_recorded_without_a_reason() {
    let scene = Scene::set("", "");
    let mut client = Client::connect(scene.sidecar.listen(), &[]);
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, &frames_request(&scene)).unwrap();
    scene.arrivals.recv_timeout(PATIENCE).unwrap();
    client.send(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()).unwrap();
    let record = scene.sidecar.audit(0).expect("it is in the audit");
    assert_eq!((&record["decision"], &record["reason"]), (&"forward".into(), &serde_json::Value::Null));
    assert_eq!((&record["status"], &record["caller"]), (&0.into(), &"billing".into()));
    // Likewise within a body.
    let token = scene.issuer.mint(&scene.issuer.claims("billing", AUDIENCE));
    let upload = frames::request("POST", "/slow", &[("authorization", &format!("Bearer {token}"))]);
    client.send(HEADERS, END_HEADERS, 3, &upload).unwrap();
    client.send(DATA, 0, 3, b"hel").unwrap();
    scene.arrivals.recv_timeout(PATIENCE).unwrap();
    client.send(RST_STREAM, 0, 3, &CANCEL.to_be_bytes()).unwrap();
    let record = scene.sidecar.audit(1).expect("it is in the audit");
    assert_eq!((&record["reason"], &record["status"]), (&serde_json::Value::Null, &0.into()));
}
