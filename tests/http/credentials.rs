//! Where a token could stand and does not count, and what happens to the body of a request that has none.

use testkit::refusal::{assert_unauthorized, request_id};
use testkit::request::{Request, noise};
use testkit::stage::Stage;

#[test]
fn a_token_anywhere_but_in_one_authorization_field_is_no_token() {
    let stage = Stage::set();
    let token = stage.token();
    let bearer = format!("Bearer {token}");
    let missing = |request: Request| assert_unauthorized(&stage.ask(&request), "token_missing");
    missing(Request::send().to("POST", &format!("/send?access_token={token}")));
    missing(Request::send().header("Cookie", &format!("Authorization={bearer}")));
    missing(Request::send().header("Proxy-Authorization", &bearer));
    missing(Request::send().header("X-Authorization", &bearer));
    missing(Request::send().header("X-Forwarded-Authorization", &bearer));
    missing(Request::send().header("Authorization", &token));
    missing(Request::send().header("Authorization", &format!("Token {token}")));
    let ambiguous = |request: Request| assert_unauthorized(&stage.ask(&request), "token_ambiguous");
    ambiguous(Request::send().bearer(&token).bearer(&token));
    ambiguous(Request::send().bearer(&token).header("authorization", "Basic YTpi"));
    ambiguous(Request::send().header("Authorization", &format!("{bearer}, {bearer}")));
    stage.assert_nothing_received();
    assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);
    stage.end();
}

#[test]
fn a_client_that_waits_for_100_gets_the_401_instead_and_is_not_asked_for_its_body() {
    let stage = Stage::set();
    let head = Request::new("POST", "/send").header("Expect", "100-continue").header("Content-Length", "5");
    let mut connection = stage.sidecar.connect();
    connection.send(head.head()).unwrap();
    let first = connection.read_head().unwrap().unwrap();
    assert_eq!(first.status(), 401, "no 100 comes before it: {first:?}");
    stage.assert_nothing_received();

    let mut connection = stage.sidecar.connect();
    connection.send(head.bearer(&stage.token()).head()).unwrap();
    assert_eq!(connection.read_head().unwrap().unwrap().status(), 100, "the upstream asks for it");
    connection.send("hello").unwrap();
    assert_eq!(connection.read_answer("").unwrap().status(), 202);
    assert_eq!(stage.only_received().body, b"hello");
    stage.end();
}

#[test]
fn the_small_body_of_a_refused_request_is_read_away_and_never_taken_for_the_next() {
    let stage = Stage::set();
    let smuggled = Request::send().bearer(&stage.token()).bytes();
    let mut connection = stage.sidecar.connect();
    for _ in 0..3 {
        let refused = connection.exchange(Request::new("POST", "/send").body(&smuggled).bytes()).unwrap();
        assert_unauthorized(&refused, "token_missing");
    }
    assert_eq!(connection.exchange(Request::send().bearer(&stage.token()).bytes()).unwrap().status(), 202);
    assert_eq!(stage.only_received().body, br#"{"to":"ada@example.com","subject":"Hello"}"#);
    stage.end();
}

#[test]
fn a_refused_client_that_goes_on_sending_still_gets_its_answer_and_then_the_end() {
    let stage = Stage::set();
    for _ in 0..5 {
        let mut connection = stage.sidecar.connect();
        let head = Request::new("POST", "/send").header("Transfer-Encoding", "chunked");
        connection.send(head.head()).unwrap();
        for _ in 0..16 {
            // It fails once the connection is closed, which is the right end of it.
            let _closed = connection.send_chunk(&noise(4096));
        }
        let refused = connection.read_answer("").expect("the answer is not overtaken by a reset");
        assert_unauthorized(&refused, "token_missing");
        assert_eq!(refused.header("connection"), Some("close"));
        assert!(matches!(connection.read_head(), Ok(None) | Err(_)), "nothing of the body became a request");
        assert!(stage.sidecar.audit_for(&request_id(&refused)).is_some());
    }
    stage.assert_nothing_received();
    stage.end();
}

#[test]
fn a_refused_head_request_has_no_body_and_its_connection_goes_on() {
    let stage = Stage::set();
    let mut connection = stage.sidecar.connect();
    let refused = connection.exchange(Request::new("HEAD", "/send").bytes()).unwrap();
    assert_eq!((refused.status(), refused.body.len()), (401, 0));
    let found = connection.exchange(Request::new("HEAD", "/send").bearer(&stage.token()).bytes()).unwrap();
    assert_eq!(found.status(), 404);
    stage.end();
}
