//! Proof of possession: a bound token passes only with what it is bound to (RFC 7800 §3). It is asked for at every use, also of a
//! token that is remembered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::confirmation::{CertificateHash, Confirmation};
use crate::rejection::{Reason, Rejection};

/// Compares what a token is bound to with what the client has shown. What is bound to nothing needs no proof.
///
/// # Errors
/// `certificate_missing`, `certificate_mismatch` or `token_bound`.
pub(crate) fn prove(bound: Option<&Confirmation>, shown: Option<&CertificateHash>) -> Result<(), Rejection> {
    match bound {
        None => Ok(()),
        Some(Confirmation::Certificate(bound)) => certificate(bound, shown),
        Some(Confirmation::DpopKey(_)) => {
            Err(Rejection::new(Reason::TokenBound, "the token is bound to a key, and no proof of it is accepted here"))
        }
    }
}

/// Compares the certificate that a token is bound to with the one that the client showed on this connection (RFC 8705 §3).
fn certificate(bound: &CertificateHash, shown: Option<&CertificateHash>) -> Result<(), Rejection> {
    match shown {
        Some(shown) if bound == shown => Ok(()),
        Some(shown) => {
            let detail = format!(
                "the token is bound to the certificate with the SHA-256 {} (cnf), and this connection was opened with {}",
                written(&bound.0),
                written(&shown.0)
            );
            Err(Rejection::new(Reason::CertificateMismatch, detail))
        }
        None => {
            let detail = format!(
                "the token is bound to the certificate with the SHA-256 {} (cnf), and no certificate was shown on this connection",
                written(&bound.0)
            );
            Err(Rejection::new(Reason::CertificateMissing, detail))
        }
    }
}

/// As `x5t#S256` and `jkt` have it. A certificate and a public key are no secrets, nor are their hashes.
pub(crate) fn written(hash: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_token_passes_with_its_certificate_alone() {
        let (own, other) = (CertificateHash([1; 32]), CertificateHash([2; 32]));
        let bound = Confirmation::Certificate(own);
        let reason = |bound, shown| prove(bound, shown).err().map(|rejection| rejection.reason());
        assert_eq!(reason(Some(&bound), Some(&own)), None);
        assert_eq!(reason(Some(&bound), Some(&other)), Some(Reason::CertificateMismatch));
        assert_eq!(reason(Some(&bound), None), Some(Reason::CertificateMissing));
        assert_eq!(reason(None, None), None);
        assert_eq!(reason(None, Some(&other)), None);
    }
}
