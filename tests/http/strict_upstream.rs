//! An HTTP/1 upstream that keeps its connections and reads strictly: a byte that is no part of a request with one meaning
//! (RFC 9112) is noted as an error. It answers each request with that
//! request's own mark and body.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use socket2::SockRef;
use testkit::http::PATIENCE;

/// A running upstream. Its threads end with the test's process.
pub(crate) struct StrictUpstream {
    pub address: SocketAddr,
    log: Arc<Mutex<Log>>,
}

/// What has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub requests: Vec<ReadRequest>,
    /// Bytes that are no part of a request.
    pub errors: Vec<String>,
}

/// One request, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadRequest {
    /// The number of the connection that it came on.
    pub connection: usize,
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl ReadRequest {
    /// Every value under this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }
}

impl StrictUpstream {
    /// Listens on 127.0.0.1 on a free port.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::<Mutex<Log>>::default();
        let shared = Arc::clone(&log);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let log = Arc::clone(&shared);
                thread::spawn(move || serve(stream, number, &log));
            }
        });
        Self { address, log }
    }

    /// What has come so far.
    pub(crate) fn log(&self) -> Log {
        self.log.lock().unwrap().clone()
    }

    /// Takes these requests out of what has come, and all errors.
    pub(crate) fn take(&self, wanted: impl Fn(&ReadRequest) -> bool) -> Log {
        let mut log = self.log.lock().unwrap();
        let requests = log.requests.extract_if(.., |request| wanted(request)).collect();
        Log { requests, errors: std::mem::take(&mut log.errors) }
    }
}

fn serve(stream: TcpStream, connection: usize, log: &Mutex<Log>) {
    stream.set_nodelay(true).unwrap();
    let mut reader = Reader { stream, buffer: Vec::new() };
    loop {
        match read_request(&mut reader, connection) {
            Ok(Some(request)) => {
                let (answer, closes) = (answer(&request), closes(&request));
                log.lock().unwrap().requests.push(request);
                if closes {
                    // The end comes with the last byte: a request that is sent in between would be lost, whoever sends it.
                    SockRef::from(&reader.stream).set_tcp_cork(true).unwrap();
                }
                if reader.stream.write_all(&answer).is_err() || closes {
                    return;
                }
            }
            Ok(None) => return,
            // A request that is broken off is none.
            Err(error) if error.kind() != io::ErrorKind::InvalidData => return,
            Err(error) => {
                let rest = String::from_utf8_lossy(&reader.buffer).into_owned();
                log.lock().unwrap().errors.push(format!("{error} before {rest:?} on connection {connection}"));
                return;
            }
        }
    }
}

/// Answers with what the request carried, so that nobody can take it for the answer to another. Its target says how the answer is framed.
fn answer(request: &ReadRequest) -> Vec<u8> {
    let mark = request.all("x-mark").concat();
    let body = [mark.as_bytes(), b"\n", &request.body].concat();
    let head = format!("HTTP/1.1 200 OK\r\nX-Mark: {mark}\r\n");
    let with_length = format!("{head}Content-Length: {}\r\n\r\n", body.len());
    let (head, framed) = match request.target.as_str() {
        "/chunked" => {
            let chunks =
                body.chunks(7).flat_map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
            (
                format!("{head}Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n"),
                chunks.chain(*b"0\r\nx-sum: 1\r\n\r\n").collect(),
            )
        }
        "/empty" => (format!("HTTP/1.1 204 No Content\r\nX-Mark: {mark}\r\n\r\n"), Vec::new()),
        "/hints" => (format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{with_length}"), body),
        _ => (with_length, body),
    };
    if request.method == "HEAD" { head.into_bytes() } else { [head.into_bytes(), framed].concat() }
}

/// Whether the connection ends with the answer, which says nothing of it.
fn closes(request: &ReadRequest) -> bool {
    request.target == "/close"
}

struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Reader {
    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 4096];
        let count = self.stream.read(&mut piece)?;
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count)
    }

    /// The next line without its CRLF, or nothing at the end of the connection.
    fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.drain(..=end).collect::<Vec<_>>();
                let line = line.strip_suffix(b"\r\n").ok_or_else(|| invalid("a line ends without CR"))?;
                let is_plain = line.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..));
                return if is_plain {
                    Ok(Some(String::from_utf8_lossy(line).into_owned()))
                } else {
                    Err(invalid("a control character"))
                };
            }
            if self.fill()? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

fn read_request(reader: &mut Reader, connection: usize) -> io::Result<Option<ReadRequest>> {
    let Some(line) = reader.line()? else { return Ok(None) };
    let mut parts = line.split(' ');
    let (method, target) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(method), Some(target), Some("HTTP/1.1"), None) if is_token(method) && target.starts_with('/') => {
            (method.to_owned(), target.to_owned())
        }
        _ => return Err(invalid(&format!("{line:?} is no request line"))),
    };
    // Somebody waits: what has begun must come to its end.
    reader.stream.set_read_timeout(Some(PATIENCE))?;
    let fields = read_fields(reader)?;
    let request = ReadRequest { connection, method, target, fields, body: Vec::new() };
    let body = match (request.all("content-length").as_slice(), request.all("transfer-encoding").as_slice()) {
        ([], []) => Vec::new(),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length = length.parse().map_err(|_| invalid("a length that is no number"))?;
            reader.exactly(length)?
        }
        ([], ["chunked"]) => read_chunks(reader)?,
        framing => return Err(invalid(&format!("{framing:?} frames nothing"))),
    };
    reader.stream.set_read_timeout(None)?;
    Ok(Some(ReadRequest { body, ..request }))
}

fn read_fields(reader: &mut Reader) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = reader.line()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(fields);
        }
        match line.split_once(':') {
            Some((name, value)) if is_token(name) => fields.push((name.to_lowercase(), value.trim().to_owned())),
            _ => return Err(invalid(&format!("{line:?} is no field"))),
        }
    }
}

fn read_chunks(reader: &mut Reader) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = reader.line()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let is_size = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = usize::from_str_radix(&line, 16).ok().filter(|_| is_size);
        let size = size.ok_or_else(|| invalid(&format!("{line:?} is no chunk size")))?;
        body.extend(reader.exactly(size)?);
        if reader.line()?.is_none_or(|line| !line.is_empty()) {
            return Err(invalid("a chunk or the last one has more than its size"));
        }
        if size == 0 {
            return Ok(body);
        }
    }
}
