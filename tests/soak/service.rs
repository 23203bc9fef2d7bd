//! What stands behind the program: a service of HTTP/1 and one of gRPC. Both say in their answers what they have seen.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use serde_json::json;
use testkit::http::{Connection, Head, PATIENCE};
use testkit::server::Server;

/// The header in which each request says which one it is.
pub(crate) const MARK: &str = "x-mark";
/// Where an answer without JSON says what the service has seen.
pub(crate) const CALLERS: &str = "x-seen-callers";

/// The requests that have reached a service and are waited for, and those that must not reach one.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<(HashSet<String>, Vec<String>)>);

impl Arrivals {
    fn note(&self, mark: &str) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if mark.starts_with("waited-") {
            noted.0.insert(mark.to_owned());
        }
        if mark.starts_with("refused-") {
            noted.1.push(mark.to_owned());
        }
    }

    /// Whether a request has arrived. It is forgotten then.
    pub(crate) fn take(&self, mark: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.remove(mark)
    }

    /// Waits until it has.
    pub(crate) fn wait(&self, mark: &str) -> bool {
        let end = Instant::now() + PATIENCE;
        while !self.take(mark) {
            if Instant::now() > end {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// The requests that should have been refused and were not.
    pub(crate) fn unwanted(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

/// Length and hash of a body.
pub(crate) fn fingerprint(body: &[u8]) -> (u64, u64) {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    (body.len() as u64, hasher.finish())
}

/// Every value under a name that a service could read as the caller's header.
fn callers<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<&'a str> {
    let folds = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-") == "x-caller-service";
    fields.filter(|(name, _)| folds(name)).map(|(_, value)| value).collect()
}

/// A service of HTTP/1. The last segment of the path says how it answers.
pub(crate) fn start(arrivals: &Arc<Arrivals>) -> Server {
    let arrivals = Arc::clone(arrivals);
    Server::local(Arc::new(move |connection| serve(connection, &arrivals))).expect("a free port")
}

fn serve(mut connection: Connection, arrivals: &Arrivals) -> io::Result<()> {
    while let Some(head) = connection.read_head()? {
        arrivals.note(head.header(MARK).unwrap_or_default());
        let fields = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let callers = callers(fields);
        match head.target().rsplit('/').next().unwrap_or_default() {
            "endless" => return send_events(&mut connection, &head, &callers, usize::MAX, Duration::from_millis(50)),
            "events" => send_events(&mut connection, &head, &callers, 10, Duration::from_millis(100))?,
            "hang" => {
                // Until the other side gives up.
                while connection.read_byte()?.is_some() {}
                return Ok(());
            }
            "socket" => {
                let seen = callers.join(",");
                let mark = head.header(MARK).unwrap_or_default();
                connection.send(format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{CALLERS}: {seen}\r\n\
                     {MARK}: {mark}\r\n\r\n"
                ))?;
                while let Some(byte) = connection.read_byte()? {
                    connection.send([byte])?;
                }
                return Ok(());
            }
            last => {
                let body = connection.read_body(Connection::request_body(&head))?;
                let padding = if last == "large" { 256 << 10 } else { 0 };
                let told = tell(&head, &callers, &body, padding);
                connection.send_answer("200 OK", &[("Content-Type", "application/json")], told.as_bytes())?;
            }
        }
    }
    Ok(())
}

fn tell(head: &Head, callers: &[&str], body: &[u8], padding: usize) -> String {
    let (length, hash) = fingerprint(body);
    let mark = head.header(MARK);
    json!({"callers": callers, "mark": mark, "length": length, "hash": hash, "padding": "x".repeat(padding)})
        .to_string()
}

fn send_events(
    connection: &mut Connection,
    head: &Head,
    callers: &[&str],
    count: usize,
    pause: Duration,
) -> io::Result<()> {
    connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    connection.send_chunk(format!("data: {}\n\n", tell(head, callers, b"", 0)).as_bytes())?;
    for number in 1..count {
        thread::sleep(pause);
        connection.send_chunk(format!("data: {number}\n\n").as_bytes())?;
    }
    connection.send_chunk(b"")
}

/// A service of gRPC: `Unary` answers with what was sent, `Stream` with ten messages of it, one each 50 ms.
pub(crate) fn start_grpc(arrivals: &Arc<Arrivals>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("a socket takes this");
    let arrivals = Arc::clone(arrivals);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a socket takes this");
                let arrivals = Arc::clone(&arrivals);
                tokio::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let arrivals = Arc::clone(&arrivals);
                        // A call that fails was left by its caller.
                        tokio::spawn(async move { call(request, respond, &arrivals).await.ok() });
                    }
                });
            }
        });
    });
    address
}

async fn call(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    arrivals: &Arrivals,
) -> Result<(), h2::Error> {
    let (head, mut stream) = request.into_parts();
    let mark = head.headers.get(MARK).cloned().unwrap_or_else(|| HeaderValue::from_static(""));
    arrivals.note(mark.to_str().unwrap_or_default());
    let fields = head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("?")));
    let callers = callers(fields).join(",");
    let body = read(&mut stream).await?;
    let answer = Response::builder().header("content-type", "application/grpc").header(MARK, mark);
    let answer = answer.header(CALLERS, callers).body(()).expect("a head");
    let mut stream = respond.send_response(answer, false)?;
    let count = if head.uri.path().ends_with("/Stream") { 10 } else { 1 };
    for number in 0..count {
        if number > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stream.send_data(body.clone(), false)?;
    }
    let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
    stream.send_trailers(HeaderMap::from_iter([status]))
}

/// Reads a body of HTTP/2 to its end.
pub(crate) async fn read(stream: &mut RecvStream) -> Result<Bytes, h2::Error> {
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    Ok(body.into())
}
