//! Requests on the admin port, read as strictly as those of callers, within short times and small sizes, and their answers.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::http1::head::{Framing, Head, Search};
use crate::http1::target::shown_path;

/// A request, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As sent: names of methods are case-sensitive (RFC 9110 §9.1).
    pub method: String,
    /// Without query.
    pub path: String,
    /// Whether it has the field `Origin`, as a browser's has.
    pub is_from_browser: bool,
    /// Whether `Host` names a domain, of which anybody can own one: neither an address, nor `localhost`, nor a name without a dot.
    pub names_domain: bool,
    /// Whether another may follow on its connection.
    pub persists: bool,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status of the response.
    pub status: StatusCode,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// Further header fields, each with its line end.
    pub security: &'static str,
    /// The content. For HEAD it is only measured.
    pub body: Vec<u8>,
    /// Whether only the length of the body is told (HEAD).
    pub is_bodiless: bool,
    /// Whether the connection is kept for another request.
    pub keeps: bool,
}

/// What a client has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A whole and sound request.
    Request(Request),
    /// No request of HTTP/1: it is answered with this status, and the connection closed.
    Refused(StatusCode),
    /// The client has closed its side, or let its time pass.
    Gone,
}

/// Reads a request. `buffer` holds what has come of it, and afterwards what has come of the next one. Its first byte must come
/// within `idle`, and its last within `HEAD_TIME` from there.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>, idle: Duration) -> Read {
    if buffer.is_empty() && !matches!(timeout(idle, stream.read_buf(buffer)).await, Ok(Ok(1..))) {
        return Read::Gone;
    }
    timeout(HEAD_TIME, read_begun(stream, buffer)).await.unwrap_or(Read::Gone)
}

async fn read_begun(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Read {
    let mut search = Search::default();
    loop {
        let Ok(found) = search.end(buffer) else { return Read::Refused(StatusCode::BAD_REQUEST) };
        if found.unwrap_or(buffer.len()) > HEAD_SIZE {
            return Read::Refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        if let Some(length) = found {
            let head: Vec<u8> = buffer.drain(..length).collect();
            return Head::parse(&head, FIELDS)
                .map_or(Read::Refused(StatusCode::BAD_REQUEST), |head| Read::Request(Request::of(&head)));
        }
        if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
            return Read::Gone;
        }
    }
}

impl Request {
    fn of(head: &Head<'_>) -> Self {
        Self {
            method: head.method.to_owned(),
            path: String::from_utf8_lossy(shown_path(head.target)).into_owned(),
            is_from_browser: head.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"origin")),
            names_domain: head
                .fields
                .iter()
                .any(|(name, value)| name.eq_ignore_ascii_case(b"host") && is_domain(value)),
            // Nobody reads a body here.
            persists: head.persists && head.framing == Framing::Length(0),
        }
    }
}

/// Whether the value of `Host` is a name with a dot and no address. What is no text is none of ours either.
fn is_domain(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return true };
    if host.starts_with('[') {
        return false;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.contains('.') && name.parse::<Ipv4Addr>().is_err()
}

/// Writes an answer.
///
/// # Errors
/// If the client does not take it in time.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> io::Result<()> {
    let connection = if answer.keeps { "" } else { "connection: close\r\n" };
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\n{}{connection}\r\n",
        answer.status.as_str(),
        answer.status.canonical_reason().unwrap_or_default(),
        answer.content_type,
        answer.body.len(),
        answer.security,
    );
    let body = if answer.is_bodiless { &[][..] } else { &answer.body };
    let written = timeout(WRITE_TIME, async {
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        stream.flush().await
    });
    written.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// How long a head may take from its first byte to its last.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// How long a client may take to accept an answer.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// The largest head, in bytes, and the most fields in it. A scrape has a few hundred bytes.
const HEAD_SIZE: usize = 8 * 1024;
const FIELDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    async fn read_all(sent: &[u8]) -> Vec<Read> {
        let (mut client, mut server) = tokio::io::duplex(64 * 1024);
        client.write_all(sent).await.unwrap();
        drop(client);
        let (mut buffer, mut reads) = (Vec::new(), Vec::new());
        loop {
            let read = read(&mut server, &mut buffer, IDLE).await;
            let goes_on = matches!(read, Read::Request(_));
            reads.push(read);
            if !goes_on {
                return reads;
            }
        }
    }

    fn request(method: &str, path: &str) -> Request {
        Request {
            method: method.into(),
            path: path.into(),
            is_from_browser: false,
            names_domain: false,
            persists: true,
        }
    }

    #[tokio::test]
    async fn one_request_follows_another() {
        let sent = b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\nHEAD /metrics?a=b HTTP/1.1\r\nHost: h\r\n\r\n";
        let (first, second) = (request("GET", "/livez"), request("HEAD", "/metrics"));
        assert_eq!(read_all(sent).await, [Read::Request(first), Read::Request(second), Read::Gone]);
    }

    #[tokio::test]
    async fn a_body_and_a_wish_to_close_end_the_connection_and_origin_is_noticed() {
        for (field, is_from_browser, persists) in [
            ("Connection: close", false, false),
            ("Content-Length: 5", false, false),
            ("Transfer-Encoding: chunked", false, false),
            ("oRIGIN: http://localhost", true, true),
            ("X-Origin: a", false, true),
        ] {
            let sent = format!("POST /drain HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n");
            let expected = Request { is_from_browser, persists, ..request("POST", "/drain") };
            assert_eq!(read_all(sent.as_bytes()).await[0], Read::Request(expected), "{field}");
        }
    }

    #[test]
    fn addresses_and_names_without_a_dot_are_no_domains() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9901",
            "10.0.0.7:9901",
            "[::1]:9901",
            "localhost",
            "localhost:9901",
            "email:9901",
            "",
        ] {
            assert!(!is_domain(host.as_bytes()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9901",
            "127.0.0.1.nip.example:9901",
            "localhost.",
            "email.mail.svc:9901",
            "127.1",
        ] {
            assert!(is_domain(host.as_bytes()), "{host}");
        }
        assert!(is_domain(b"\xff"));
    }

    #[tokio::test]
    async fn what_is_ambiguous_or_too_large_is_refused() {
        let large = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(HEAD_SIZE));
        for (sent, status) in [
            ("GET / HTTP/1.1\n\n", 400),
            ("GET /livez HTTP/1.1\r\n\r\n", 400),
            ("POST /drain HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (&large, 431),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(read_all(sent.as_bytes()).await, [Read::Refused(status)], "{sent}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_after_the_idle_time_and_a_slow_head_after_its_own() {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let began = tokio::time::Instant::now();
        assert_eq!(read(&mut server, &mut Vec::new(), IDLE).await, Read::Gone);
        assert_eq!(began.elapsed(), IDLE);
        client.write_all(b"GET").await.unwrap();
        assert_eq!(read(&mut server, &mut Vec::new(), IDLE).await, Read::Gone);
        assert_eq!(began.elapsed(), IDLE + HEAD_TIME);
    }
}
