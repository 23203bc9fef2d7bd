//! The signature algorithms that can be allowed (RFC 7518 §3.1, RFC 9864 §2.2, RFC 9964). `none` and the HMAC family are not members:
//! what cannot be named cannot be accepted. An algorithm belongs to exactly one kind of key.

use std::fmt;

/// A digital signature algorithm of JWS, by its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// EdDSA with curve Ed25519 (RFC 8037): `Ed25519`, or `EdDSA` by its deprecated name (RFC 9864 §2.2, §4.1.2).
    Ed25519,
    /// ECDSA with curve P-256 and SHA-256 (RFC 7518 §3.4).
    Es256,
    /// ECDSA with curve P-384 and SHA-384.
    Es384,
    /// ECDSA with curve P-521 and SHA-512.
    Es512,
    /// ML-DSA-44, -65 and -87 (FIPS 204), which a quantum computer does not break.
    MlDsa44,
    /// ML-DSA of security category 3.
    MlDsa65,
    /// ML-DSA of security category 5.
    MlDsa87,
    /// RSASSA-PSS with SHA-256 (RFC 7518 §3.5).
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
}

/// The kind of a public key. An algorithm is usable with one kind only, so a token's `alg` can never make one kind of key be
/// read as another (RFC 8725 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Edwards curve 25519 (`OKP`, `Ed25519`).
    Ed25519,
    /// ML-DSA-44 (`AKP`).
    MlDsa44,
    /// ML-DSA-65 (`AKP`).
    MlDsa65,
    /// ML-DSA-87 (`AKP`).
    MlDsa87,
    /// NIST P-256 (`EC`, `P-256`).
    P256,
    /// NIST P-384 (`EC`, `P-384`).
    P384,
    /// NIST P-521 (`EC`, `P-521`).
    P521,
    /// RSA, for PKCS #1 v1.5 and PSS alike.
    Rsa,
}

impl Algorithm {
    /// Every algorithm that can be allowed.
    pub const ALL: [Self; 13] = [
        Self::Ed25519,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
    ];

    /// The algorithm with this `alg` value, which may be an older name, compared exactly: names are case-sensitive (RFC 7515 §4.1.1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "Ed25519" | EDDSA => Self::Ed25519,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "ML-DSA-44" => Self::MlDsa44,
            "ML-DSA-65" => Self::MlDsa65,
            "ML-DSA-87" => Self::MlDsa87,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            _ => return None,
        })
    }

    /// The registered `alg` value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.entry().0
    }

    /// Another registered `alg` value for the very same algorithm.
    #[must_use]
    pub const fn deprecated_name(self) -> Option<&'static str> {
        match self {
            Self::Ed25519 => Some(EDDSA),
            _ => None,
        }
    }

    /// The only kind of key it can be used with.
    #[must_use]
    pub const fn key_kind(self) -> KeyKind {
        self.entry().1
    }

    const fn entry(self) -> (&'static str, KeyKind) {
        match self {
            Self::Ed25519 => ("Ed25519", KeyKind::Ed25519),
            Self::Es256 => ("ES256", KeyKind::P256),
            Self::Es384 => ("ES384", KeyKind::P384),
            Self::Es512 => ("ES512", KeyKind::P521),
            Self::MlDsa44 => ("ML-DSA-44", KeyKind::MlDsa44),
            Self::MlDsa65 => ("ML-DSA-65", KeyKind::MlDsa65),
            Self::MlDsa87 => ("ML-DSA-87", KeyKind::MlDsa87),
            Self::Ps256 => ("PS256", KeyKind::Rsa),
            Self::Ps384 => ("PS384", KeyKind::Rsa),
            Self::Ps512 => ("PS512", KeyKind::Rsa),
            Self::Rs256 => ("RS256", KeyKind::Rsa),
            Self::Rs384 => ("RS384", KeyKind::Rsa),
            Self::Rs512 => ("RS512", KeyKind::Rsa),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Rsa => "RSA",
        })
    }
}

/// `EdDSA` also stands for Ed448 (RFC 8037 §3.1), which is not supported: with it alone nobody knows what a key must be.
const EDDSA: &str = "EdDSA";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_is_found_by_its_exact_name_only() {
        for algorithm in Algorithm::ALL {
            for name in [Some(algorithm.name()), algorithm.deprecated_name()].into_iter().flatten() {
                assert_eq!(Algorithm::from_name(name), Some(algorithm));
                for wrong in [name.to_ascii_lowercase(), format!("{name} "), format!(" {name}"), format!("{name}\0")] {
                    assert_eq!(Algorithm::from_name(&wrong), None, "{wrong:?}");
                }
            }
        }
    }

    #[test]
    fn eddsa_is_ed25519_by_its_deprecated_name_and_never_ed448() {
        assert_eq!(Algorithm::from_name("EdDSA"), Algorithm::from_name("Ed25519"));
        assert_eq!(Algorithm::Ed25519.to_string(), "Ed25519");
        assert_eq!(Algorithm::from_name("Ed448"), None);
    }

    #[test]
    fn what_is_no_digital_signature_has_no_name_here() {
        for name in ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RSA1_5", "dir", "ES256K", "Ed448"]
        {
            assert_eq!(Algorithm::from_name(name), None, "{name:?}");
        }
    }
}
