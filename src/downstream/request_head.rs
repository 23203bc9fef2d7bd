//! A request's head for the filters. It is read once, by `http1`, and what was read becomes Pingora's `RequestHeader`; nobody reads
//! the bytes again. The values share the memory of the bytes.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use pingora::http::RequestHeader;

use crate::http1::head::{Framing, Head, Version};
use crate::rejection::{Reason, Rejection};

/// A sound head of HTTP/1.
pub struct RequestHead {
    /// With names in lower case.
    pub header: RequestHeader,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client may send another request on its connection.
    pub persists: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

impl RequestHead {
    /// Reads a whole head, its last empty line included, with at most that many fields.
    ///
    /// # Errors
    /// `request_malformed`, `method_refused` or `head_too_large`.
    pub fn parse(bytes: &Bytes, fields_max: usize) -> Result<Self, Rejection> {
        let head = Head::parse(bytes, fields_max)?;
        // What is sound can be held; the tests below ask for it.
        let header = convert(bytes, &head).ok_or_else(|| {
            Rejection::new(Reason::RequestMalformed, "the request's head cannot be forwarded as it is")
        })?;
        Ok(Self { header, framing: head.framing, persists: head.persists, expects_continue: head.expects_continue })
    }
}

fn convert(bytes: &Bytes, head: &Head<'_>) -> Option<RequestHeader> {
    let mut header = RequestHeader::build_no_case(head.method, head.target, Some(head.fields.len() + ADDED)).ok()?;
    header.set_version(match head.version {
        Version::Http10 => http::Version::HTTP_10,
        Version::Http11 => http::Version::HTTP_11,
    });
    for (name, value) in &head.fields {
        let name = HeaderName::from_bytes(name).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(value)).ok()?;
        header.append_header(name, value).ok()?;
    }
    Some(header)
}

/// How many fields are usually added on the way to the upstream.
const ADDED: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::target;

    fn parse(text: &str) -> Result<RequestHead, Rejection> {
        RequestHead::parse(&Bytes::from(text.as_bytes().to_vec()), 64)
    }

    #[test]
    fn a_head_keeps_its_target_and_values_and_lowers_its_names() {
        let text = "POST http://h/a?b HTTP/1.0\r\nHost: h\r\nX-Own:  A b\t\r\nX-OWN: c\r\nContent-Length: 2\r\n\r\n";
        let head = parse(text).unwrap();
        let header = &head.header;
        assert_eq!((header.method.as_str(), header.raw_path()), ("POST", &b"http://h/a?b"[..]));
        assert_eq!((header.version, head.framing), (http::Version::HTTP_10, Framing::Length(2)));
        let own: Vec<_> = header.headers.get_all("x-own").iter().map(|value| value.as_bytes().to_vec()).collect();
        assert_eq!(own, [b"A b".to_vec(), b"c".to_vec()]);
        let mut wire = Vec::new();
        header.header_to_h1_wire(&mut wire);
        assert!(String::from_utf8(wire).unwrap().contains("x-own: A b\r\nx-own: c\r\n"));
    }

    #[test]
    fn every_name_that_is_sound_on_the_wire_can_be_held() {
        for (length, is_sound) in [(1, true), (65_535, true), (65_536, false)] {
            let name = "x".repeat(length);
            let head = parse(&format!("GET / HTTP/1.1\r\nHost: h\r\n{name}: 1\r\n\r\n"));
            assert_eq!(head.is_ok(), is_sound, "{length}");
        }
        for byte in b'!'..=b'~' {
            let name = char::from(byte);
            let is_sound = crate::http1::fields::is_token(&[byte]);
            assert_eq!(parse(&format!("GET / HTTP/1.1\r\nHost: h\r\n{name}: 1\r\n\r\n")).is_ok(), is_sound, "{name}");
        }
    }

    #[test]
    fn every_value_that_is_sound_on_the_wire_can_be_held() {
        for byte in (0..=u8::MAX).filter(|byte| *byte != b'\n') {
            let mut text = b"GET / HTTP/1.1\r\nHost: h\r\nX: a".to_vec();
            text.extend_from_slice(&[byte, b'b', b'\r', b'\n', b'\r', b'\n']);
            let is_sound = crate::http1::fields::is_value_byte(byte);
            assert_eq!(RequestHead::parse(&text.into(), 64).is_ok(), is_sound, "{byte}");
        }
    }

    #[test]
    fn every_target_that_is_sound_on_the_wire_can_be_held() {
        for byte in b'!'..=b'~' {
            for frame in [&b"/a"[..], b"/a?b", b"http://h/a", b"http://h/a?b", b"http://a", b"http://["] {
                let target = [frame, &[byte], b"c"].concat();
                let host = target::authority(&target).filter(|host| target::is_host(host)).unwrap_or(b"h");
                let line = [b"GET ", &target[..], b" HTTP/1.1\r\nHost: ", host, b"\r\n\r\n"].concat();
                let head = RequestHead::parse(&line.into(), 64);
                assert_eq!(head.is_ok(), target::is_sound(&target, b"GET"), "{}", target.escape_ascii());
            }
        }
    }
}
