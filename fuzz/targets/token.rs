//! A token as it comes: the field it stands in, its parts, its JSON, its signature. The naive reader of the property tests has a
//! say too, and nothing is accepted but what the keys' owners signed, which is among the seeds.
#![no_main]

use callgate::jwt::parse::{HEADER_MAX, KID_MAX, Parts, Unverified};
use callgate::request::SingletonField;
use callgate::request::TokenField;
use callgate::token::Token;
use libfuzzer_sys::fuzz_target;

mod judge;
#[path = "../../tests/verifier/properties/naive.rs"]
#[allow(dead_code)]
mod naive;

use judge::{judge, plain};

/// Everything that was ever signed with the keys: `joe`'s with those of RFC 7515 A.2 and A.3, the others with the judge's pair.
const SIGNED: [&str; 5] = [
    include_str!("../corpus/token/eddsa"),
    include_str!("../corpus/token/eddsa-list"),
    include_str!("../corpus/token/es256"),
    include_str!("../corpus/token/ps256"),
    include_str!("../corpus/token/rs256"),
];

fuzz_target!(|field: &[u8]| {
    let prefixed = [b"Bearer ", field].concat();
    for field in [field, &prefixed] {
        match Token::extract(SingletonField::One(field), &TokenField::default(), 8192) {
            Ok(token) => read(token.as_str()),
            Err(rejection) => plain(&rejection),
        }
        if judge(field).is_some() {
            let token = std::str::from_utf8(&field["Bearer ".len()..]).expect("text").trim_start_matches(' ');
            assert!(SIGNED.iter().any(|signed| input(signed) == input(token)));
        }
    }
});

fn input(token: &str) -> &str {
    token.rsplit_once('.').expect("three parts").0
}

fn read(token: &str) {
    let parts = match Parts::decode(token) {
        Ok(parts) => parts,
        Err(rejection) => {
            assert!(naive::token(token).is_none());
            return plain(&rejection);
        }
    };
    match Unverified::parse(&parts) {
        Ok(unverified) => {
            let [_, claims] = naive::token(token).expect("both read it");
            assert!(naive::same_members(&claims, unverified.unproven_claims()));
            assert!(unverified.alg().len() <= HEADER_MAX);
            assert!(unverified.kid().is_none_or(|kid| kid.len() <= KID_MAX));
        }
        Err(rejection) => {
            assert!(naive::token(token).is_none());
            plain(&rejection);
        }
    }
}
