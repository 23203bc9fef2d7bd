//! How connections of HTTP/2 come to their end: told so before, and with what was under way answered.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::http::{Connection, PATIENCE};
use crate::support::issuer::Issuer;
use crate::support::refusal::assert_problem;
use crate::support::request::Request;
use crate::support::server::Server;
use crate::support::setup::{AUDIENCE, Setup};
use crate::support::sidecar::Sidecar;
use crate::support::stage::start_ready;

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
