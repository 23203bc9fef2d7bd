//! Chunked bodies are followed byte by byte: what could be cut in two ways ends the request, and never becomes another one.

use crate::cases::{Case, bytes};
use testkit::refusal::{assert_problem, request_id};
use testkit::stage::Stage;

#[test]
fn a_body_that_could_be_cut_in_two_ways_is_refused_and_no_part_of_it_becomes_a_request() {
    let stage = Stage::set();
    let token = stage.token();
    for (n, (name, body)) in AMBIGUOUS.iter().enumerate() {
        let raw = format!("POST /send HTTP/1.1~Host: h~{{T}}Transfer-Encoding: chunked~~{body}");
        let smuggled = "GET /smuggled HTTP/1.1~Host: h~{T}~";
        let mut connection = stage.sidecar.connect();
        connection.send(bytes(&format!("{raw}{smuggled}"), &token)).unwrap();
        let answer = connection.read_answer("").unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(answer.status(), 400, "{name}: {}", answer.text());
        assert_problem(&answer, "request_malformed");
        assert!(matches!(connection.read_head(), Ok(None) | Err(_)), "{name}: the connection should be closed");
        let audit = stage.sidecar.audit_for(&request_id(&answer)).expect("it is in the audit");
        assert_eq!((&audit["reason"], &audit["status"]), (&"request_malformed".into(), &400.into()), "{name}");
        let received = stage.email.received();
        assert!(received.len() <= n + 1, "{name}: {received:#?}");
        assert!(received.iter().all(|one| one.head.target() == "/send"), "{name}: {received:#?}");
    }
    stage.end();
}

#[test]
fn a_body_with_one_end_arrives_whole_however_it_is_cut_on_the_way() {
    let stage = Stage::set();
    let head = "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked~~";
    let request = bytes(&format!("{head}5~hello~00006~ world~0~X-Sum: 1~~"), &stage.token());
    let mut connection = stage.sidecar.connect();
    for (n, size) in [1, 2, 3, 7, 1000].into_iter().enumerate() {
        for piece in request.chunks(size) {
            connection.send(piece).unwrap();
        }
        let answer = connection.read_answer("").unwrap();
        assert_eq!(answer.status(), 202, "{}", answer.text());
        assert_eq!(stage.email.received()[n].body, b"hello world", "in pieces of {size}");
    }
    stage.end();
}

const AMBIGUOUS: &[Case] = &[
    ("a line feed after the size", "5\nhello~0~~"),
    ("a carriage return after the size", "5\rhello~0~~"),
    ("an extension", "5;a=b~hello~0~~"),
    ("an extension without a name", "5;~hello~0~~"),
    ("an extension with a line feed", "5;a\nhello~0~~"),
    ("an extension of the last chunk", "0;a~~"),
    ("a space after the size", "5 ~hello~0~~"),
    ("a space before the size", " 5~hello~0~~"),
    ("a tab after the size", "5\t~hello~0~~"),
    ("a size with 0x", "0x5~hello~0~~"),
    ("a size with a plus", "+5~hello~0~~"),
    ("a negative size", "-5~hello~0~~"),
    ("a size with an underscore", "0_5~hello~0~~"),
    ("a size with a comma", "5,5~hello~0~~"),
    ("a size that is no number", "five~hello~0~~"),
    ("no size", "~hello~0~~"),
    ("a size of 2^64 + 5", "10000000000000005~hello~0~~"),
    ("a size of many digits", "00000000000000000005~hello~0~~"),
    ("more data than its size", "5~hello!~0~~"),
    ("less data than its size", "7~hello~0~~"),
    ("no line end after data", "5~hello0~~"),
    ("a line feed after data", "5~hello\n0~~"),
    ("a trailer without a colon", "0~GET /smuggled HTTP/1.1~~"),
    ("a folded trailer", "0~X: a~ b~~"),
    ("a trailer with a space before its colon", "0~X : a~~"),
    ("a trailer with a line feed", "0~X: a\n~~"),
    ("a trailer with a NUL", "0~X: a\0~~"),
    ("a line feed at the end", "0~\n"),
];
