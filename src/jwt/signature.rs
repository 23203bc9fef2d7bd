//! Public keys and what they prove. A key is checked once, when it is loaded; a signature is then one call of `jsonwebtoken`, or
//! of aws-lc-rs for an algorithm that `jsonwebtoken` lacks. Every verification names its algorithm, and a key only knows those
//! of its own kind (RFC 8725 §3.1).

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ML_DSA_44, ML_DSA_65,
    ML_DSA_87, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;

use crate::algorithm::{Algorithm, KeyKind};

/// A public key that was found sound: right lengths, a point on its curve, an RSA modulus of 2048 to 8192 bits.
pub struct PublicKey {
    kind: KeyKind,
    /// What it may be used with: at least one algorithm, all of its kind.
    algorithms: Vec<Algorithm>,
    /// The exact length of its signatures in base64url, which stands for exactly one number of bytes.
    signature_len: usize,
    verifier: Verifier,
}

/// What verifies a key's signatures. A kind of key has one of them for all of its algorithms.
enum Verifier {
    /// For an algorithm that `jsonwebtoken` lacks.
    AwsLc(ParsedPublicKey),
    JsonWebToken(DecodingKey),
}

impl PublicKey {
    /// An RSA key from its modulus and exponent, big-endian (RFC 7518 §6.3.1), for these algorithms of its kind.
    ///
    /// # Errors
    /// Why it is no key to trust.
    pub fn rsa(modulus: &[u8], exponent: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        // RFC 7518 §6.3.1.1 forbids leading zeros, and some issuers write one all the same. They change no value.
        let modulus = without_leading_zeros(modulus);
        let exponent = without_leading_zeros(exponent);
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if bits < RSA_BITS_MIN {
            return Err(KeyError::RsaTooSmall { bits });
        }
        if bits > RSA_BITS_MAX {
            return Err(KeyError::RsaTooLarge { bits });
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        if !is_odd(modulus) {
            return Err(KeyError::Unsound);
        }
        // An even or tiny exponent makes every message its own signature or none verifiable; 2^32 bounds the work.
        if !is_odd(exponent) || exponent == [1] || exponent.len() > 4 {
            return Err(KeyError::RsaExponent);
        }
        // The hash makes no difference to the check.
        RsaPublicKeyComponents { n: modulus, e: exponent }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| KeyError::Unsound)?;
        let verifier = json_web_token(DecodingKey::from_rsa_raw_components(modulus, exponent));
        Self::new(KeyKind::Rsa, modulus.len(), algorithms, verifier)
    }

    /// An elliptic-curve key from its coordinates, big-endian (RFC 7518 §6.2.1).
    ///
    /// # Errors
    /// Why it is no key to trust.
    pub fn ec(curve: KeyKind, x: &[u8], y: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        let (length, verification): (usize, &'static dyn VerificationAlgorithm) = match curve {
            KeyKind::P256 => (32, &ECDSA_P256_SHA256_FIXED),
            KeyKind::P384 => (48, &ECDSA_P384_SHA384_FIXED),
            KeyKind::P521 => (66, &ECDSA_P521_SHA512_FIXED),
            _ => return Err(KeyError::WrongKind),
        };
        // SEC 1 §2.3.3: 4 marks an uncompressed point.
        let mut point = vec![4];
        for coordinate in [x, y] {
            // RFC 7518 §6.2.1.2 wants the full length, and some issuers write numbers without their leading zeros, or with one
            // more. They change no value, and the point must still lie on the curve.
            let coordinate = without_leading_zeros(coordinate);
            let missing = length.checked_sub(coordinate.len()).ok_or(KeyError::CoordinateLength { wanted: length })?;
            point.resize(point.len() + missing, 0);
            point.extend(coordinate);
        }
        let parsed = parse(verification, &point)?;
        let verifier = match curve {
            KeyKind::P521 => Verifier::AwsLc(parsed),
            // What it calls DER is the point for its verifiers, as `from_ec_components` shows.
            _ => json_web_token(DecodingKey::from_ec_der(&point)),
        };
        Self::new(curve, 2 * length, algorithms, verifier)
    }

    /// An Ed25519 key (RFC 8037 §2).
    ///
    /// # Errors
    /// Why it is no key to trust.
    pub fn ed25519(x: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        if x.len() != 32 {
            return Err(KeyError::CoordinateLength { wanted: 32 });
        }
        if is_small_order(x) {
            return Err(KeyError::SmallOrder);
        }
        parse(&ED25519, x)?;
        Self::new(KeyKind::Ed25519, 64, algorithms, json_web_token(DecodingKey::from_ed_der(x)))
    }

    /// An ML-DSA key, as its encoded form (FIPS 204 §7.2; `pub` of RFC 9964).
    ///
    /// # Errors
    /// Why it is no key to trust.
    pub fn ml_dsa(kind: KeyKind, encoded: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        // Lengths of FIPS 204 §4, table 2.
        let (verification, wanted, signature): (&'static dyn VerificationAlgorithm, _, _) = match kind {
            KeyKind::MlDsa44 => (&ML_DSA_44, 1312, 2420),
            KeyKind::MlDsa65 => (&ML_DSA_65, 1952, 3309),
            KeyKind::MlDsa87 => (&ML_DSA_87, 2592, 4627),
            _ => return Err(KeyError::WrongKind),
        };
        if encoded.len() != wanted {
            return Err(KeyError::Length { wanted });
        }
        Self::new(kind, signature, algorithms, Verifier::AwsLc(parse(verification, encoded)?))
    }

    fn new(
        kind: KeyKind,
        signature_bytes: usize,
        algorithms: &[Algorithm],
        verifier: Verifier,
    ) -> Result<Self, KeyError> {
        let algorithms: Vec<_> = algorithms.iter().copied().filter(|algorithm| algorithm.key_kind() == kind).collect();
        if algorithms.is_empty() {
            return Err(KeyError::WrongKind);
        }
        let signature_len = (signature_bytes * 4).div_ceil(3);
        Ok(Self { kind, algorithms, signature_len, verifier })
    }

    /// What kind of key it is.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether it may be used with this algorithm.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Checks a signature, in base64url without padding, over a message (RFC 7515 §5.2 step 8). The signature has the one length
    /// that the key prescribes: raw `r || s` for ECDSA (RFC 7518 §3.4), the modulus' length for RSA. ML-DSA signs with an empty context (RFC 9964).
    ///
    /// # Errors
    /// If the key is not for this algorithm or did not make this signature.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> Result<(), SignatureError> {
        if !self.fits(algorithm) || signature.len() != self.signature_len {
            return Err(SignatureError);
        }
        let holds = match &self.verifier {
            Verifier::AwsLc(key) => {
                URL_SAFE_NO_PAD.decode(signature).is_ok_and(|bytes| key.verify_sig(message, &bytes).is_ok())
            }
            Verifier::JsonWebToken(key) => jsonwebtoken_algorithm(algorithm).is_some_and(|algorithm| {
                jsonwebtoken::crypto::verify(signature, message, key, algorithm).unwrap_or(false)
            }),
        };
        if holds { Ok(()) } else { Err(SignatureError) }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<_> = self.algorithms.iter().map(|algorithm| algorithm.name()).collect();
        write!(f, "PublicKey({}, {})", self.kind, algorithms.join(" "))
    }
}

/// The signature is not one that the key made over the message with the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureError;

/// Why a public key cannot be trusted with anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum KeyError {
    #[error("a coordinate does not have {wanted} bytes")]
    CoordinateLength { wanted: usize },
    #[error("its public key does not have {wanted} bytes")]
    Length { wanted: usize },
    #[error("its RSA exponent is not an odd number from 3 to 2^32")]
    RsaExponent,
    #[error("its RSA modulus has {bits} bits, and at most {RSA_BITS_MAX} are accepted")]
    RsaTooLarge { bits: usize },
    #[error("its RSA modulus has {bits} bits, and at least {RSA_BITS_MIN} are needed")]
    RsaTooSmall { bits: usize },
    #[error("its point has a small order")]
    SmallOrder,
    #[error("it is no sound key: its point is not on the curve, or its modulus is even")]
    Unsound,
    #[error("its kind fits none of the algorithms")]
    WrongKind,
}

/// A verifier of `jsonwebtoken`, with its provider of cryptography named: left to itself it takes the one that its features name,
/// and panics at the first signature where another crate has turned on a second.
fn json_web_token(key: DecodingKey) -> Verifier {
    // An error says that one is installed already, by the first key.
    let _ = DEFAULT_PROVIDER.install_default();
    Verifier::JsonWebToken(key)
}

/// The same algorithm for `jsonwebtoken`, if it has it.
const fn jsonwebtoken_algorithm(algorithm: Algorithm) -> Option<jsonwebtoken::Algorithm> {
    Some(match algorithm {
        Algorithm::Ed25519 => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::Es512 | Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => return None,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
    })
}

/// A key as aws-lc-rs reads it: a point must lie on its curve.
fn parse(verification: &'static dyn VerificationAlgorithm, bytes: &[u8]) -> Result<ParsedPublicKey, KeyError> {
    ParsedPublicKey::new(verification, bytes).map_err(|_| KeyError::Unsound)
}

/// Modulus and exponent, big-endian, of an RSA key in DER (SubjectPublicKeyInfo, RFC 5280 §4.1.2.7).
pub(crate) fn rsa_components(der: &[u8]) -> Option<[Vec<u8>; 2]> {
    let key = aws_lc_rs::rsa::PublicKey::from_der(der).ok()?;
    let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(&key);
    Some([n, e])
}

/// The same number, big-endian.
pub(crate) fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Whether an Ed25519 key is a point of small order: for such a key there are signatures that fit many messages
/// (RFC 8032 §8.9 warns of the cofactor). The sign of x does not matter. The y of these points, little-endian, is 0, 1, p - 1,
/// 0 or 1 written as p or p + 1, or that of one of the two points of order 8.
fn is_small_order(key: &[u8]) -> bool {
    let mut y = key.to_vec();
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    match y.as_slice() {
        [0 | 1, middle @ .., 0] => middle.iter().all(|byte| *byte == 0),
        [0xec..=0xee, middle @ .., 0x7f] => middle.iter().all(|byte| *byte == 0xff),
        y => ORDER_8.iter().any(|order_8| order_8.as_slice() == y),
    }
}

const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 8192;

const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

#[cfg(test)]
mod tests;
