//! Proof of possession: a bound token passes only with what it is bound to (RFC 7800 §3). It is asked for at every use, also of a
//! token that is remembered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::UnixTime;
use crate::confirmation::{CertificateHash, Confirmation, KeyThumbprint};
use crate::json::Object;
use crate::jwt::parse::Unverified;
use crate::jwt::verify::{confirmation, workload_key};
use crate::keys::proof_key::WorkloadKey;
use crate::proof::replay::Claim;
use crate::proof::{ProofVerifier, ProvenRequest, WorkloadRequest};
use crate::rejection::{Reason, Rejection};
use crate::request::{Fields, RequestHead, SingletonField, WORKLOAD_PROOF};
use crate::token::{Presented, TokenType, access_token};

/// What a token is bound to, with what its proof is judged by.
pub(crate) enum Bound {
    /// The certificate of the client's connection.
    Certificate(CertificateHash),
    /// A key that the proof holds.
    DpopKey(KeyThumbprint),
    /// A key that the token holds.
    Workload(Box<WorkloadKey>),
}

impl Bound {
    /// The same without what judges it.
    pub(crate) fn confirmation(&self) -> Confirmation {
        match self {
            Self::Certificate(hash) => Confirmation::Certificate(*hash),
            Self::DpopKey(key) => Confirmation::DpopKey(*key),
            Self::Workload(key) => Confirmation::WorkloadKey(key.thumbprint()),
        }
    }

    /// Where a token that is bound to this belongs.
    const fn place(&self) -> &'static str {
        match self {
            Self::Certificate(_) => {
                "the token is bound to a certificate and not to a key (cnf): send it with the scheme Bearer"
            }
            Self::DpopKey(_) => {
                "the token is bound to a key (cnf): send it with the scheme DPoP, and a proof of that key in the DPoP field"
            }
            Self::Workload(_) => {
                "a workload identity token is no bearer token: send it in the Workload-Identity-Token field, and a proof of its key in \
                 the Workload-Proof-Token field"
            }
        }
    }

    /// The memory that it takes beside its own place, in bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Certificate(_) | Self::DpopKey(_) => 0,
            Self::Workload(key) => key.size(),
        }
    }
}

/// What a token with these claims is bound to, which were found to be in order.
///
/// # Errors
/// `claim_invalid` if a workload's key is no sound one.
pub(crate) fn bound_to(claims: &Object<'_>, is_workload_token: bool) -> Result<Option<Bound>, Rejection> {
    if !is_workload_token {
        return Ok(confirmation(claims).map(|confirmation| match confirmation {
            Confirmation::Certificate(hash) => Bound::Certificate(hash),
            Confirmation::DpopKey(key) | Confirmation::WorkloadKey(key) => Bound::DpopKey(key),
        }));
    }
    let invalid =
        |why: &str| Rejection::new(Reason::ClaimInvalid, format!("the jwk in the token's cnf is refused: {why}"));
    let (jwk, algorithm) = workload_key(claims).ok_or_else(|| invalid("it is missing, or has no alg"))?;
    let key = WorkloadKey::read(jwk, algorithm).map_err(|why| invalid(&why.to_string()))?;
    Ok(Some(Bound::Workload(Box::new(key))))
}

/// Refuses another token than a workload identity token in the field for such. One in another field is refused for want of its proof, or by
/// its type where none is accepted.
///
/// # Errors
/// `type_refused`.
pub(super) fn expect_form(token_type: TokenType, token: &Unverified<'_>) -> Result<(), Rejection> {
    if token_type == TokenType::Workload && !token.is_workload_token() {
        return Err(Rejection::new(Reason::TypeRefused, NOT_OF_WORKLOAD));
    }
    Ok(())
}

/// The request that a workload's proof must be for, with the other tokens in it.
///
/// # Errors
/// `token_ambiguous` if one of them is there twice.
pub(crate) fn workload_request<'r>(
    head: &RequestHead<'r>,
    fields: &'r dyn Fields,
    token: &'r [u8],
    key: &'r WorkloadKey,
) -> Result<WorkloadRequest<'r>, Rejection> {
    let only = |name: &str| match fields.field(name) {
        SingletonField::Absent => Ok(None),
        SingletonField::One(value) => Ok(Some(value)),
        SingletonField::Several => {
            let detail =
                format!("the request has more than one {name} field beside its workload identity token; send one");
            Err(Rejection::new(Reason::TokenAmbiguous, detail))
        }
    };
    let access_token = only("Authorization")?.and_then(access_token);
    Ok(WorkloadRequest { path: head.path, token, key, access_token, transaction_token: only("Txn-Token")?, fields })
}

/// Asks for the proof of what a token is bound to, presented as it is with this head. What is bound to nothing needs none, and must not
/// be presented as if it did (RFC 9449 §7.1 and §7.2): the scheme says what the client takes it for. A proof is used up when it is good;
/// with a claim, the request must not pass before the store that instances share has granted that.
///
/// # Errors
/// `certificate_missing`, `certificate_mismatch`, `token_bound`, `token_unbound`, or as [`ProofVerifier::prove`].
pub(crate) fn prove(
    bound: Option<&Bound>,
    presented: Presented<'_>,
    head: &RequestHead<'_>,
    proofs: Option<&ProofVerifier>,
    now: UnixTime,
) -> Result<Option<Claim>, Rejection> {
    match (bound, presented.token_type) {
        (None, TokenType::Bearer) => Ok(None),
        (Some(Bound::Certificate(bound)), TokenType::Bearer) => {
            certificate(bound, head.certificate.as_ref()).map(|()| None)
        }
        (Some(Bound::DpopKey(key)), TokenType::Dpop) if let Some(proofs) = proofs => {
            let RequestHead { method, path, proof, .. } = *head;
            proofs.prove(proof, &ProvenRequest { method, path, token: presented.text, key: *key }, now)
        }
        (Some(Bound::Workload(key)), TokenType::Workload)
            if let (Some(proofs), Some(fields)) = (proofs, head.fields) =>
        {
            let request = workload_request(head, fields, presented.text, key)?;
            proofs.prove_workload(fields.field(WORKLOAD_PROOF), &request, now)
        }
        (None | Some(Bound::Certificate(_) | Bound::DpopKey(_)), TokenType::Workload) => {
            Err(Rejection::new(Reason::TypeRefused, NOT_OF_WORKLOAD))
        }
        (None, _) => Err(Rejection::new(Reason::TokenUnbound, UNBOUND)),
        (Some(bound), _) => Err(Rejection::new(Reason::TokenBound, bound.place())),
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

const NOT_OF_WORKLOAD: &str =
    "the Workload-Identity-Token field must hold a workload identity token, with the typ wit+jwt";

const UNBOUND: &str = "the token is bound to nothing, so that no proof belongs to it: send it with the scheme Bearer";

/// As `x5t#S256` and `jkt` have it. A certificate and a public key are no secrets, nor are their hashes.
pub(crate) fn written(hash: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::SingletonField;

    fn reason(bound: Option<Bound>, token_type: TokenType, certificate: Option<CertificateHash>) -> Option<Reason> {
        let (authorization, proof) = (SingletonField::Absent, SingletonField::Absent);
        let head = RequestHead { method: "POST", path: Some("/send"), authorization, proof, certificate, fields: None };
        let presented = Presented { token_type, text: b"a.b.c" };
        prove(bound.as_ref(), presented, &head, None, UnixTime::default()).err().map(|rejection| rejection.reason())
    }

    #[test]
    fn bound_token_passes_with_its_certificate_alone() {
        let (own, other) = (CertificateHash([1; 32]), CertificateHash([2; 32]));
        let bound = || Some(Bound::Certificate(own));
        assert_eq!(reason(bound(), TokenType::Bearer, Some(own)), None);
        assert_eq!(reason(bound(), TokenType::Bearer, Some(other)), Some(Reason::CertificateMismatch));
        assert_eq!(reason(bound(), TokenType::Bearer, None), Some(Reason::CertificateMissing));
        assert_eq!(reason(None, TokenType::Bearer, None), None);
        assert_eq!(reason(None, TokenType::Bearer, Some(other)), None);
    }

    #[test]
    fn the_scheme_must_be_that_of_the_binding() {
        let certificate = CertificateHash([1; 32]);
        let key = || Some(Bound::DpopKey(KeyThumbprint([1; 32])));
        let bound = || Some(Bound::Certificate(certificate));
        assert_eq!(reason(key(), TokenType::Bearer, Some(certificate)), Some(Reason::TokenBound));
        assert_eq!(reason(key(), TokenType::Dpop, None), Some(Reason::TokenBound), "nobody can judge a proof");
        assert_eq!(reason(bound(), TokenType::Dpop, Some(certificate)), Some(Reason::TokenBound));
        assert_eq!(reason(None, TokenType::Dpop, None), Some(Reason::TokenUnbound));
        assert_eq!(reason(None, TokenType::Workload, None), Some(Reason::TypeRefused));
        assert_eq!(reason(key(), TokenType::Workload, None), Some(Reason::TypeRefused));
        assert_eq!(reason(bound(), TokenType::Workload, Some(certificate)), Some(Reason::TypeRefused));
    }
}
