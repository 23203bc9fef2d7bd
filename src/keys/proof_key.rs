//! The key that a proof holds (`jwk`, RFC 9449 §4.2). It comes from a stranger and is worth nothing by itself: a token that an issuer
//! has signed names its thumbprint. So a key has one spelling here, and what it is named by is computed of just that.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::jwk::{JwkError, Key, KeyUse, PRIVATE_MEMBERS};
use crate::algorithm::{Algorithm, KeyKind};
use crate::confirmation::KeyThumbprint;
use crate::json::Object;
use crate::jwt::signature::PublicKey;

/// A sound public key with its thumbprint.
#[derive(Debug)]
pub struct ProofKey {
    key: Key,
    thumbprint: KeyThumbprint,
}

impl ProofKey {
    /// Reads a key for this algorithm. It is read as an issuer's, and must besides be written as RFC 7638 §3 has it.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(jwk: &Object<'_>, algorithm: Algorithm) -> Result<Self, JwkError> {
        // Also where it is empty: a client that writes such a member may next time write the key.
        if PRIVATE_MEMBERS.iter().any(|name| jwk.get(name).is_some()) {
            return Err(JwkError::Private);
        }
        let key = Key::read(jwk, KeyUse::Signature, &[algorithm])?;
        let kind = key.public().kind();
        let [first, second] = key.numbers();
        let length = match kind {
            KeyKind::P256 => 32,
            KeyKind::P384 => 48,
            KeyKind::P521 => 66,
            _ => 0,
        };
        let first_text = canonical(first, length);
        let second_text = canonical(second, length);
        // The members that make up the key, in the order of their names (RFC 7638 §3.2, RFC 8037 §2, RFC 9964).
        let (names, members) = match kind {
            KeyKind::Rsa => (["n", "e"], format!(r#"{{"e":"{second_text}","kty":"RSA","n":"{first_text}"}}"#)),
            KeyKind::Ed25519 => (["x", ""], format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{first_text}"}}"#)),
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => {
                (["x", "y"], format!(r#"{{"crv":"{kind}","kty":"EC","x":"{first_text}","y":"{second_text}"}}"#))
            }
            KeyKind::MlDsa44 | KeyKind::MlDsa65 | KeyKind::MlDsa87 => {
                (["pub", ""], format!(r#"{{"alg":"{kind}","kty":"AKP","pub":"{first_text}"}}"#))
            }
        };
        for (name, text) in names.into_iter().zip([&first_text, &second_text]) {
            if !name.is_empty() && jwk.text(name) != Some(text) {
                return Err(JwkError::Encoding(name));
            }
        }
        let thumbprint = digest(&SHA256, members.as_bytes()).as_ref().try_into().map_err(|_| JwkError::Type)?;
        Ok(Self { key, thumbprint: KeyThumbprint(thumbprint) })
    }

    /// The key itself.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        self.key.public()
    }

    /// By what a token names it.
    #[must_use]
    pub const fn thumbprint(&self) -> KeyThumbprint {
        self.thumbprint
    }
}

/// The key of a workload, which its token holds (`cnf.jwk`, draft-ietf-wimse-workload-creds §5.1).
#[derive(Debug)]
pub struct WorkloadKey {
    key: ProofKey,
    algorithm: Algorithm,
    /// Its name as the token has it: a proof must name it alike.
    alg: &'static str,
}

impl WorkloadKey {
    /// Reads a key that is for this algorithm by its own `alg`.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(jwk: &Object<'_>, algorithm: Algorithm) -> Result<Self, JwkError> {
        let key = ProofKey::read(jwk, algorithm)?;
        let mut names = [Some(algorithm.name()), algorithm.deprecated_name()].into_iter().flatten();
        let alg = names.find(|name| jwk.text("alg") == Some(*name)).ok_or(JwkError::Algorithm)?;
        Ok(Self { key, algorithm, alg })
    }

    /// The key itself.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        self.key.public()
    }

    /// The algorithm that proofs must be signed with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of that algorithm as the token has it, which may be a deprecated one.
    #[must_use]
    pub const fn alg(&self) -> &'static str {
        self.alg
    }

    /// By what it is known again.
    #[must_use]
    pub const fn thumbprint(&self) -> KeyThumbprint {
        self.key.thumbprint()
    }

    /// The memory that it takes, in bytes, as well as that can be told.
    #[must_use]
    pub fn size(&self) -> usize {
        // The numbers, and what the parsed key makes of them.
        size_of::<Self>() + 3 * self.key.key.numbers().iter().map(Vec::len).sum::<usize>()
    }
}

/// A number in base64url without padding, filled up to so many bytes (RFC 7518 §6.2.1.2).
fn canonical(number: &[u8], length: usize) -> String {
    let mut bytes = vec![0; length.saturating_sub(number.len())];
    bytes.extend(number);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thumbprint(jwk: &str, algorithm: Algorithm) -> Result<String, JwkError> {
        let jwk = Object::parse(jwk.as_bytes()).expect("an object");
        ProofKey::read(&jwk, algorithm).map(|key| URL_SAFE_NO_PAD.encode(key.thumbprint().0))
    }

    /// Of RFC 7638 §3.1, RFC 8037 A.3 and RFC 9449 §6.1.
    #[test]
    fn the_thumbprints_of_the_rfcs_are_ours() {
        let rsa = concat!(
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n"#,
            r#"3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n9"#,
            r#"1CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","#,
            r#""alg":"RS256","kid":"2011-04-29"}"#
        );
        assert_eq!(thumbprint(rsa, Algorithm::Rs256).as_deref(), Ok("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
        let okp = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(thumbprint(okp, Algorithm::Ed25519).as_deref(), Ok("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
        assert_eq!(thumbprint(EC, Algorithm::Es256).as_deref(), Ok("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"));
    }

    #[test]
    fn a_key_has_one_spelling() {
        for (from, to, why) in [
            ("l8tFrhx", "l8tFrhx=", JwkError::Encoding("x")),
            (r#""x":"l8"#, r#""x":"AGl8"#, JwkError::Encoding("x")),
            (r#","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA""#, "", JwkError::Encoding("y")),
            ("GRDA", "GRDA=", JwkError::Encoding("y")),
            (r#""EC""#, r#""ec""#, JwkError::Type),
            (r#""P-256""#, r#""P-384""#, JwkError::Algorithm),
            (r#""P-256""#, r#""secp256k1""#, JwkError::Curve),
            ("{", r#"{"d":"","#, JwkError::Private),
            ("{", r#"{"d":null,"#, JwkError::Private),
            ("{", r#"{"d":"AA","#, JwkError::Private),
            ("{", r#"{"k":"AA","#, JwkError::Private),
            ("{", r#"{"alg":"ES384","#, JwkError::Algorithm),
            ("{", r#"{"use":"enc","#, JwkError::Purpose),
            ("{", r#"{"key_ops":["sign"],"#, JwkError::Purpose),
        ] {
            let changed = EC.replacen(from, to, 1);
            assert_ne!(changed, EC, "{from}");
            assert_eq!(thumbprint(&changed, Algorithm::Es256).err(), Some(why), "{changed}");
        }
        let off_the_curve = EC.replacen("GRDA", "GRDB", 1);
        assert!(matches!(
            thumbprint(&off_the_curve, Algorithm::Es256),
            Err(JwkError::Unsound(_) | JwkError::Encoding(_))
        ));
        let symmetric = r#"{"kty":"oct"}"#;
        assert_eq!(thumbprint(symmetric, Algorithm::Es256).err(), Some(JwkError::Symmetric));
    }

    #[test]
    fn a_workload_key_says_what_its_proofs_are_signed_with() {
        let read = |jwk: &str, algorithm| {
            let jwk = Object::parse(jwk.as_bytes()).expect("an object");
            WorkloadKey::read(&jwk, algorithm).map(|key| (key.alg(), key.algorithm()))
        };
        let okp = r#"{"kty":"OKP","crv":"Ed25519","x":"1CXXvflN_LVVsIsYXsUvB03JmlGWeCHqQVuouCF92bg""#;
        for alg in ["EdDSA", "Ed25519"] {
            assert_eq!(read(&format!(r#"{okp},"alg":"{alg}"}}"#), Algorithm::Ed25519), Ok((alg, Algorithm::Ed25519)));
        }
        for (jwk, why) in [
            (format!("{okp}}}"), JwkError::Algorithm),
            (format!(r#"{okp},"alg":"ES256"}}"#), JwkError::Algorithm),
            (format!(r#"{okp},"alg":"EdDSA","d":"AA"}}"#), JwkError::Private),
            (format!(r#"{okp},"alg":"EdDSA","use":"enc"}}"#), JwkError::Purpose),
        ] {
            assert_eq!(read(&jwk, Algorithm::Ed25519), Err(why), "{jwk}");
        }
    }

    #[test]
    fn what_else_a_key_says_makes_no_other_of_it() {
        let named = EC.replacen('{', r#"{"kid":"k","use":"sig","key_ops":["verify"],"alg":"ES256","ext":true,"#, 1);
        assert_eq!(thumbprint(&named, Algorithm::Es256), thumbprint(EC, Algorithm::Es256));
    }

    /// Of RFC 9449 §4.1.
    const EC: &str = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;
}
