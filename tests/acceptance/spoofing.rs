//! The header with the caller's name is ours alone to write, however a client spells it.

use testkit::request::Request;
use testkit::stage::Stage;

const SPELLINGS: [&str; 8] = [
    "X-Caller-Service",
    "x-caller-service",
    "X-CALLER-SERVICE",
    "X_Caller_Service",
    "x_caller-service",
    "X.Caller.Service",
    "X-Caller.Service",
    "x_CALLER.service",
];

#[test]
fn caller_that_names_itself_is_overruled_in_every_spelling() {
    let stage = Stage::set();
    let mut connection = stage.sidecar.connect();
    for (n, spelling) in SPELLINGS.into_iter().enumerate() {
        let request = Request::send().header(spelling, "admin").bearer(&stage.token()).header(spelling, "root");
        assert_eq!(connection.exchange(request.bytes()).unwrap().status(), 202);
        let received = &stage.email.received()[n];
        assert_eq!(received.callers(), ["billing"], "{spelling}: {:#?}", received.head);
        assert_eq!(stage.audit(n)["caller"], "billing");
    }
    stage.end();
}

#[test]
fn all_spellings_at_once_are_overruled() {
    let stage = Stage::set();
    let spoofed = SPELLINGS.into_iter().fold(Request::send(), |request, name| request.header(name, "admin"));
    assert_eq!(stage.ask(&spoofed.bearer(&stage.token())).status(), 202);
    assert_eq!(stage.only_received().callers(), ["billing"]);
    stage.end();
}

#[test]
fn name_of_the_header_in_connection_does_not_take_ours_away() {
    let stage = Stage::set();
    let mut connection = stage.sidecar.connect();
    for (n, listed) in
        ["X-Caller-Service", "x-caller-service, keep-alive", "close, X-Caller-Service"].into_iter().enumerate()
    {
        let request =
            Request::send().header("Connection", listed).header("X-Caller-Service", "admin").bearer(&stage.token());
        let answer = connection.exchange(request.bytes()).unwrap();
        assert_eq!(answer.status(), 202, "{listed}: {}", answer.text());
        assert_eq!(stage.email.received()[n].callers(), ["billing"], "{listed}");
    }
    stage.end();
}

#[test]
fn name_in_a_trailer_does_not_reach_the_upstream() {
    let stage = Stage::set();
    let head = Request::new("POST", "/send")
        .bearer(&stage.token())
        .header("Transfer-Encoding", "chunked")
        .header("Trailer", "X-Caller-Service");
    let mut connection = stage.sidecar.connect();
    connection.send(head.head()).unwrap();
    connection.send("2\r\n{}\r\n0\r\nX-Caller-Service: admin\r\n\r\n").unwrap();
    assert_eq!(connection.read_answer("POST").unwrap().status(), 202);
    let received = stage.only_received();
    assert_eq!(received.callers(), ["billing"]);
    assert_eq!(received.body, b"{}");
    stage.end();
}

#[test]
fn name_on_a_refused_request_changes_nothing() {
    let stage = Stage::set();
    let refused = stage.ask(&Request::send().header("X-Caller-Service", "billing"));
    assert_eq!(refused.status(), 401);
    stage.assert_nothing_received();
    assert!(stage.audit(0)["caller"].is_null());
    stage.end();
}

#[test]
fn name_on_a_public_path_is_taken_away() {
    let stage = Stage::set_with(|setup| setup.with("[[public]]\npath = \"/healthz\"\nmethods = [\"GET\"]"));
    let spoofed =
        SPELLINGS.into_iter().fold(Request::new("GET", "/healthz"), |request, name| request.header(name, "admin"));
    assert_eq!(stage.ask(&spoofed).status(), 200);
    assert!(stage.only_received().callers().is_empty(), "{:#?}", stage.email.received());
    stage.end();
}
