//! Requests that two parties could read differently are refused, never interpreted.

use crate::support::refusal::assert_unauthorized;
use crate::support::request::Request;
use crate::support::stage::Stage;

#[test]
fn content_length_beside_transfer_encoding_is_refused_and_the_connection_closed() {
    let stage = Stage::set();
    let smuggled = "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: email.internal.example\r\n\r\n";
    let request = Request::new("POST", "/send")
        .bearer(&stage.token())
        .header("Transfer-Encoding", "chunked")
        .body(smuggled.as_bytes());
    let mut connection = stage.sidecar.connect();
    let answer = connection.exchange(request.bytes()).unwrap();
    assert_eq!(answer.status(), 400, "{}", answer.text());
    assert!(matches!(connection.read_head(), Ok(None) | Err(_)), "the connection should be closed");
    stage.assert_nothing_received();
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    stage.end();
}

#[test]
fn two_different_lengths_are_refused() {
    let stage = Stage::set();
    let request = Request::new("POST", "/send").bearer(&stage.token()).header("Content-Length", "5").body(b"{}");
    let answer = stage.ask(&request);
    assert_eq!(answer.status(), 400, "{}", answer.text());
    stage.assert_nothing_received();
    stage.end();
}

#[test]
fn two_tokens_are_refused_though_both_are_good() {
    let stage = Stage::set();
    let refused = stage.ask(&Request::send().bearer(&stage.token()).bearer(&stage.token()));
    assert_unauthorized(&refused, "token_ambiguous");
    stage.assert_nothing_received();
    assert_eq!(stage.audit(0)["reason"], "token_ambiguous");
    stage.end();
}

#[test]
fn token_in_the_query_is_no_token() {
    let stage = Stage::set();
    let token = stage.token();
    let refused = stage.ask(&Request::send().to("POST", &format!("/send?access_token={token}")));
    assert_unauthorized(&refused, "token_missing");
    stage.assert_nothing_received();
    let ended = stage.end();
    assert!(!ended.stdout.contains(&token) && !ended.stderr.contains(&token), "the query is never written down");
}

#[test]
fn client_that_lists_authorization_in_connection_still_has_to_show_a_token() {
    let stage = Stage::set();
    let request = Request::send().header("Connection", "Authorization");
    assert_eq!(stage.ask(&request).status(), 401);
    stage.assert_nothing_received();
    stage.end();
}

#[test]
fn second_request_sent_along_is_checked_like_the_first() {
    let stage = Stage::set();
    let mut both = Request::send().bearer(&stage.token()).bytes();
    both.extend(Request::new("POST", "/send").body(b"smuggled").bytes());
    let mut connection = stage.sidecar.connect();
    assert_eq!(connection.exchange(both).unwrap().status(), 202);
    // It may be refused or the connection be closed; it may not be forwarded.
    if let Ok(second) = connection.read_answer("POST") {
        assert_eq!(second.status(), 401);
    }
    assert_eq!(stage.only_received().callers(), ["billing"]);
    stage.end();
}
