//! A response as HTTP/1 (RFC 9112 §4, §6): how its body is framed for this client, whether the connection goes on after it, and
//! its bytes. The writer touches no socket; the session sends what it has encoded.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderValue, StatusCode};
use pingora::http::ResponseHeader;
use pingora::protocols::http::date::get_cached_date;
use pingora::{Error, ErrorType, Result};

use crate::http1::fields::elements;

/// What a response depends on besides itself.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// HTTP/1.0: the client knows neither chunks nor interim responses (RFC 9112 §6.1, RFC 9110 §15.2).
    pub is_http10: bool,
    /// HEAD: the response has no content (RFC 9110 §9.3.2).
    pub is_head: bool,
    /// Whether the request asks for an upgrade that the filters allow.
    pub asks_for_upgrade: bool,
    /// Whether another request may follow on the connection, as far as the request and the filters have a say.
    pub may_keep: bool,
}

/// A response, as far as it was encoded.
#[derive(Default)]
pub struct ResponseWriter {
    /// Encoded, and not yet sent.
    encoded: BytesMut,
    body: Body,
    /// Body bytes that were encoded, without their framing.
    body_bytes: u64,
    keeps_connection: bool,
}

/// The body, from its head on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Body {
    /// No final head was encoded.
    #[default]
    Unknown,
    /// There is none, whatever the upstream sends: HEAD, 204, 304 (RFC 9112 §6.3).
    None,
    /// So many bytes are missing.
    Length(u64),
    Chunked,
    /// The end of the connection is the end of the body.
    UntilClose,
    /// What follows `101` is another protocol.
    Tunnel,
    Ended,
}

impl ResponseWriter {
    /// Encodes a head. An interim response may come before the final one; one that the client does not know is left out. `ends`: the
    /// response has no body. The result is the head if it is a final one.
    ///
    /// # Errors
    /// If a final head was encoded before, or its framing contradicts itself.
    pub fn head(
        &mut self,
        mut head: Box<ResponseHeader>,
        request: Request,
        ends: bool,
    ) -> Result<Option<Box<ResponseHeader>>> {
        if self.body != Body::Unknown {
            return Error::e_explain(ErrorType::InternalError, "a second final response");
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            if !request.asks_for_upgrade {
                return Error::e_explain(ErrorType::InvalidHTTPHeader, "an upgrade that was not asked for");
            }
            self.body = Body::Tunnel;
            self.encode(&head);
            return Ok(Some(head));
        }
        if head.remove_header(&TRANSFER_ENCODING).is_some() {
            // RFC 9112 §6.3: it overrides the length.
            head.remove_header(&CONTENT_LENGTH);
        }
        if head.status.is_informational() {
            if !request.is_http10 {
                head.remove_header(&CONNECTION);
                head.remove_header(&CONTENT_LENGTH);
                self.encode(&head);
            }
            return Ok(None);
        }
        let body = Self::framing(&mut head, request, ends)?;
        self.keeps_connection = request.may_keep && !request.asks_for_upgrade && body != Body::UntilClose;
        if body == Body::Chunked {
            head.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
        }
        // RFC 9110 §6.6.1: that of the origin stays.
        if !head.headers.contains_key(DATE) {
            head.insert_header(DATE, get_cached_date())?;
        }
        let connection = if self.keeps_connection { "keep-alive" } else { "close" };
        head.insert_header(CONNECTION, HeaderValue::from_static(connection))?;
        self.encode(&head);
        self.body = body;
        Ok(Some(head))
    }

    /// Decides how the body is framed, and takes away the length of one that is framed otherwise.
    fn framing(head: &mut ResponseHeader, request: Request, ends: bool) -> Result<Body> {
        if head.status == StatusCode::NO_CONTENT {
            // RFC 9110 §8.6.
            head.remove_header(&CONTENT_LENGTH);
            return Ok(Body::None);
        }
        if request.is_head || head.status == StatusCode::NOT_MODIFIED {
            return Ok(Body::None);
        }
        match content_length(head)? {
            Some(length) => Ok(Body::Length(length)),
            None if ends => {
                head.insert_header(CONTENT_LENGTH, HeaderValue::from_static("0"))?;
                Ok(Body::Length(0))
            }
            None if request.is_http10 => Ok(Body::UntilClose),
            None => Ok(Body::Chunked),
        }
    }

    fn encode(&mut self, head: &ResponseHeader) {
        self.encoded.reserve(HEAD_USUAL);
        self.encoded.put_slice(b"HTTP/1.1 ");
        self.encoded.put_slice(head.status.as_str().as_bytes());
        self.encoded.put_u8(b' ');
        self.encoded.put_slice(head.get_reason_phrase().unwrap_or_default().as_bytes());
        self.encoded.put_slice(b"\r\n");
        head.header_to_h1_wire(&mut self.encoded);
        self.encoded.put_slice(b"\r\n");
    }

    /// Encodes a piece of the body. A large one is not copied: it comes back, to be sent after what is encoded and before the bytes
    /// that come with it.
    ///
    /// # Errors
    /// If the body has more bytes than its head said, or there was no head.
    pub fn body(&mut self, piece: Bytes) -> Result<Option<(Bytes, &'static [u8])>> {
        let length = piece.len() as u64;
        let end: &[u8] = match &mut self.body {
            // A chunk without data would end the body.
            _ if length == 0 => return Ok(None),
            Body::None => return Ok(None),
            Body::Length(left) => {
                let Some(rest) = left.checked_sub(length) else {
                    return Error::e_explain(ErrorType::InternalError, "more body than Content-Length");
                };
                *left = rest;
                b""
            }
            Body::Chunked => {
                self.encoded.put_slice(format!("{length:x}\r\n").as_bytes());
                b"\r\n"
            }
            Body::UntilClose | Body::Tunnel => b"",
            Body::Unknown | Body::Ended => {
                return Error::e_explain(ErrorType::InternalError, "a body before its head or after its end");
            }
        };
        self.body_bytes += length;
        if piece.len() > COPIED_MAX {
            return Ok(Some((piece, end)));
        }
        self.encoded.put_slice(&piece);
        self.encoded.put_slice(end);
        Ok(None)
    }

    /// Encodes the end of the body. To end it again does nothing.
    ///
    /// # Errors
    /// If bytes are missing.
    pub fn end(&mut self) -> Result<()> {
        match self.body {
            Body::Length(1..) => return Error::e_explain(ErrorType::InternalError, "less body than Content-Length"),
            Body::Chunked => self.encoded.put_slice(b"0\r\n\r\n"),
            Body::Unknown => return Ok(()),
            Body::None | Body::Length(0) | Body::UntilClose | Body::Tunnel | Body::Ended => {}
        }
        self.body = Body::Ended;
        Ok(())
    }

    /// Whether a final head was encoded.
    pub fn has_begun(&self) -> bool {
        self.body != Body::Unknown
    }

    /// Whether all of the response was encoded.
    pub fn is_complete(&self) -> bool {
        matches!(self.body, Body::None | Body::Length(0) | Body::Ended)
    }

    /// Whether the head said that the connection goes on.
    pub const fn keeps_connection(&self) -> bool {
        self.keeps_connection
    }

    /// How many bytes were encoded and not yet taken.
    pub fn encoded_len(&self) -> usize {
        self.encoded.len()
    }

    /// How many bytes of body were encoded.
    pub const fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Takes what was encoded, to send it.
    pub fn take_encoded(&mut self) -> Bytes {
        self.encoded.split().freeze()
    }
}

/// A whole response after which the connection is closed, for what never became a request.
///
/// # Errors
/// If its framing contradicts itself.
pub fn last_response(head: ResponseHeader, body: Bytes, is_head: bool) -> Result<Bytes> {
    let request = Request { is_http10: false, is_head, asks_for_upgrade: false, may_keep: false };
    let mut writer = ResponseWriter::default();
    writer.head(Box::new(head), request, false)?;
    let large = writer.body(body)?;
    let mut encoded = writer.take_encoded();
    if let Some((body, _)) = large {
        encoded = [encoded, body].concat().into();
    }
    Ok(encoded)
}

/// The length that a head says, once. Pingora lets equal ones pass (RFC 9110 §8.6); the client gets one.
fn content_length(head: &mut ResponseHeader) -> Result<Option<u64>> {
    let digits = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        text.parse::<u64>().ok()
    };
    let mut values = head.headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let is_only = values.next().is_none();
    if is_only && let Some(length) = digits(first.as_bytes()) {
        return Ok(Some(length));
    }
    let all = head.headers.get_all(CONTENT_LENGTH).iter().flat_map(|value| elements(value.as_bytes()));
    let mut all: Vec<_> = all.map(digits).collect();
    all.dedup();
    let [Some(length)] = all[..] else {
        return Error::e_explain(ErrorType::InvalidHTTPHeader, "Content-Length is not one number");
    };
    head.insert_header(CONTENT_LENGTH, length)?;
    Ok(Some(length))
}

/// Room for a usual head with a short body, in bytes; more is found when it is needed.
const HEAD_USUAL: usize = 1024;

/// The largest piece that is copied behind what is encoded, in bytes. To send one that is larger by itself costs less.
const COPIED_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Request = Request { is_http10: false, is_head: false, asks_for_upgrade: false, may_keep: true };

    fn head(status: u16, fields: &[(&'static str, &'static str)]) -> Box<ResponseHeader> {
        let mut head = ResponseHeader::build(status, None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        Box::new(head)
    }

    /// All that is sent for a response of these pieces, without `Date`.
    fn sent(request: Request, head: Box<ResponseHeader>, pieces: &[&'static str]) -> (String, ResponseWriter) {
        let mut writer = ResponseWriter::default();
        writer.head(head, request, false).unwrap();
        let mut sent = writer.take_encoded().to_vec();
        for piece in pieces {
            assert_eq!(writer.body(Bytes::from_static(piece.as_bytes())).unwrap(), None);
            sent.extend_from_slice(&writer.take_encoded());
        }
        writer.end().unwrap();
        sent.extend_from_slice(&writer.take_encoded());
        let sent = String::from_utf8(sent).unwrap();
        let lines = sent.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: "));
        (lines.collect(), writer)
    }

    #[test]
    fn a_body_is_framed_by_its_length_or_by_chunks() {
        let (text, writer) = sent(PLAIN, head(200, &[("Content-Length", "4"), ("X-Own", "1")]), &["ab", "cd"]);
        assert_eq!(text, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Own: 1\r\nConnection: keep-alive\r\n\r\nabcd");
        assert!(writer.is_complete() && writer.keeps_connection());
        assert_eq!(writer.body_bytes(), 4);
        for fields in [&[][..], &[("Transfer-Encoding", "chunked")]] {
            let (text, writer) = sent(PLAIN, head(202, fields), &["ab", "", "0123456789abcdef"]);
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 202 Accepted\r\n") && head.contains("\r\nConnection: keep-alive"));
            assert_eq!(head.matches("Transfer-Encoding: chunked").count(), 1, "{head}");
            assert_eq!(body, "2\r\nab\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
            assert_eq!((writer.body_bytes(), writer.is_complete()), (18, true));
        }
    }

    #[test]
    fn a_client_of_http10_gets_no_chunks_and_no_interim_response() {
        let old = Request { is_http10: true, ..PLAIN };
        let (text, writer) = sent(old, head(200, &[("Transfer-Encoding", "chunked")]), &["ab", "cd"]);
        assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcd");
        assert!(!writer.keeps_connection());
        let (text, writer) = sent(old, head(200, &[("Content-Length", "2")]), &["ab"]);
        assert!(text.contains("\r\nConnection: keep-alive\r\n") && writer.keeps_connection(), "its length is known");
        let mut writer = ResponseWriter::default();
        for status in [100, 102, 103] {
            assert!(writer.head(head(status, &[]), old, false).unwrap().is_none());
        }
        assert!(writer.take_encoded().is_empty() && !writer.has_begun());
    }

    #[test]
    fn interim_responses_go_before_the_final_one() {
        let mut writer = ResponseWriter::default();
        assert!(writer.head(head(100, &[("Connection", "close")]), PLAIN, false).unwrap().is_none());
        assert!(writer.head(head(103, &[("Link", "</a>")]), PLAIN, false).unwrap().is_none());
        assert_eq!(
            writer.take_encoded(),
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        );
        assert!(writer.head(head(204, &[]), PLAIN, false).unwrap().is_some());
        assert!(writer.head(head(204, &[]), PLAIN, false).is_err(), "there is one final response");
    }

    #[test]
    fn a_response_that_has_no_body_gets_none() {
        let asked = Request { is_head: true, ..PLAIN };
        for (request, status, fields, kept) in [
            (asked, 200, &[("Content-Length", "4")][..], Some("4")),
            (asked, 200, &[("Transfer-Encoding", "chunked")], None),
            (asked, 401, &[("Content-Length", "300")], Some("300")),
            (PLAIN, 204, &[("Content-Length", "0")], None),
            (PLAIN, 304, &[("Content-Length", "4")], Some("4")),
        ] {
            let (text, writer) = sent(request, head(status, fields), &["abcd"]);
            assert!(text.ends_with("\r\n\r\n") && !text.contains("Transfer-Encoding"), "{text}");
            assert_eq!(text.contains("Content-Length"), kept.is_some(), "{text}");
            assert!(writer.is_complete() && writer.keeps_connection());
        }
        let mut writer = ResponseWriter::default();
        writer.head(head(200, &[]), PLAIN, true).unwrap();
        assert!(String::from_utf8_lossy(&writer.take_encoded()).contains("Content-Length: 0\r\n"));
        assert!(writer.is_complete());
    }

    #[test]
    fn a_body_of_another_length_than_its_head_says_is_an_error() {
        let begun = || {
            let mut writer = ResponseWriter::default();
            writer.head(head(200, &[("Content-Length", "2")]), PLAIN, false).unwrap();
            writer
        };
        let mut short = begun();
        short.body(Bytes::from_static(b"a")).unwrap();
        assert!(short.end().is_err() && !short.is_complete());
        assert!(begun().body(Bytes::from_static(b"abc")).is_err());
        for fields in [&[("Content-Length", "2, 3")][..], &[("Content-Length", "2"), ("Content-Length", "x")]] {
            assert!(ResponseWriter::default().head(head(200, fields), PLAIN, false).is_err());
        }
        for fields in [&[("Content-Length", "2, 2")][..], &[("Content-Length", "2"), ("Content-Length", "2")]] {
            let (text, _) = sent(PLAIN, head(200, fields), &["ab"]);
            assert_eq!(text.matches("Content-Length: 2\r\n").count(), 1, "{text}");
        }
    }

    #[test]
    fn after_101_nothing_is_framed_and_nothing_added() {
        let asking = Request { asks_for_upgrade: true, ..PLAIN };
        let fields = [("Upgrade", "websocket"), ("Connection", "Upgrade")];
        let (text, writer) = sent(asking, head(101, &fields), &["\u{81}\u{2}hi", "x"]);
        let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        assert_eq!(text, format!("{expected}\u{81}\u{2}hix"));
        assert!(!writer.keeps_connection());
        assert!(ResponseWriter::default().head(head(101, &fields), PLAIN, false).is_err(), "nobody asked for it");
        let (text, writer) = sent(asking, head(404, &[("Content-Length", "0")]), &[]);
        assert!(text.contains("Connection: close") && !writer.keeps_connection(), "the client may have gone on");
    }

    #[test]
    fn a_last_response_is_whole_and_says_that_it_is_the_last() {
        for (is_head, length) in [(false, 2), (false, COPIED_MAX + 1), (true, 2)] {
            let body = "x".repeat(length);
            let mut head = ResponseHeader::build(400, None).unwrap();
            head.insert_header("Content-Length", length).unwrap();
            let response = last_response(head, body.clone().into(), is_head).unwrap();
            let text = String::from_utf8(response.to_vec()).unwrap();
            let (head, rest) = text.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with("HTTP/1.1 400 Bad Request\r\n") && head.contains("\r\nConnection: close"),
                "{head}"
            );
            assert_eq!(rest, if is_head { "" } else { &body });
        }
    }

    #[test]
    fn the_date_of_the_origin_stays() {
        let mut writer = ResponseWriter::default();
        writer.head(head(200, &[("Date", "Thu, 01 Jan 2026 00:00:00 GMT")]), PLAIN, true).unwrap();
        let text = String::from_utf8(writer.take_encoded().to_vec()).unwrap();
        assert_eq!(text.matches("Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n").count(), 1, "{text}");
        let mut writer = ResponseWriter::default();
        writer.head(head(200, &[]), PLAIN, true).unwrap();
        assert!(String::from_utf8_lossy(&writer.take_encoded()).contains("\r\nDate: "));
    }

    #[test]
    fn a_large_piece_is_not_copied() {
        let mut writer = ResponseWriter::default();
        writer.head(head(200, &[]), PLAIN, false).unwrap();
        let large = Bytes::from(vec![b'x'; COPIED_MAX + 1]);
        let (piece, end) = writer.body(large.clone()).unwrap().unwrap();
        assert_eq!((piece.as_ptr(), end), (large.as_ptr(), &b"\r\n"[..]));
        assert!(writer.take_encoded().ends_with(b"2001\r\n"));
    }

    #[test]
    fn ending_twice_is_ending_once_and_before_a_head_nothing() {
        let mut writer = ResponseWriter::default();
        writer.end().unwrap();
        assert!(writer.take_encoded().is_empty());
        writer.head(head(200, &[]), PLAIN, false).unwrap();
        writer.take_encoded();
        writer.end().unwrap();
        writer.end().unwrap();
        assert_eq!(writer.take_encoded(), "0\r\n\r\n");
    }
}
