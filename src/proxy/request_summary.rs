//! What is written down of a request, taken from its head.

use http::HeaderMap;
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
            headers: Some(&header.headers),
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

    #[test]
    fn a_summary_has_a_path_without_query_and_ids_that_came_once() {
        let mut header = RequestHeader::build_no_case("GET", b"http://h/a?b", None).unwrap();
        header.append_header("X-Request-Id", "r").unwrap();
        header.append_header("traceparent", "t").unwrap();
        let summary = RequestSummary::of(&header);
        let (id, traceparent) = (Some(&b"r"[..]), Some(&b"t"[..]));
        let headers = Some(&header.headers);
        assert_eq!(summary, RequestSummary { method: "GET", path: "/a", request_id: id, traceparent, headers });
        header.append_header("x-request-id", "r").unwrap();
        header.append_header("traceparent", "t").unwrap();
        let summary = RequestSummary::of(&header);
        assert_eq!((summary.request_id, summary.traceparent), (None, None));
    }
}
