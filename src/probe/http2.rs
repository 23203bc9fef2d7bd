//! Sends an attempt as frames of HTTP/2 (RFC 9113), made here: a library refuses to send what is to be tried. Fields are literals
//! that are not indexed (RFC 7541 section 6.2.2), and of the response only the status and the data are read.

use std::io::{self, Write as _};

use super::answer::{Answer, End};
use super::connection::{Connector, Protocol, Stream};

/// A field: name and value.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// Sends one request on a connection of its own.
pub(super) fn send(connector: &Connector, fields: &[Field], body: &[u8]) -> Answer {
    let Ok(mut stream) = connector.open(Protocol::Http2) else { return Answer::none(End::Unreachable) };
    let request = request(fields, body);
    // Whoever refuses may close before everything was read.
    let _ = stream.write_all(&request).and_then(|()| stream.flush());
    let mut answer = Answer::none(End::Closed);
    loop {
        match step(&mut *stream, &mut answer) {
            Ok(Step::More) => {}
            Ok(Step::End) => break,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                answer.end = End::TimedOut;
                break;
            }
            Err(_) => break,
        }
    }
    if !answer.statuses.is_empty() {
        answer.end = End::Complete;
    }
    answer
}

enum Step {
    More,
    End,
}

/// Reads one frame.
fn step(stream: &mut dyn Stream, answer: &mut Answer) -> io::Result<Step> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let [a, b, c, kind, flags, id @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut payload)?;
    let is_ours = u32::from_be_bytes(id) & 0x7fff_ffff == 1;
    let ends = flags & END_STREAM != 0;
    match kind {
        SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
        PING if flags & ACK == 0 => stream.write_all(&frame(PING, ACK, 0, &payload))?,
        HEADERS if is_ours => {
            if let Some(status) = status(fragment(&payload, flags)).filter(|status| *status >= 200) {
                answer.statuses.push(status);
            }
        }
        DATA if is_ours && answer.body.len() < BODY_MAX => answer.body.extend_from_slice(&payload),
        RST_STREAM if is_ours => return Ok(Step::End),
        GOAWAY => {
            let code = payload.get(4..8).unwrap_or_default();
            // A graceful one is followed by the response.
            return Ok(if code == [0; 4] { Step::More } else { Step::End });
        }
        _ => {}
    }
    Ok(if is_ours && ends && matches!(kind, HEADERS | DATA) { Step::End } else { Step::More })
}

/// The preface, settings that forbid a dynamic table and pushes, and the request.
fn request(fields: &[Field], body: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]));
    let end = if body.is_empty() { END_STREAM } else { 0 };
    let count = block.chunks(FRAME_MAX).count();
    for (index, piece) in block.chunks(FRAME_MAX).enumerate() {
        let (kind, end) = if index == 0 { (HEADERS, end) } else { (CONTINUATION, 0) };
        let last = if index + 1 == count { END_HEADERS } else { 0 };
        bytes.extend(frame(kind, end | last, 1, piece));
    }
    let pieces = body.chunks(FRAME_MAX);
    let last = pieces.len();
    for (index, piece) in pieces.enumerate() {
        bytes.extend(frame(DATA, if index + 1 == last { END_STREAM } else { 0 }, 1, piece));
    }
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    let mut frame: Vec<u8> = length.into_iter().skip(1).collect();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A string literal without Huffman code (RFC 7541 sections 5.1 and 5.2).
fn string(block: &mut Vec<u8>, text: &[u8]) {
    const PREFIX: usize = 127;
    if text.len() < PREFIX {
        block.push(u8::try_from(text.len()).unwrap_or_default());
    } else {
        block.push(127);
        let mut rest = text.len() - PREFIX;
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).unwrap_or_default() | 0x80);
            rest /= 128;
        }
        block.push(u8::try_from(rest).unwrap_or_default());
    }
    block.extend_from_slice(text);
}

/// The header block within a HEADERS frame, without padding and priority.
fn fragment(payload: &[u8], flags: u8) -> &[u8] {
    let (padding, rest) = match (flags & PADDED, payload.split_first()) {
        (0, _) | (_, None) => (0, payload),
        (_, Some((padding, rest))) => (usize::from(*padding), rest),
    };
    let rest = rest.get(..rest.len().saturating_sub(padding)).unwrap_or_default();
    if flags & PRIORITY == 0 { rest } else { rest.get(5..).unwrap_or_default() }
}

/// The status, which is the first field of a response (RFC 9113 section 8.3.2).
fn status(mut block: &[u8]) -> Option<u16> {
    // Changes of the table's size come first (RFC 7541 section 4.2); ours is small enough for one byte.
    while let Some((first, rest)) = block.split_first()
        && first & 0xe0 == 0x20
    {
        block = rest;
    }
    let (first, rest) = block.split_first()?;
    let in_table = [200, 204, 206, 304, 400, 404, 500];
    if first & 0x80 != 0 {
        return in_table.get(usize::from(first & 0x7f).checked_sub(8)?).copied();
    }
    // A literal whose name is one of the entries 8 to 14, or written out.
    let index = if first & 0x40 != 0 { first & 0x3f } else { first & 0x0f };
    let value = if index == 0 { rest.get(1 + usize::from(rest.first()? & 0x7f)..)? } else { rest };
    let (length, text) = value.split_first()?;
    let text = text.get(..usize::from(length & 0x7f))?;
    if length & 0x80 == 0 { std::str::from_utf8(text).ok()?.parse().ok() } else { digits(text) }
}

/// Three digits in Huffman code (RFC 7541 appendix B): 0, 1 and 2 have five bits, the others six.
fn digits(text: &[u8]) -> Option<u16> {
    let mut bits = text.iter().flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)));
    let mut number = 0;
    for _ in 0..3 {
        let five = (0..5).try_fold(0, |code, _| Some(code << 1 | bits.next()?))?;
        let digit = if five <= 2 { five } else { (five << 1 | bits.next()?).checked_sub(0x19)? + 3 };
        number = number * 10 + (digit <= 9).then_some(digit)?;
    }
    Some(number)
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// What every receiver takes in one frame (RFC 9113 section 6.5.2).
const FRAME_MAX: usize = 16_384;
const BODY_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_in_every_form_that_a_first_response_can_have() {
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x8d]), Some(404));
        assert_eq!(status(b"\x48\x03202"), Some(202));
        assert_eq!(status(b"\x20\x08\x03401"), Some(401));
        assert_eq!(status(b"\x00\x07:status\x03503"), Some(503));
        // 202: 00010 00000 00010, filled up with ones.
        assert_eq!(status(&[0x48, 0x82, 0x10, 0x05]), Some(202));
        // 401: 011010 00000 00001; 302 as in RFC 7541 C.6.1.
        assert_eq!(status(&[0x48, 0x82, 0x68, 0x01]), Some(401));
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
    }

    #[test]
    fn what_is_no_status_is_none() {
        for block in [&b""[..], b"\x48", b"\x48\x03", b"\x48\x02ab", b"\xff", b"\x48\x82\xff\xff"] {
            assert_eq!(status(block), None, "{block:?}");
        }
    }

    #[test]
    fn a_long_string_has_a_length_of_several_bytes() {
        let mut block = Vec::new();
        string(&mut block, &[b'x'; 1337]);
        // 1337 - 127 = 1210 = 9 * 128 + 58.
        assert_eq!(block.get(..3), Some(&[127, 0x80 | 58, 9][..]));
        assert_eq!(block.len(), 3 + 1337);
    }
}
