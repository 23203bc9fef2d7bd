//! A request's head (RFC 9112 §2–3, §5–6), read as strictly as the strictest of those who read it after us. It is read once:
//! what comes out is what is judged, forwarded and recorded.

use super::fields::{disguise, elements, is_token, is_value_byte, trimmed};
use super::target;
use crate::rejection::{Reason, Rejection};

/// A sound head, with its parts exactly as sent.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// A token (RFC 9110 §9.1), case-sensitive.
    pub method: &'a str,
    /// The request target (RFC 9112 §3.2).
    pub target: &'a [u8],
    /// Of HTTP, as the client speaks it.
    pub version: Version,
    /// Names and values, the latter without the white space around them.
    pub fields: Vec<(&'a [u8], &'a [u8])>,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client may send another request on its connection (RFC 9112 §9.3).
    pub persists: bool,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
}

/// The version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0, without chunks and interim responses.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How the bytes after a head are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Chunks, up to the last one.
    Chunked,
    /// That many bytes.
    Length(u64),
    /// Nothing belongs to the request, and if it is granted, everything belongs to a tunnel.
    Upgrade,
}

/// The search for the end of a head, which goes on where it stopped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Search {
    searched: usize,
}

/// What a record says of a request whose head is refused, as far as it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Empty if it cannot be read.
    pub method: String,
    /// Without query.
    pub path: String,
}

impl Search {
    /// The length of the head at the beginning of these bytes, which only grow from call to call; `None` if its end has not
    /// come.
    ///
    /// # Errors
    /// `request_malformed` for a line that ends with LF alone, and for a request that begins with an empty one. A CR elsewhere is a
    /// control character in what is judged.
    pub fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Rejection> {
        while let Some(distance) =
            bytes.get(self.searched..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let index = self.searched + distance;
            let before = |distance: usize| index.checked_sub(distance).and_then(|index| bytes.get(index));
            match before(2) {
                _ if before(1) != Some(&b'\r') => return malformed("a line ends with a bare line feed"),
                None => return malformed("the request begins with an empty line"),
                Some(b'\n') => return Ok(Some(index + 1)),
                Some(_) => self.searched = index + 1,
            }
        }
        self.searched = bytes.len();
        Ok(None)
    }
}

impl Sketch {
    /// Reads the request line of a head that may be anything.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        let mut parts =
            head.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default().split(|byte| *byte == b' ');
        let method = parts.next().filter(|method| is_token(method) && method.len() <= METHOD_MAX);
        let target = parts.next().filter(|target| target.iter().all(u8::is_ascii_graphic));
        let (Some(method), Some(target)) = (method, target) else { return Self::default() };
        let path = target::shown_path(target);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { method: text(method), path: text(path) }
    }
}

impl<'a> Head<'a> {
    /// Reads a whole head, its last empty line included, with at most that many fields.
    ///
    /// # Errors
    /// `request_malformed`, `method_refused` or `head_too_large`.
    pub fn parse(head: &'a [u8], fields_max: usize) -> Result<Self, Rejection> {
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let line = Line::read(lines.next().unwrap_or_default())?;
        let mut fields = Fields { all: Vec::with_capacity(FIELDS_USUAL.min(fields_max)), ..Fields::default() };
        for field in lines.take_while(|field| !field.is_empty()) {
            if fields.all.len() == fields_max {
                let detail = format!("the request has more than {fields_max} header fields");
                return Err(Rejection::new(Reason::HeadTooLarge, detail));
            }
            fields.add(field)?;
        }
        fields.framing(&line).map(|framing| Head {
            method: line.method,
            target: line.target,
            version: line.version,
            framing,
            persists: !fields.asks_for_close && (fields.asks_to_keep || line.version == Version::Http11),
            // RFC 9110 §10.1.1: of HTTP/1.0 it is ignored.
            expects_continue: fields.expects_continue && line.version == Version::Http11,
            fields: fields.all,
        })
    }
}

/// The request line.
struct Line<'a> {
    method: &'a str,
    target: &'a [u8],
    version: Version,
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Result<Self, Rejection> {
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return malformed("the request line is not a method, a target and a version with one space between each");
        };
        let version = match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ => return malformed("the request line does not end with HTTP/1.1 or HTTP/1.0"),
        };
        if method.len() > METHOD_MAX {
            return malformed(format!("the method has more than {METHOD_MAX} characters"));
        }
        if !is_token(method) {
            return malformed("the method is not a token of letters, digits and a few signs (RFC 9110 section 9.1)");
        }
        if is_refused_method(method) {
            return Err(method_refused());
        }
        if !target::is_sound(target, method) {
            return malformed(
                "the target is not a path, an http URI or '*' with OPTIONS, it is too long, or it has a character that no URI has",
            );
        }
        // A token has only ASCII characters.
        Ok(Self { method: std::str::from_utf8(method).unwrap_or_default(), target, version })
    }
}

/// Whether a method is none of a service's business: a tunnel to elsewhere, or an echo of the request with its credentials.
#[must_use]
pub fn is_refused_method(method: &[u8]) -> bool {
    [&b"CONNECT"[..], b"TRACE", b"TRACK"].iter().any(|refused| method.eq_ignore_ascii_case(refused))
}

/// The refusal of such a method.
#[must_use]
pub fn method_refused() -> Rejection {
    Rejection::new(Reason::MethodRefused, "CONNECT, TRACE and TRACK are not forwarded")
}

/// The fields that were read, and those of them that frame the message.
#[derive(Default)]
struct Fields<'a> {
    all: Vec<(&'a [u8], &'a [u8])>,
    host: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
    coding: Option<&'a [u8]>,
    upgrade: Option<&'a [u8]>,
    expects_continue: bool,
    options: usize,
    /// Whether `Connection` lists `upgrade`, `close`, `keep-alive`.
    asks_for_upgrade: bool,
    asks_for_close: bool,
    asks_to_keep: bool,
}

impl<'a> Fields<'a> {
    fn add(&mut self, line: &'a [u8]) -> Result<(), Rejection> {
        if matches!(line, [b' ' | b'\t', ..]) {
            return malformed("a header field is folded over several lines");
        }
        let Some((name, value)) = split(line) else { return malformed("a header line has no colon") };
        if name.len() > NAME_MAX {
            return malformed(format!("a header name has more than {NAME_MAX} characters"));
        }
        if !is_token(name) {
            return malformed(match name {
                [] => "a header line begins with its colon",
                [.., b' ' | b'\t'] => "a header name has white space before its colon",
                _ => "a header name has a character that no token has (RFC 9110 section 5.6.2)",
            });
        }
        if !value.iter().fold(true, |sound, byte| sound & is_value_byte(*byte)) {
            return malformed("a header value has a control character");
        }
        if let Some(meant) = disguise(name) {
            return malformed(format!("a header name could be read as {meant}, and is not it"));
        }
        let value = trimmed(value);
        self.all.push((name, value));
        let place = match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => &mut self.host,
            6 if name.eq_ignore_ascii_case(b"expect") => return self.expect(value),
            7 if name.eq_ignore_ascii_case(b"upgrade") => &mut self.upgrade,
            10 if name.eq_ignore_ascii_case(b"connection") => return self.connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => &mut self.length,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => &mut self.coding,
            _ => return Ok(()),
        };
        if place.replace(value).is_some() {
            return malformed(format!("{} is sent more than once", String::from_utf8_lossy(name)));
        }
        Ok(())
    }

    /// Options are names of fields, which Pingora removes. At ten of them it fails, after it has connected to the upstream
    /// (`MAX_CONNECTION_NOMINATIONS` in `pingora-proxy`'s `proxy_common.rs`); so more than eight are refused here.
    fn connection(&mut self, value: &[u8]) -> Result<(), Rejection> {
        for option in elements(value) {
            self.options += 1;
            if self.options > OPTIONS_MAX {
                return malformed(format!("Connection lists more than {OPTIONS_MAX} options"));
            }
            if !is_token(option) {
                return malformed("Connection lists what is not a token");
            }
            if NOT_OPTIONS.iter().any(|field| option.eq_ignore_ascii_case(field)) {
                return malformed("Connection lists a field that frames, addresses or traces the request");
            }
            self.asks_for_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
            self.asks_for_close |= option.eq_ignore_ascii_case(b"close");
            self.asks_to_keep |= option.eq_ignore_ascii_case(b"keep-alive");
        }
        Ok(())
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), Rejection> {
        self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        if self.expects_continue { Ok(()) } else { malformed("Expect is not '100-continue'") }
    }

    fn framing(&self, line: &Line<'_>) -> Result<Framing, Rejection> {
        match self.host {
            None => return malformed("there is no Host"),
            Some(host) if !target::is_host(host) => return malformed("Host is empty, or not one host and port"),
            Some(host) if target::authority(line.target).is_some_and(|authority| authority != host) => {
                return malformed("Host differs from the target's");
            }
            Some(_) => {}
        }
        let framing = match (self.coding, self.length) {
            (Some(_), Some(_)) => return malformed("Content-Length and Transfer-Encoding are both there"),
            (Some(_), None) if line.version == Version::Http10 => {
                return malformed("Transfer-Encoding is not allowed in HTTP/1.0");
            }
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
            (Some(_), None) => return malformed("Transfer-Encoding is not 'chunked' alone"),
            (None, length) => Framing::Length(length.map_or(Ok(0), content_length)?),
        };
        let websocket = self.upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(b"websocket"));
        if !(websocket && self.asks_for_upgrade && line.version == Version::Http11 && line.method == "GET") {
            return Ok(framing);
        }
        if framing == Framing::Length(0) {
            return Ok(Framing::Upgrade);
        }
        malformed("a request to upgrade has a body")
    }
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((line.get(..colon)?, line.get(colon + 1..)?))
}

/// Digits and nothing else: no sign, no list, no white space.
fn content_length(value: &[u8]) -> Result<u64, Rejection> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(digits) = digits.filter(|digits| !digits.is_empty()) else {
        return malformed("Content-Length is not one whole number");
    };
    match digits.parse().ok().filter(|length| *length <= LENGTH_MAX) {
        Some(length) => Ok(length),
        None => malformed("Content-Length is 2^63 or more"),
    }
}

fn malformed<T>(detail: impl Into<std::borrow::Cow<'static, str>>) -> Result<T, Rejection> {
    Err(Rejection::new(Reason::RequestMalformed, detail))
}

/// Most requests have fewer fields; more only cost another allocation.
const FIELDS_USUAL: usize = 16;

/// Longer than any registered method.
const METHOD_MAX: usize = 32;

/// The longest name of a field, in bytes: what Pingora can hold.
const NAME_MAX: usize = 65_535;

/// Fields that are no option of a connection: they frame or address the request, or say where it came from (Pingora refuses those
/// as well, when it has a connection to the upstream already).
const NOT_OPTIONS: [&[u8]; 6] =
    [b"host", b"content-length", b"transfer-encoding", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"];

/// How many options `Connection` may list.
const OPTIONS_MAX: usize = 8;

/// Everything that counts bytes after us uses signed numbers of 64 bits.
const LENGTH_MAX: u64 = i64::MAX as u64;

#[cfg(test)]
mod tests;
