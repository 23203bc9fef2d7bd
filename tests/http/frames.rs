//! A client of HTTP/2 that sends exactly the frames it is given (RFC 9113 §4 and §6) and answers none by itself.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use testkit::http::PATIENCE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// SETTINGS_INITIAL_WINDOW_SIZE.
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header block of literals that are not indexed (RFC 7541 §6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The length of a string (RFC 7541 §5.1, a prefix of 7 bits).
fn length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else { return block.push(u8::try_from(length).unwrap()) };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// The block of a request, whose fields may follow.
pub(crate) fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":authority", "email.internal.example"), (":path", path)];
    block(&[&pseudo, fields].concat())
}

/// One frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// The error code of RST_STREAM or GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let code = if self.kind == GOAWAY { &self.payload[4..8] } else { &self.payload[..4] };
        u32::from_be_bytes(code.try_into().unwrap())
    }
}

/// A connection. Its window of 64 KiB is opened again by the test alone.
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    /// Connects and begins with these settings.
    pub(crate) fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self { stream };
        // SETTINGS_HEADER_TABLE_SIZE: without a table of ours, every block can be read by itself.
        let settings = [&[(1, 0)], settings].concat();
        let settings =
            settings.iter().flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat());
        let payload: Vec<_> = settings.collect();
        let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &payload)].concat();
        client.send_bytes(&preface).unwrap();
        client.send(SETTINGS, ACK, 0, &[]).unwrap();
        client
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.send_bytes(&frame(kind, flags, stream, payload))
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next frame, or nothing if the connection has ended.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).map_err(|error| assert_ne!(error.kind(), io::ErrorKind::WouldBlock)).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind, passing over all others.
    pub(crate) fn read_until(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.read()?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// The status of the next answer that has a plain one, and its stream; `None` at the end of the connection.
    pub(crate) fn read_answer(&mut self) -> Option<(u32, String)> {
        let frame = self.read_until(HEADERS)?;
        Some((frame.stream, status(&frame.payload)))
    }

    /// The next frame, if it begins within that time.
    pub(crate) fn read_within(&mut self, patience: Duration) -> Option<Frame> {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let begins = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        begins.ok().and_then(|_| self.read())
    }
}

/// The `:status` of a block: one of the static table (RFC 7541 appendix A), or a literal with that table's name, which is 8 to 14.
pub(crate) fn status(block: &[u8]) -> String {
    // Another size of the table may come first.
    let block = &block[block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count()..];
    match block {
        [known @ 0x88..=0x8e, ..] => {
            ["200", "204", "206", "304", "400", "404", "500"][usize::from(known - 0x88)].to_owned()
        }
        // Digits have codes of 5 or 6 bits (appendix B); three of them make two or three bytes.
        [_, length, rest @ ..] if length & 0x80 != 0 => digits(&rest[..usize::from(length & 0x7f)]),
        [_, length, rest @ ..] => String::from_utf8_lossy(&rest[..usize::from(*length)]).into_owned(),
        _ => panic!("no status: {block:x?}"),
    }
}

/// Decimal digits in Huffman's code.
fn digits(code: &[u8]) -> String {
    let bits: Vec<_> = code.iter().flat_map(|byte| (0..8).rev().map(move |n| byte >> n & 1)).collect();
    let value = |bits: &[u8]| bits.iter().fold(0, |value, bit| value << 1 | bit);
    let (mut digits, mut rest) = (String::new(), &bits[..]);
    while digits.len() < 3 {
        let short = value(&rest[..5]);
        let (digit, length) = if short < 3 { (short, 5) } else { (value(&rest[..6]) - 0x19 + 3, 6) };
        digits.push(char::from(b'0' + digit));
        rest = &rest[length..];
    }
    digits
}
