//! An upstream that closes a connection while it is used again: tried once more if that can do no harm, and never otherwise.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::http::Connection;
use crate::support::issuer::Issuer;
use crate::support::refusal::assert_problem;
use crate::support::request::Request;
use crate::support::server::Server;
use crate::support::setup::{AUDIENCE, Setup};
use crate::support::sidecar::Sidecar;
use crate::support::stage::start_ready;

struct Scene {
    sidecar: Sidecar,
    token: String,
    upstream: Server,
    seen: Arc<Mutex<Vec<String>>>,
}

/// An upstream that answers so many requests on each of its connections, and closes it when it has read the next.
fn scene(answered: impl Fn(usize) -> usize + Send + Sync + 'static) -> Scene {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let connections = AtomicUsize::new(0);
    let log = Arc::clone(&seen);
    let upstream = Server::local(Arc::new(move |mut connection: Connection| {
        let mut left = answered(connections.fetch_add(1, Ordering::SeqCst));
        while let Some(head) = connection.read_head()? {
            log.lock().unwrap().push(head.start.clone());
            if left == 0 {
                return Ok(());
            }
            left -= 1;
            connection.read_body(Connection::request_body(&head))?;
            connection.send_answer("200 OK", &[], b"ok")?;
        }
        Ok(())
    }));
    let upstream = upstream.unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    Scene { sidecar, token, upstream, seen }
}

impl Scene {
    fn ask(&self, request: Request) -> u16 {
        let answer = self.sidecar.connect().exchange(request.bearer(&self.token).bytes()).unwrap();
        if answer.status() != 200 {
            assert_eq!(answer.status(), 502, "{}", answer.text());
            assert_problem(&answer, "upstream_unreachable");
        }
        answer.status()
    }

    fn seen(&self) -> Vec<String> {
        let _still_up = self.upstream.address();
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

#[test]
fn a_safe_request_is_tried_once_more_when_a_used_connection_is_closed_under_it() {
    let scene = scene(|_| 1);
    assert_eq!(scene.ask(Request::new("GET", "/a")), 200);
    assert_eq!(scene.ask(Request::new("GET", "/b")), 200);
    assert_eq!(scene.seen(), ["GET /a HTTP/1.1", "GET /b HTTP/1.1", "GET /b HTTP/1.1"]);
}

#[test]
fn a_request_that_the_upstream_may_have_acted_upon_is_not_tried_again() {
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let scene = scene(|_| 1);
        assert_eq!(scene.ask(Request::new(method, "/a").body(b"once")), 200);
        assert_eq!(scene.ask(Request::new(method, "/b").body(b"once")), 502, "{method}");
        assert_eq!(scene.seen().len(), 2, "{method}");
    }
}

#[test]
fn a_request_on_a_fresh_connection_is_not_tried_again() {
    let scene = scene(|_| 0);
    assert_eq!(scene.ask(Request::new("GET", "/a")), 502);
    assert_eq!(scene.seen(), ["GET /a HTTP/1.1"]);
}

#[test]
fn a_request_is_tried_twice_and_never_more() {
    let scene = scene(|connection| usize::from(connection == 0));
    assert_eq!(scene.ask(Request::new("GET", "/a")), 200);
    assert_eq!(scene.ask(Request::new("GET", "/b")), 502);
    assert_eq!(scene.seen().len(), 3);
}
