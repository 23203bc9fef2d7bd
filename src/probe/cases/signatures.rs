//! Other signatures under the good header and claims.

use crate::probe::attempt::{Class, Sink, Weight};
use crate::probe::forge::{der, encode};
use crate::probe::target::GoodToken;

/// Signatures that no key of the issuer has made.
pub(super) fn cases(good: &GoodToken, sink: &mut Sink) {
    let [header, claims, _] = &good.parts;
    let raw = &good.signature;
    let mut add = |source, what: String, signature: &[u8]| {
        let token = format!("{header}.{claims}.{}", encode(signature));
        sink.token(Class::Signature, source, what, Weight::Bypass, &token);
    };
    add("RFC 7515 5.2", "no signature".into(), &[]);
    for (what, byte) in [("zeros", 0), ("ones", 0xff), ("one byte again and again", 0x41)] {
        add("CVE-2022-21449", format!("a signature of {what}"), &vec![byte; raw.len()]);
    }
    for length in [32, 48, 64, 96, 132, 256, 384, 512].into_iter().filter(|length| *length != raw.len()) {
        add("RFC 7518 3", format!("zeros as long as another algorithm's signature, {length} bytes"), &vec![0; length]);
    }
    for kept in [1, raw.len() / 4, raw.len() / 2, raw.len().saturating_sub(1)] {
        add("RFC 7515 5.2", format!("cut to {kept} bytes"), raw.get(..kept).unwrap_or_default());
    }
    for (what, more) in [("a zero", &[0][..]), ("a byte", &[1]), ("32 zeros", &[0; 32]), ("itself", raw)] {
        add("RFC 7515 5.2", format!("followed by {what}"), &[raw.as_slice(), more].concat());
    }
    add("RFC 7515 5.2", "a zero before it".into(), &[&[0], raw.as_slice()].concat());
    let mut reversed = raw.clone();
    reversed.reverse();
    add("own", "backwards".into(), &reversed);
    let (first, second) = raw.split_at(raw.len() / 2);
    add("own", "with its halves in the other order".into(), &[second, first].concat());
    if is_ecdsa(good) {
        add("RFC 7518 3.4", "in DER instead of two numbers".into(), &der(raw));
        let zero = vec![0; first.len()];
        add("CVE-2022-21449", "r is 0".into(), &[&zero, second].concat());
        add("CVE-2022-21449", "s is 0".into(), &[first, &zero].concat());
        add("CVE-2022-21449", "r and s are 0, in DER".into(), &der(&vec![0; raw.len()]));
        let mut one = zero.clone();
        if let Some(last) = one.last_mut() {
            *last = 1;
        }
        add("CVE-2022-21449", "r and s are 1".into(), &[one.as_slice(), &one].concat());
        if raw.len() == ORDER.len() * 2 {
            add("CVE-2022-21449", "r and s are the order of the curve".into(), &[ORDER, ORDER].concat());
        }
    }
    // One bit in each byte, or in so many of them that are spread evenly.
    let step = raw.len().div_ceil(FLIPS_MAX).max(1);
    for at in (0..raw.len()).step_by(step) {
        let bit = at / step % 8;
        let flipped: Vec<_> =
            raw.iter().enumerate().map(|(index, byte)| byte ^ (u8::from(index == at) << bit)).collect();
        add("RFC 7515 5.2", format!("bit {bit} of byte {at} is another"), &flipped);
    }
}

pub(super) fn is_ecdsa(good: &GoodToken) -> bool {
    good.header.get("alg").and_then(serde_json::Value::as_str).is_some_and(|alg| alg.starts_with("ES"))
}

const FLIPS_MAX: usize = 64;

/// The order of P-256 (SEC 2, section 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
