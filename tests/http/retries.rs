//! An upstream that closes a connection while it is used again: tried once more if it cannot have seen a byte of the request, and
//! never otherwise, whatever the method.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::http::{Answer, Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::refusal::{assert_problem, request_id};
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// What an upstream does with a connection on which it has answered as often as it wants to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Closes it at once.
    Closes,
    /// Reads one more request and closes it.
    ReadsAndCloses,
    /// Reads half of one more request, and lets the kernel say that the rest is not wanted.
    ReadsAndResets,
    /// Says what nobody asked for.
    Speaks,
}

struct Scene {
    sidecar: Sidecar,
    token: String,
    seen: Arc<Mutex<Vec<String>>>,
    done: Receiver<()>,
    _upstream: Server,
}

/// An upstream that answers so many requests on its nth connection, and then does something else.
fn scene(then: Then, answered: impl Fn(usize) -> usize + Send + Sync + 'static) -> Scene {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let connections = AtomicUsize::new(0);
    let log = Arc::clone(&seen);
    let (sender, done) = mpsc::channel();
    let sender = Mutex::new(sender);
    let upstream = Server::local(Arc::new(move |mut connection: Connection| {
        let mut left = answered(connections.fetch_add(1, Ordering::SeqCst));
        while left > 0 || matches!(then, Then::ReadsAndCloses) {
            let Some(head) = connection.read_head()? else { return Ok(()) };
            log.lock().unwrap().push(head.start.clone());
            if left == 0 {
                return Ok(());
            }
            left -= 1;
            connection.read_body(Connection::request_body(&head))?;
            let body: &[u8] = if head.method() == "HEAD" { b"" } else { b"ok" };
            connection.send_answer("200 OK", &[], body)?;
        }
        match then {
            Then::Closes | Then::ReadsAndCloses => {}
            Then::ReadsAndResets => {
                // One read takes less than the whole of it, and closed with bytes unread a connection is reset.
                connection.read_byte()?;
                log.lock().unwrap().push("half a request".into());
            }
            Then::Speaks => connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")?,
        }
        let goes_on = then == Then::Speaks;
        let kept = goes_on.then_some(connection);
        let _test_is_over = sender.lock().unwrap().send(());
        if let Some(mut connection) = kept {
            while let Some(head) = connection.read_head()? {
                log.lock().unwrap().push(head.start);
            }
        }
        Ok(())
    }));
    let upstream = upstream.unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    Scene { sidecar, token, seen, done, _upstream: upstream }
}

impl Scene {
    fn answer(&self, method: &str, path: &str) -> Answer {
        let request = Request::new(method, path).bearer(&self.token).header("X-Filler", &"x".repeat(12_000));
        let request = if matches!(method, "POST" | "PUT" | "PATCH") { request.body(b"once") } else { request };
        self.sidecar.connect().exchange(request.bytes()).unwrap()
    }

    /// Asks, and looks for what was answered in the audit.
    fn ask(&self, method: &str, path: &str) -> u16 {
        let answer = self.answer(method, path);
        if answer.status() != 200 {
            assert_eq!(answer.status(), 502, "{method}: {}", answer.text());
            if method != "HEAD" {
                assert_problem(&answer, "upstream_unreachable");
                let audit = self.sidecar.audit_for(&request_id(&answer)).expect("it is in the audit");
                assert_eq!(audit["reason"], "upstream_unreachable");
            }
        }
        let record = self.sidecar.audit_where(|record| record["path"] == path && record["method"] == method);
        let record = record.expect("it is in the audit");
        assert_eq!((&record["caller"], &record["status"]), (&"billing".into(), &answer.status().into()));
        let mut records = self.sidecar.audit_so_far();
        records.retain(|line| line.contains(&format!("\"path\":\"{path}\"")));
        assert_eq!(records.len(), 1, "a request is recorded once, however often it is tried: {records:?}");
        answer.status()
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn wait_until_closed(&self) {
        self.done.recv_timeout(PATIENCE).expect("the upstream closes its connection");
    }
}

#[test]
fn a_connection_that_was_closed_while_idle_costs_nobody_an_answer_whatever_the_method() {
    for method in METHODS {
        let scene = scene(Then::Closes, |_| 1);
        assert_eq!(scene.ask(method, "/a"), 200);
        scene.wait_until_closed();
        assert_eq!(scene.ask(method, "/b"), 200, "{method}");
        let once = ["/a", "/b"].map(|path| format!("{method} {path} HTTP/1.1"));
        assert_eq!(scene.seen(), once, "each was seen once");
    }
}

#[test]
fn a_request_that_the_upstream_has_read_is_not_tried_again_whatever_the_method() {
    for then in [Then::ReadsAndCloses, Then::ReadsAndResets] {
        for method in METHODS {
            let scene = scene(then, |_| 1);
            assert_eq!(scene.ask(method, "/a"), 200);
            assert_eq!(scene.ask(method, "/b"), 502, "{method}, {then:?}");
            assert_eq!(scene.seen().len(), 2, "{method}, {then:?}: {:?}", scene.seen());
        }
    }
}

#[test]
fn a_request_on_a_fresh_connection_is_not_tried_again() {
    for method in ["GET", "POST"] {
        let scene = scene(Then::ReadsAndCloses, |_| 0);
        assert_eq!(scene.ask(method, "/a"), 502);
        assert_eq!(scene.seen(), [format!("{method} /a HTTP/1.1")]);
    }
}

#[test]
fn what_an_upstream_says_unasked_is_the_answer_to_nothing() {
    let scene = scene(Then::Speaks, |connection| if connection == 0 { 1 } else { usize::MAX });
    assert_eq!(scene.ask("GET", "/a"), 200);
    scene.wait_until_closed();
    let answer = scene.answer("GET", "/b");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    assert_eq!(scene.seen(), ["GET /a HTTP/1.1", "GET /b HTTP/1.1"], "on another connection");
}

#[test]
fn no_request_is_seen_twice_however_close_its_connection_is_to_its_end() {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&seen);
    let round = AtomicUsize::new(0);
    let upstream = Server::local(Arc::new(move |mut connection: Connection| {
        let Some(head) = connection.read_head()? else { return Ok(()) };
        connection.read_body(Connection::request_body(&head))?;
        log.lock().unwrap().push(head.target().to_owned());
        connection.send_answer("200 OK", &[], b"ok")?;
        // From at once to later than the next request.
        let pause = round.fetch_add(1, Ordering::Relaxed) as u64 * 7 % 400;
        std::thread::sleep(Duration::from_micros(pause));
        Ok(())
    }));
    let upstream = upstream.unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let mut connection = sidecar.connect();
    for n in 0..300 {
        let request = Request::new("POST", &format!("/{n}")).bearer(&token).body(b"once").bytes();
        let status = connection.exchange(&request).unwrap().status();
        assert!(matches!(status, 200 | 502), "{status}");
        let times = seen.lock().unwrap().iter().filter(|path| **path == format!("/{n}")).count();
        // Answered by the upstream if and only if it was seen there, and once.
        assert_eq!(times, usize::from(status == 200), "request {n} was answered with {status}");
        if status == 502 {
            connection = sidecar.connect();
        }
    }
}
