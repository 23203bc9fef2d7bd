//! A request's head as the core wants it and as it is recorded, read from the wire or from Pingora's. Nothing is decided here.

use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use pingora::http::RequestHeader;

use crate::http1::head::{Field, Framing, Head};
use crate::http1::target::{origin_path, shown_path};
use crate::request::{Authorization, RequestHead};

/// What is written down of a request, and what it is known by elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSummary<'a> {
    pub method: &'a str,
    /// Without query.
    pub path: &'a str,
    /// `X-Request-Id`, if it came once.
    pub request_id: Option<&'a [u8]>,
    /// `traceparent`, if it came once.
    pub traceparent: Option<&'a [u8]>,
}

/// Reads the parts of a head that are judged.
pub fn request_head(header: &RequestHeader) -> RequestHead<'_> {
    let lines = header.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    RequestHead {
        method: header.method.as_str(),
        path: origin_path(header.raw_path()),
        authorization: Authorization::from_lines(lines),
    }
}

/// Reads the same from the wire.
pub fn request_head_from_wire<'a>(head: &Head<'a>) -> RequestHead<'a> {
    let authorization = match head.authorization {
        Field::Absent => Authorization::Absent,
        Field::One(value) => Authorization::One(value),
        Field::Several => Authorization::Several,
    };
    RequestHead { method: head.method, path: origin_path(head.target), authorization }
}

/// The length that a request's body is said to have.
pub fn content_length(header: &RequestHeader) -> Option<u64> {
    header.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Likewise, from the wire.
pub const fn content_length_from_wire(head: &Head<'_>) -> Option<u64> {
    match head.framing {
        Framing::Length(length) => Some(length),
        Framing::Chunked | Framing::Upgrade => None,
    }
}

impl<'a> RequestSummary<'a> {
    /// By a request that Pingora has read.
    pub fn from_pingora(header: &'a RequestHeader) -> Self {
        Self {
            method: header.method.as_str(),
            path: header.uri.path(),
            request_id: only(&header.headers, "x-request-id"),
            traceparent: only(&header.headers, "traceparent"),
        }
    }

    /// By a request on the wire.
    pub fn from_wire(head: &Head<'a>) -> Self {
        Self {
            method: head.method,
            // A sound target has only ASCII characters.
            path: std::str::from_utf8(shown_path(head.target)).unwrap_or_default(),
            request_id: head.request_id.only(),
            traceparent: head.traceparent.only(),
        }
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    Some(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::head::judge;

    #[test]
    fn a_second_authorization_field_is_noticed() {
        let mut header = RequestHeader::build("GET", b"/", None).unwrap();
        assert!(matches!(request_head(&header).authorization, Authorization::Absent));
        header.append_header("Authorization", "Bearer a").unwrap();
        assert!(matches!(request_head(&header).authorization, Authorization::One(b"Bearer a")));
        header.append_header("authorization", "Bearer b").unwrap();
        assert!(matches!(request_head(&header).authorization, Authorization::Several));
    }

    #[test]
    fn both_ways_of_reading_a_head_say_the_same() {
        let fields = [
            &[][..],
            &["Authorization: Bearer a", "X-Request-Id: r", "Traceparent: t"],
            &["authorization:  Bearer a\t", "Content-Length: 12"],
            &["Authorization: Bearer a", "AUTHORIZATION: Bearer b", "x-request-id: 1", "x-request-id: 2"],
            &["Authorization:", "traceparent: t", "traceparent: t"],
        ];
        for (method, target) in [
            ("GET", "/"),
            ("POST", "/a?b"),
            ("PUT", "http://h/a?b"),
            ("GET", "http://h"),
            ("OPTIONS", "*"),
            ("get", "//a"),
        ] {
            for fields in fields {
                let wire = format!(
                    "{method} {target} HTTP/1.1\r\nHost: h\r\n{}\r\n",
                    fields.iter().map(|field| format!("{field}\r\n")).collect::<String>()
                );
                let wire = judge(wire.as_bytes(), 64).unwrap();
                let mut header = RequestHeader::build(method, target.as_bytes(), None).unwrap();
                for field in fields {
                    let (name, value) = field.split_once(':').unwrap();
                    header.append_header(name.to_owned(), value.trim()).unwrap();
                }
                let (summary, summary_from_wire) =
                    (RequestSummary::from_pingora(&header), RequestSummary::from_wire(&wire));
                assert_eq!(summary, summary_from_wire, "{target} {fields:?}");
                assert!(request_head(&header) == request_head_from_wire(&wire), "{target} {fields:?}");
                assert_eq!(
                    content_length(&header).unwrap_or(0),
                    content_length_from_wire(&wire).unwrap_or(0),
                    "{fields:?}"
                );
            }
        }
    }

    #[test]
    fn every_name_that_is_sound_on_the_wire_is_one_for_pingora() {
        for (length, is_sound) in [(1, true), (65_535, true), (65_536, false)] {
            let name = "x".repeat(length);
            let wire = format!("GET / HTTP/1.1\r\nHost: h\r\n{name}: 1\r\n\r\n");
            assert_eq!(judge(wire.as_bytes(), 64).is_ok(), is_sound, "{length}");
            let mut header = RequestHeader::build("GET", b"/", None).unwrap();
            assert_eq!(header.append_header(name, "1").is_ok(), is_sound, "{length}");
        }
    }

    #[test]
    fn every_target_that_is_sound_on_the_wire_is_one_for_pingora() {
        let mut refused = Vec::new();
        for byte in b'!'..=b'~' {
            for frame in [&b"/a"[..], b"/a?b", b"http://h/a", b"http://h/a?b", b"http://a", b"http://["] {
                let target = [frame, &[byte], b"c"].concat();
                let host = crate::http1::target::authority(&target).unwrap_or_default();
                if crate::http1::target::is_host(host) && http::uri::Authority::try_from(host).is_err() {
                    refused.push(String::from_utf8_lossy(host).into_owned());
                }
                if crate::http1::target::is_sound(&target, b"GET")
                    && RequestHeader::build("GET", &target, None).is_err()
                {
                    refused.push(String::from_utf8(target).unwrap());
                }
            }
        }
        assert!(refused.is_empty(), "Pingora would answer these itself, and nobody would record it: {refused:?}");
    }
}
