//! An upstream that is down, too slow or broken: 502 or 504, as problem details like every other answer of ours.

use std::sync::{Arc, Mutex, mpsc};

use testkit::http::{Answer, Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::refusal::{assert_problem, request_id};
use testkit::request::Request;
use testkit::server::{Handler, Server};
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::start_ready;

/// Asks a sidecar in front of a failing upstream, and checks what answer and audit have in common.
fn assert_fails(setup: Setup, status: u16, reason: &str) -> Answer {
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&setup.trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let answer = sidecar.connect().exchange(Request::send().bearer(&token).bytes()).unwrap();
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert_problem(&answer, reason);
    assert_eq!(answer.header("www-authenticate"), None, "the caller's token is not to blame");
    let audit = sidecar.audit_for(&request_id(&answer)).expect("the failure is in the audit");
    assert_eq!(audit["status"], status);
    assert_eq!(audit["reason"], reason);
    assert_eq!(audit["caller"], "billing", "the caller was proven before the upstream failed");

    let refused = sidecar.connect().exchange(Request::send().bytes()).unwrap();
    assert_eq!(refused.status(), 401, "whether the upstream is up is told to nobody without a token");
    assert_eq!(sidecar.stop().code, Some(0));
    answer
}

fn upstream(handler: impl Fn(Connection) -> std::io::Result<()> + Send + Sync + 'static) -> Server {
    Server::local(Arc::new(handler) as Handler).unwrap()
}

#[test]
fn upstream_that_is_down_is_answered_with_502() {
    let gone = upstream(|_| Ok(()));
    let address = gone.address().clone();
    drop(gone);
    assert_fails(Setup::before(&address), 502, "upstream_unreachable");
}

#[test]
fn unix_socket_that_is_not_there_is_answered_with_502() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", directory.path().join("nobody.sock").display());
    let answer = assert_fails(Setup::before_address(&address), 502, "upstream_unreachable");
    assert!(!answer.text().contains("nobody.sock"), "our file system is nobody's business: {}", answer.text());
}

#[test]
fn upstream_that_hangs_up_without_an_answer_is_answered_with_502() {
    let upstream = upstream(|mut connection| connection.read_head().map(drop));
    assert_fails(Setup::before(upstream.address()), 502, "upstream_unreachable");
}

#[test]
fn upstream_that_speaks_no_http_is_answered_with_502() {
    let upstream = upstream(|mut connection| {
        connection.read_head()?;
        connection.send("220 mail.example ESMTP\r\n")
    });
    assert_fails(Setup::before(upstream.address()), 502, "upstream_unreachable");
}

#[test]
fn upstream_that_is_too_slow_is_answered_with_504() {
    let upstream = upstream(|mut connection| {
        connection.read_head()?;
        // Waits until the sidecar has given up.
        while connection.read_head()?.is_some() {}
        Ok(())
    });
    let began = std::time::Instant::now();
    assert_fails(Setup::before(upstream.address()).upstream("read_timeout = \"300ms\""), 504, "upstream_timeout");
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn connection_that_the_upstream_has_closed_costs_no_request() {
    let (closed, closings) = mpsc::channel();
    let closed = Mutex::new(closed);
    // Answers as if it kept the connection, and closes it: what a service does when its keep-alive timeout is over.
    let upstream = upstream(move |mut connection| {
        let Some(head) = connection.read_head()? else { return Ok(()) };
        connection.read_body(Connection::request_body(&head))?;
        connection.send_answer("202 Accepted", &[], b"")?;
        drop(connection);
        let _test_is_over = closed.lock().unwrap().send(());
        Ok(())
    });
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer));
    let mut connection = sidecar.connect();
    for _ in 0..5 {
        let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
        let answer = connection.exchange(Request::send().bearer(&token).bytes()).unwrap();
        assert_eq!(answer.status(), 202, "{}", answer.text());
        closings.recv_timeout(PATIENCE).unwrap();
    }
}
