//! The body of a request, taken out of the bytes that follow its head. What comes after its end stays where it is and is the next
//! request's.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::http1::chunks::{ChunkDecoder, ChunkError};
use crate::http1::head::Framing;

/// A body, as far as it was taken.
pub(super) struct RequestBody {
    left: Left,
    is_empty: bool,
    taken: u64,
    retry: Option<RetryBuffer>,
}

/// What is to come.
enum Left {
    /// That many bytes.
    Length(u64),
    Chunked(ChunkDecoder),
    /// All bytes until the client closes its side: those of a tunnel.
    UntilClose,
}

/// What was taken of a body, in case that it must be sent again.
#[derive(Default)]
struct RetryBuffer {
    /// The first piece is shared; only a second one makes a copy.
    first: Bytes,
    all: BytesMut,
    is_truncated: bool,
}

impl RequestBody {
    /// The body after a head with that framing.
    pub(super) fn new(framing: Framing) -> Self {
        let left = match framing {
            Framing::Length(length) => Left::Length(length),
            Framing::Chunked => Left::Chunked(ChunkDecoder::default()),
            Framing::Upgrade => Left::Length(0),
        };
        let is_empty = matches!(left, Left::Length(0));
        Self { left, is_empty, taken: 0, retry: None }
    }

    /// Takes the next piece, if it is there.
    ///
    /// # Errors
    /// If the end of the body cannot be known for sure.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, ChunkError> {
        let length = match &mut self.left {
            Left::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= length as u64;
                length
            }
            Left::Chunked(decoder) => {
                let piece = decoder.next_piece(buffer)?;
                buffer.advance(piece.framing);
                piece.data
            }
            Left::UntilClose => buffer.len(),
        };
        if length == 0 {
            return Ok(None);
        }
        let piece = buffer.split_to(length).freeze();
        self.taken += length as u64;
        if !matches!(self.left, Left::UntilClose)
            && let Some(retry) = &mut self.retry
        {
            retry.add(&piece);
        }
        if let Left::Chunked(decoder) = &mut self.left {
            // The end may be there already. If what follows is wrong, it is found again when it is taken.
            let mut ahead = *decoder;
            if let Ok(next) = ahead.next_piece(buffer)
                && next.data == 0
            {
                *decoder = ahead;
                buffer.advance(next.framing);
            }
        }
        Ok(Some(piece))
    }

    /// Whether there is no body.
    pub(super) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Whether nothing more is to come.
    pub(super) fn is_done(&self) -> bool {
        match &self.left {
            Left::Length(left) => *left == 0,
            Left::Chunked(decoder) => decoder.is_done(),
            Left::UntilClose => false,
        }
    }

    /// How many bytes are to come, if the head said so.
    pub(super) const fn left(&self) -> Option<u64> {
        match &self.left {
            Left::Length(left) => Some(*left),
            Left::Chunked(_) | Left::UntilClose => None,
        }
    }

    /// How many bytes of data were taken.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// From now on all bytes are a tunnel's.
    pub(super) fn upgrade(&mut self) {
        self.left = Left::UntilClose;
    }

    /// Whether it is a tunnel's.
    pub(super) const fn is_tunnel(&self) -> bool {
        matches!(self.left, Left::UntilClose)
    }

    /// Nothing more is taken.
    pub(super) fn end(&mut self) {
        self.left = Left::Length(0);
    }

    /// Keeps what is taken from now on, as long as it is not too much.
    pub(super) fn keep_for_retry(&mut self) {
        self.retry.get_or_insert_default();
    }

    /// Whether more was taken than is kept.
    pub(super) fn is_retry_truncated(&self) -> bool {
        self.retry.as_ref().is_some_and(|retry| retry.is_truncated)
    }

    /// What was kept, if that is everything and something.
    pub(super) fn kept_for_retry(&self) -> Option<Bytes> {
        self.retry.as_ref().and_then(RetryBuffer::get)
    }
}

impl RetryBuffer {
    fn add(&mut self, piece: &Bytes) {
        if self.is_truncated {
            return;
        }
        if self.first.len() + self.all.len() + piece.len() > RETRY_MAX {
            *self = Self { is_truncated: true, ..Self::default() };
        } else if self.first.is_empty() && self.all.is_empty() {
            self.first = piece.clone();
        } else {
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
            self.all.extend_from_slice(piece);
        }
    }

    fn get(&self) -> Option<Bytes> {
        let kept = if self.first.is_empty() { self.all.clone().freeze() } else { self.first.clone() };
        Some(kept).filter(|kept| !kept.is_empty())
    }
}

/// The most that is kept of a body to send it again, in bytes, as in Pingora's own sessions.
const RETRY_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(body: &mut RequestBody, buffer: &mut BytesMut) -> Vec<u8> {
        std::iter::from_fn(|| body.take(buffer).unwrap()).flatten().collect()
    }

    #[test]
    fn a_body_ends_at_its_length_and_leaves_the_next_request() {
        for length in 0..6 {
            let mut body = RequestBody::new(Framing::Length(length));
            assert_eq!((body.is_empty(), body.left()), (length == 0, Some(length)));
            let mut buffer = BytesMut::from(&b"helloGET"[..]);
            let length = usize::try_from(length).unwrap();
            assert_eq!(take_all(&mut body, &mut buffer), b"hello"[..length]);
            assert!(body.is_done());
            assert_eq!(buffer, b"helloGET"[length..]);
        }
    }

    #[test]
    fn chunks_lose_their_framing_wherever_they_are_cut() {
        let wire = b"5\r\nhello\r\n00006\r\n world\r\n0\r\nX: y\r\n\r\n";
        let next = b"GET /";
        for cut in 0..=wire.len() {
            let mut body = RequestBody::new(Framing::Chunked);
            assert!(!body.is_empty() && !body.is_done());
            let mut buffer = BytesMut::from(&wire[..cut]);
            let mut data = take_all(&mut body, &mut buffer);
            assert_eq!(body.is_done(), cut == wire.len());
            buffer.extend_from_slice(&wire[cut..]);
            buffer.extend_from_slice(next);
            data.extend(take_all(&mut body, &mut buffer));
            assert!(body.is_done());
            assert_eq!((data.as_slice(), &buffer[..], body.taken()), (&b"hello world"[..], &next[..], 11), "{cut}");
        }
    }

    #[test]
    fn the_end_is_known_with_the_last_piece_if_it_came_with_it() {
        let mut body = RequestBody::new(Framing::Chunked);
        let mut buffer = BytesMut::from(&b"2\r\nok\r\n0\r\n\r\n"[..]);
        assert_eq!(body.take(&mut buffer).unwrap().as_deref(), Some(&b"ok"[..]));
        assert!(body.is_done() && buffer.is_empty());
    }

    #[test]
    fn what_is_wrong_behind_a_piece_is_told_after_the_piece_and_every_time() {
        let mut body = RequestBody::new(Framing::Chunked);
        let mut buffer = BytesMut::from(&b"2\r\nok\r\n5;a=b\r\n"[..]);
        assert_eq!(body.take(&mut buffer).unwrap().as_deref(), Some(&b"ok"[..]));
        for _ in 0..2 {
            assert_eq!(body.take(&mut buffer), Err(ChunkError::Size));
            assert!(!body.is_done());
        }
    }

    #[test]
    fn a_tunnel_takes_everything_until_it_is_ended() {
        let mut body = RequestBody::new(Framing::Upgrade);
        assert!(body.is_empty() && body.is_done());
        body.upgrade();
        assert!(!body.is_done());
        let mut buffer = BytesMut::from(&b"GET / HTTP/1.1\r\n\r\n"[..]);
        assert_eq!(take_all(&mut body, &mut buffer), b"GET / HTTP/1.1\r\n\r\n");
        body.end();
        assert!(body.is_done());
    }

    #[test]
    fn up_to_64_kib_are_kept_to_be_sent_again() {
        for (length, pieces) in [(65_535, 1), (65_536, 1), (65_537, 1), (65_535, 3), (65_536, 3), (65_537, 3)] {
            let mut body = RequestBody::new(Framing::Length(length));
            assert_eq!(body.kept_for_retry(), None);
            body.keep_for_retry();
            let all: Vec<u8> = (0..length).map(|n| n.to_le_bytes()[0]).collect();
            for piece in all.chunks(all.len().div_ceil(pieces)) {
                body.take(&mut BytesMut::from(piece)).unwrap();
            }
            let is_kept = length <= 65_536;
            assert_eq!(body.is_retry_truncated(), !is_kept, "{length}");
            assert_eq!(body.kept_for_retry().as_deref(), is_kept.then_some(all.as_slice()), "{length}");
        }
    }

    #[test]
    fn one_piece_is_shared_and_not_copied() {
        let mut body = RequestBody::new(Framing::Length(8));
        body.keep_for_retry();
        let piece = body.take(&mut BytesMut::from(&b"12345678"[..])).unwrap().unwrap();
        assert_eq!(body.kept_for_retry().unwrap().as_ptr(), piece.as_ptr());
    }
}
