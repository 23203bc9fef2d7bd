use super::*;

fn head(line: &str, fields: &[&str]) -> Vec<u8> {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!("{line}\r\n{fields}\r\n").into_bytes()
}

fn judged(line: &str, fields: &[&str]) -> Result<Framing, Reason> {
    Head::parse(&head(line, fields), 16).map(|head| head.framing).map_err(|rejection| rejection.reason())
}

fn is_malformed(fields: &[&str]) -> bool {
    judged("POST /send HTTP/1.1", &[&["Host: h"], fields].concat()) == Err(Reason::RequestMalformed)
}

#[test]
fn a_plain_request_ends_where_its_length_or_its_last_chunk_says() {
    assert_eq!(judged("GET / HTTP/1.1", &["Host: h"]), Ok(Framing::Length(0)));
    assert_eq!(judged("GET / HTTP/1.0", &["Host: h"]), Ok(Framing::Length(0)));
    assert_eq!(judged("POST / HTTP/1.1", &["Host: h", "Content-Length: 12"]), Ok(Framing::Length(12)));
    assert_eq!(judged("POST / HTTP/1.1", &["Host:h", "CONTENT-LENGTH:\t012 "]), Ok(Framing::Length(12)));
    assert_eq!(judged("POST / HTTP/1.1", &["Host: h", "Transfer-Encoding: Chunked"]), Ok(Framing::Chunked));
}

#[test]
fn a_tunnel_follows_only_a_whole_request_for_a_websocket() {
    let asked = ["Host: h", "Upgrade: websocket", "Connection: keep-alive, Upgrade"];
    assert_eq!(judged("GET / HTTP/1.1", &asked), Ok(Framing::Upgrade));
    assert_eq!(judged("POST / HTTP/1.1", &asked), Ok(Framing::Length(0)));
    assert_eq!(judged("GET / HTTP/1.0", &asked), Ok(Framing::Length(0)));
    assert_eq!(judged("GET / HTTP/1.1", &["Host: h", "Upgrade: websocket"]), Ok(Framing::Length(0)));
    assert_eq!(judged("GET / HTTP/1.1", &["Host: h", "Upgrade: h2c", "Connection: Upgrade"]), Ok(Framing::Length(0)));
    let with = |field| judged("GET / HTTP/1.1", &[&asked[..], &[field]].concat());
    assert_eq!(with("Content-Length: 0"), Ok(Framing::Upgrade));
    assert_eq!(with("Content-Length: 1"), Err(Reason::RequestMalformed));
    assert_eq!(with("Transfer-Encoding: chunked"), Err(Reason::RequestMalformed));
}

#[test]
fn framing_that_could_be_read_in_two_ways_is_malformed() {
    for fields in [
        &["Content-Length: 1", "Transfer-Encoding: chunked"][..],
        &["Content-Length: 1", "Content-Length: 1"],
        &["Content-Length: 1, 1"],
        &["Content-Length: +1"],
        &["Content-Length: -1"],
        &["Content-Length: 0x1"],
        &["Content-Length:"],
        &["Content-Length: 9223372036854775808"],
        &["Transfer-Encoding: gzip, chunked"],
        &["Transfer-Encoding: identity"],
        &["Transfer-Encoding: \"chunked\""],
        &["Transfer-Encoding: chunked;q=1"],
        &["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        &["Transfer_Encoding: chunked"],
        &["Content.Length: 1"],
        &["Host: h"],
        &[" folded: x"],
        &["X-A: b", "\tfolded"],
        &["X-A : b"],
        &[": b"],
        &["no colon"],
        &["X-A: b\u{b}"],
        &["X-A: \u{7f}"],
        &["X(A): b"],
        &["Expect: 200-ok"],
        &["Connection: content-length"],
        &["Connection: a b"],
        &["Connection: a,b,c,d,e,f,g,h,i"],
    ] {
        assert!(is_malformed(fields), "{fields:?}");
    }
    assert!(!is_malformed(&["X-A: b", "X-A: \u{e9}", "Empty:", "Connection: close, X-A", "Expect: 100-Continue"]));
}

#[test]
fn a_request_line_has_three_parts_and_a_version_that_is_known() {
    for line in
        ["GET /", "GET  / HTTP/1.1", "GET /a b HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.1 ", "GET\t/ HTTP/1.1"]
            .into_iter()
            .chain([
                "GET / HTTP/1.2",
                "GET / HTTP/2.0",
                "GET / http/1.1",
                "G(T / HTTP/1.1",
                "GET a HTTP/1.1",
                "GET * HTTP/1.1",
            ])
    {
        assert_eq!(judged(line, &["Host: h"]), Err(Reason::RequestMalformed), "{line}");
    }
    for line in ["CONNECT h:1 HTTP/1.1", "TRACE / HTTP/1.1", "trace / HTTP/1.1", "TRACK / HTTP/1.0"] {
        assert_eq!(judged(line, &["Host: h"]), Err(Reason::MethodRefused), "{line}");
    }
}

#[test]
fn a_host_is_there_once_and_agrees_with_the_target() {
    for hosts in
        [&[][..], &["Host:"], &["Host: a", "Host: a"], &["Host: a,b"], &["Host: u@a"], &["H_ost: a", "Host: a"]]
    {
        assert_eq!(judged("GET / HTTP/1.1", hosts), Err(Reason::RequestMalformed), "{hosts:?}");
    }
    assert_eq!(judged("GET http://a/ HTTP/1.1", &["Host: a"]), Ok(Framing::Length(0)));
    assert_eq!(judged("GET http://b/ HTTP/1.1", &["Host: a"]), Err(Reason::RequestMalformed));
}

#[test]
fn more_fields_than_allowed_are_too_large_a_head() {
    let many = ["X: y"; 15];
    assert!(judged("GET / HTTP/1.1", &[&["Host: h"], &many[..]].concat()).is_ok());
    assert_eq!(judged("GET / HTTP/1.1", &[&["Host: h", "X: y"], &many[..]].concat()), Err(Reason::HeadTooLarge));
}

#[test]
fn the_end_of_a_head_is_found_however_it_is_cut() {
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\nbody\n";
    for cut in 0..request.len() {
        let mut search = Search::default();
        let first = search.end(&request[..cut]).unwrap();
        assert_eq!(first.or_else(|| search.end(request).unwrap()), Some(27), "{cut}");
    }
    for bytes in [&b"GET / HTTP/1.1\nHost"[..], b"GET / HTTP/1.1\r\nHost: h\n\n", b"\r\nGET", b"\nGET"] {
        assert!(Search::default().end(bytes).is_err(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_sketch_says_what_can_be_read() {
    let sketch = |head: &[u8]| Sketch::of(head);
    assert_eq!(sketch(b"GET /a?b HTTP/1.1\nX"), Sketch { method: "GET".into(), path: "/a".into() });
    assert_eq!(sketch(b"GET http://u:p@h/a?b HTTP/1.1\r\n"), Sketch { method: "GET".into(), path: "/a".into() });
    assert_eq!(sketch(b"GET /a\xff HTTP/1.1\r\n"), Sketch::default());
    assert_eq!(sketch(b"\x16\x03\x01"), Sketch::default());
}
