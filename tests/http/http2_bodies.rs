//! Bodies in frames, however they are cut, reach an upstream of HTTP/1 with exactly one end.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::strict_upstream::StrictUpstream;
use testkit::http::PATIENCE;
use testkit::issuer::Issuer;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

struct Scene {
    issuer: Issuer,
    upstream: StrictUpstream,
    sidecar: Sidecar,
}

impl Scene {
    fn set() -> Self {
        let upstream = StrictUpstream::start();
        let issuer = Issuer::start("https://auth.internal.example");
        let setup = Setup::before_address(&upstream.address.to_string());
        let public = "[[public]]\npath = \"/public\"\nmethods = [\"GET\", \"POST\"]";
        let sidecar = start_ready(&setup.trusting(&issuer).with(public));
        Self { issuer, upstream, sidecar }
    }

    async fn connect(&self) -> SendRequest<Bytes> {
        let stream = TcpStream::connect(self.sidecar.listen()).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        client.ready().await.unwrap()
    }

    fn request(&self, method: &str, path: &str, mark: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(format!("http://email.internal.example{path}"));
        let request = request.header("x-mark", mark);
        if path == "/public" {
            return request;
        }
        let token = self.issuer.mint(&self.issuer.claims("billing", AUDIENCE));
        request.header("authorization", format!("Bearer {token}"))
    }
}

/// Sends a request in these frames, of which the last one ends the stream, and reads its whole answer.
async fn exchange(
    client: &SendRequest<Bytes>,
    request: Request<()>,
    frames: &[&'static [u8]],
) -> (Response<()>, Vec<u8>) {
    let mut client = client.clone().ready().await.unwrap();
    let (answer, mut body) = client.send_request(request, frames.is_empty()).unwrap();
    for (n, frame) in frames.iter().enumerate() {
        body.send_data(Bytes::from_static(frame), n + 1 == frames.len()).unwrap();
    }
    let (head, mut pieces) = timeout(PATIENCE, answer).await.expect("it is answered").unwrap().into_parts();
    let mut whole = Vec::new();
    while let Some(piece) = timeout(PATIENCE, pieces.data()).await.expect("its body comes") {
        whole.extend_from_slice(&piece.unwrap());
    }
    (Response::from_parts(head, ()), whole)
}

#[tokio::test]
async fn an_empty_last_frame_puts_nothing_before_the_next_request_of_a_kept_connection() {
    let scene = Scene::set();
    let bodies: [&[&[u8]]; 7] = [
        &[],
        &[b""],
        &[b"hello"],
        &[b"hello", b""],
        &[b"", b"hello", b""],
        &[b"", b"hel", b"", b"", b"lo", b"", b""],
        &[b"", b"", b"", b"", b"", b"", b"", b"", b""],
    ];
    let mut asked = Vec::new();
    for method in ["POST", "GET", "PUT"] {
        for path in ["/send", "/public"] {
            // A connection takes a hundred empty frames and no more.
            let client = scene.connect().await;
            for frames in bodies {
                for length in [None, Some(frames.concat().len())] {
                    if method == "PUT" && path == "/public" {
                        continue;
                    }
                    let mark = asked.len().to_string();
                    let mut request = scene.request(method, path, &mark);
                    if let Some(length) = length {
                        request = request.header("content-length", length);
                    }
                    let case = format!("{method} {path} {frames:?} {length:?}");
                    let (head, body) = exchange(&client, request.body(()).unwrap(), frames).await;
                    assert_eq!(head.status(), 200, "{case}");
                    assert_eq!(head.headers()["x-mark"], mark, "{case}: the answer to another request");
                    assert_eq!(body, [mark.as_bytes(), b"\n", &frames.concat()].concat(), "{case}");
                    asked.push((method, path, mark, frames.concat()));
                }
            }
        }
    }
    let log = scene.upstream.log();
    assert_eq!(log.errors, <[String; 0]>::default());
    let read = log
        .requests
        .iter()
        .map(|one| (one.method.as_str(), one.target.as_str(), one.all("x-mark").concat(), one.body.clone()));
    assert_eq!(read.collect::<Vec<_>>(), asked);
    assert!(log.requests.iter().filter(|one| one.connection == 0).count() > 1, "the connection is kept");
    for n in 0..asked.len() {
        assert_eq!(scene.sidecar.audit(n).expect("it is in the audit")["status"], 200);
    }
}

#[tokio::test]
async fn fields_that_frames_allow_and_http1_does_not_are_put_in_order() {
    let scene = Scene::set();
    let client = scene.connect().await;
    let request = scene.request("POST", "/chunked", "1").header("cookie", "a=1").header("cookie", "b=2; c=3");
    let request =
        request.header("proxy", "http://evil.example").header("trailer", "x-sum").header("expect", "100-Continue");
    let (head, _) = exchange(&client, request.body(()).unwrap(), &[b"{}"]).await;
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers().get("trailer"), None, "its trailers are not forwarded");
    let log = scene.upstream.log();
    assert_eq!(log.requests[0].all("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!((log.requests[0].all("proxy").len(), log.requests[0].all("trailer").len()), (0, 0));
    assert_eq!(scene.sidecar.audit(0).expect("it is in the audit")["status"], 200);
    let request = scene.request("POST", "/send", "2").header("expect", "200-ok");
    let (head, _) = exchange(&client, request.body(()).unwrap(), &[b"{}"]).await;
    assert_eq!(head.status(), 400);
    assert_eq!(scene.sidecar.audit(1).expect("it is in the audit")["reason"], "request_malformed");
    assert_eq!(scene.upstream.log().requests.len(), 1);
}

/// Bodies of answers in frames, of which the last one ends the stream, unless trailers do.
const ANSWERS: [(&[&[u8]], bool); 8] = [
    (&[], false),
    (&[b""], false),
    (&[b"hello"], false),
    (&[b"hello", b""], false),
    (&[b"", b"hel", b"", b"lo", b"", b""], false),
    (&[], true),
    (&[b"hello"], true),
    (&[b"", b"hello", b""], true),
];

/// Answers `/n` and `/n/length` with the answer of that number, and 204 to `/none`.
async fn serve_answers(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let path = request.uri().path().trim_start_matches('/').to_owned();
                let (number, has_length) = path.split_once('/').map_or((path.as_str(), false), |(n, _)| (n, true));
                let Some((frames, trailers)) = number.parse().ok().and_then(|n: usize| ANSWERS.get(n)) else {
                    respond.send_response(Response::builder().status(204).body(()).unwrap(), true).unwrap();
                    continue;
                };
                let mut response = Response::builder().header("trailer", "x-sum");
                if has_length {
                    response = response.header("content-length", frames.concat().len());
                }
                let is_bare = request.method() == "HEAD" || frames.is_empty() && !trailers;
                let mut body = respond.send_response(response.body(()).unwrap(), is_bare).unwrap();
                if is_bare {
                    continue;
                }
                for (n, frame) in frames.iter().enumerate() {
                    body.send_data(Bytes::from_static(frame), n + 1 == frames.len() && !trailers).unwrap();
                }
                if *trailers {
                    body.send_trailers([("x-sum".parse().unwrap(), "1".parse().unwrap())].into_iter().collect())
                        .unwrap();
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_frames_have_one_end_for_clients_of_both_protocols() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve_answers(listener));
    let issuer = Issuer::start("https://auth.internal.example");
    let setup = Setup::before_address(&upstream).upstream("protocol = \"h2c\"");
    let sidecar = start_ready(&setup.trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let stream = TcpStream::connect(sidecar.listen()).await.unwrap();
    let (frames_client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut http1_client = sidecar.connect();
    for method in ["GET", "POST", "HEAD"] {
        for (n, (frames, trailers)) in ANSWERS.iter().enumerate() {
            for path in [format!("/{n}"), format!("/{n}/length")] {
                let case = format!("{method} {path} {frames:?} {trailers}");
                let wanted = if method == "HEAD" { Vec::new() } else { frames.concat() };
                let request = Request::builder().method(method).uri(format!("http://email.internal.example{path}"));
                let request = request.header("authorization", format!("Bearer {token}")).body(()).unwrap();
                let (head, body) = exchange(&frames_client, request, &[]).await;
                assert_eq!((head.status().as_u16(), &body), (200, &wanted), "{case}");
                // On one connection, with an answer between: what is left over would stand before the next.
                for (path, status, wanted) in [(path.as_str(), 200, &wanted), ("/none", 204, &Vec::new())] {
                    let request = testkit::request::Request::new(method, path).bearer(&token);
                    let asked_with = if method == "HEAD" { "HEAD" } else { "" };
                    http1_client.send(request.bytes()).unwrap();
                    let head = http1_client.read_head().unwrap().expect("the connection is kept");
                    assert!(head.start.starts_with(&format!("HTTP/1.1 {status} ")), "{case}: {head:?}");
                    assert_eq!(head.header("trailer"), None, "{case}: no trailers follow");
                    let framing = testkit::http::Connection::answer_body(&head, asked_with);
                    assert_eq!(&http1_client.read_body(framing).unwrap(), wanted, "{case}");
                }
            }
        }
    }
}
