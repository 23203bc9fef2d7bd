//! A server that answers each request with what a test says, over plain TCP or TLS, and then closes the connection.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What to do with a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// A whole answer.
    Answer { status: String, headers: Vec<String>, body: String },
    /// A body without end.
    Endless { chunked: bool },
    /// Headers without end.
    EndlessHead,
    /// Nothing, until the client goes away.
    Hang,
    /// These bytes and no more.
    Raw(String),
}

impl Reply {
    pub(super) fn ok(body: &str) -> Self {
        Self::Answer { status: "200 OK".to_owned(), headers: Vec::new(), body: body.to_owned() }
    }

    pub(super) fn status(status: &str) -> Self {
        Self::Answer { status: status.to_owned(), headers: Vec::new(), body: String::new() }
    }

    pub(super) fn to(location: &str) -> Self {
        Self::status("302 Found").with(&format!("Location: {location}"))
    }

    pub(super) fn with(mut self, header: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push(header.to_owned());
        }
        self
    }

    fn write(&self, client: &mut dyn ReadWrite) -> io::Result<()> {
        match self {
            Self::Answer { status, headers, body } => {
                let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
                if !status.starts_with("204") && !status.starts_with("304") {
                    head += &format!("Content-Length: {}\r\n", body.len());
                }
                for header in headers {
                    head += &format!("{header}\r\n");
                }
                client.write_all(format!("{head}\r\n{body}").as_bytes())?;
            }
            Self::Endless { chunked } => {
                let framing = if *chunked { "Transfer-Encoding: chunked" } else { "Content-Length: 99999999999" };
                client.write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes())?;
                let piece = "x".repeat(0x1000);
                let piece = if *chunked { format!("1000\r\n{piece}\r\n") } else { piece };
                loop {
                    client.write_all(piece.as_bytes())?;
                }
            }
            Self::EndlessHead => {
                client.write_all(b"HTTP/1.1 200 OK\r\n")?;
                loop {
                    client.write_all(format!("X-Long: {}\r\n", "x".repeat(1000)).as_bytes())?;
                }
            }
            Self::Hang => drop(client.read(&mut [0])),
            Self::Raw(bytes) => client.write_all(bytes.as_bytes())?,
        }
        client.flush()
    }
}

/// A connection, with TLS or without.
trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// What is done with a connection.
type Serve<'a> = &'a dyn Fn(&mut dyn ReadWrite) -> io::Result<()>;

/// A running server. Once it is dropped, connections to it are refused.
pub(super) struct Server {
    scheme: &'static str,
    host: String,
    seen: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_knowing_itself(move |head, _| script(head))
    }

    /// The script also gets the server's own URL.
    pub(super) fn start_knowing_itself(script: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("http", "127.0.0.1", script, |stream, answer| answer(&mut { stream }))
    }

    pub(super) fn start_tls(config: Arc<ServerConfig>, script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let script = move |head: &str, _: &str| script(head);
        Self::listen("https", "localhost", script, move |stream, answer| {
            let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            let mut client = StreamOwned::new(connection, stream);
            answer(&mut client)?;
            client.conn.send_close_notify();
            client.flush()
        })
    }

    /// An issuer by its own URL, whose discovery document names this address, or a path of its own.
    pub(super) fn discovering(jwks_uri: &str) -> Self {
        let jwks_uri = jwks_uri.to_owned();
        Self::start_knowing_itself(move |head, own| {
            let uri = if jwks_uri.starts_with('/') { format!("{own}{jwks_uri}") } else { jwks_uri.clone() };
            match head.starts_with("GET /.well-known/openid-configuration ") {
                true => Reply::ok(&format!(r#"{{"issuer":"{own}","jwks_uri":"{uri}"}}"#)),
                false => Reply::ok(r#"{"keys":[]}"#),
            }
        })
    }

    fn listen(
        scheme: &'static str,
        name: &str,
        script: impl Fn(&str, &str) -> Reply + Send + Sync + 'static,
        wrap: impl Fn(TcpStream, Serve<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let mut server = Self {
            scheme,
            host: format!("{name}:{port}"),
            seen: Arc::default(),
            ended: Arc::default(),
            listening: None,
        };
        let (own, seen, ended) = (server.url(""), Arc::clone(&server.seen), Arc::clone(&server.ended));
        let shared = Arc::new((script, wrap, own, seen));
        server.listening = Some(thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let (script, wrap, own, seen) = &*shared;
                    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                    // A client that does not like the answer goes away, which is what some tests want.
                    wrap(stream, &|client| {
                        let head = read_head(client)?;
                        seen.lock().expect("a list").push(head.clone());
                        script(&head, own).write(client)
                    })
                });
            }
        }));
        server
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.host)
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The heads of the requests so far.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("a list").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it has ended.
        let address = self.host.replace("localhost", "127.0.0.1");
        if TcpStream::connect(address).is_ok() {
            let _ = self.listening.take().map(JoinHandle::join);
        }
    }
}

fn read_head(client: &mut dyn ReadWrite) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).map_err(io::Error::other)
}
