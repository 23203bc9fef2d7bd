//! The URI of a request, as the client that signed a proof knows it and as this service does (`htu`, RFC 9449 §4.3, 9). What this
//! service is called outside is configured; the request has a say in its path alone. Both are normalized by their syntax and scheme
//! (RFC 3986 §6.2.2 and §6.2.3) and then compared whole.

use std::fmt;

/// What this service is called outside: scheme, authority and, where a proxy takes a prefix away, the beginning of its paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalUrl {
    normal: NormalUri,
}

/// A URI without query and fragment, as all its spellings are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NormalUri {
    scheme: &'static str,
    authority: String,
    path: String,
}

/// Why a text is no URL of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum ExternalUrlError {
    #[error("is no URL with http:// or https://; for example \"https://mail.example\"")]
    NoUrl,
    #[error("must have no query, no fragment and no credentials")]
    HasMore,
}

impl ExternalUrl {
    /// Reads it.
    ///
    /// # Errors
    /// If it is none.
    pub fn new(written: &str) -> Result<Self, ExternalUrlError> {
        if written.contains(['?', '#', '@']) {
            return Err(ExternalUrlError::HasMore);
        }
        let mut normal = NormalUri::parse(written).ok_or(ExternalUrlError::NoUrl)?;
        let prefix = normal.path.trim_end_matches('/').len();
        normal.path.truncate(prefix);
        Ok(Self { normal })
    }

    /// The path of a request behind this name, as the request has it; `None` if the URL does not begin with this name.
    #[must_use]
    pub fn path_of(&self, url: &str) -> Option<String> {
        let NormalUri { scheme, authority, path } = NormalUri::parse(url)?;
        let path = path.strip_prefix(&self.normal.path).filter(|path| path.starts_with('/'))?;
        ((scheme, &authority) == (self.normal.scheme, &self.normal.authority)).then(|| path.to_owned())
    }

    /// The URI of the request with this path.
    pub(super) fn of_request(&self, path: &str) -> Option<NormalUri> {
        let NormalUri { scheme, authority, path: prefix } = &self.normal;
        let path = normal_path(&[prefix, path].concat())?;
        Some(NormalUri { scheme, authority: authority.clone(), path })
    }
}

impl fmt::Display for ExternalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.normal.fmt(f)
    }
}

/// The path of a URL of HTTP.
#[must_use]
pub fn path_of(url: &str) -> Option<String> {
    NormalUri::parse(url).map(|uri| uri.path)
}

impl NormalUri {
    /// Reads an absolute URI of HTTP; query and fragment are left out. `None` if it is none, names a user, or has a character that
    /// a URI cannot have.
    pub(super) fn parse(uri: &str) -> Option<Self> {
        if !uri.bytes().all(is_uri_byte) {
            return None;
        }
        let uri = uri.split(['?', '#']).next()?;
        let (scheme, rest) = uri.split_once("://")?;
        let (scheme, port) =
            ["http", "https"].into_iter().zip(["80", "443"]).find(|(known, _)| scheme.eq_ignore_ascii_case(known))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = normal_authority(authority, port)?;
        Some(Self { scheme, authority, path: normal_path(path)? })
    }
}

impl fmt::Display for NormalUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// Host and port, with the host in lower case and without the port that the scheme has by default.
fn normal_authority(authority: &str, default_port: &str) -> Option<String> {
    if authority.contains(['@', '%']) {
        return None;
    }
    // The colons of an IPv6 address stand in brackets (RFC 3986 §3.2.2).
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let colon = authority.get(after_host..)?.find(':').map(|colon| after_host + colon);
    let (host, port) = match colon {
        Some(colon) => (authority.get(..colon)?, authority.get(colon + 1..)?),
        None => (authority, ""),
    };
    if host.is_empty() || port.len() > PORT_DIGITS || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    Some(if port.is_empty() || port == default_port { host } else { [&host, ":", port].concat() })
}

/// A path whose percent-encodings are there only where they must be, in capitals, and which is free of dot segments.
fn normal_path(path: &str) -> Option<String> {
    let decoded = normal_encoding(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut rest = decoded.strip_prefix('/').unwrap_or(&decoded).split('/').peekable();
    while let Some(segment) = rest.next() {
        let is_last = rest.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => {
                segments.push(segment);
                continue;
            }
        }
        // What they leave at the end is a folder (RFC 3986 §5.2.4).
        if is_last {
            segments.push("");
        }
    }
    Some(["/", &segments.join("/")].concat())
}

fn normal_encoding(path: &str) -> Option<String> {
    let mut normal = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        normal.push_str(before);
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        match u8::from_str_radix(digits, 16).ok()? {
            byte if is_unreserved(byte) => normal.push(char::from(byte)),
            byte => normal.push_str(&format!("%{byte:02X}")),
        }
        rest = after.get(2..)?;
    }
    normal.push_str(rest);
    Some(normal)
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The characters of a URI (RFC 3986 §2). A backslash is none, which some parsers take for a slash.
const fn is_uri_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'%' | b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@')
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

/// How many digits a port has at most.
const PORT_DIGITS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(uri: &str) -> Option<String> {
        NormalUri::parse(uri).map(|uri| uri.to_string())
    }

    #[test]
    fn all_spellings_of_a_uri_are_one() {
        for (uri, wanted) in [
            ("https://mail.example/send", "https://mail.example/send"),
            ("HTTPS://MAIL.example/send", "https://mail.example/send"),
            ("https://mail.example:443/send", "https://mail.example/send"),
            ("https://mail.example:/send", "https://mail.example/send"),
            ("http://mail.example:80/", "http://mail.example/"),
            ("http://mail.example:443/", "http://mail.example:443/"),
            ("https://mail.example", "https://mail.example/"),
            ("https://mail.example/send?a=b#c", "https://mail.example/send"),
            ("https://mail.example?a=b", "https://mail.example/"),
            ("https://mail.example/%73end", "https://mail.example/send"),
            ("https://mail.example/a%2fb", "https://mail.example/a%2Fb"),
            ("https://mail.example/%7Ea%2e", "https://mail.example/~a."),
            ("https://mail.example/./a/../send", "https://mail.example/send"),
            ("https://mail.example/a/%2E%2e/send", "https://mail.example/send"),
            ("https://mail.example/../../send", "https://mail.example/send"),
            ("https://mail.example/a/.", "https://mail.example/a/"),
            ("https://mail.example/a/b/..", "https://mail.example/a/"),
            ("https://mail.example/a//b/", "https://mail.example/a//b/"),
            ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443/"),
        ] {
            assert_eq!(normal(uri).as_deref(), Some(wanted), "{uri}");
        }
    }

    #[test]
    fn what_is_no_uri_of_http_has_no_normal_form() {
        for uri in [
            "",
            "/send",
            "mail.example/send",
            "//mail.example/send",
            "ftp://mail.example/",
            "https:/mail.example/",
            "https:\\\\mail.example/",
            "https://",
            "https:///send",
            "https://:443/send",
            "https://user@mail.example/",
            "https://mail.example:x/",
            "https://mail.example:123456/",
            "https://mail.example:443:443/",
            "https://mail%2eexample/",
            "https://mail.example/a b",
            "https://mail.example/a\tb",
            "https://mail.example/\u{e9}",
            "https://mail.example/%",
            "https://mail.example/%4",
            "https://mail.example/%zz",
            "https://mail.example/%+1",
            " https://mail.example/",
        ] {
            assert_eq!(normal(uri), None, "{uri:?}");
        }
    }

    #[test]
    fn the_uri_of_a_request_is_its_path_behind_what_the_service_is_called() {
        for (external, path, wanted) in [
            ("https://mail.example", "/send", "https://mail.example/send"),
            ("https://mail.example/", "/send", "https://mail.example/send"),
            ("https://Gate.example:443/mail", "/send", "https://gate.example/mail/send"),
            ("https://gate.example/mail/", "/", "https://gate.example/mail/"),
            ("http://127.0.0.1:8080", "/a%2fb", "http://127.0.0.1:8080/a%2Fb"),
            ("https://gate.example/mail", "/../send", "https://gate.example/send"),
        ] {
            let url = ExternalUrl::new(external).expect("a URL");
            assert_eq!(url.of_request(path).map(|uri| uri.to_string()).as_deref(), Some(wanted));
        }
        assert_eq!(ExternalUrl::new("https://mail.example").expect("a URL").of_request("/%zz"), None);
    }

    #[test]
    fn the_path_of_a_request_is_what_its_url_has_behind_the_name_of_the_service() {
        let url = ExternalUrl::new("https://gate.example/mail").expect("a URL");
        for (whole, path) in [
            ("https://gate.example/mail/send?a=b", Some("/send")),
            ("HTTPS://gate.example:443/mail/", Some("/")),
            ("https://gate.example/mail", None),
            ("https://gate.example/mailing", None),
            ("https://gate.example/send", None),
            ("http://gate.example/mail/send", None),
            ("https://eve.example/mail/send", None),
        ] {
            assert_eq!(url.path_of(whole).as_deref(), path, "{whole}");
        }
        assert_eq!(path_of("https://eve.example/mail/send?a").as_deref(), Some("/mail/send"));
        assert_eq!(path_of("mail/send"), None);
    }

    #[test]
    fn a_service_is_called_by_a_plain_url() {
        for (written, error) in [
            ("mail.example", ExternalUrlError::NoUrl),
            ("ftp://mail.example", ExternalUrlError::NoUrl),
            ("https://", ExternalUrlError::NoUrl),
            ("https://mail.example/?a", ExternalUrlError::HasMore),
            ("https://mail.example/#a", ExternalUrlError::HasMore),
            ("https://a@mail.example", ExternalUrlError::HasMore),
        ] {
            assert_eq!(ExternalUrl::new(written), Err(error), "{written}");
        }
        assert_eq!(
            ExternalUrl::new("https://Mail.example:443/a/").expect("a URL").to_string(),
            "https://mail.example/a"
        );
    }
}
