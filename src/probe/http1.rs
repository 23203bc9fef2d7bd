//! Sends the bytes of an attempt as they are, and reads the responses of HTTP/1 (RFC 9112) that follow.

use std::io::{ErrorKind, Read as _, Write as _};

use super::answer::{Answer, End};
use super::connection::{Connector, Protocol, Stream};

/// Sends these bytes on a connection of their own.
pub(super) fn send(connector: &Connector, bytes: &[u8]) -> Answer {
    match connector.open(Protocol::Http1) {
        Ok(stream) => exchange(stream, bytes),
        Err(_) => Answer::none(End::Unreachable),
    }
}

/// Sends these bytes to another address, without TLS.
pub(super) fn send_to(connector: &Connector, address: &str, bytes: &[u8]) -> Answer {
    match connector.open_to(address) {
        Ok(stream) => exchange(stream, bytes),
        Err(_) => Answer::none(End::Unreachable),
    }
}

/// Sends these bytes, and reads until the other side closes, or the one response that announces its own end is here.
fn exchange(mut stream: Box<dyn Stream>, bytes: &[u8]) -> Answer {
    // Whoever refuses a request may close before it has been read; what was answered before still counts.
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    let mut read = Vec::new();
    let mut piece = vec![0; 16 * 1024];
    let end = loop {
        match stream.read(&mut piece) {
            Ok(0) => break End::Closed,
            Ok(count) => read.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break End::TimedOut,
            Err(_) => break End::Closed,
        }
        let so_far = responses(&read);
        if read.len() > READ_MAX || (so_far.closes && so_far.is_complete) {
            break End::Complete;
        }
    };
    let found = responses(&read);
    let end = if found.statuses.is_empty() { end } else { End::Complete };
    Answer { statuses: found.statuses, body: found.body, end }
}

#[derive(Default)]
struct Responses {
    statuses: Vec<u16>,
    body: Vec<u8>,
    /// The last response is here to its end.
    is_complete: bool,
    /// The last response says that none follows.
    closes: bool,
}

/// Reads one response after the other out of what came.
fn responses(mut rest: &[u8]) -> Responses {
    let mut found = Responses::default();
    while rest.starts_with(b"HTTP/1.") {
        let Some(end) = find(rest, b"\r\n\r\n") else { break };
        let (head, after) = rest.split_at(end + 4);
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let Some(status) = head.get(9..12).and_then(|status| status.parse::<u16>().ok()) else { break };
        // An interim response announces another (RFC 9110 section 15.2).
        if (100..200).contains(&status) && status != 101 {
            rest = after;
            continue;
        }
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let (body, after) = body(after, status, field("content-length:"), field("transfer-encoding:"));
        if found.statuses.is_empty() {
            found.body = body.unwrap_or(after).to_vec();
        }
        found.statuses.push(status);
        found.is_complete = body.is_some();
        found.closes = field("connection:").is_some_and(|value| value.contains("close"));
        rest = if body.is_some() { after } else { &[] };
    }
    found
}

/// The body, if its end is known and here, and what follows.
fn body<'a>(after: &'a [u8], status: u16, length: Option<&str>, coding: Option<&str>) -> (Option<&'a [u8]>, &'a [u8]) {
    if matches!(status, 204 | 304) {
        return (Some(&[]), after);
    }
    let end = match (coding, length) {
        (Some(_), _) if after.starts_with(b"0\r\n\r\n") => Some(5),
        (Some(_), _) => find(after, b"\r\n0\r\n\r\n").map(|at| at + 7),
        (None, Some(length)) => length.parse().ok(),
        (None, None) => None,
    };
    match end.and_then(|end| after.split_at_checked(end)) {
        Some((body, rest)) => (Some(body), rest),
        None => (None, after),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// More than a refusal or an echo of a head has.
const READ_MAX: usize = 256 * 1024;
