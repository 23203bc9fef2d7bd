//! HTTP/1.1 with nothing hidden, for the servers of the demo and the clients and upstreams of the tests.
//!
//! A finished HTTP library folds the spelling, the order and the repetition of header fields and decides
//! when bytes are sent. Those are the very things that have to be seen here, so this is written by hand: blocking,
//! one thread per connection. It trusts its peer and must never stand in front of a network.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::socket::Socket;

/// How long a read or a write may wait for the other side before the demo or the test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The start line and the header fields, as they stood on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The request line or the status line, without its line end.
    pub start: String,
    /// Names in their original spelling, in their original order. Each char is one byte (ISO 8859-1).
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The request's method, or the HTTP version of an answer.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The request's target, exactly as it was sent.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The status of an answer; 0 if this is none.
    pub fn status(&self) -> u16 {
        self.target().parse().unwrap_or(0)
    }

    /// Every value sent under `name`, whatever the case of its letters.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str()).collect()
    }

    /// The first value sent under `name`, whatever the case of its letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    fn chunked(&self) -> bool {
        self.all("transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked"))
    }
}

/// An answer with its whole body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status line and header fields.
    pub head: Head,
    /// The body, its transfer coding removed.
    pub body: Vec<u8>,
}

impl Answer {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// The first value sent under `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What is still to come of a body, and how its end is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// In chunks; this many bytes are left of the current one.
    Chunked(u64),
    /// This many bytes.
    Sized(u64),
    /// Up to the end of the connection.
    UntilClose,
}

/// One connection, seen from either end.
pub struct Connection {
    reader: BufReader<Socket>,
}

impl Connection {
    /// Connects over TCP.
    pub fn open(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::over(Socket::Tcp(TcpStream::connect(address)?))
    }

    /// Connects to a Unix socket.
    pub fn open_unix(path: &Path) -> io::Result<Self> {
        Self::over(Socket::Unix(UnixStream::connect(path)?))
    }

    /// Speaks over a socket that is already connected.
    pub fn over(socket: Socket) -> io::Result<Self> {
        socket.prepare(PATIENCE)?;
        Ok(Self { reader: BufReader::new(socket) })
    }

    /// The local address, if this is TCP.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.reader.get_ref().local_address()
    }

    /// Sends exactly these bytes, now.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let socket = self.reader.get_mut();
        socket.write_all(bytes.as_ref())?;
        socket.flush()
    }

    /// Sends one chunk of a chunked body; an empty one ends it.
    pub fn send_chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.send(framed)
    }

    /// Sends a whole answer with a `Content-Length`.
    pub fn send_answer(&mut self, status: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str("\r\n");
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes)
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        self.reader.get_ref().finish_writing()
    }

    /// The next head, or nothing if the other side has closed the connection.
    pub fn read_head(&mut self) -> io::Result<Option<Head>> {
        let Some(start) = self.read_line()? else { return Ok(None) };
        let mut head = Head { start, headers: Vec::new() };
        loop {
            let line = self.read_line()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(Some(head));
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            head.headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// The body that follows the head of a request.
    pub fn request_body(head: &Head) -> Body {
        if head.chunked() { Body::Chunked(0) } else { Body::Sized(head.length().unwrap_or(0)) }
    }

    /// The body that follows the head of an answer (RFC 9112 section 6.3).
    pub fn answer_body(head: &Head, asked_with: &str) -> Body {
        let none = asked_with == "HEAD" || matches!(head.status(), 100..=199 | 204 | 304);
        match head.length() {
            _ if none => Body::Sized(0),
            _ if head.chunked() => Body::Chunked(0),
            Some(length) => Body::Sized(length),
            None => Body::UntilClose,
        }
    }

    /// The next piece of a body as soon as it has come, or nothing at its end.
    pub fn read_piece(&mut self, body: &mut Body) -> io::Result<Option<Vec<u8>>> {
        if *body == Body::Chunked(0) {
            let size = self.read_line()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            if size == 0 {
                while self.read_line()?.is_some_and(|trailer| !trailer.is_empty()) {}
                *body = Body::Sized(0);
                return Ok(None);
            }
            *body = Body::Chunked(size);
        }
        let wanted = match *body {
            Body::Chunked(left) | Body::Sized(left) => left.min(1 << 16),
            Body::UntilClose => 1 << 16,
        };
        let mut piece = vec![0; usize::try_from(wanted).unwrap_or(1 << 16)];
        let count = if piece.is_empty() { 0 } else { self.reader.read(&mut piece)? };
        piece.truncate(count);
        match body {
            Body::Sized(0) => return Ok(None),
            Body::UntilClose => return Ok((count > 0).then_some(piece)),
            Body::Chunked(_) | Body::Sized(_) if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Body::Chunked(left) => {
                *left -= count as u64;
                if *left == 0 {
                    self.read_line()?;
                }
            }
            Body::Sized(left) => *left -= count as u64,
        }
        Ok(Some(piece))
    }

    /// The whole body.
    pub fn read_body(&mut self, mut body: Body) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(piece) = self.read_piece(&mut body)? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// The next answer with its body; interim answers (1xx) are passed over.
    pub fn read_answer(&mut self, asked_with: &str) -> io::Result<Answer> {
        loop {
            let head = self.read_head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if head.status() >= 200 {
                let body = self.read_body(Self::answer_body(&head, asked_with))?;
                return Ok(Answer { head, body });
            }
        }
    }

    /// Sends a whole request and reads its answer.
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> io::Result<Answer> {
        let request = request.as_ref();
        self.send(request)?;
        self.read_answer(if request.starts_with(b"HEAD ") { "HEAD" } else { "" })
    }

    /// The next byte of whatever is spoken, or nothing if the other side has closed the connection.
    pub fn read_byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.reader.read(&mut byte)? > 0).then_some(byte[0]))
    }

    fn read_line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        if self.reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        while line.last().is_some_and(|last| matches!(last, b'\r' | b'\n')) {
            line.pop();
        }
        Ok(Some(line.into_iter().map(char::from).collect()))
    }
}
