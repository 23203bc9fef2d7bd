//! What HTTP/2 can carry and HTTP/1 cannot (RFC 9113 section 8.2): malformed requests, and fields that mean something else once
//! they are written as HTTP/1.

use crate::probe::attempt::{Case, Class, MARKER, Proof, Request, Weight, good_line};
use crate::probe::target::Target;

type Field = (Vec<u8>, Vec<u8>);

/// The request that has to pass.
pub(super) fn good(target: &Target) -> Request {
    request(target, fields(target, Some(&target.token.text)))
}

pub(super) fn cases(target: &Target) -> Vec<Case> {
    let token = &target.token.text;
    let mut cases = Vec::new();
    let mut add = |source, what: &str, weight, request| {
        cases.push(Case { class: Class::Http2, source, what: what.to_owned(), weight, request, proof: Proof::Taken });
    };
    add("RFC 6750 3.1", "no token", Weight::Bypass, request(target, fields(target, None)));
    let [header, claims, _] = &target.token.parts;
    let bare = format!("{header}.{claims}.");
    add("RFC 7515 5.2", "no signature", Weight::Bypass, request(target, fields(target, Some(&bare))));
    // Without a token, and one field that hides it.
    let hidden = format!("1\r\n{}", good_line(target));
    for (what, name, value) in [
        ("a line's end in a value, and the token behind it", "x-a", hidden.as_str()),
        ("the token in a cookie", "cookie", &format!("access_token={token}")),
        ("the token as proxy-authorization", "proxy-authorization", &format!("Bearer {token}")),
        ("the token as a pseudo-header", ":authorization", &format!("Bearer {token}")),
    ] {
        let mut fields = fields(target, None);
        fields.push(field(name, value));
        add("RFC 9113 8.2.1", what, Weight::Leniency, request(target, fields));
    }
    // With the token, and one field too many.
    let more: [(&str, &str, &str, &str); 19] = [
        ("RFC 9113 8.2.2", "transfer-encoding", "transfer-encoding", "chunked"),
        ("RFC 9113 8.2.2", "connection", "connection", "x-a"),
        ("RFC 9113 8.2.2", "keep-alive", "keep-alive", "timeout=5"),
        ("RFC 9113 8.2.2", "proxy-connection", "proxy-connection", "keep-alive"),
        ("RFC 9113 8.2.2", "upgrade", "upgrade", "websocket"),
        ("RFC 9113 8.2.2", "te that is not trailers", "te", "chunked"),
        ("RFC 9113 8.2.1", "a name in capitals", "X-A", "1"),
        ("RFC 9113 8.2.1", "a name with a space", "x a", "1"),
        ("RFC 9113 8.2.1", "a name with a colon", "x:a", "1"),
        ("RFC 9113 8.2.1", "a name with a line's end", "x-a: 1\r\nx-b", "1"),
        ("RFC 9113 8.2.1", "an empty name", "", "1"),
        ("RFC 9113 8.2.1", "a value with a line's end", "x-a", "1\r\nX-B: 2"),
        ("RFC 9113 8.2.1", "a value with a line feed", "x-a", "1\nX-B: 2"),
        ("RFC 9113 8.2.1", "a value with NUL", "x-a", "1\0"),
        ("RFC 9113 8.3", "a pseudo-header behind a field", ":method", &target.method),
        ("RFC 9113 8.3", "an unknown pseudo-header", ":token", "1"),
        ("RFC 9113 8.3.1", "a pseudo-header of responses", ":status", "200"),
        ("RFC 9113 8.1.1", "a length that is too long", "content-length", "1000"),
        ("RFC 9110 5.3", "a second authorization", "authorization", "Bearer x"),
    ];
    for (source, what, name, value) in more {
        let mut fields = fields(target, Some(token));
        fields.retain(|(own, _)| own != name.as_bytes() || name == "authorization" || name.starts_with(':'));
        fields.push(field(name, value));
        add(source, what, Weight::Leniency, request(target, fields));
    }
    // With the token, and another pseudo-header.
    let path = &target.path;
    let pseudo: [(&str, &str, String); 6] = [
        ("a path with a second request line", ":path", format!("{path} HTTP/1.1\r\nX-A: 1")),
        ("a path with a space", ":path", format!("{path} x")),
        ("an empty path", ":path", String::new()),
        ("a path without a slash", ":path", path.trim_start_matches('/').to_owned()),
        ("a method with a space", ":method", format!("{} {path} HTTP/1.1\r\nX-A: 1\r\n\r\n", target.method)),
        ("an authority with user information", ":authority", format!("x@{}", target.authority)),
    ];
    for (what, name, value) in pseudo {
        let mut fields = fields(target, Some(token));
        if let Some((_, old)) = fields.iter_mut().find(|(own, _)| own == name.as_bytes()) {
            *old = value.into_bytes();
        }
        add("RFC 9113 8.3.1", what, Weight::Leniency, request(target, fields));
    }
    cases
}

fn request(target: &Target, fields: Vec<Field>) -> Request {
    Request::Http2 { fields, body: target.body.clone() }
}

/// A well-formed request.
fn fields(target: &Target, token: Option<&str>) -> Vec<Field> {
    let scheme = if target.is_tls { "https" } else { "http" };
    let mut fields = vec![
        field(":method", &target.method),
        field(":scheme", scheme),
        field(":authority", &target.authority),
        field(":path", &target.path),
        field(&MARKER.to_ascii_lowercase(), env!("CARGO_PKG_VERSION")),
    ];
    for (name, value) in target.headers.iter().filter_map(|line| line.split_once(':')) {
        fields.push(field(&name.to_ascii_lowercase(), value.trim()));
    }
    if !target.body.is_empty() {
        fields.push(field("content-length", &target.body.len().to_string()));
    }
    fields.extend(token.map(|token| field("authorization", &format!("Bearer {token}"))));
    fields
}

fn field(name: &str, value: &str) -> Field {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}
