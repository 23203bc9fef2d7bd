//! Proof of possession: a bound token passes only with what it is bound to (RFC 7800 §3). It is asked for at every use, also of a
//! token that is remembered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::rejection::{Reason, Rejection};
use crate::request::CertificateHash;

/// Compares the certificate that a token is bound to with the one that the client showed on this connection (RFC 8705 §3). What is
/// bound to none needs none.
///
/// # Errors
/// `certificate_missing` or `certificate_mismatch`.
pub(crate) fn prove(bound: Option<&CertificateHash>, shown: Option<&CertificateHash>) -> Result<(), Rejection> {
    match (bound, shown) {
        (None, _) => Ok(()),
        (Some(bound), Some(shown)) if bound == shown => Ok(()),
        (Some(bound), Some(shown)) => {
            let detail = format!(
                "the token is bound to the certificate with the SHA-256 {} (cnf), and this connection was opened with {}",
                written(bound),
                written(shown)
            );
            Err(Rejection::new(Reason::CertificateMismatch, detail))
        }
        (Some(bound), None) => {
            let detail = format!(
                "the token is bound to the certificate with the SHA-256 {} (cnf), and no certificate was shown on this connection",
                written(bound)
            );
            Err(Rejection::new(Reason::CertificateMissing, detail))
        }
    }
}

/// As `x5t#S256` has it. A certificate is no secret, nor is its hash.
pub(crate) fn written(hash: &CertificateHash) -> String {
    URL_SAFE_NO_PAD.encode(hash.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_token_passes_with_its_certificate_alone() {
        let (own, other) = (CertificateHash([1; 32]), CertificateHash([2; 32]));
        let reason = |bound, shown| prove(bound, shown).err().map(|rejection| rejection.reason());
        assert_eq!(reason(Some(&own), Some(&own)), None);
        assert_eq!(reason(Some(&own), Some(&other)), Some(Reason::CertificateMismatch));
        assert_eq!(reason(Some(&own), None), Some(Reason::CertificateMissing));
        assert_eq!(reason(None, None), None);
        assert_eq!(reason(None, Some(&other)), None);
    }
}
