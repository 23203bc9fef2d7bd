//! No change to a valid token is accepted with another meaning. Whatever is done to its text, it is refused, or what was
//! signed is untouched and names the same caller.

use std::sync::LazyLock;

use callgate::authenticator::{Authenticator, Decision};
use proptest::prelude::*;

use testkit::signing::{decode, encode};
use testkit::token::by;
use testkit::world::{judge, world};

static WORLD: LazyLock<Authenticator> = LazyLock::new(world);

/// Valid tokens: two per algorithm, which differ in caller and audience.
static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let keys = [
        ("rsa", "RS256"),
        ("rsa", "PS256"),
        ("p256", "ES256"),
        ("p384", "ES384"),
        ("p521", "ES512"),
        ("ed25519", "EdDSA"),
    ];
    let tokens = keys.into_iter().flat_map(|(key, alg)| {
        [by(key, alg), by(key, alg).claim("sub", "\"orders\"").claim("aud", r#"["mail"]"#).without_head("kid")]
    });
    tokens.map(|token| String::from_utf8(token.build()).expect("text")).collect()
});

/// Asserts that a text is refused, unless it is the same signed content as one of the tokens, with the same caller.
fn means_nothing_new(text: &[u8]) -> Result<(), TestCaseError> {
    let Decision::Forward(accepted, _) = judge(&WORLD, &[b"Bearer ", text].concat()) else { return Ok(()) };
    let text = std::str::from_utf8(text).expect("a token is text");
    let signed = |token: &str| token.rsplit_once('.').expect("three parts").0.to_owned();
    let original = TOKENS.iter().find(|token| signed(token) == signed(text));
    prop_assert!(original.is_some(), "another content was accepted: {text}");
    let caller = if original.is_some_and(|token| caller(token) == "billing") { "billing" } else { "orders" };
    prop_assert_eq!(accepted.identity.caller(), caller);
    Ok(())
}

fn caller(token: &str) -> &'static str {
    let payload = decode(token.split('.').nth(1).expect("a payload"));
    if String::from_utf8(payload).expect("text").contains("\"billing\"") { "billing" } else { "orders" }
}

fn token() -> impl Strategy<Value = String> {
    (0..TOKENS.len()).prop_map(|index| TOKENS[index].clone())
}

/// One change to a text.
#[derive(Clone, Debug)]
enum Change {
    Copy(prop::sample::Index, prop::sample::Index, usize),
    Delete(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Replace(prop::sample::Index, u8),
    Swap(prop::sample::Index, prop::sample::Index),
    Truncate(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    use prop::sample::Index;
    let byte = || prop_oneof![3 => prop::sample::select(b"AZaz09-_.=+/ eyJ".to_vec()), 1 => any::<u8>()];
    prop_oneof![
        (any::<Index>(), any::<Index>(), 1..16_usize).prop_map(|(from, to, length)| Change::Copy(from, to, length)),
        any::<Index>().prop_map(Change::Delete),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Change::Swap(one, other)),
        any::<Index>().prop_map(Change::Truncate),
    ]
}

fn apply(mut text: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if text.is_empty() {
            break;
        }
        let length = text.len();
        match change {
            Change::Copy(from, to, count) => {
                let from = from.index(length);
                let piece = text[from..length.min(from + count)].to_vec();
                let to = to.index(length);
                text.splice(to..to, piece);
            }
            Change::Delete(at) => drop(text.remove(at.index(length))),
            Change::Flip(at, bit) => text[at.index(length)] ^= 1 << bit,
            Change::Insert(at, byte) => text.insert(at.index(length), *byte),
            Change::Replace(at, byte) => text[at.index(length)] = *byte,
            Change::Swap(one, other) => text.swap(one.index(length), other.index(length)),
            Change::Truncate(at) => text.truncate(at.index(length)),
        }
    }
    text
}

/// A member to put into a header or payload, or to take out of it.
fn member() -> impl Strategy<Value = (String, Option<&'static str>)> {
    let names = ["alg", "kid", "typ", "crit", "iss", "aud", "sub", "exp", "nbf", "iat", "jti", "jwk", "b64"];
    let values = ["\"admin\"", "\"none\"", "\"HS256\"", "\"ES256\"", "9999999999", "null", "[]", "[\"exp\"]", "false"];
    (prop::sample::select(names.to_vec()), prop::option::of(prop::sample::select(values.to_vec())))
        .prop_map(|(name, value)| (name.to_owned(), value))
}

proptest! {
    #![proptest_config(super::cases(800))]

    #[test]
    fn changed_text_means_nothing_new(token in token(), changes in prop::collection::vec(change(), 1..5)) {
        means_nothing_new(&apply(token.into_bytes(), &changes))?;
    }

    #[test]
    fn changed_bytes_of_a_part_mean_nothing_new(
        token in token(),
        part in 0..3_usize,
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        parts[part] = encode(apply(decode(&parts[part]), &changes));
        means_nothing_new(parts.join(".").as_bytes())?;
    }

    #[test]
    fn parts_of_several_tokens_mean_nothing_new(tokens in [token(), token(), token()]) {
        let part = |index: usize| tokens[index].split('.').nth(index).expect("three parts").to_owned();
        means_nothing_new(format!("{}.{}.{}", part(0), part(1), part(2)).as_bytes())?;
    }

    #[test]
    fn changed_members_mean_nothing_new(token in token(), part in 0..2_usize, (name, value) in member()) {
        let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        let mut object: serde_json::Map<_, _> = serde_json::from_slice(&decode(&parts[part])).expect("an object");
        match value {
            Some(value) => drop(object.insert(name, serde_json::from_str(value).expect("JSON"))),
            None => drop(object.remove(&name)),
        }
        parts[part] = encode(serde_json::to_vec(&object).expect("JSON"));
        means_nothing_new(parts.join(".").as_bytes())?;
    }

    #[test]
    fn another_signature_is_none(token in token(), signature in prop::collection::vec(any::<u8>(), 0..140)) {
        let signed = token.rsplit_once('.').expect("three parts").0;
        let decision = judge(&WORLD, format!("Bearer {signed}.{}", encode(signature)).as_bytes());
        prop_assert!(matches!(decision, Decision::Reject(_)));
    }
}

#[test]
fn the_tokens_themselves_are_accepted() {
    for token in TOKENS.iter() {
        let decision = judge(&WORLD, format!("Bearer {token}").as_bytes());
        assert!(matches!(decision, Decision::Forward(accepted, _) if accepted.identity.caller() == caller(token)));
    }
}

fn fast(token: &str) -> bool {
    let header = String::from_utf8(decode(token.split('.').next().expect("a header"))).expect("text");
    ["ES256", "EdDSA"].iter().any(|alg| header.contains(alg))
}

/// Each bit of the signed text and of the signature counts.
#[test]
fn every_single_bit_counts() {
    for token in TOKENS.iter().filter(|token| fast(token)) {
        for index in 0..token.len() {
            for bit in 0..8 {
                let mut text = token.clone().into_bytes();
                text[index] ^= 1 << bit;
                let decision = judge(&WORLD, &[b"Bearer ", &text[..]].concat());
                assert!(matches!(decision, Decision::Reject(_)), "bit {bit} of byte {index} of {token}");
            }
        }
    }
}
