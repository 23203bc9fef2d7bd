//! An upstream that says more than its framing allows has said its last on that connection: nobody gets the rest of it for an answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::frames::{self, Client, DATA, END_HEADERS, END_STREAM, HEADERS};
use testkit::http::Connection;
use testkit::issuer::Issuer;
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::start_ready;

const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

/// What stands before the poison, by the method that it is asked with; and whether it stands there at once.
const CASES: [(&str, &str, &str, bool); 9] = [
    ("more than its length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
    ("more than its length, later", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
    (
        "bytes after the last chunk",
        "GET",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        true,
    ),
    (
        "bytes after the last chunk, later",
        "GET",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        false,
    ),
    ("a body after HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 54\r\n\r\n", true),
    ("a body after 204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", true),
    ("a body after 304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 54\r\n\r\n", true),
    ("a body after an empty one", "POST", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
    (
        "a final answer after hints and another",
        "GET",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        true,
    ),
];

/// Answers `/good` with a body of its own, and `/n` as the case of that number says.
fn serve(mut connection: Connection) -> io::Result<()> {
    while let Some(head) = connection.read_head()? {
        connection.read_body(Connection::request_body(&head))?;
        let Some((_, _, said, at_once)) = head.target()[1..].parse().ok().and_then(|n: usize| CASES.get(n)) else {
            connection.send_answer("200 OK", &[], b"good")?;
            continue;
        };
        if *at_once {
            connection.send(format!("{said}{POISON}"))?;
        } else {
            connection.send(said)?;
            std::thread::sleep(Duration::from_millis(20));
            connection.send(POISON)?;
        }
    }
    Ok(())
}

#[test]
fn what_an_upstream_says_beyond_its_answer_is_nobodys_answer() {
    let upstream = Server::local(Arc::new(serve)).unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let bearer = format!("Bearer {token}");
    for (n, (name, method, _, at_once)) in CASES.iter().enumerate() {
        for _ in 0..3 {
            let asked = sidecar.connect().exchange(Request::new(method, &format!("/{n}")).bearer(&token).bytes());
            assert!(matches!(asked.unwrap().status(), 200 | 204 | 304), "{name}");
            let mut client = Client::connect(sidecar.listen(), &[]);
            if !at_once {
                // It has been said when the next request comes: a connection is looked at before it is used again.
                std::thread::sleep(Duration::from_millis(60));
            }
            for stream in [1, 3, 5] {
                let answer = sidecar.connect().exchange(Request::new("GET", "/good").bearer(&token).bytes()).unwrap();
                assert_eq!((answer.status(), answer.text().as_str()), (200, "good"), "{name}");
                let good = frames::request("GET", "/good", &[("authorization", &bearer)]);
                client.send(HEADERS, END_HEADERS | END_STREAM, stream, &good).unwrap();
                assert_eq!(client.read_until(DATA).unwrap().payload, b"good", "{name}");
            }
        }
    }
    for record in sidecar.audit_so_far() {
        assert!(record.contains("\"decision\":\"forward\""), "{record}");
    }
}
