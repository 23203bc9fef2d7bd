//! Requests that two parties could read differently. Every one of them has a good token: it is refused for its form alone.

use super::{Case, play};
use testkit::stage::Stage;

#[test]
fn whatever_could_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let stage = Stage::set();
    play(&stage, MALFORMED, |played| played.is_refused(400, "request_malformed").and_then(|()| played.is_closed()));
    stage.assert_nothing_received();
    stage.end();
}

#[test]
fn methods_that_are_no_services_business_are_refused() {
    let stage = Stage::set();
    play(&stage, METHODS, |played| {
        played.is_refused(405, "method_refused")?;
        played.answer.header("allow").map(drop).ok_or("it does not say what is allowed".to_owned())?;
        played.is_closed()
    });
    stage.assert_nothing_received();
    stage.end();
}

#[test]
fn whatever_has_one_reading_is_forwarded() {
    let stage = Stage::set();
    play(&stage, SOUND, |played| played.is_forwarded(202, &["billing"]));
    play(&stage, SOUND_ELSEWHERE, |played| played.is_forwarded(404, &["billing"]));
    assert_eq!(stage.email.received().len(), SOUND.len() + SOUND_ELSEWHERE.len());
    stage.end();
}

const MALFORMED: &[Case] = &[
    // Two lengths.
    ("length, then chunks", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 4~Transfer-Encoding: chunked~~0~~"),
    ("chunks, then length", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked~Content-Length: 5~~0~~"),
    ("chunks and length 0", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 0~Transfer-Encoding: chunked~~0~~"),
    ("the same length twice", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 2~Content-Length: 2~~{}"),
    ("two lengths", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 2~Content-Length: 1~~{}"),
    ("two lengths, one in capitals", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 2~CONTENT-LENGTH: 0~~{}"),
    ("a list of equal lengths", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 2, 2~~{}"),
    ("a list of lengths", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 2, 0~~{}"),
    ("a list that ends", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 2,~~{}"),
    // Lengths that are none.
    ("a length with a plus", "POST /send HTTP/1.1~Host: h~{T}Content-Length: +2~~{}"),
    ("a negative length", "POST /send HTTP/1.1~Host: h~{T}Content-Length: -2~~{}"),
    ("a length of minus zero", "POST /send HTTP/1.1~Host: h~{T}Content-Length: -0~~"),
    ("a hexadecimal length", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 0x2~~{}"),
    ("an empty length", "POST /send HTTP/1.1~Host: h~{T}Content-Length:~~"),
    ("a length of white space", "POST /send HTTP/1.1~Host: h~{T}Content-Length:  \t ~~"),
    ("a length with a space in it", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 1 2~~{}"),
    ("a length with a fraction", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 2.0~~{}"),
    ("a length with an exponent", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 2e0~~{}"),
    ("a length with an underscore", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 1_0~~{}"),
    ("a length with a letter", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 2x~~{}"),
    ("a quoted length", "POST /send HTTP/1.1~Host: h~{T}Content-Length: \"2\"~~{}"),
    ("a length with a parameter", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 2;a~~{}"),
    ("a length in other digits", "POST /send HTTP/1.1~Host: h~{T}Content-Length: \u{b2}~~{}"),
    ("a length of 2^63", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 9223372036854775808~~"),
    ("a length of 2^64", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 18446744073709551616~~"),
    ("a length of 2^64 + 2", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 18446744073709551618~~{}"),
    ("a length behind a vertical tab", "POST /send HTTP/1.1~Host: h~{T}Content-Length:\u{b}2~~{}"),
    // Codings that are not just chunks.
    ("compressed chunks", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: gzip, chunked~~0~~"),
    ("chunks, compressed", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked, gzip~~0~~"),
    ("identity", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: identity~~"),
    ("chunked and identity", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked, identity~~0~~"),
    ("identity and chunked", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: identity, chunked~~0~~"),
    ("chunked twice", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked, chunked~~0~~"),
    ("two codings", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked~Transfer-Encoding: chunked~~0~~"),
    ("two codings, one strange", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: x~Transfer-Encoding: chunked~~0~~"),
    ("a strange coding last", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked~Transfer-Encoding: x~~0~~"),
    ("an unknown coding", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: xchunked~~0~~"),
    ("a coding with a parameter", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked;q=1~~0~~"),
    ("a quoted coding", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: \"chunked\"~~0~~"),
    ("a coding before a comma", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked,~~0~~"),
    ("a coding behind a comma", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: ,chunked~~0~~"),
    ("an empty coding", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding:~~"),
    ("a coding behind a vertical tab", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: \u{b}chunked~~0~~"),
    ("a coding before a form feed", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked\u{c}~~0~~"),
    ("a coding behind a byte of another code", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: \u{a0}chunked~~0~~"),
    ("chunks in HTTP/1.0", "POST /send HTTP/1.0~Host: h~{T}Transfer-Encoding: chunked~~0~~"),
    // Framing in disguise.
    ("an underscore in the coding's name", "POST /send HTTP/1.1~Host: h~{T}Transfer_Encoding: chunked~~0~~"),
    ("a period in the coding's name", "POST /send HTTP/1.1~Host: h~{T}Transfer.Encoding: chunked~~0~~"),
    ("no hyphen in the coding's name", "POST /send HTTP/1.1~Host: h~{T}TransferEncoding: chunked~~0~~"),
    ("a hyphen after the coding's name", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding-: chunked~~0~~"),
    ("an underscore in the length's name", "POST /send HTTP/1.1~Host: h~{T}Content_Length: 2~~{}"),
    (
        "a disguised length beside chunks",
        "POST /send HTTP/1.1~Host: h~{T}Content_Length: 0~Transfer-Encoding: chunked~~0~~",
    ),
    ("an underscore in Host", "GET /send HTTP/1.1~Host: h~{T}Ho_st: evil~~"),
    ("an underscore in Upgrade", "GET /send HTTP/1.1~Host: h~{T}Up_grade: websocket~~"),
    ("a hyphen in Authorization", "GET /send HTTP/1.1~Host: h~{T}Author-ization: Bearer x~~"),
    ("an underscore in Connection", "GET /send HTTP/1.1~Host: h~{T}Connection_: close~~"),
    ("an underscore in Expect", "GET /send HTTP/1.1~Host: h~{T}_Expect: 100-continue~~"),
    ("a hyphen in TE", "GET /send HTTP/1.1~Host: h~{T}T-E: trailers~~"),
    // Line ends.
    ("bare line feeds throughout", "POST /send HTTP/1.1\nHost: h\nContent-Length: 0\n\n"),
    ("a bare line feed after the request line", "POST /send HTTP/1.1\nHost: h~{T}Content-Length: 0~~"),
    ("a bare line feed between fields", "POST /send HTTP/1.1~Host: h\n{T}Content-Length: 0~~"),
    ("a bare line feed that hides a field", "POST /send HTTP/1.1~Host: h~{T}X: y\nTransfer-Encoding: chunked~~0~~"),
    ("a bare line feed at the end", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 0~\n"),
    ("two bare line feeds at the end", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 0\n\n"),
    ("a bare carriage return in a value", "POST /send HTTP/1.1~Host: h~{T}X: y\rContent-Length: 2~~{}"),
    ("a bare carriage return at the end", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 0\r\r\n~"),
    ("a carriage return too many", "POST /send HTTP/1.1\r~Host: h~{T}Content-Length: 0~~"),
    ("an empty line first", "~POST /send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("two empty lines first", "~~POST /send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a line feed first", "\nPOST /send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    // Fields.
    ("a folded value", "POST /send HTTP/1.1~Host: h~{T}X: a~ b~Content-Length: 0~~"),
    ("a value folded with a tab", "POST /send HTTP/1.1~Host: h~{T}X: a~\tb~Content-Length: 0~~"),
    ("a folded coding", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding:~ chunked~~0~~"),
    ("a first field that is folded", "POST /send HTTP/1.1~ Host: h~{T}Content-Length: 0~~"),
    ("a line of white space", "POST /send HTTP/1.1~Host: h~{T} ~Content-Length: 0~~"),
    ("a space before the colon", "POST /send HTTP/1.1~Host: h~{T}Content-Length : 0~~"),
    ("a tab before the colon", "POST /send HTTP/1.1~Host: h~{T}Content-Length\t: 0~~"),
    ("a space before the coding's colon", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding : chunked~~0~~"),
    ("no name", "POST /send HTTP/1.1~Host: h~{T}: x~Content-Length: 0~~"),
    ("no colon", "POST /send HTTP/1.1~Host: h~{T}X y~Content-Length: 0~~"),
    ("a space in a name", "POST /send HTTP/1.1~Host: h~{T}X Y: z~Content-Length: 0~~"),
    ("parentheses in a name", "POST /send HTTP/1.1~Host: h~{T}X(Y): z~Content-Length: 0~~"),
    ("a slash in a name", "POST /send HTTP/1.1~Host: h~{T}X/Y: z~Content-Length: 0~~"),
    ("a quote in a name", "POST /send HTTP/1.1~Host: h~{T}\"X\": z~Content-Length: 0~~"),
    ("a NUL in a name", "POST /send HTTP/1.1~Host: h~{T}X\0: z~Content-Length: 0~~"),
    ("a letter beyond ASCII in a name", "POST /send HTTP/1.1~Host: h~{T}X\u{e9}: z~Content-Length: 0~~"),
    ("a NUL in a value", "POST /send HTTP/1.1~Host: h~{T}X: y\0z~Content-Length: 0~~"),
    ("an escape in a value", "POST /send HTTP/1.1~Host: h~{T}X: y\u{1b}[0m~Content-Length: 0~~"),
    ("a delete in a value", "POST /send HTTP/1.1~Host: h~{T}X: y\u{7f}~Content-Length: 0~~"),
    // Host.
    ("no host", "POST /send HTTP/1.1~{T}Content-Length: 0~~"),
    ("no host in HTTP/1.0", "POST /send HTTP/1.0~{T}Content-Length: 0~~"),
    ("an empty host", "POST /send HTTP/1.1~Host:~{T}Content-Length: 0~~"),
    ("a host of white space", "POST /send HTTP/1.1~Host: \t ~{T}Content-Length: 0~~"),
    ("the same host twice", "POST /send HTTP/1.1~Host: h~Host: h~{T}Content-Length: 0~~"),
    ("two hosts", "POST /send HTTP/1.1~Host: h~{T}Host: evil~Content-Length: 0~~"),
    ("a list of hosts", "POST /send HTTP/1.1~Host: h, evil~{T}Content-Length: 0~~"),
    ("hosts with a space between", "POST /send HTTP/1.1~Host: h evil~{T}Content-Length: 0~~"),
    ("a host with a user", "POST /send HTTP/1.1~Host: h@evil~{T}Content-Length: 0~~"),
    ("a host with a path", "POST /send HTTP/1.1~Host: h/evil~{T}Content-Length: 0~~"),
    ("a host with a scheme", "POST /send HTTP/1.1~Host: http://h~{T}Content-Length: 0~~"),
    ("a host with a query", "POST /send HTTP/1.1~Host: h?evil~{T}Content-Length: 0~~"),
    ("a host with a fragment", "POST /send HTTP/1.1~Host: h#evil~{T}Content-Length: 0~~"),
    ("a host with a backslash", "POST /send HTTP/1.1~Host: h\\evil~{T}Content-Length: 0~~"),
    ("a host with two ports", "POST /send HTTP/1.1~Host: h:80:81~{T}Content-Length: 0~~"),
    ("a host with a named port", "POST /send HTTP/1.1~Host: h:http~{T}Content-Length: 0~~"),
    ("a host with an endless port", "POST /send HTTP/1.1~Host: h:000080~{T}Content-Length: 0~~"),
    ("a host that is a port", "POST /send HTTP/1.1~Host: :80~{T}Content-Length: 0~~"),
    ("an address that is not closed", "POST /send HTTP/1.1~Host: [::1~{T}Content-Length: 0~~"),
    ("an address with more behind it", "POST /send HTTP/1.1~Host: [::1]evil~{T}Content-Length: 0~~"),
    ("a host beyond ASCII", "POST /send HTTP/1.1~Host: \u{e9}~{T}Content-Length: 0~~"),
    // Request lines.
    ("no version", "POST /send~Host: h~{T}Content-Length: 0~~"),
    ("HTTP/0.9", "POST /send HTTP/0.9~Host: h~{T}Content-Length: 0~~"),
    ("HTTP/1.2", "POST /send HTTP/1.2~Host: h~{T}Content-Length: 0~~"),
    ("HTTP/2.0", "POST /send HTTP/2.0~Host: h~{T}Content-Length: 0~~"),
    ("HTTP/1.1 in small letters", "POST /send http/1.1~Host: h~{T}Content-Length: 0~~"),
    ("HTTP/1.10", "POST /send HTTP/1.10~Host: h~{T}Content-Length: 0~~"),
    ("HTTP/01.1", "POST /send HTTP/01.1~Host: h~{T}Content-Length: 0~~"),
    ("another protocol", "POST /send HTTX/1.1~Host: h~{T}Content-Length: 0~~"),
    ("half of a preface", "PRI * HTTP/2.0~~XX~~"),
    ("two spaces before the target", "POST  /send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("two spaces behind the target", "POST /send  HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a space at the line's end", "POST /send HTTP/1.1 ~Host: h~{T}Content-Length: 0~~"),
    ("a space at the line's start", " POST /send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("tabs for spaces", "POST\t/send\tHTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a space in the target", "POST /se nd HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a second request line in the target", "POST /send HTTP/1.1 /x HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a NUL in the target", "POST /se\0nd HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a control character in the target", "POST /se\u{1}nd HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a tab in the target", "POST /se\tnd HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a byte beyond ASCII in the target", "POST /s\u{e9}nd HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a quote in the target", "POST /send\" HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("an angle bracket in the target", "POST /send< HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a closing angle bracket in the target", "POST /send?> HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a backtick in the target", "POST /send` HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a host with an escape", "POST /send HTTP/1.1~Host: a%2fb~{T}Content-Length: 0~~"),
    ("a fragment", "POST /send#x HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a target without a slash", "POST send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a target that begins with a backslash", "POST \\send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a target that begins with a query", "POST ?send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a target with a scheme of its own", "POST ftp://h/send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a target with a scheme and one slash", "POST http:/h/send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a target with a scheme and no host", "POST http:///send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a target with a user", "POST http://h@evil/send HTTP/1.1~Host: evil~{T}Content-Length: 0~~"),
    ("a target of another host", "POST http://evil/send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a target of another port", "POST http://h:81/send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a target without its host", "POST http://h/send HTTP/1.1~{T}Content-Length: 0~~"),
    ("a host and a port for POST", "POST h:80 HTTP/1.1~Host: h:80~{T}Content-Length: 0~~"),
    ("an asterisk for POST", "POST * HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("an empty line for a request", "POST~Host: h~{T}~"),
    ("parentheses in the method", "PO(ST /send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a colon in the method", "POST: /send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a method beyond ASCII", "P\u{d6}ST /send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("an endless method", "POSTPOSTPOSTPOSTPOSTPOSTPOSTPOSTPOST /send HTTP/1.1~Host: h~{T}Content-Length: 0~~"),
    ("a TLS handshake", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}~~"),
    // Connection, Expect, Upgrade.
    ("another expectation", "POST /send HTTP/1.1~Host: h~{T}Expect: 200-ok~Content-Length: 0~~"),
    ("a list of expectations", "POST /send HTTP/1.1~Host: h~{T}Expect: 100-continue, x~Content-Length: 0~~"),
    (
        "where it came from in Connection",
        "POST /send HTTP/1.1~Host: h~{T}Connection: X-Forwarded-For~X-Forwarded-For: 10.0.0.1~Content-Length: 0~~",
    ),
    ("Host in Connection", "POST /send HTTP/1.1~Host: h~{T}Connection: Host~Content-Length: 0~~"),
    (
        "the length in Connection",
        "POST /send HTTP/1.1~Host: h~{T}Connection: close, Content-Length~Content-Length: 0~~",
    ),
    (
        "the coding in Connection",
        "POST /send HTTP/1.1~Host: h~{T}Connection: transfer-encoding~Transfer-Encoding: chunked~~0~~",
    ),
    ("a quoted name in Connection", "POST /send HTTP/1.1~Host: h~{T}Connection: \"X\"~Content-Length: 0~~"),
    ("a pseudo-header in Connection", "POST /send HTTP/1.1~Host: h~{T}Connection: :path~Content-Length: 0~~"),
    (
        "too many names in Connection",
        "POST /send HTTP/1.1~Host: h~{T}Connection: a,b,c,d,e~Connection: f,g,h,i~Content-Length: 0~~",
    ),
    ("two upgrades", "GET /send HTTP/1.1~Host: h~{T}Connection: Upgrade~Upgrade: websocket~Upgrade: h2c~~"),
    (
        "an upgrade with a length",
        "GET /send HTTP/1.1~Host: h~{T}Connection: Upgrade~Upgrade: websocket~Content-Length: 4~~GET ",
    ),
    (
        "an upgrade with chunks",
        "GET /send HTTP/1.1~Host: h~{T}Connection: Upgrade~Upgrade: websocket~Transfer-Encoding: chunked~~0~~",
    ),
];

const METHODS: &[Case] = &[
    ("CONNECT to a host", "CONNECT h:443 HTTP/1.1~Host: h:443~{T}~"),
    ("CONNECT to a path", "CONNECT /send HTTP/1.1~Host: h~{T}~"),
    ("CONNECT in small letters", "connect h:443 HTTP/1.1~Host: h:443~{T}~"),
    ("CONNECT without a token", "CONNECT 169.254.169.254:80 HTTP/1.1~Host: h~~"),
    ("TRACE", "TRACE /send HTTP/1.1~Host: h~{T}~"),
    ("TRACE of everything", "TRACE * HTTP/1.1~Host: h~{T}Max-Forwards: 0~~"),
    ("TRACE in mixed letters", "Trace /send HTTP/1.1~Host: h~{T}~"),
    ("TRACK", "TRACK /send HTTP/1.1~Host: h~{T}~"),
];

/// Answered by the upstream with 202.
const SOUND: &[Case] = &[
    ("a length", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 2~~{}"),
    ("no length and no body", "POST /send HTTP/1.1~Host: h~{T}~"),
    ("a length with zeros", "POST /send HTTP/1.1~Host: h~{T}Content-Length: 002~~{}"),
    ("a length within white space", "POST /send HTTP/1.1~Host: h~{T}Content-Length:\t 2 \t~~{}"),
    ("a length without a space", "POST /send HTTP/1.1~Host:h~{T}content-length:2~~{}"),
    ("chunks", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked~~2~{}~0~~"),
    ("chunks in capitals", "POST /send HTTP/1.1~Host: h~{T}TRANSFER-ENCODING: CHUNKED~~2~{}~0~~"),
    ("chunks with trailers", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked~~2~{}~0~X-Sum: 1~~"),
    ("chunks without a body", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked~~0~~"),
    ("HTTP/1.0", "POST /send HTTP/1.0~Host: h~{T}Content-Length: 2~~{}"),
    ("HTTP/1.0 that stays", "POST /send HTTP/1.0~Host: h~{T}Connection: keep-alive~Content-Length: 2~~{}"),
    ("a host with a port", "POST /send HTTP/1.1~Host: h:8080~{T}Content-Length: 2~~{}"),
    ("an address", "POST /send HTTP/1.1~Host: [::1]:80~{T}Content-Length: 2~~{}"),
    ("a host in capitals", "POST /send HTTP/1.1~HOST: EXAMPLE~{T}Content-Length: 2~~{}"),
    ("an absolute target", "POST http://h/send HTTP/1.1~Host: h~{T}Content-Length: 2~~{}"),
    ("an absolute target in capitals", "POST HTTP://h:80/send?x HTTP/1.1~Host: h:80~{T}Content-Length: 2~~{}"),
    ("an empty value", "POST /send HTTP/1.1~Host: h~{T}X:~Content-Length: 2~~{}"),
    ("a value beyond ASCII", "POST /send HTTP/1.1~Host: h~{T}X: caf\u{c3}\u{a9}~Content-Length: 2~~{}"),
    ("a value with a tab", "POST /send HTTP/1.1~Host: h~{T}X: a\tb~Content-Length: 2~~{}"),
    ("names with every token character", "POST /send HTTP/1.1~Host: h~{T}X!#$%&'*+-.^_`|9: z~Content-Length: 2~~{}"),
    ("a name twice", "POST /send HTTP/1.1~Host: h~{T}X: a~X: b~Content-Length: 2~~{}"),
    ("a query of anything", "POST /send?a=/../b&c=%00;\\{}|^ HTTP/1.1~Host: h~{T}Content-Length: 2~~{}"),
    ("an expectation", "POST /send HTTP/1.1~Host: h~{T}Expect: 100-continue~Content-Length: 2~~{}"),
    (
        "a list in Connection",
        "POST /send HTTP/1.1~Host: h~{T}Connection: keep-alive, X-Hop~X-Hop: 1~Content-Length: 2~~{}",
    ),
    ("the last of a connection", "POST /send HTTP/1.1~Host: h~{T}Connection: close~Content-Length: 2~~{}"),
    (
        "an upgrade that is ignored",
        "POST /send HTTP/1.1~Host: h~{T}Connection: Upgrade, HTTP2-Settings~Upgrade: h2c~HTTP2-Settings: AAMAAABk~Content-Length: 2~~{}",
    ),
    ("trailers that are accepted", "POST /send HTTP/1.1~Host: h~{T}TE: trailers~Content-Length: 2~~{}"),
];

/// Answered by the upstream with 404, which knows no such route.
const SOUND_ELSEWHERE: &[Case] = &[
    ("a path of anything", "GET /a//b/../c;d/%2e%2e/%2F\\e HTTP/1.1~Host: h~{T}~"),
    ("two slashes", "GET //evil HTTP/1.1~Host: h~{T}~"),
    ("a target without a path", "GET http://h HTTP/1.1~Host: h~{T}~"),
    ("a method of its own", "PURGE /send HTTP/1.1~Host: h~{T}~"),
    ("a method in small letters", "post /send HTTP/1.1~Host: h~{T}~"),
    ("OPTIONS of everything", "OPTIONS * HTTP/1.1~Host: h~{T}~"),
    ("a websocket that is not asked for in full", "GET /send HTTP/1.1~Host: h~{T}Upgrade: websocket~~"),
];
