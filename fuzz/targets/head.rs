//! A request's head and its chunks: whatever comes, in whatever pieces, its end is found in one place or it is refused.
#![no_main]

use callgate::http1::chunks::{ChunkDecoder, ChunkError};
use callgate::http1::head::{Framing, Head, Search, Sketch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = Search::default().end(bytes);
    let mut search = Search::default();
    let piecewise = (0..=bytes.len()).find_map(|length| match search.end(&bytes[..length]) {
        Ok(None) => None,
        found => Some(found),
    });
    match (&whole, &piecewise) {
        (Ok(Some(whole)), Some(Ok(Some(piecewise)))) => assert_eq!(whole, piecewise),
        (Ok(None), None) => {}
        (Err(_), Some(Err(_))) => {}
        _ => panic!("{whole:?} {piecewise:?}"),
    }
    let _ = Sketch::of(bytes);
    let Ok(Some(end)) = whole else { return };
    let (head, rest) = bytes.split_at(end);
    if Head::parse(head, 64).is_ok_and(|head| head.framing == Framing::Chunked) {
        chunks(rest);
    }
});

fn chunks(body: &[u8]) {
    let at_once = decode([body]);
    let by_bytes = decode(body.chunks(1));
    assert_eq!(at_once, by_bytes);
}

/// The data of a body that comes in these pieces, and how many bytes belong to the body.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<u8>, usize, bool), ChunkError> {
    let (mut decoder, mut data, mut used) = (ChunkDecoder::default(), Vec::new(), 0);
    for piece in pieces {
        let mut rest = piece;
        loop {
            let next = decoder.next_piece(rest)?;
            let (taken, after) = rest.split_at(next.framing + next.data);
            data.extend_from_slice(&taken[next.framing..]);
            used += taken.len();
            rest = after;
            if taken.is_empty() {
                break;
            }
        }
    }
    Ok((data, used, decoder.is_done()))
}
