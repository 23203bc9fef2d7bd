//! The request head as the core wants it, read from Pingora's. Nothing is decided here.

use http::header::AUTHORIZATION;
use pingora::http::RequestHeader;

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

    #[test]
    fn every_target_that_is_sound_on_the_wire_is_one_for_pingora() {
        let mut refused = Vec::new();
        for byte in b'!'..=b'~' {
            for frame in [&b"/a"[..], b"/a?b", b"http://h/a", b"http://h/a?b", b"http://a", b"http://["] {
                let target = [frame, &[byte], b"c"].concat();
                let host = crate::wire::target::authority(&target).unwrap_or_default();
                if crate::wire::target::is_host(host) && http::uri::Authority::try_from(host).is_err() {
                    refused.push(String::from_utf8_lossy(host).into_owned());
                }
                if crate::wire::target::is_sound(&target, b"GET") && RequestHeader::build("GET", &target, None).is_err()
                {
                    refused.push(String::from_utf8(target).unwrap());
                }
            }
        }
        assert!(refused.is_empty(), "Pingora would answer these itself, and nobody would record it: {refused:?}");
    }
}
