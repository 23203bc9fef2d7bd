//! The request's target and its `Host`: which of the forms of RFC 9112 §3.2 it has, with bytes that everybody reads alike.

/// Whether a target can be forwarded with a method: the origin form, the absolute form of an `http` URI, or `*` for `OPTIONS`.
/// A fragment is never sent (RFC 9110 §4.2.5); control and non-ASCII bytes are no part of a URI, nor are quotes and angle brackets.
#[must_use]
pub fn is_sound(target: &[u8], method: &[u8]) -> bool {
    let plain = |byte: &u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'`');
    target.len() <= TARGET_MAX
        && target.iter().all(plain)
        && (target.starts_with(b"/")
            || authority(target).is_some_and(is_host)
            || (target == b"*" && method == b"OPTIONS"))
}

/// The authority of a target in absolute form.
#[must_use]
pub fn authority(target: &[u8]) -> Option<&[u8]> {
    absolute(target).map(|(authority, _)| authority)
}

/// The authority of a target in absolute form, and what follows it.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
    })?;
    rest.split_at_checked(rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len()))
}

/// What follows the authority of a target in absolute form, as an origin server wants it (RFC 9112 §3.2.1).
#[must_use]
pub fn origin_form(target: &[u8]) -> Option<Vec<u8>> {
    let (_, rest) = absolute(target)?;
    let slash: &[u8] = if rest.starts_with(b"/") { b"" } else { b"/" };
    Some([slash, rest].concat())
}

/// The path of a target in origin form (RFC 9112 §3.2.1), as sent; `None` for every other form.
#[must_use]
pub fn origin_path(target: &[u8]) -> Option<&str> {
    let target = std::str::from_utf8(target).ok()?;
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    path.starts_with('/').then_some(path)
}

/// What a record says of a target: its path, whatever its form, without query.
#[must_use]
pub fn shown_path(target: &[u8]) -> &[u8] {
    let rest = absolute(target).map_or(target, |(_, rest)| rest);
    match rest.split(|byte| *byte == b'?').next().unwrap_or_default() {
        [] => b"/",
        path => path,
    }
}

/// Whether a `Host` names one host, with or without a port (RFC 9110 §7.2): never empty, and without user information.
#[must_use]
pub fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host {
        [b'[', ..] => match host.iter().position(|byte| *byte == b']') {
            Some(end) => host.split_at_checked(end + 1).unwrap_or_default(),
            None => return false,
        },
        _ => {
            host.split_at_checked(host.iter().position(|byte| *byte == b':').unwrap_or(host.len())).unwrap_or_default()
        }
    };
    let named = match name {
        [b'[', address @ .., b']'] => {
            !address.is_empty() && address.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        }
        _ => {
            !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(byte))
        }
    };
    let ported = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    named && ported
}

/// The longest target, in bytes: what Pingora can hold.
const TARGET_MAX: usize = 65_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_forms_of_a_request_are_sound_targets() {
        for target in ["/", "/a?b=/c", "//evil", "/a%2f..\\b", "http://host/a", "HTTPS://host:1?x", "http://host"] {
            assert!(is_sound(target.as_bytes(), b"GET"), "{target}");
        }
        for target in
            ["", "a", "*", "?a", "/a#b", "/a\x7f", "/\u{e9}", "http:/a", "http:///a", "http://u@h/", "ftp://h/"]
        {
            assert!(!is_sound(target.as_bytes(), b"GET"), "{target}");
        }
        assert!(is_sound(b"*", b"OPTIONS"));
    }

    #[test]
    fn the_absolute_form_loses_scheme_and_authority() {
        for (absolute, origin) in
            [("http://h/a?b", "/a?b"), ("http://h", "/"), ("https://h:1?b", "/?b"), ("http://h//a", "//a")]
        {
            assert_eq!(origin_form(absolute.as_bytes()).as_deref(), Some(origin.as_bytes()), "{absolute}");
        }
        assert_eq!(origin_form(b"/a"), None);
        assert_eq!(origin_form(b"*"), None);
    }

    #[test]
    fn only_the_origin_form_has_a_path_that_a_rule_may_name() {
        assert_eq!(origin_path(b"/send"), Some("/send"));
        assert_eq!(origin_path(b"/send?a=/b"), Some("/send"));
        assert_eq!(origin_path(b"/a%2Fb//c"), Some("/a%2Fb//c"));
        for target in [&b"*"[..], b"http://host/send", b"send", b"", b"?/send", b"/\xff"] {
            assert_eq!(origin_path(target), None, "{}", String::from_utf8_lossy(target));
        }
    }

    #[test]
    fn every_form_has_a_path_to_be_shown() {
        for (target, path) in [
            ("/send?a=/b", "/send"),
            ("http://host:1/send?a", "/send"),
            ("HTTPS://host?a", "/"),
            ("http://host", "/"),
            ("*", "*"),
            ("//evil/a", "//evil/a"),
        ] {
            assert_eq!(shown_path(target.as_bytes()), path.as_bytes(), "{target}");
        }
    }

    #[test]
    fn a_host_is_one_name_or_address_with_an_optional_port() {
        for host in ["h", "h:80", "email.internal.example", "127.0.0.1:1", "[::1]", "[::1]:80", "h:", "a_b"] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in ["", ":80", "a,b", "a b", "u@h", "h/", "h:80:80", "h:x", "[::1", "[]", "[::1]x", "h:123456", "h#"] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
