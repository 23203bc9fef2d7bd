//! What comes after a request on its connection: the next one, judged like the first, or the end.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::cases::bytes;
use testkit::http::{Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::refusal::assert_problem;
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::{Stage, start_ready};

#[test]
fn requests_sent_at_once_are_answered_in_order_and_each_is_judged() {
    let stage = Stage::set();
    let good = Request::send().bearer(&stage.token()).bytes();
    let chunked = bytes("POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked~~2~{}~0~~", &stage.token());
    let all = [&good[..], &Request::send().bytes(), &chunked, &Request::new("GET", "/x").bytes(), &good].concat();
    let mut connection = stage.sidecar.connect();
    connection.send(all).unwrap();
    let statuses: Vec<_> = (0..5).map(|_| connection.read_answer("").unwrap().status()).collect();
    assert_eq!(statuses, [202, 401, 202, 401, 202]);
    assert_eq!(stage.email.received().len(), 3);
    assert!(stage.email.received().iter().all(|received| received.callers() == ["billing"]));
    let decisions: Vec<_> = (0..5).map(|n| stage.audit(n)["decision"].clone()).collect();
    assert_eq!(decisions, ["forward", "reject", "forward", "reject", "forward"]);
    stage.end();
}

#[test]
fn a_request_that_is_malformed_ends_the_connection_after_the_good_one_before_it() {
    let stage = Stage::set();
    let raw = "POST /send HTTP/1.1~Host: h~{T}Content-Length: 0~~GET / HTTP/1.1\nHost: h~{T}~POST /send HTTP/1.1~Host: h~{T}~";
    let mut connection = stage.sidecar.connect();
    connection.send(bytes(raw, &stage.token())).unwrap();
    assert_eq!(connection.read_answer("").unwrap().status(), 202);
    let refused = connection.read_answer("").unwrap();
    assert_eq!(refused.status(), 400);
    assert_problem(&refused, "request_malformed");
    assert!(matches!(connection.read_head(), Ok(None) | Err(_)), "what comes after it is not looked at");
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn what_follows_a_body_is_the_next_request_and_not_a_part_of_it() {
    let stage = Stage::set();
    let mut connection = stage.sidecar.connect();
    connection.send(bytes("POST /send HTTP/1.1~Host: h~{T}Content-Length: 5~~hello world", &stage.token())).unwrap();
    assert_eq!(connection.read_answer("").unwrap().status(), 202);
    assert_eq!(stage.only_received().body, b"hello");
    connection.send("~".repeat(10)).unwrap();
    connection.send("\r\n\r\n").unwrap();
    assert_eq!(connection.read_answer("").unwrap().status(), 400, "' world' begins no request");
    stage.end();
}

#[test]
fn a_client_that_has_said_everything_still_gets_its_answers() {
    let stage = Stage::set();
    let good = Request::send().bearer(&stage.token()).bytes();
    let mut connection = stage.sidecar.connect();
    connection.send([&good[..], &Request::send().bytes(), &good].concat()).unwrap();
    connection.finish_sending().unwrap();
    let statuses: Vec<_> = (0..3).map(|_| connection.read_answer("").unwrap().status()).collect();
    assert_eq!(statuses, [202, 401, 202]);
    assert!(matches!(connection.read_head(), Ok(None)), "and then the connection ends in order");
    let statuses: Vec<_> = (0..3).map(|n| stage.audit(n)["status"].clone()).collect();
    assert_eq!(statuses, [202, 401, 202]);
    stage.end();
}

#[test]
fn a_client_that_closes_its_side_waits_for_a_slow_answer_and_one_that_gives_up_frees_its_place() {
    let (asked, questions) = mpsc::channel();
    let asked = Mutex::new(asked);
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Server::local(Arc::new(move |mut connection: Connection| {
        while connection.read_head()?.is_some() {
            let _test_is_over = asked.lock().unwrap().send(());
            let _test_is_over = wait.lock().unwrap().recv_timeout(PATIENCE);
            connection.send_answer("200 OK", &[], b"at last")?;
        }
        Ok(())
    }));
    let upstream = upstream.unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer).with("[limits]\nrequests = 1"));
    let request = Request::new("GET", "/slow").bearer(&issuer.mint(&issuer.claims("billing", AUDIENCE))).bytes();

    let mut half_closed = sidecar.connect();
    half_closed.send(&request).unwrap();
    half_closed.finish_sending().unwrap();
    questions.recv_timeout(PATIENCE).unwrap();
    go_on.send(()).unwrap();
    let answer = half_closed.read_answer("").unwrap();
    assert_eq!((answer.status(), answer.text()), (200, "at last".into()));

    let mut gone = sidecar.connect();
    gone.send(&request).unwrap();
    questions.recv_timeout(PATIENCE).unwrap();
    assert_eq!(sidecar.connect().exchange(&request).unwrap().status(), 503, "the only place is taken");
    // Longer than a client takes that closes its side because it has said everything.
    std::thread::sleep(Duration::from_millis(1500));
    drop(gone);
    let audit = sidecar.audit_where(|record| record["status"] == 0).expect("it is recorded that it left");
    assert_eq!((&audit["decision"], &audit["reason"]), (&"forward".into(), &serde_json::Value::Null));
    // The upstream's connection of the one that left may still be waiting.
    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    assert_eq!(sidecar.connect().exchange(&request).unwrap().status(), 200, "its place is another's");
}

#[test]
fn a_refused_client_that_does_not_wait_changes_nothing_about_its_reason() {
    let stage = Stage::set();
    for _ in 0..20 {
        let mut connection = stage.sidecar.connect();
        connection.send(Request::send().bytes()).unwrap();
    }
    for n in 0..20 {
        let record = stage.audit(n);
        assert_eq!((&record["decision"], &record["reason"]), (&"reject".into(), &"token_missing".into()));
    }
    stage.end();
}
