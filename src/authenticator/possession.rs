//! Proof of possession: a bound token passes only with what it is bound to (RFC 7800 §3). It is asked for at every use, also of a
//! token that is remembered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::UnixTime;
use crate::confirmation::{CertificateHash, Confirmation};
use crate::proof::replay::Claim;
use crate::proof::{ProofVerifier, ProvenRequest};
use crate::rejection::{Reason, Rejection};
use crate::request::RequestHead;
use crate::token::{Presented, TokenType};

/// Asks for the proof of what a token is bound to, presented as it is with this head. What is bound to nothing needs none, and must not
/// be presented as if it did (RFC 9449 §7.1 and §7.2): the scheme says what the client takes it for. A proof is used up when it is good;
/// with a claim, the request must not pass before the store that instances share has granted that.
///
/// # Errors
/// `certificate_missing`, `certificate_mismatch`, `token_bound`, `token_unbound`, or as [`ProofVerifier::prove`].
pub(crate) fn prove(
    bound: Option<&Confirmation>,
    presented: Presented<'_>,
    head: &RequestHead<'_>,
    proofs: Option<&ProofVerifier>,
    now: UnixTime,
) -> Result<Option<Claim>, Rejection> {
    match (bound, presented.token_type) {
        (None, TokenType::Bearer) => Ok(None),
        (Some(Confirmation::Certificate(bound)), TokenType::Bearer) => {
            certificate(bound, head.certificate.as_ref()).map(|()| None)
        }
        (Some(Confirmation::DpopKey(key)), TokenType::Dpop) if let Some(proofs) = proofs => {
            let RequestHead { method, path, proof, .. } = *head;
            proofs.prove(proof, &ProvenRequest { method, path, token: presented.text, key: *key }, now)
        }
        (Some(Confirmation::DpopKey(_)), _) => {
            let detail = "the token is bound to a key (cnf): send it with the scheme DPoP, and a proof of that key in the DPoP field";
            Err(Rejection::new(Reason::TokenBound, detail))
        }
        (Some(Confirmation::Certificate(_)), TokenType::Dpop) => {
            let detail = "the token is bound to a certificate and not to a key (cnf): send it with the scheme Bearer";
            Err(Rejection::new(Reason::TokenBound, detail))
        }
        (None, TokenType::Dpop) => {
            let detail =
                "the token is bound to nothing, so that no proof belongs to it: send it with the scheme Bearer";
            Err(Rejection::new(Reason::TokenUnbound, detail))
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
    use crate::confirmation::KeyThumbprint;
    use crate::request::SingletonField;

    fn reason(
        bound: Option<Confirmation>,
        token_type: TokenType,
        certificate: Option<CertificateHash>,
    ) -> Option<Reason> {
        let (authorization, proof) = (SingletonField::Absent, SingletonField::Absent);
        let head = RequestHead { method: "POST", path: Some("/send"), authorization, proof, certificate };
        let presented = Presented { token_type, text: b"a.b.c" };
        prove(bound.as_ref(), presented, &head, None, UnixTime::default()).err().map(|rejection| rejection.reason())
    }

    #[test]
    fn bound_token_passes_with_its_certificate_alone() {
        let (own, other) = (CertificateHash([1; 32]), CertificateHash([2; 32]));
        let bound = Some(Confirmation::Certificate(own));
        assert_eq!(reason(bound, TokenType::Bearer, Some(own)), None);
        assert_eq!(reason(bound, TokenType::Bearer, Some(other)), Some(Reason::CertificateMismatch));
        assert_eq!(reason(bound, TokenType::Bearer, None), Some(Reason::CertificateMissing));
        assert_eq!(reason(None, TokenType::Bearer, None), None);
        assert_eq!(reason(None, TokenType::Bearer, Some(other)), None);
    }

    #[test]
    fn the_scheme_must_be_that_of_the_binding() {
        let certificate = CertificateHash([1; 32]);
        let key = Confirmation::DpopKey(KeyThumbprint([1; 32]));
        let bound = Confirmation::Certificate(certificate);
        assert_eq!(reason(Some(key), TokenType::Bearer, Some(certificate)), Some(Reason::TokenBound));
        assert_eq!(reason(Some(key), TokenType::Dpop, None), Some(Reason::TokenBound), "nobody can judge a proof");
        assert_eq!(reason(Some(bound), TokenType::Dpop, Some(certificate)), Some(Reason::TokenBound));
        assert_eq!(reason(None, TokenType::Dpop, None), Some(Reason::TokenUnbound));
    }
}
