//! Requests that two parties could read differently are refused, never interpreted.

use testkit::refusal::assert_unauthorized;
use testkit::request::Request;
use testkit::stage::Stage;

/// Ways to say how long a body is that a backend could read differently: where one party ends the request, the other would
/// find the beginning of a next one, which nobody has checked.
const AMBIGUOUS: [&str; 10] = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\ncontent-length: 5",
    "Content-Length: 5\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 5, 5",
    "Content-Length: +5",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: xchunked",
];

#[test]
fn body_whose_length_could_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let stage = Stage::set();
    for fields in AMBIGUOUS {
        let token = stage.token();
        let head = format!("POST /send HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{fields}\r\n\r\n");
        let mut connection = stage.sidecar.connect();
        let answer = connection.exchange(format!("{head}0\r\n\r\n")).unwrap();
        assert_eq!(answer.status(), 400, "{fields:?}: {}", answer.text());
        assert!(matches!(connection.read_head(), Ok(None) | Err(_)), "{fields:?}: the connection should be closed");
        stage.assert_nothing_received();
    }
    let mut connection = stage.sidecar.connect();
    for plain in [Request::send(), Request::new("POST", "/send").header("Transfer-Encoding", "chunked")] {
        let mut bytes = plain.bearer(&stage.token()).bytes();
        if !bytes.ends_with(b"}") {
            bytes.extend_from_slice(b"2\r\n{}\r\n0\r\n\r\n");
        }
        assert_eq!(connection.exchange(bytes).unwrap().status(), 202);
    }
    assert_eq!(stage.email.received().len(), 2);
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

#[test]
fn client_that_asks_before_it_sends_its_body_is_told_to_go_on_only_with_a_good_token() {
    let stage = Stage::set();
    let asking = |request: Request| request.header("Expect", "100-continue").header("Content-Length", "2").head();
    let mut connection = stage.sidecar.connect();
    connection.send(asking(Request::new("POST", "/send").bearer(&stage.token()))).unwrap();
    assert_eq!(connection.read_head().unwrap().unwrap().status(), 100);
    connection.send(b"{}").unwrap();
    assert_eq!(connection.read_answer("POST").unwrap().status(), 202);
    assert_eq!(stage.only_received().body, b"{}");

    let mut connection = stage.sidecar.connect();
    connection.send(asking(Request::new("POST", "/send"))).unwrap();
    let head = connection.read_head().unwrap().unwrap();
    assert_eq!(head.status(), 401, "the refusal comes at once, without an invitation to send the body");
    assert_eq!(head.header("connection"), Some("close"), "nobody can tell whether the body still comes");
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn header_fields_that_are_not_http_are_refused() {
    let stage = Stage::set();
    let lines = [
        "X-Caller-Service : admin",
        "X-Caller-Service\t: admin",
        " X-Caller-Service: admin",
        "X-Caller-Service\0: admin",
        "X-Caller-S\u{e9}rvice: admin",
        "X-Trace: a\r\n X-Caller-Service: admin",
    ];
    for line in lines {
        let request =
            format!("GET /send HTTP/1.1\r\nAuthorization: Bearer {}\r\n{line}\r\nHost: a\r\n\r\n", stage.token());
        let answer = stage.sidecar.connect().exchange(request).unwrap();
        assert_eq!(answer.status(), 400, "{line:?}: {}", answer.text());
    }
    stage.assert_nothing_received();
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    stage.end();
}
