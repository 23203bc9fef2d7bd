//! Heads of HTTP/1 that two parties may read differently. All have the good token: what is asked is whether the form is refused.
//! What is hidden in a body is a request for the same path without a token, so nothing else can happen at the service.

use crate::probe::attempt::{Case, Class, Proof, Request, Weight, raw};
use crate::probe::target::Target;

/// A head that its standard demands to be refused (`Taken`), or allows to be read in one way (`SecondAnswer`).
struct Head(&'static str, &'static str, Proof, &'static str);

pub(super) fn cases(target: &Target) -> Vec<Case> {
    let hidden = "{R} HTTP/1.1~{H}Connection: close~Content-Length: 0~~";
    let hidden_length = match raw(target, hidden) {
        Request::Http1(bytes) => bytes.len(),
        Request::Http2 { .. } | Request::Direct(_) => 0,
    };
    let case = |Head(source, what, proof, template): &Head| {
        // `{S}` is the hidden request, `{N}` its length.
        let template = template.replace("{S}", hidden).replace("{N}", &hidden_length.to_string());
        let weight = if *proof == Proof::SecondAnswer { Weight::Bypass } else { Weight::Leniency };
        Case {
            class: Class::Framing,
            source,
            what: (*what).to_owned(),
            weight,
            request: raw(target, &template),
            proof: proof.clone(),
        }
    };
    HEADS.iter().map(case).collect()
}

const CL: &str = "RFC 9112 6.3";
const TE: &str = "RFC 9112 6.1";
const FIELD: &str = "RFC 9112 5.1";
const LINE: &str = "RFC 9112 3";

#[rustfmt::skip]
const HEADS: &[Head] = &[
    Head(TE, "a length, then chunks that end at once", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Content-Length: 5~Transfer-Encoding: chunked~~0~~{S}"),
    Head(TE, "chunks that end at once, then a length", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Transfer-Encoding: chunked~Content-Length: 5~~0~~{S}"),
    Head(TE, "a length of nothing, and one chunk", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Content-Length: 0~Transfer-Encoding: chunked~~0~~{S}"),
    Head(TE, "an unknown coding and a length", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Transfer-Encoding: xchunked~Content-Length: 0~~{S}"),
    Head(TE, "chunked with a space before the colon", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Transfer-Encoding : chunked~Content-Length: 5~~0~~{S}"),
    Head(TE, "chunked behind a vertical tab", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Transfer-Encoding:\u{b}chunked~Content-Length: 5~~0~~{S}"),
    Head(TE, "chunked in quotes", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Transfer-Encoding: \"chunked\"~Content-Length: 5~~0~~{S}"),
    Head(TE, "identity, and then chunked, and a length", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Transfer-Encoding: identity~Transfer-Encoding: chunked~Content-Length: 5~~0~~{S}"),
    Head(TE, "chunked twice, and a length", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Transfer-Encoding: chunked, chunked~Content-Length: 5~~0~~{S}"),
    Head(TE, "chunked that is not the last coding", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Transfer-Encoding: chunked, identity~Content-Length: 5~~0~~{S}"),
    Head(TE, "chunked with an underscore, and a length", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Transfer_Encoding: chunked~Content-Length: 5~~0~~{S}"),
    Head(TE, "chunked in HTTP/1.0", Proof::SecondAnswer, "{R} HTTP/1.0~{H}{T}Transfer-Encoding: chunked~Content-Length: 5~~0~~{S}"),
    Head(TE, "chunks, and the coding named in Connection", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Connection: Transfer-Encoding~Transfer-Encoding: chunked~~0~~{S}"),
    Head(CL, "a length, and the field named in Connection", Proof::SecondAnswer, "{R} HTTP/1.1~{H}{T}Connection: Content-Length~Content-Length: {N}~~{S}"),
    Head(CL, "two lengths that differ", Proof::Taken, "{R} HTTP/1.1~{H}{T}Content-Length: 0~Content-Length: {N}~~{S}"),
    Head(CL, "two lengths that differ, the longer first", Proof::Taken, "{R} HTTP/1.1~{H}{T}Content-Length: {N}~Content-Length: 0~~{S}"),
    Head(CL, "a list of lengths that differ", Proof::Taken, "{R} HTTP/1.1~{H}{T}Content-Length: 0, {N}~~{S}"),
    Head(CL, "a length with a sign", Proof::Taken, "{R} HTTP/1.1~{H}{T}Connection: close~Content-Length: +0~~"),
    Head(CL, "a negative length", Proof::Taken, "{R} HTTP/1.1~{H}{T}Connection: close~Content-Length: -1~~"),
    Head(CL, "a hexadecimal length", Proof::Taken, "{R} HTTP/1.1~{H}{T}Connection: close~Content-Length: 0x0~~"),
    Head(CL, "a length with a letter behind it", Proof::Taken, "{R} HTTP/1.1~{H}{T}Connection: close~Content-Length: 0a~~"),
    Head(CL, "a length with a space in it", Proof::Taken, "{R} HTTP/1.1~{H}{T}Connection: close~Content-Length: 0 0~~"),
    Head(CL, "a length beyond 64 bits", Proof::Taken, "{R} HTTP/1.1~{H}{T}Connection: close~Content-Length: 18446744073709551616~~"),
    Head(CL, "an empty length", Proof::Taken, "{R} HTTP/1.1~{H}{T}Connection: close~Content-Length:~~"),
    Head("RFC 9112 7.1", "a chunk's size with a sign", Proof::Taken, "{R} HTTP/1.1~{H}{T}Connection: close~Transfer-Encoding: chunked~~+0~~"),
    Head("RFC 9112 7.1", "a chunk's size with a prefix", Proof::Taken, "{R} HTTP/1.1~{H}{T}Connection: close~Transfer-Encoding: chunked~~0x0~~"),
    Head("RFC 9112 7.1", "a chunk's size that overflows", Proof::Taken, "{R} HTTP/1.1~{H}{T}Connection: close~Transfer-Encoding: chunked~~10000000000000000~~0~~"),
    Head("RFC 9112 7.1", "chunks with bare line feeds", Proof::Taken, "{R} HTTP/1.1~{H}{T}Connection: close~Transfer-Encoding: chunked~~0\n\n"),
    Head(FIELD, "a space before the colon of Authorization", Proof::Taken, "{R} HTTP/1.1~{H}{T}X-A : 1~Connection: close~{L}~{B}"),
    Head(FIELD, "a tab before a colon", Proof::Taken, "{R} HTTP/1.1~{H}{T}X-A\t: 1~Connection: close~{L}~{B}"),
    Head(FIELD, "a space in a field's name", Proof::Taken, "{R} HTTP/1.1~{H}{T}X A: 1~Connection: close~{L}~{B}"),
    Head(FIELD, "a line without a colon", Proof::Taken, "{R} HTTP/1.1~{H}{T}X-A~Connection: close~{L}~{B}"),
    Head(FIELD, "an empty name", Proof::Taken, "{R} HTTP/1.1~{H}{T}: 1~Connection: close~{L}~{B}"),
    Head(FIELD, "a name beyond ASCII", Proof::Taken, "{R} HTTP/1.1~{H}{T}X-\u{e9}: 1~Connection: close~{L}~{B}"),
    Head("RFC 9110 5.5", "NUL in a value", Proof::Taken, "{R} HTTP/1.1~{H}{T}X-A: a\0b~Connection: close~{L}~{B}"),
    Head("RFC 9110 5.5", "a bare carriage return in a value", Proof::Taken, "{R} HTTP/1.1~{H}{T}X-A: a\rb~Connection: close~{L}~{B}"),
    Head("RFC 9112 2.2", "a bare line feed between fields", Proof::Taken, "{R} HTTP/1.1~{H}{T}X-A: a\nX-B: b~Connection: close~{L}~{B}"),
    Head("RFC 9112 2.2", "bare line feeds everywhere", Proof::Taken, "{R} HTTP/1.1\nHost: h\nX-Callgate-Probe: 1\nConnection: close\n{T}Content-Length: 0\n\n"),
    Head("RFC 9112 2.2", "white space before the first field", Proof::Taken, "{R} HTTP/1.1~ {H}{T}Connection: close~{L}~{B}"),
    Head("RFC 9112 5.2", "a folded field", Proof::Taken, "{R} HTTP/1.1~{H}{T}X-A: 1~ 2~Connection: close~{L}~{B}"),
    Head("RFC 9112 5.2", "a field folded by a tab", Proof::Taken, "{R} HTTP/1.1~{H}{T}X-A: 1~\t2~Connection: close~{L}~{B}"),
    Head(LINE, "no host", Proof::Taken, "{R} HTTP/1.1~X-Callgate-Probe: 1~{T}Connection: close~{L}~{B}"),
    Head(LINE, "two hosts", Proof::Taken, "{R} HTTP/1.1~{H}Host: probe.invalid~{T}Connection: close~{L}~{B}"),
    Head(LINE, "a host with a path", Proof::Taken, "{R} HTTP/1.1~X-Callgate-Probe: 1~Host: h/x~{T}Connection: close~{L}~{B}"),
    Head(LINE, "a host with a space", Proof::Taken, "{R} HTTP/1.1~X-Callgate-Probe: 1~Host: h x~{T}Connection: close~{L}~{B}"),
    Head(LINE, "two spaces before the version", Proof::Taken, "{R}  HTTP/1.1~{H}{T}Connection: close~{L}~{B}"),
    Head(LINE, "a tab before the version", Proof::Taken, "{R}\tHTTP/1.1~{H}{T}Connection: close~{L}~{B}"),
    Head(LINE, "a second version", Proof::Taken, "{R} HTTP/1.1 HTTP/1.1~{H}{T}Connection: close~{L}~{B}"),
    Head(LINE, "a version that does not exist", Proof::Taken, "{R} HTTP/3.7~{H}{T}Connection: close~{L}~{B}"),
    Head(LINE, "a version in small letters", Proof::Taken, "{R} http/1.1~{H}{T}Connection: close~{L}~{B}"),
];
