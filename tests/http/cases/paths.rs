//! Paths that look like a public one. Without a token only a canonical path with its method passes; with one, anybody may ask.

use super::{Case, play};
use testkit::stage::Stage;

const PUBLIC: &str = "[[public]]\npath = \"/healthz\"\nmethods = [\"GET\"]\n\
                      [[public]]\npath = \"/public/*\"\nmethods = [\"GET\", \"HEAD\"]";

#[test]
fn whatever_only_looks_like_a_public_path_asks_for_a_token() {
    let stage = Stage::set_with(|setup| setup.with(PUBLIC));
    play(&stage, PROTECTED, |played| played.is_refused(401, "token_missing"));
    stage.assert_nothing_received();
    stage.end();
}

#[test]
fn a_public_path_passes_without_a_token_and_without_a_caller() {
    let stage = Stage::set_with(|setup| setup.with(PUBLIC));
    play(&stage, OPEN, |played| {
        let status = if played.answer.status() == 200 { 200 } else { 404 };
        played.is_forwarded(status, &[])?;
        let received = played.stage.email.received();
        let head = &received.last().ok_or("nothing")?.head;
        let told = head.headers.iter().find(|(_, value)| value.contains("admin"));
        told.map_or(Ok(()), |told| Err(format!("the upstream was told {told:?}")))
    });
    assert_eq!(stage.email.received().len(), OPEN.len());
    stage.end();
}

const PROTECTED: &[Case] = &[
    ("another method", "POST /healthz HTTP/1.1~Host: h~Content-Length: 0~~"),
    ("OPTIONS", "OPTIONS /healthz HTTP/1.1~Host: h~~"),
    ("a preflight", "OPTIONS /send HTTP/1.1~Host: h~Origin: https://o~Access-Control-Request-Method: POST~~"),
    ("OPTIONS of everything", "OPTIONS * HTTP/1.1~Host: h~~"),
    ("the method in small letters", "get /healthz HTTP/1.1~Host: h~~"),
    ("a slash at the end", "GET /healthz/ HTTP/1.1~Host: h~~"),
    ("a slash too many", "GET //healthz HTTP/1.1~Host: h~~"),
    ("a way up and down", "GET /send/../healthz HTTP/1.1~Host: h~~"),
    ("a way down and up", "GET /healthz/../send HTTP/1.1~Host: h~~"),
    ("a way nowhere", "GET /./healthz HTTP/1.1~Host: h~~"),
    ("another case", "GET /Healthz HTTP/1.1~Host: h~~"),
    ("an escaped letter", "GET /%68ealthz HTTP/1.1~Host: h~~"),
    ("an escaped slash", "GET /%2fhealthz HTTP/1.1~Host: h~~"),
    ("an escape at the end", "GET /healthz%20 HTTP/1.1~Host: h~~"),
    ("an escaped NUL", "GET /healthz%00 HTTP/1.1~Host: h~~"),
    ("an escaped question mark", "GET /healthz%3f HTTP/1.1~Host: h~~"),
    ("a parameter", "GET /healthz;x=y HTTP/1.1~Host: h~~"),
    ("a backslash", "GET /healthz\\ HTTP/1.1~Host: h~~"),
    ("a suffix", "GET /healthz.json HTTP/1.1~Host: h~~"),
    ("a longer name", "GET /healthzz HTTP/1.1~Host: h~~"),
    ("an absolute target", "GET http://h/healthz HTTP/1.1~Host: h~~"),
    ("the path in the query", "GET /send?/healthz HTTP/1.1~Host: h~~"),
    ("a header that rewrites the path", "GET /send HTTP/1.1~Host: h~X-Original-URL: /healthz~~"),
    ("a header that says where it was", "GET /send HTTP/1.1~Host: h~X-Forwarded-Uri: /healthz~~"),
    ("a header that says who it is", "GET /send HTTP/1.1~Host: h~X-Forwarded-For: 127.0.0.1~~"),
    ("the agent of a probe", "GET /send HTTP/1.1~Host: h~User-Agent: kube-probe/1.30~~"),
    (
        "a header that changes the method",
        "POST /healthz HTTP/1.1~Host: h~X-HTTP-Method-Override: GET~Content-Length: 0~~",
    ),
    ("the prefix itself", "GET /public HTTP/1.1~Host: h~~"),
    ("the prefix with its slash", "GET /public/ HTTP/1.1~Host: h~~"),
    ("a longer segment", "GET /publicity/a HTTP/1.1~Host: h~~"),
    ("the prefix in another case", "GET /PUBLIC/a HTTP/1.1~Host: h~~"),
    ("the prefix further down", "GET /send/public/a HTTP/1.1~Host: h~~"),
    ("below the prefix and up", "GET /public/../send HTTP/1.1~Host: h~~"),
    ("below the prefix and up twice", "GET /public/a/../../send HTTP/1.1~Host: h~~"),
    ("below the prefix and nowhere", "GET /public/./a HTTP/1.1~Host: h~~"),
    ("up at the end", "GET /public/a/.. HTTP/1.1~Host: h~~"),
    ("up with a parameter", "GET /public/..;/send HTTP/1.1~Host: h~~"),
    ("up with escapes", "GET /public/%2e%2e/send HTTP/1.1~Host: h~~"),
    ("up with one escape", "GET /public/.%2e/send HTTP/1.1~Host: h~~"),
    ("up with an escaped slash", "GET /public/..%2fsend HTTP/1.1~Host: h~~"),
    ("up with an escaped backslash", "GET /public/..%5csend HTTP/1.1~Host: h~~"),
    ("up with a double escape", "GET /public/%252e%252e/send HTTP/1.1~Host: h~~"),
    ("up with a backslash", "GET /public/..\\send HTTP/1.1~Host: h~~"),
    ("up with a long dot", "GET /public/%c0%ae%c0%ae/send HTTP/1.1~Host: h~~"),
    ("an empty segment", "GET /public//send HTTP/1.1~Host: h~~"),
    ("a parameter below", "GET /public/a;b HTTP/1.1~Host: h~~"),
    ("an escape below", "GET /public/%61 HTTP/1.1~Host: h~~"),
    ("a brace below", "GET /public/{a} HTTP/1.1~Host: h~~"),
    ("another method below", "POST /public/a HTTP/1.1~Host: h~Content-Length: 0~~"),
];

const OPEN: &[Case] = &[
    ("the path", "GET /healthz HTTP/1.1~Host: h~~"),
    ("with a query", "GET /healthz?verbose=../x HTTP/1.1~Host: h~~"),
    ("in HTTP/1.0", "GET /healthz HTTP/1.0~Host: h~~"),
    ("below the prefix", "GET /public/a HTTP/1.1~Host: h~~"),
    ("far below the prefix", "GET /public/a/b/c.css HTTP/1.1~Host: h~~"),
    ("with the second method", "HEAD /public/a HTTP/1.1~Host: h~~"),
    ("with a token that is worth nothing", "GET /healthz HTTP/1.1~Host: h~Authorization: Bearer x~~"),
    ("with a caller's name", "GET /healthz HTTP/1.1~Host: h~X-Caller-Service: admin~~"),
    ("with a caller's name in disguise", "GET /healthz HTTP/1.1~Host: h~X_Caller.Service: admin~~"),
    ("with a header that rewrites the path", "GET /healthz HTTP/1.1~Host: h~X-Original-URL: /admin~~"),
    ("with another that does", "GET /healthz HTTP/1.1~Host: h~X-Rewrite-URL: /admin~~"),
    ("with one in disguise", "GET /healthz HTTP/1.1~Host: h~X_Original_Url: /admin~~"),
    ("with a header that changes the method", "GET /healthz HTTP/1.1~Host: h~X-HTTP-Method-Override: admin~~"),
    (
        "with a wish for a websocket",
        "GET /healthz HTTP/1.1~Host: h~Connection: Upgrade~Upgrade: websocket~Sec-WebSocket-Version: 13~~",
    ),
];
