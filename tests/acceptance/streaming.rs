//! Bodies of several MiB go through in both directions as they come, and are never held back.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use testkit::http::{Connection, PATIENCE};
use testkit::request::{Request, noise};
use testkit::setup::Setup;
use testkit::sidecar::Sidecar;
use testkit::stage::{Stage, start_ready};
use testkit::{issuer::Issuer, server::Server, setup::AUDIENCE};

const MIB: usize = 1 << 20;

#[test]
fn upstream_gets_the_first_piece_of_a_large_request_before_the_client_sends_the_last() {
    let stage = Stage::set();
    let body = noise(6 * MIB);
    let (first, rest) = body.split_at(MIB);
    let head = Request::new("POST", "/send").bearer(&stage.token()).header("Content-Length", &body.len().to_string());
    let mut connection = stage.sidecar.connect();
    connection.send(head.head()).unwrap();
    connection.send(first).unwrap();
    let arrived = stage.email.wait_until(PATIENCE, |received| received.iter().any(|one| one.body.len() == MIB));
    assert!(arrived, "the first MiB should be at the upstream while the client has yet to send the rest");
    connection.send(rest).unwrap();
    assert_eq!(connection.read_answer("POST").unwrap().status(), 202);
    assert!(stage.only_received().body == body, "the body should arrive byte for byte");
    assert_eq!(stage.audit(0)["request_bytes"], body.len());
    stage.end();
}

#[test]
fn chunked_request_is_streamed_too() {
    let stage = Stage::set();
    let head = Request::new("POST", "/send").bearer(&stage.token()).header("Transfer-Encoding", "chunked");
    let mut connection = stage.sidecar.connect();
    connection.send(head.head()).unwrap();
    connection.send_chunk(b"first").unwrap();
    let arrived = stage.email.wait_until(PATIENCE, |received| received.iter().any(|one| one.body == b"first"));
    assert!(arrived, "the first chunk should be at the upstream while the client has yet to send the rest");
    connection.send_chunk(b" and last").unwrap();
    connection.send_chunk(b"").unwrap();
    assert_eq!(connection.read_answer("POST").unwrap().status(), 202);
    assert_eq!(stage.only_received().body, b"first and last");
    stage.end();
}

#[test]
fn client_gets_the_first_piece_of_a_large_answer_before_the_upstream_sends_the_last() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (sidecar, token) = before(move |connection| {
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        connection.send_chunk(b"first")?;
        // Ends by itself if the test has failed and let go of its end.
        if wait.lock().unwrap().recv_timeout(PATIENCE).is_ok() {
            for _ in 0..6 {
                connection.send_chunk(&noise(MIB))?;
            }
            connection.send_chunk(b"")?;
        }
        Ok(())
    });
    let mut connection = sidecar.connect();
    connection.send(Request::new("GET", "/export").bearer(&token).bytes()).unwrap();
    let head = connection.read_head().unwrap().unwrap();
    assert_eq!(head.status(), 200);
    let mut body = Connection::answer_body(&head, "GET");
    assert_eq!(connection.read_piece(&mut body).unwrap().unwrap(), b"first");
    go_on.send(()).unwrap();
    let rest = connection.read_body(body).unwrap();
    assert!(rest == noise(MIB).repeat(6), "the rest should arrive byte for byte");
    assert_eq!(sidecar.audit(0).unwrap()["response_bytes"], 6 * MIB + 5);
}

/// Head and first piece of an answer with a length were kept back until the rest came.
#[test]
fn client_gets_the_first_piece_of_an_answer_with_a_length_before_the_upstream_sends_the_last() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (sidecar, token) = before(move |connection| {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst")?;
        if wait.lock().unwrap().recv_timeout(PATIENCE).is_ok() {
            connection.send("last")?;
        }
        Ok(())
    });
    let mut connection = sidecar.connect();
    connection.send(Request::new("GET", "/export").bearer(&token).bytes()).unwrap();
    let head = connection.read_head().unwrap().unwrap();
    assert_eq!(head.status(), 200);
    let mut body = Connection::answer_body(&head, "GET");
    assert_eq!(connection.read_piece(&mut body).unwrap().unwrap(), b"first");
    go_on.send(()).unwrap();
    assert_eq!(connection.read_body(body).unwrap(), b"last");
    assert_eq!(sidecar.audit(0).unwrap()["response_bytes"], 9);
}

/// It was thrown away, and a client that sees no byte of an answer may send its request again.
#[test]
fn what_an_upstream_said_before_it_died_reaches_the_client() {
    let (sidecar, token) =
        before(|connection| connection.send("HTTP/1.1 202 Accepted\r\nContent-Length: 2000\r\n\r\nfirst"));
    let mut connection = sidecar.connect();
    connection.send(Request::new("GET", "/export").bearer(&token).bytes()).unwrap();
    let head = connection.read_head().unwrap().expect("the head of the answer");
    assert_eq!(head.status(), 202);
    let mut body = Connection::answer_body(&head, "GET");
    assert_eq!(connection.read_piece(&mut body).unwrap().unwrap(), b"first");
    assert!(connection.read_piece(&mut body).is_err(), "the cut connection says that this is not all");
    let audit = sidecar.audit(0).unwrap();
    assert_eq!((&audit["status"], &audit["response_bytes"]), (&202.into(), &5.into()), "{audit:#}");
}

/// A sidecar before an upstream that answers one request in this way and closes, and a good token.
fn before(answer: impl Fn(&mut Connection) -> std::io::Result<()> + Send + Sync + 'static) -> (Sidecar, String) {
    let upstream = Server::local(Arc::new(move |mut connection: Connection| {
        connection.read_head()?;
        answer(&mut connection)
    }))
    .unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    // They serve until the test's process ends.
    std::mem::forget((upstream, issuer));
    (sidecar, token)
}

#[test]
fn large_request_without_a_token_is_refused_before_its_body_is_sent() {
    let stage = Stage::set();
    let head = Request::new("POST", "/send").header("Content-Length", &(6 * MIB).to_string());
    let mut connection = stage.sidecar.connect();
    connection.send(head.head()).unwrap();
    assert_eq!(connection.read_answer("POST").unwrap().status(), 401);
    stage.assert_nothing_received();
    stage.end();
}
