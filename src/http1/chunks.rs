//! A chunked body (RFC 9112 §7.1) decoded so strictly that no other reader can find another end: no extensions, no bare line
//! feeds, no other white space. The decoder keeps no bytes; it says which of those it is shown are data.

use super::fields::{is_token_byte, is_value_byte};

/// How far a chunked body was decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkDecoder {
    state: State,
    /// Of the current chunk: its size as far as it was read, or the bytes of data that are left.
    size: u64,
    /// The digits of the size that were read, or the bytes of trailers.
    count: usize,
}

/// The next bytes of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First so many bytes of sizes, line ends and trailers,
    pub framing: usize,
    /// and then so many bytes of data. None: more bytes are needed, or the body has ended.
    pub data: usize,
}

/// Why the end of a body cannot be known for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum ChunkError {
    #[error("a chunk's data does not end where its size says")]
    End,
    #[error("the trailers are malformed or too long")]
    Trailers,
    #[error("a chunk's size is not a plain hexadecimal number and a line end")]
    Size,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a line after the last chunk.
    Line,
    Name,
    Value,
    ValueLf,
    LastLf,
    Done,
}

impl ChunkDecoder {
    /// Finds the next data at the beginning of these bytes, which follow the last piece. Nothing has moved after an error, so that
    /// the same bytes give the same error again.
    ///
    /// # Errors
    /// If another reader could find another end.
    pub fn next_piece(&mut self, bytes: &[u8]) -> Result<Piece, ChunkError> {
        let mut next = *self;
        let mut framing = 0;
        for byte in bytes {
            if matches!(next.state, State::Data | State::Done) {
                break;
            }
            next.state = next.step(*byte)?;
            framing += 1;
        }
        let mut data = 0;
        if next.state == State::Data {
            data = usize::try_from(next.size).unwrap_or(usize::MAX).min(bytes.len() - framing);
            next.size -= data as u64;
            if next.size == 0 {
                next.state = State::DataCr;
            }
        }
        *self = next;
        Ok(Piece { framing, data })
    }

    /// Whether the end has been reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn step(&mut self, byte: u8) -> Result<State, ChunkError> {
        if matches!(self.state, State::Line | State::Name | State::Value | State::ValueLf) {
            self.count += 1;
            if self.count > TRAILERS_MAX {
                return Err(ChunkError::Trailers);
            }
        }
        Ok(match (self.state, byte) {
            (State::Size, b'\r') if self.count > 0 => State::SizeLf,
            (State::Size, digit) if self.count < DIGITS_MAX => {
                let value = char::from(digit).to_digit(16).ok_or(ChunkError::Size)?;
                self.size = self.size * 16 + u64::from(value);
                self.count += 1;
                State::Size
            }
            (State::SizeLf, b'\n') => {
                self.count = 0;
                if self.size == 0 { State::Line } else { State::Data }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::Line, b'\r') => State::LastLf,
            (State::Line | State::Name, byte) if is_token_byte(byte) => State::Name,
            (State::Name, b':') => State::Value,
            (State::Value, b'\r') => State::ValueLf,
            (State::Value, byte) if is_value_byte(byte) => State::Value,
            (State::ValueLf, b'\n') => State::Line,
            (State::LastLf, b'\n') => State::Done,
            (State::Size | State::SizeLf, _) => return Err(ChunkError::Size),
            (State::Data | State::DataCr | State::DataLf, _) => return Err(ChunkError::End),
            (State::Line | State::Name | State::Value | State::ValueLf | State::LastLf | State::Done, _) => {
                return Err(ChunkError::Trailers);
            }
        })
    }
}

/// A size of 15 hexadecimal digits is an exbibyte, and fits.
const DIGITS_MAX: usize = 15;

/// How many bytes of trailers are passed over.
const TRAILERS_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes bytes to their end or to the body's: the data, and how many bytes belong to the body.
    fn decode(decoder: &mut ChunkDecoder, bytes: &[u8]) -> Result<(Vec<u8>, usize), ChunkError> {
        let (mut data, mut used) = (Vec::new(), 0);
        loop {
            let piece = decoder.next_piece(&bytes[used..])?;
            let begin = used + piece.framing;
            used = begin + piece.data;
            data.extend_from_slice(&bytes[begin..used]);
            if piece.framing + piece.data == 0 {
                return Ok((data, used));
            }
        }
    }

    #[test]
    fn a_body_ends_where_everybody_says_it_ends_however_it_is_cut() {
        let bodies: [(&[u8], &[u8]); 5] = [
            (b"0\r\n\r\n", b""),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (
                b"00A\r\n0123456789\r\nf\r\n0\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
                b"01234567890\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
            ),
            (b"1\r\na\r\n0\r\nX-Sum: 1\r\nEmpty:\r\n\r\n", b"a"),
            (b"2\r\n\r\n\r\n000\r\n\r\n", b"\r\n"),
        ];
        for (body, data) in bodies {
            let followed = [body, b"GET /next"].concat();
            let mut decoder = ChunkDecoder::default();
            let shown = body.escape_ascii();
            assert_eq!(decode(&mut decoder, &followed), Ok((data.to_vec(), body.len())), "{shown}");
            assert!(decoder.is_done());
            for cut in 0..body.len() {
                let mut decoder = ChunkDecoder::default();
                let (mut whole, used) = decode(&mut decoder, &body[..cut]).unwrap();
                assert_eq!((used, decoder.is_done()), (cut, false), "{shown}");
                let (rest, used) = decode(&mut decoder, &followed[cut..]).unwrap();
                whole.extend(rest);
                assert_eq!((whole.as_slice(), used, decoder.is_done()), (data, body.len() - cut, true), "{shown}");
            }
        }
    }

    #[test]
    fn a_refused_body_stays_refused() {
        let mut decoder = ChunkDecoder::default();
        decoder.next_piece(b"5\r\nhello").unwrap();
        let before = decoder;
        for _ in 0..2 {
            assert_eq!(decoder.next_piece(b"\r\nx"), Err(ChunkError::Size));
            assert_eq!(decoder, before);
        }
    }

    #[test]
    fn whatever_two_readers_could_see_differently_is_refused() {
        let cases: [(&[u8], ChunkError); 16] = [
            (b"\r\n", ChunkError::Size),
            (b"5\nhello\n", ChunkError::Size),
            (b"5\r\rhello", ChunkError::Size),
            (b"5;a=b\r\nhello\r\n", ChunkError::Size),
            (b"5 \r\nhello\r\n", ChunkError::Size),
            (b" 5\r\nhello\r\n", ChunkError::Size),
            (b"0x5\r\nhello\r\n", ChunkError::Size),
            (b"+5\r\nhello\r\n", ChunkError::Size),
            (b"-1\r\n", ChunkError::Size),
            (b"1234567890abcdef1\r\n", ChunkError::Size),
            (b"5\r\nhello!\r\n", ChunkError::End),
            (b"5\r\nhello\n0\r\n", ChunkError::End),
            (b"0\r\nno field\r\n\r\n", ChunkError::Trailers),
            (b"0\r\n folded: x\r\n\r\n", ChunkError::Trailers),
            (b"0\r\na: b\n\r\n", ChunkError::Trailers),
            (b"0\r\n\n", ChunkError::Trailers),
        ];
        for (body, error) in cases {
            assert_eq!(decode(&mut ChunkDecoder::default(), body), Err(error), "{}", body.escape_ascii());
        }
        let endless = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(2000)].concat();
        assert_eq!(decode(&mut ChunkDecoder::default(), &endless), Err(ChunkError::Trailers));
    }
}
