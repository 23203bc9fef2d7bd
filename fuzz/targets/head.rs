//! A request's head and its chunks: whatever comes, in whatever pieces, its end is found in one place or it is refused.
#![no_main]

use callgate::http1::chunks::Chunks;
use callgate::http1::head::{Framing, Search, Sketch, judge};
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
    if judge(head, 64).is_ok_and(|head| head.framing == Framing::Chunked) {
        chunks(rest);
    }
});

fn chunks(body: &[u8]) {
    let (mut whole, mut piecewise) = (Chunks::default(), Chunks::default());
    let at_once = whole.follow(body);
    let mut taken = 0;
    let by_bytes = body.iter().try_for_each(|byte| piecewise.follow(&[*byte]).map(|count| taken += count));
    assert_eq!(at_once.is_ok(), by_bytes.is_ok());
    if let Ok(at_once) = at_once {
        assert_eq!((at_once, whole.is_done()), (taken, piecewise.is_done()));
    }
}
