//! A chunked body (RFC 9112 §7.1) followed byte by byte, to know exactly where it ends and that nobody could find another
//! end: no extensions, no bare line feeds, no other white space. The bytes themselves are the reader's business.

use super::fields::{is_token_byte, is_value_byte};

/// The place in a body that has been reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    place: Place,
    /// Of the chunk that is being read: its size so far, or what is left of it.
    size: u64,
    /// How many digits the size has, or how many bytes of trailers have come.
    count: usize,
}

/// Why a body's end cannot be known for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkFault {
    #[error("a chunk's data does not end where its size says")]
    End,
    #[error("the trailers are malformed or too long")]
    Trailers,
    #[error("a chunk's size is not a plain hexadecimal number and a line end")]
    Size,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
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

impl Chunks {
    /// Follows these bytes and says how many of them belong to the body; the rest is what comes after it.
    ///
    /// # Errors
    /// If somebody else could see another end.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<usize, ChunkFault> {
        let mut rest = bytes;
        while self.place != Place::Done {
            if self.place == Place::Data {
                let here = usize::try_from(self.size).unwrap_or(usize::MAX).min(rest.len());
                self.size -= here as u64;
                rest = rest.get(here..).unwrap_or_default();
                if self.size == 0 {
                    self.place = Place::DataCr;
                }
            }
            let [byte, after @ ..] = rest else { break };
            if self.place == Place::Data {
                continue;
            }
            self.place = self.next(*byte)?;
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    /// Whether the end has been reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    fn next(&mut self, byte: u8) -> Result<Place, ChunkFault> {
        if matches!(self.place, Place::Line | Place::Name | Place::Value | Place::ValueLf) {
            self.count += 1;
            if self.count > TRAILERS_MAX {
                return Err(ChunkFault::Trailers);
            }
        }
        Ok(match (self.place, byte) {
            (Place::Size, b'\r') if self.count > 0 => Place::SizeLf,
            (Place::Size, digit) if self.count < DIGITS_MAX => {
                let value = char::from(digit).to_digit(16).ok_or(ChunkFault::Size)?;
                self.size = self.size * 16 + u64::from(value);
                self.count += 1;
                Place::Size
            }
            (Place::SizeLf, b'\n') => {
                self.count = 0;
                if self.size == 0 { Place::Line } else { Place::Data }
            }
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Size,
            (Place::Line, b'\r') => Place::LastLf,
            (Place::Line | Place::Name, byte) if is_token_byte(byte) => Place::Name,
            (Place::Name, b':') => Place::Value,
            (Place::Value, b'\r') => Place::ValueLf,
            (Place::Value, byte) if is_value_byte(byte) => Place::Value,
            (Place::ValueLf, b'\n') => Place::Line,
            (Place::LastLf, b'\n') => Place::Done,
            (Place::Size | Place::SizeLf, _) => return Err(ChunkFault::Size),
            (Place::Data | Place::DataCr | Place::DataLf, _) => return Err(ChunkFault::End),
            (Place::Line | Place::Name | Place::Value | Place::ValueLf | Place::LastLf | Place::Done, _) => {
                return Err(ChunkFault::Trailers);
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

    fn whole(bytes: &[u8]) -> Result<(usize, bool), ChunkFault> {
        let mut chunks = Chunks::default();
        chunks.follow(bytes).map(|used| (used, chunks.is_done()))
    }

    #[test]
    fn a_body_ends_where_everybody_says_it_ends_however_it_is_cut() {
        let bodies: [&[u8]; 5] = [
            b"0\r\n\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"00A\r\n0123456789\r\nf\r\n0\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
            b"1\r\na\r\n0\r\nX-Sum: 1\r\nEmpty:\r\n\r\n",
            b"2\r\n\r\n\r\n000\r\n\r\n",
        ];
        for body in bodies {
            let followed = [body, b"GET /next"].concat();
            assert_eq!(whole(&followed), Ok((body.len(), true)), "{}", body.escape_ascii());
            for cut in 0..body.len() {
                let mut chunks = Chunks::default();
                assert_eq!(chunks.follow(&body[..cut]), Ok(cut));
                assert!(!chunks.is_done());
                assert_eq!(chunks.follow(&followed[cut..]), Ok(body.len() - cut));
                assert!(chunks.is_done());
            }
        }
    }

    #[test]
    fn whatever_two_readers_could_see_differently_is_refused() {
        let cases: [(&[u8], ChunkFault); 16] = [
            (b"\r\n", ChunkFault::Size),
            (b"5\nhello\n", ChunkFault::Size),
            (b"5\r\rhello", ChunkFault::Size),
            (b"5;a=b\r\nhello\r\n", ChunkFault::Size),
            (b"5 \r\nhello\r\n", ChunkFault::Size),
            (b" 5\r\nhello\r\n", ChunkFault::Size),
            (b"0x5\r\nhello\r\n", ChunkFault::Size),
            (b"+5\r\nhello\r\n", ChunkFault::Size),
            (b"-1\r\n", ChunkFault::Size),
            (b"1234567890abcdef1\r\n", ChunkFault::Size),
            (b"5\r\nhello!\r\n", ChunkFault::End),
            (b"5\r\nhello\n0\r\n", ChunkFault::End),
            (b"0\r\nno field\r\n\r\n", ChunkFault::Trailers),
            (b"0\r\n folded: x\r\n\r\n", ChunkFault::Trailers),
            (b"0\r\na: b\n\r\n", ChunkFault::Trailers),
            (b"0\r\n\n", ChunkFault::Trailers),
        ];
        for (body, fault) in cases {
            assert_eq!(whole(body), Err(fault), "{}", body.escape_ascii());
        }
        let endless = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(2000)].concat();
        assert_eq!(whole(&endless), Err(ChunkFault::Trailers));
    }
}
