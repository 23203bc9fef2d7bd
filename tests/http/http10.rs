//! Clients of HTTP/1.0: they get no chunks and no interim responses, and the end of the connection is the end of a body whose length
//! nobody has said (RFC 9112 §6.1, RFC 9110 §15.2).

use std::sync::Arc;

use testkit::http::Connection;
use testkit::issuer::Issuer;
use testkit::refusal::assert_unauthorized;
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

struct Scene {
    issuer: Issuer,
    sidecar: Sidecar,
    _upstream: Server,
}

impl Scene {
    /// An upstream that announces its response, and then answers in chunks, or with a length.
    fn set() -> Self {
        let upstream = Server::local(Arc::new(|mut connection: Connection| {
            while let Some(head) = connection.read_head()? {
                connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")?;
                if head.target() == "/length" {
                    connection.send_answer("200 OK", &[], b"hello world")?;
                    continue;
                }
                connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")?;
                connection.send_chunk(b"hello")?;
                connection.send_chunk(b" world")?;
                connection.send("0\r\nX-Sum: 1\r\n\r\n")?;
            }
            Ok(())
        }));
        let upstream = upstream.unwrap();
        let issuer = Issuer::start("https://auth.internal.example");
        let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer));
        Self { issuer, sidecar, _upstream: upstream }
    }

    fn request(&self, path: &str, version: &str, connection: &str) -> String {
        let token = self.issuer.mint(&self.issuer.claims("billing", AUDIENCE));
        let line = if connection.is_empty() { String::new() } else { format!("Connection: {connection}\r\n") };
        format!("GET {path} HTTP/{version}\r\nHost: h\r\nAuthorization: Bearer {token}\r\n{line}\r\n")
    }
}

#[test]
fn a_client_of_http10_gets_a_response_that_it_can_read() {
    let scene = Scene::set();
    let recorded = |n: usize| scene.sidecar.audit(n).expect("a record")["status"].clone();
    for (n, connection) in ["", "keep-alive"].into_iter().enumerate() {
        let mut client = scene.sidecar.connect();
        client.send(scene.request("/chunks", "1.0", connection)).unwrap();
        let answer = client.read_answer("").unwrap();
        assert_eq!((answer.status(), answer.text()), (200, "hello world".into()), "no interim response before it");
        assert_eq!((answer.header("transfer-encoding"), answer.header("trailer")), (None, None));
        assert_eq!(answer.head.all("connection"), ["close"], "the end of the connection is the end of the body");
        assert_eq!(recorded(n), 200);
    }
    let mut client = scene.sidecar.connect();
    for n in 2..4 {
        client.send(scene.request("/length", "1.0", "keep-alive")).unwrap();
        let answer = client.read_answer("").unwrap();
        assert_eq!((answer.status(), answer.text()), (200, "hello world".into()));
        assert_eq!(answer.head.all("connection"), ["keep-alive"], "where the end is known, it serves on");
        assert_eq!(recorded(n), 200);
    }
    let refused = scene.sidecar.connect().exchange("GET / HTTP/1.0\r\nHost: h\r\n\r\n").unwrap();
    assert_unauthorized(&refused, "token_missing");
    assert_eq!(recorded(4), 401);
}

#[test]
fn a_client_of_http11_gets_the_interim_response_and_chunks() {
    let scene = Scene::set();
    let mut client = scene.sidecar.connect();
    for _ in 0..2 {
        client.send(scene.request("/chunks", "1.1", "")).unwrap();
        let hints = client.read_head().unwrap().unwrap();
        assert_eq!((hints.status(), hints.header("link")), (103, Some("</a>")));
        let answer = client.read_answer("").unwrap();
        assert_eq!((answer.status(), answer.text()), (200, "hello world".into()));
        assert_eq!(answer.head.all("transfer-encoding"), ["chunked"]);
        assert_eq!(answer.header("trailer"), None, "what is dropped is not announced");
    }
}

#[test]
fn names_of_fields_reach_the_upstream_in_lower_case_and_values_as_they_were() {
    let (seen, heads) = std::sync::mpsc::channel();
    let seen = std::sync::Mutex::new(seen);
    let upstream = Server::local(Arc::new(move |mut connection: Connection| {
        while let Some(head) = connection.read_head()? {
            let _test_is_over = seen.lock().unwrap().send(head);
            connection.send_answer("200 OK", &[], b"")?;
        }
        Ok(())
    }));
    let upstream = upstream.unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let request = Request::new("GET", "/A").bearer(&token).header("X-Own-ID", "Kept As It Is").header("x-own-id", "b");
    assert_eq!(sidecar.connect().exchange(request.bytes()).unwrap().status(), 200);
    let head = heads.recv().unwrap();
    let own: Vec<_> = head.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-own-id")).collect();
    let [(first, kept), (second, b)] = own[..] else { panic!("both arrive: {head:?}") };
    assert_eq!((first.as_str(), kept.as_str()), ("x-own-id", "Kept As It Is"));
    assert_eq!((second.as_str(), b.as_str()), ("x-own-id", "b"));
    assert_eq!(head.all("x-caller-service"), ["billing"]);
}
