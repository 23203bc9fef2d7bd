use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaSignatureEncoding,
};

use super::*;

const MESSAGE: &[u8] = b"what was signed";

fn ec(kind: KeyKind, algorithm: &'static EcdsaSigningAlgorithm, allowed: &[Algorithm]) -> (PublicKey, String) {
    let pair = EcdsaKeyPair::generate(algorithm).expect("a key pair");
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(point.len() / 2);
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(&SystemRandom::new(), MESSAGE).expect("a signature"));
    (PublicKey::ec(kind, x, y, allowed).expect("a key"), signature)
}

fn rsa() -> (RsaKeyPair, Vec<u8>) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key pair");
    let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
    (pair, modulus)
}

fn rsa_sign(pair: &RsaKeyPair, encoding: &'static RsaSignatureEncoding) -> String {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), MESSAGE, &mut signature).expect("a signature");
    URL_SAFE_NO_PAD.encode(signature)
}

#[test]
fn a_key_verifies_what_its_owner_signed_and_nothing_else() {
    let (key, signature) = ec(KeyKind::P256, &ECDSA_P256_SHA256_FIXED_SIGNING, &[Algorithm::Es256]);
    assert_eq!(key.verify(Algorithm::Es256, MESSAGE, &signature), Ok(()));
    assert_eq!(key.verify(Algorithm::Es256, b"another message", &signature), Err(SignatureError));
    let (other, _) = ec(KeyKind::P256, &ECDSA_P256_SHA256_FIXED_SIGNING, &[Algorithm::Es256]);
    assert_eq!(other.verify(Algorithm::Es256, MESSAGE, &signature), Err(SignatureError));
}

#[test]
fn es512_is_verified_with_numbers_of_66_bytes() {
    let (key, signature) = ec(KeyKind::P521, &ECDSA_P521_SHA512_FIXED_SIGNING, &Algorithm::ALL);
    assert_eq!(signature.len(), 176, "132 bytes");
    assert_eq!(key.verify(Algorithm::Es512, MESSAGE, &signature), Ok(()));
    assert_eq!(key.verify(Algorithm::Es512, MESSAGE, &signature[..175]), Err(SignatureError));
}

#[test]
fn a_key_is_only_for_the_algorithms_it_was_made_for() {
    let (pair, modulus) = rsa();
    let key = PublicKey::rsa(&modulus, &[1, 0, 1], &[Algorithm::Rs256, Algorithm::Es256]).expect("a key");
    assert!(key.fits(Algorithm::Rs256));
    for other in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::Rs256) {
        assert!(!key.fits(other), "{other}");
    }
    assert_eq!(key.verify(Algorithm::Rs256, MESSAGE, &rsa_sign(&pair, &RSA_PKCS1_SHA256)), Ok(()));
    let pss = rsa_sign(&pair, &RSA_PSS_SHA256);
    assert_eq!(key.verify(Algorithm::Ps256, MESSAGE, &pss), Err(SignatureError), "it was not made for PS256");
    let both = PublicKey::rsa(&modulus, &[1, 0, 1], &[Algorithm::Rs256, Algorithm::Ps256]).expect("a key");
    assert_eq!(both.verify(Algorithm::Ps256, MESSAGE, &pss), Ok(()));
}

#[test]
fn a_key_for_no_allowed_algorithm_is_none() {
    let (_, modulus) = rsa();
    let refused = PublicKey::rsa(&modulus, &[1, 0, 1], &[Algorithm::Es256, Algorithm::Ed25519]);
    assert_eq!(refused.map(|_| ()), Err(KeyError::WrongKind));
    assert_eq!(PublicKey::ed25519(&[5; 32], &[]).map(|_| ()), Err(KeyError::WrongKind));
    assert_eq!(PublicKey::ec(KeyKind::Rsa, &[], &[], &[Algorithm::Rs256]).map(|_| ()), Err(KeyError::WrongKind));
}

#[test]
fn a_modulus_may_have_leading_zeros_and_its_signatures_may_not() {
    let (pair, modulus) = rsa();
    let signature = rsa_sign(&pair, &RSA_PKCS1_SHA256);
    let key = PublicKey::rsa(&[&[0, 0], &modulus[..]].concat(), &[0, 1, 0, 1], &[Algorithm::Rs256]).expect("a key");
    assert_eq!(key.verify(Algorithm::Rs256, MESSAGE, &signature), Ok(()));
    let padded = URL_SAFE_NO_PAD.encode([&[0], &URL_SAFE_NO_PAD.decode(&signature).expect("base64url")[..]].concat());
    assert_eq!(key.verify(Algorithm::Rs256, MESSAGE, &padded), Err(SignatureError));
}

/// It became a key: the library looks at the size of a modulus only.
#[test]
fn even_modulus_is_no_key() {
    let (_, mut modulus) = rsa();
    assert!(PublicKey::rsa(&modulus, &[1, 0, 1], &[Algorithm::Rs256]).is_ok());
    *modulus.last_mut().expect("a byte") &= 0xfe;
    let refused = PublicKey::rsa(&modulus, &[1, 0, 1], &[Algorithm::Rs256]);
    assert_eq!(refused.map(|_| ()), Err(KeyError::Unsound));
}

#[test]
fn rsa_keys_have_2048_to_8192_bits() {
    let modulus = |bytes: usize, first: u8| [&[first][..], &vec![1; bytes - 1]].concat();
    let fault = |modulus: &[u8]| PublicKey::rsa(modulus, &[1, 0, 1], &[Algorithm::Rs256]).map(|_| ());
    assert_eq!(fault(&[]), Err(KeyError::RsaTooSmall { bits: 0 }));
    assert_eq!(fault(&modulus(256, 0x7f)), Err(KeyError::RsaTooSmall { bits: 2047 }));
    assert_eq!(fault(&modulus(256, 0x80)), Ok(()));
    assert_eq!(fault(&modulus(1024, 0xff)), Ok(()));
    assert_eq!(fault(&modulus(1025, 0x01)), Err(KeyError::RsaTooLarge { bits: 8193 }));
}

#[test]
fn rsa_exponents_are_odd_and_small() {
    let (_, modulus) = rsa();
    let fault = |exponent: &[u8]| PublicKey::rsa(&modulus, exponent, &[Algorithm::Rs256]).map(|_| ());
    for good in [&[3][..], &[1, 0, 1], &[0xff; 4]] {
        assert_eq!(fault(good), Ok(()), "{good:?}");
    }
    for bad in [&[][..], &[0], &[1], &[2], &[0, 0], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        assert_eq!(fault(bad), Err(KeyError::RsaExponent), "{bad:?}");
    }
}

#[test]
fn points_lie_on_their_curve() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key pair");
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let fault = |x: &[u8], y: &[u8]| PublicKey::ec(KeyKind::P256, x, y, &[Algorithm::Es256]).map(|_| ());
    assert_eq!(fault(x, y), Ok(()));
    assert_eq!(fault(y, x), Err(KeyError::Unsound));
    assert_eq!(fault(&[0; 32], &[0; 32]), Err(KeyError::Unsound));
    assert_eq!(fault(&x[1..], y), Err(KeyError::Unsound));
    assert_eq!(fault(&[&[1], x].concat(), y), Err(KeyError::CoordinateLength { wanted: 32 }));
    assert_eq!(fault(&[&[0], x].concat(), y), Ok(()), "a zero more changes no value");
}

#[test]
fn ed25519_keys_of_small_order_are_refused_with_either_sign() {
    let pair = Ed25519KeyPair::generate().expect("a key pair");
    let key = PublicKey::ed25519(pair.public_key().as_ref(), &[Algorithm::Ed25519]).expect("a key");
    assert_eq!(key.verify(Algorithm::Ed25519, MESSAGE, &URL_SAFE_NO_PAD.encode(pair.sign(MESSAGE))), Ok(()));
    let y = |first: u8, middle: u8, last: u8| {
        let mut y = [middle; 32];
        (y[0], y[31]) = (first, last);
        y
    };
    let points = [y(0, 0, 0), y(1, 0, 0), y(0xec, 0xff, 0x7f), y(0xed, 0xff, 0x7f), y(0xee, 0xff, 0x7f)];
    for mut point in points.into_iter().chain(ORDER_8) {
        for sign in [0, 0x80] {
            point[31] = point[31] & 0x7f | sign;
            let refused = PublicKey::ed25519(&point, &[Algorithm::Ed25519]);
            assert_eq!(refused.map(|_| ()), Err(KeyError::SmallOrder), "{point:02x?}");
        }
    }
}

#[test]
fn a_key_shows_what_it_is_and_not_its_numbers() {
    let (key, _) = ec(KeyKind::P256, &ECDSA_P256_SHA256_FIXED_SIGNING, &[Algorithm::Es256]);
    assert_eq!(format!("{key:?}"), "PublicKey(P-256, ES256)");
}
