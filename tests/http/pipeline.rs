//! What comes after a request on its connection: the next one, judged like the first, or the end.

use crate::cases::bytes;
use crate::support::refusal::assert_problem;
use crate::support::request::Request;
use crate::support::stage::Stage;

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
    connection.send([&good[..], &good].concat()).unwrap();
    connection.finish_sending().unwrap();
    assert_eq!(connection.read_answer("").unwrap().status(), 202);
    stage.end();
}
