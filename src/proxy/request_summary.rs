//! What is written down of a request, taken from its head.

use http::header::HOST;
use http::{HeaderMap, Version};
use pingora::http::RequestHeader;

/// What is written down of a request, and what it is known by elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestSummary<'a> {
    pub method: &'a str,
    /// Without query.
    pub path: &'a str,
    /// `X-Request-Id`, if it came once.
    pub request_id: Option<&'a [u8]>,
    /// `traceparent`, if it came once.
    pub traceparent: Option<&'a [u8]>,
    /// The host and port that it names.
    pub authority: Option<&'a str>,
    /// The version of HTTP, if the head could be read.
    pub protocol_version: Option<&'static str>,
    /// All fields, if the head could be read.
    pub headers: Option<&'a HeaderMap>,
}

impl<'a> RequestSummary<'a> {
    /// That of a request with this head.
    pub fn of(header: &'a RequestHeader) -> Self {
        Self {
            method: header.method.as_str(),
            path: header.uri.path(),
            request_id: only(&header.headers, "x-request-id"),
            traceparent: only(&header.headers, "traceparent"),
            authority: authority(header),
            protocol_version: Some(match header.version {
                Version::HTTP_10 => "1.0",
                Version::HTTP_2 => "2",
                _ => "1.1",
            }),
            headers: Some(&header.headers),
        }
    }
}

fn authority(header: &RequestHeader) -> Option<&str> {
    let host = || header.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = header.uri.authority().map(http::uri::Authority::as_str).or_else(host);
    authority.filter(|authority| authority.len() <= AUTHORITY_MAX)
}

/// The longest name of a host (RFC 1035 §2.3.4), and its port.
const AUTHORITY_MAX: usize = 261;

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    Some(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_a_path_without_query_and_ids_that_came_once() {
        let mut header = RequestHeader::build_no_case("GET", b"http://h/a?b", None).unwrap();
        header.append_header("X-Request-Id", "r").unwrap();
        header.append_header("traceparent", "t").unwrap();
        header.append_header("Host", "h").unwrap();
        let summary = RequestSummary::of(&header);
        let (id, traceparent) = (Some(&b"r"[..]), Some(&b"t"[..]));
        let headers = Some(&header.headers);
        assert_eq!(
            summary,
            RequestSummary {
                method: "GET",
                path: "/a",
                request_id: id,
                traceparent,
                authority: Some("h"),
                protocol_version: Some("1.1"),
                headers,
            }
        );
        header.append_header("x-request-id", "r").unwrap();
        header.append_header("traceparent", "t").unwrap();
        let summary = RequestSummary::of(&header);
        assert_eq!((summary.request_id, summary.traceparent), (None, None));
    }
}
