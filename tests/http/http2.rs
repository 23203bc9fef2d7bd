//! HTTP/2 from the first byte, without TLS: the same rules for what comes in frames.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, StatusCode};
use tokio::net::TcpStream;

use testkit::stage::Stage;

/// What was answered.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn reason(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["reason"].as_str().unwrap_or_default().to_owned()
    }
}

async fn connect(stage: &Stage) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(stage.sidecar.listen()).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

async fn ask(client: &SendRequest<Bytes>, request: Request<()>, body: &[u8]) -> Result<Got, h2::Error> {
    let mut client = client.clone().ready().await?;
    let (answer, mut stream) = client.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        // The answer may come first, and end the stream.
        let _refused = stream.send_data(Bytes::copy_from_slice(body), true);
    }
    let answer = answer.await?;
    let (head, mut stream) = answer.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        body.extend_from_slice(&piece?);
    }
    Ok(Got { status: head.status, headers: head.headers, body })
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = Request::builder().method(method).uri(format!("http://email.internal.example{path}"));
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
}

#[tokio::test]
async fn a_request_in_frames_is_judged_and_forwarded_like_any_other() {
    let stage = Stage::set();
    let bearer = format!("Bearer {}", stage.token());
    let client = connect(&stage).await;
    let refused = ask(&client, request("POST", "/send", &[]), b"{}").await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (401, "token_missing"));
    assert!(refused.headers.contains_key("www-authenticate"));
    stage.assert_nothing_received();
    // Each stream is recorded by itself, once its answer has left: only a record that is waited for comes before the next.
    let first = stage.audit(0);
    assert_eq!(first["reason"], "token_missing");

    let spoofed = [("authorization", bearer.as_str()), ("x-caller-service", "admin"), ("x_caller_service", "root")];
    let answer = ask(&client, request("POST", "/send?a=b", &spoofed), b"{}").await.unwrap();
    assert_eq!(answer.status, 202);
    let received = stage.only_received();
    assert_eq!(received.head.start, "POST /send?a=b HTTP/1.1");
    assert_eq!(received.callers(), ["billing"]);
    assert_eq!(received.head.all("host"), ["email.internal.example"]);
    assert_eq!(received.head.all("via"), ["2 callgate"]);
    assert_eq!(received.body, b"{}");
    let second = stage.audit(1);
    assert_eq!(second["caller"], "billing");
    assert!(second["client"].as_str().is_some_and(|client| client.starts_with("127.0.0.1:")));
    assert_eq!(first["client"], second["client"], "both came on one connection");
    stage.end();
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_in_frames_too_and_others_go_on() {
    let stage = Stage::set_with(|setup| setup.with("[limits]\nheader_count = 20\nbody_size = \"1KiB\""));
    let bearer = format!("Bearer {}", stage.token());
    let token = ("authorization", bearer.as_str());
    let client = connect(&stage).await;
    let many: Vec<_> = (0..20).map(|n| (format!("x-{n}"), "y")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).chain([token]).collect();
    let large = vec![b'x'; 2000];
    type Case<'a> = (&'a str, Request<()>, &'a [u8], u16, &'a str);
    let cases: [Case<'_>; 12] = [
        (
            "a length in disguise",
            request("POST", "/send", &[token, ("content_length", "0")]),
            b"{}",
            400,
            "request_malformed",
        ),
        (
            "chunks in disguise",
            request("POST", "/send", &[token, ("transfer.encoding", "chunked")]),
            b"{}",
            400,
            "request_malformed",
        ),
        ("two tokens", request("POST", "/send", &[token, token]), b"{}", 401, "token_ambiguous"),
        ("TRACE", request("TRACE", "/send", &[token]), b"", 405, "method_refused"),
        ("many fields", request("POST", "/send", &many), b"{}", 431, "head_too_large"),
        ("a large body", request("POST", "/send", &[token]), &large, 413, "body_too_large"),
        (
            "a length that is too large",
            request("POST", "/send", &[token, ("content-length", "2000")]),
            &large,
            413,
            "body_too_large",
        ),
        (
            "a host with a user",
            Request::builder().method("POST").uri("http://u@h/send").header(token.0, token.1).body(()).unwrap(),
            b"",
            400,
            "",
        ),
        ("a quote in the path", request("POST", "/send\"", &[token]), b"", 400, "request_malformed"),
        ("a path that is not ASCII", request("POST", "/s\u{e9}nd", &[token]), b"", 400, "request_malformed"),
        ("a backtick in the query", request("POST", "/send?`", &[token]), b"", 400, "request_malformed"),
        ("another host", request("POST", "/send", &[token, ("host", "evil")]), b"", 400, ""),
    ];
    for (name, request, body, status, reason) in cases {
        let answer = ask(&client, request, body).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason), "{name}");
    }
    assert!(stage.email.received().iter().all(|received| received.body.len() <= 1024));
    let before = stage.email.received().len();
    let answer = ask(&client, request("POST", "/send", &[token]), b"{}").await.unwrap();
    assert_eq!((answer.status.as_u16(), stage.email.received().len()), (202, before + 1), "the connection serves on");
    stage.end();
}

#[tokio::test]
async fn connect_is_refused_in_frames_too() {
    let stage = Stage::set();
    let client = connect(&stage).await;
    let tunnel = Request::builder().method("CONNECT").uri("169.254.169.254:80").body(()).unwrap();
    let refused = ask(&client, tunnel, b"").await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (405, "method_refused"));
    assert_eq!(stage.audit(0)["reason"], "method_refused");
    stage.end();
}

#[tokio::test]
async fn public_paths_are_matched_in_frames_too() {
    let stage = Stage::set_with(|setup| setup.with("[[public]]\npath = \"/public/*\"\nmethods = [\"GET\"]"));
    let client = connect(&stage).await;
    for path in ["/public/../send", "/public/%2e%2e/send", "/public//a", "/Public/a", "/public", "//public/a"] {
        let refused = ask(&client, request("GET", path, &[]), b"").await.unwrap();
        assert_eq!(refused.status, 401, "{path}");
    }
    stage.assert_nothing_received();
    assert_eq!(
        ask(&client, request("GET", "/public/a", &[("x-original-url", "/admin")]), b"").await.unwrap().status,
        404
    );
    assert_eq!(stage.only_received().head.header("x-original-url"), None);
    stage.end();
}

#[tokio::test]
async fn a_connection_may_carry_so_many_requests_and_says_goodbye() {
    let stage = Stage::set_with(|setup| setup.with("[limits]\nrequests_per_connection = 2"));
    let bearer = format!("Bearer {}", stage.token());
    let client = connect(&stage).await;
    for _ in 0..2 {
        let answer = ask(&client, request("POST", "/send", &[("authorization", &bearer)]), b"").await.unwrap();
        assert_eq!(answer.status, 202);
    }
    let third = ask(&client, request("POST", "/send", &[("authorization", &bearer)]), b"").await;
    assert!(third.is_err(), "the connection takes no more");
    assert_eq!(stage.email.received().len(), 2);
    stage.end();
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let stage = Stage::set_with(|setup| setup.with("[limits]\nidle_time = \"300ms\""));
    let stream = TcpStream::connect(stage.sidecar.listen()).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let ended = tokio::spawn(connection);
    let client = client.ready().await.unwrap();
    assert_eq!(ask(&client, request("GET", "/", &[]), b"").await.unwrap().status, 401);
    tokio::time::timeout(testkit::http::PATIENCE, ended).await.expect("it is closed").unwrap().ok();
    stage.end();
}

#[test]
fn where_http2_is_switched_off_its_first_bytes_are_a_malformed_request() {
    for http2 in [true, false] {
        let stage = Stage::set_with(|setup| if http2 { setup } else { setup.listening_more("http2 = false") });
        let mut connection = stage.sidecar.connect();
        connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        if http2 {
            // The length of a frame of SETTINGS.
            assert_eq!(connection.read_byte().unwrap(), Some(0));
            drop(connection);
        } else {
            let refused = connection.read_answer("").unwrap();
            assert_eq!(refused.status(), 400);
            testkit::refusal::assert_problem(&refused, "request_malformed");
            assert_eq!(stage.audit(0)["reason"], "request_malformed");
        }
        let answer = stage.ask(&testkit::request::Request::send().bearer(&stage.token()));
        assert_eq!(answer.status(), 202, "HTTP/1.1 is spoken either way");
        stage.end();
    }
}
