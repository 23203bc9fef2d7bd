//! The request head as the core wants it, read from Pingora's, and whether it means one thing only. Who may pass is not
//! decided here.

use http::Version;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;

use crate::request::{Authorization, RequestHead};

/// Reads the parts of a head that are judged.
pub fn request_head(header: &RequestHeader) -> RequestHead<'_> {
    let lines = header.headers.get_all(AUTHORIZATION).iter().map(http::HeaderValue::as_bytes);
    RequestHead {
        method: header.method.as_str(),
        path: origin_path(header.raw_path()),
        authorization: Authorization::from_lines(lines),
    }
}

/// What makes a request's framing or target ambiguous, if anything: two parties could then see two different requests
/// (RFC 9112 §6.1, §6.3, §3.2). Heads that are not HTTP at all do not come this far.
pub fn ambiguity(session: &ServerSession) -> Option<&'static str> {
    let header = session.req_header();
    let lines = |name| header.headers.get_all(name).iter();
    if lines(HOST).count() > 1 {
        return Some("the request has more than one Host field; send one");
    }
    if lines(CONTENT_LENGTH).count() > 1 || lines(CONTENT_LENGTH).any(|value| !is_digits(value.as_bytes())) {
        return Some("the request's Content-Length is not one number");
    }
    let mut codings = lines(TRANSFER_ENCODING);
    let coding = codings.next()?;
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Some("the request's Transfer-Encoding is not just 'chunked'");
    }
    // Pingora has dropped a Content-Length beside it by now. What is left of it is that it will not reuse a connection that
    // nobody asked it to close.
    let closes = header.headers.contains_key(CONNECTION) || session.get_keepalive().is_some();
    if header.version == Version::HTTP_11 && !closes {
        return Some("the request has both Content-Length and Transfer-Encoding; send one");
    }
    None
}

fn is_digits(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

/// The path of a target in origin form (RFC 9112 §3.2.1), as sent; `None` for every other form.
fn origin_path(target: &[u8]) -> Option<&str> {
    let target = std::str::from_utf8(target).ok()?;
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_origin_form_has_a_path() {
        assert_eq!(origin_path(b"/send"), Some("/send"));
        assert_eq!(origin_path(b"/send?a=/b"), Some("/send"));
        assert_eq!(origin_path(b"/a%2Fb//c"), Some("/a%2Fb//c"));
        for target in [&b"*"[..], b"http://host/send", b"send", b"", b"?/send", b"/\xff"] {
            assert_eq!(origin_path(target), None, "{}", String::from_utf8_lossy(target));
        }
    }

    #[test]
    fn a_second_authorization_field_is_noticed() {
        let mut header = RequestHeader::build("GET", b"/", None).unwrap();
        assert!(matches!(request_head(&header).authorization, Authorization::Absent));
        header.append_header("Authorization", "Bearer a").unwrap();
        assert!(matches!(request_head(&header).authorization, Authorization::One(b"Bearer a")));
        header.append_header("authorization", "Bearer b").unwrap();
        assert!(matches!(request_head(&header).authorization, Authorization::Several));
    }
}
