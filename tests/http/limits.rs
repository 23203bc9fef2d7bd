//! How much, how long, how many: each bound with the last thing that is allowed and the first that is not.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::http::{Answer, Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::refusal::{assert_problem, request_id};
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::{Stage, start_ready};

fn limited(limits: &str) -> Stage {
    Stage::set_with(|setup| setup.with(&format!("[limits]\n{limits}")))
}

fn assert_refused(stage: &Stage, answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert_problem(answer, reason);
    let audit = stage.sidecar.audit_for(&request_id(answer)).expect("it is in the audit");
    assert_eq!((&audit["status"], &audit["reason"]), (&status.into(), &reason.into()));
    let metrics = stage.sidecar.ask_admin("/metrics").text();
    assert!(metrics.contains(&format!("reason=\"{reason}\"")), "it is counted");
}

fn assert_closed(connection: &mut Connection) {
    assert!(matches!(connection.read_head(), Ok(None) | Err(_)), "the connection should be closed");
}

#[test]
fn a_head_may_have_so_many_bytes_and_no_more() {
    let stage = limited("head_size = \"4KiB\"\ntoken_size = \"2KiB\"");
    let request = |size: usize| {
        let plain = Request::new("POST", "/send").bearer(&stage.token()).header("X", "");
        let missing = size - plain.head().len();
        Request::new("POST", "/send").bearer(&stage.token()).header("X", &"x".repeat(missing))
    };
    let largest = request(4096);
    assert_eq!(largest.head().len(), 4096);
    assert_eq!(stage.ask(&largest).status(), 202);
    let mut connection = stage.sidecar.connect();
    let refused = connection.exchange(request(4097).bytes()).unwrap();
    assert_refused(&stage, &refused, 431, "head_too_large");
    assert_closed(&mut connection);
    // One that never ends is refused as soon as it is too long.
    let mut connection = stage.sidecar.connect();
    connection.send(format!("GET /{} ", "a".repeat(5000))).unwrap();
    assert_refused(&stage, &connection.read_answer("").unwrap(), 431, "head_too_large");
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn a_head_may_have_so_many_fields_and_no_more() {
    let stage = limited("header_count = 20");
    let request = |count: usize| {
        let plain = Request::new("POST", "/send").bearer(&stage.token());
        (2..count).fold(plain, |request, n| request.header(&format!("X-{n}"), "y"))
    };
    assert_eq!(stage.ask(&request(20)).status(), 202);
    assert_refused(&stage, &stage.ask(&request(21)), 431, "head_too_large");
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn a_body_may_have_so_many_bytes_and_no_more() {
    let stage = limited("body_size = \"1KiB\"");
    let sized = |size: usize| Request::new("POST", "/send").bearer(&stage.token()).body(&vec![b'x'; size]);
    assert_eq!(stage.ask(&sized(1024)).status(), 202);
    assert_refused(&stage, &stage.ask(&sized(1025)), 413, "body_too_large");
    assert_eq!(stage.email.received().len(), 1, "a body that says its size is refused before the upstream hears of it");

    let chunked = |sizes: &[usize]| {
        let mut connection = stage.sidecar.connect();
        let head = Request::new("POST", "/send").bearer(&stage.token()).header("Transfer-Encoding", "chunked");
        connection.send(head.head()).unwrap();
        for size in sizes {
            let _refused_already = connection.send_chunk(&vec![b'x'; *size]);
        }
        connection.read_answer("").unwrap()
    };
    assert_eq!(chunked(&[512, 512, 0]).status(), 202);
    assert_refused(&stage, &chunked(&[512, 512, 1, 0]), 413, "body_too_large");
    assert!(stage.email.received()[2].body.len() <= 1024, "what is too much does not pass");
    stage.end();
}

#[test]
fn a_body_that_becomes_too_large_after_100_continue_is_still_answered() {
    let upstream = Server::local(Arc::new(|mut connection: Connection| {
        while let Some(head) = connection.read_head()? {
            connection.send("HTTP/1.1 100 Continue\r\n\r\n")?;
            connection.read_body(Connection::request_body(&head))?;
            connection.send_answer("202 Accepted", &[], b"")?;
        }
        Ok(())
    }));
    let upstream = upstream.unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar =
        start_ready(&Setup::before(upstream.address()).trusting(&issuer).with("[limits]\nbody_size = \"1KiB\""));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let asking = Request::new("POST", "/send").bearer(&token).header("Expect", "100-continue");
    let asking = asking.header("Transfer-Encoding", "chunked").head();
    for (size, status) in [(1024, 202), (1025, 413)] {
        let mut connection = sidecar.connect();
        connection.send(&asking).unwrap();
        assert_eq!(connection.read_head().unwrap().expect("the upstream is asked").status(), 100);
        connection.send_chunk(&vec![b'x'; size]).unwrap();
        let _refused_already = connection.send_chunk(b"");
        let answer = connection.read_answer("").unwrap();
        assert_eq!(answer.status(), status, "{}", answer.text());
        let audit = sidecar.audit_where(|record| record["status"] == status).expect("it is in the audit");
        assert_eq!(audit["caller"], "billing");
        if status == 413 {
            assert_problem(&answer, "body_too_large");
            assert_eq!(audit["reason"], "body_too_large");
        }
    }
}

#[test]
fn a_head_that_trickles_is_given_up_in_time_and_a_quick_one_is_not() {
    let stage = limited("head_time = \"400ms\"");
    let began = Instant::now();
    let mut connection = stage.sidecar.connect();
    let slow = Request::send().bearer(&stage.token()).bytes();
    for byte in slow.iter().take(200) {
        if connection.send([*byte]).is_err() || began.elapsed() > PATIENCE {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        if began.elapsed() > Duration::from_millis(500) {
            break;
        }
    }
    let refused = connection.read_answer("").unwrap();
    assert_refused(&stage, &refused, 408, "request_timeout");
    assert_closed(&mut connection);
    stage.assert_nothing_received();
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    stage.end();
}

#[test]
fn a_connection_without_a_request_is_closed_in_time_and_nobody_is_told() {
    let stage = limited("idle_time = \"1s\"\nhead_time = \"1s\"");
    let began = Instant::now();
    let mut silent = stage.sidecar.connect();
    assert_closed(&mut silent);
    assert!(began.elapsed() < Duration::from_millis(1900), "once, and not once for each protocol it could have spoken");
    let mut used = stage.sidecar.connect();
    assert_eq!(used.exchange(Request::send().bearer(&stage.token()).bytes()).unwrap().status(), 202);
    assert_closed(&mut used);
    let ended = stage.end();
    assert_eq!(ended.stdout.lines().count(), 1, "the only record is of the only request: {}", ended.stdout);
}

#[test]
fn a_body_that_stops_is_given_up_in_time() {
    let stage = limited("read_timeout = \"300ms\"");
    let head = Request::new("POST", "/send").bearer(&stage.token()).header("Content-Length", "10");
    let mut connection = stage.sidecar.connect();
    connection.send(head.head()).unwrap();
    connection.send("hello").unwrap();
    assert_refused(&stage, &connection.read_answer("").unwrap(), 408, "request_timeout");
    assert_closed(&mut connection);
    stage.end();
}

#[test]
fn so_many_requests_may_be_in_progress_and_others_are_told_to_come_back() {
    let (upstream, arrivals, go_on) = waiting();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer).with("[limits]\nrequests = 2"));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let request = Request::new("GET", "/slow").bearer(&token).bytes();
    let mut first = sidecar.connect();
    let mut second = sidecar.connect();
    for connection in [&mut first, &mut second] {
        connection.send(&request).unwrap();
        arrivals.recv_timeout(PATIENCE).unwrap();
    }
    let refused = sidecar.connect().exchange(Request::new("GET", "/slow").bytes()).unwrap();
    assert_eq!(refused.status(), 503, "it is told so before its token is looked at: {}", refused.text());
    assert_problem(&refused, "overloaded");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.header("www-authenticate"), None);
    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    assert_eq!(first.read_answer("").unwrap().status(), 200);
    assert_eq!(second.read_answer("").unwrap().status(), 200);
    go_on.send(()).unwrap();
    assert_eq!(first.exchange(&request).unwrap().status(), 200, "there is room again");
}

#[test]
fn a_connection_may_carry_so_many_requests_and_says_which_is_the_last() {
    let stage = limited("requests_per_connection = 2");
    let request = Request::send().bearer(&stage.token()).bytes();
    let mut connection = stage.sidecar.connect();
    assert_eq!(connection.exchange(&request).unwrap().header("connection"), Some("keep-alive"));
    let last = connection.exchange(&request).unwrap();
    assert_eq!((last.status(), last.header("connection")), (202, Some("close")));
    assert_closed(&mut connection);
    let mut connection = stage.sidecar.connect();
    let refused = Request::send().bytes();
    assert_eq!(connection.exchange(&refused).unwrap().header("connection"), Some("keep-alive"));
    let last = connection.exchange(&refused).unwrap();
    assert_eq!((last.status(), last.header("connection")), (401, Some("close")), "a refused one is one of them");
    assert_closed(&mut connection);
    stage.end();
}

#[test]
fn so_many_connections_may_be_open_and_one_that_waits_for_a_request_makes_room() {
    let stage = limited("connections = 1\nidle_time = \"1h\"");
    let request = Request::send().bearer(&stage.token()).bytes();
    let mut first = stage.sidecar.connect();
    assert_eq!(first.exchange(&request).unwrap().status(), 202);
    let mut second = stage.sidecar.connect();
    assert_eq!(second.exchange(&request).unwrap().status(), 202, "when the idle one has made room");
    assert_closed(&mut first);
    stage.end();
}

/// An upstream that tells of each request, and answers once for each word.
fn waiting() -> (Server, Receiver<()>, Sender<()>) {
    let (arrived, arrivals) = mpsc::channel();
    let arrived = Mutex::new(arrived);
    let (go_on, wait): (_, Receiver<()>) = mpsc::channel();
    let wait = Mutex::new(wait);
    let server = Server::local(Arc::new(move |mut connection: Connection| {
        while connection.read_head()?.is_some() {
            let _test_is_over = arrived.lock().unwrap().send(());
            let _test_is_over = wait.lock().unwrap().recv_timeout(PATIENCE);
            connection.send_answer("200 OK", &[], b"at last")?;
        }
        Ok(())
    }));
    (server.unwrap(), arrivals, go_on)
}
