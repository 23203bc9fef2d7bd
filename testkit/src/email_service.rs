//! An embedded email service, the upstream that Callgate protects: `POST /send` answers `202 Accepted`.
//!
//! It checks nothing and believes `X-Caller-Service`, as the real one does. It writes down every request byte by byte,
//! from the moment its head arrives, so that "the upstream saw nothing" can be said with certainty.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::http::{Connection, Head};
use super::server::{Address, Handler, Server};

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Request line and header fields, in their order and spelling.
    pub head: Head,
    /// The body as far as it has come, its transfer coding removed.
    pub body: Vec<u8>,
}

impl Received {
    /// Every value under a name that a backend could read as `X-Caller-Service`: any case, `_` or `.` for `-`.
    pub fn callers(&self) -> Vec<&str> {
        let fold = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
        let folds = |(name, _): &&(String, String)| fold(name) == "x-caller-service";
        self.head.headers.iter().filter(folds).map(|(_, value)| value.as_str()).collect()
    }
}

/// A running email service.
pub struct EmailService {
    server: Server,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    received: Mutex<Vec<Received>>,
    changed: Condvar,
}

impl EmailService {
    /// Listens as [`Server::local`] does.
    pub fn start() -> Self {
        Self::on(Server::local).expect("it can listen")
    }

    /// Listens on this TCP address.
    pub fn at(address: SocketAddr) -> io::Result<Self> {
        Self::on(|handler| Server::tcp(address, handler))
    }

    /// Listens on a Unix socket.
    pub fn start_unix(path: &Path) -> Self {
        Self::on(|handler| Server::unix(path, handler)).expect("the socket can be bound")
    }

    fn on(listen: impl FnOnce(Handler) -> io::Result<Server>) -> io::Result<Self> {
        let log = Arc::<Log>::default();
        Ok(Self { server: listen(handler(&log))?, log })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        self.server.address()
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.log.lock().clone()
    }

    /// The latest request.
    pub fn latest(&self) -> Option<Received> {
        self.log.lock().last().cloned()
    }

    /// Waits until what has arrived so far satisfies a condition; false if the deadline passes first.
    pub fn wait_until(&self, deadline: Duration, condition: impl Fn(&[Received]) -> bool) -> bool {
        let end = Instant::now() + deadline;
        let mut received = self.log.lock();
        while !condition(&received) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            received = self.log.changed.wait_timeout(received, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, head: &Head) -> usize {
        let mut received = self.lock();
        received.push(Received { head: head.clone(), body: Vec::new() });
        self.changed.notify_all();
        received.len() - 1
    }

    fn extend(&self, place: usize, piece: &[u8]) {
        self.lock()[place].body.extend_from_slice(piece);
        self.changed.notify_all();
    }
}

fn handler(log: &Arc<Log>) -> Handler {
    let log = Arc::clone(log);
    Arc::new(move |connection| serve(connection, &log))
}

fn serve(mut connection: Connection, log: &Log) -> io::Result<()> {
    while let Some(head) = connection.read_head()? {
        let place = log.begin(&head);
        if head.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut body = Connection::request_body(&head);
        while let Some(piece) = connection.read_piece(&mut body)? {
            log.extend(place, &piece);
        }
        answer(&mut connection, &head, place)?;
        if head.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close")) {
            break;
        }
    }
    Ok(())
}

fn answer(connection: &mut Connection, head: &Head, place: usize) -> io::Result<()> {
    let path = head.target().split('?').next().unwrap_or_default();
    let json_type = [("Content-Type", "application/json; charset=utf-8")];
    match (head.method(), path) {
        ("POST", "/send") => {
            let body = json!({"status": "queued", "id": format!("email-{}", place + 1)});
            connection.send_answer("202 Accepted", &json_type, body.to_string().as_bytes())
        }
        ("GET", "/healthz") => connection.send_answer("200 OK", &json_type, br#"{"status":"ok"}"#),
        _ => {
            let message = format!("Cannot {} {path}", head.method());
            let body = json!({"statusCode": 404, "error": "Not Found", "message": message});
            connection.send_answer("404 Not Found", &json_type, body.to_string().as_bytes())
        }
    }
}
