//! What becomes of a connection on which a request was refused: it serves the next one if that can be found for sure, and else
//! it is closed in a way that lets the answer arrive.

use std::time::Duration;

use crate::cases::bytes;
use testkit::email_service::EmailService;
use testkit::issuer::{Issuer, now};
use testkit::refusal::assert_problem;
use testkit::request::Request;
use testkit::setup::Setup;
use testkit::stage::{Stage, start_ready};

#[test]
fn a_refused_request_costs_its_client_no_connection_if_its_end_is_known() {
    let stage = Stage::set();
    let good = Request::send().bearer(&stage.token()).bytes();
    for (raw, body) in [
        ("GET /x HTTP/1.1~Host: h~~", ""),
        ("HEAD /x HTTP/1.1~Host: h~~", ""),
        ("POST /send HTTP/1.1~Host: h~Content-Length: 5~~hello", ""),
        ("POST /send HTTP/1.1~Host: h~Content-Length: 5~~he", "llo"),
        ("POST /send HTTP/1.1~Host: h~Content-Length: 0~Expect: 100-continue~~", ""),
        ("POST /send HTTP/1.0~Host: h~Connection: keep-alive~Content-Length: 2~~", "{}"),
        ("GET /x HTTP/1.1~Host: h~Authorization: Bearer a.b.c~~", ""),
    ] {
        let mut connection = stage.sidecar.connect();
        connection.send(bytes(raw, "")).unwrap();
        let refused = connection.read_answer(raw.split(' ').next().unwrap()).unwrap();
        assert_eq!((refused.status(), refused.header("connection")), (401, Some("keep-alive")), "{raw}");
        connection.send(body).unwrap();
        assert_eq!(connection.exchange(&good).unwrap().status(), 202, "{raw}");
    }
    assert_eq!(stage.email.received().len(), 7, "what was refused has not arrived");
    stage.end();
}

#[test]
fn a_refused_request_ends_its_connection_if_its_end_is_not_worth_waiting_for_or_not_known() {
    let stage = Stage::set();
    let large = format!("POST /send HTTP/1.1~Host: h~Content-Length: {}~~", 64 * 1024 + 1);
    for raw in [
        large.as_str(),
        "POST /send HTTP/1.1~Host: h~Transfer-Encoding: chunked~~0~~",
        "POST /send HTTP/1.1~Host: h~Content-Length: 5~Expect: 100-continue~~",
        "GET /x HTTP/1.1~Host: h~Connection: Upgrade~Upgrade: websocket~~",
        "GET /x HTTP/1.1~Host: h~Connection: close~~",
        "GET /x HTTP/1.1~Host: h~Connection: keep-alive, close~~",
        "GET /x HTTP/1.0~Host: h~~",
    ] {
        let mut connection = stage.sidecar.connect();
        connection.send(bytes(raw, "")).unwrap();
        let refused = connection.read_answer("").unwrap();
        assert_eq!((refused.status(), refused.header("connection")), (401, Some("close")), "{raw}");
        assert!(matches!(connection.read_head(), Ok(None) | Err(_)), "{raw}");
    }
    stage.assert_nothing_received();
    stage.end();
}

#[test]
fn the_body_of_a_refused_request_is_not_waited_for_without_end() {
    let stage = Stage::set();
    let mut connection = stage.sidecar.connect();
    connection.send(bytes("POST /send HTTP/1.1~Host: h~Content-Length: 5~~he", "")).unwrap();
    assert_eq!(connection.read_answer("").unwrap().status(), 401);
    assert!(matches!(connection.read_head(), Ok(None) | Err(_)));
    stage.end();
}

#[test]
fn an_answer_arrives_though_the_token_of_the_request_before_it_has_expired() {
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let lines = format!("leeway = \"0s\"\nkeys = {{ url = \"{}\" }}", issuer.jwks_url());
    let setup = Setup::before(email.address()).trusting_with(&issuer, &lines);
    let sidecar = start_ready(&setup.with("[limits]\nclose_at_expiry = \"always\""));
    let stage = Stage { issuer, email, sidecar };
    let expiry = now() + 2;
    let token = stage.token_but("exp", expiry.into());
    let mut connection = stage.sidecar.connect();
    assert_eq!(connection.exchange(Request::send().bearer(&token).bytes()).unwrap().status(), 202);
    // Later than the stream of that request would have had to end.
    while now() < expiry + 3 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let refused = connection.exchange(Request::send().bearer(&token).bytes()).unwrap();
    assert_problem(&refused, "token_expired");
    assert_eq!(connection.exchange(Request::send().bytes()).unwrap().status(), 401);
    assert_eq!(connection.exchange("nonsense\r\n\r\n").unwrap().status(), 400);
    stage.end();
}
