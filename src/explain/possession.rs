//! What a client proves to have beside its token, check by check: the certificate or the key that the token is bound to.

use crate::authenticator::{Bound, bound_to, prove_possession, workload_request, written_hash};
use crate::clock::UnixTime;
use crate::json::Object;
use crate::jwt::claims::Finding;
use crate::proof::{ProofVerifier, ProvenRequest};
use crate::rejection::{Reason, Rejection};
use crate::request::{RequestHead, WORKLOAD_PROOF};
use crate::requirement::Binding;
use crate::token::{Presented, TokenType};

/// A request with a token, and what judges its proof.
pub(super) struct Shown<'s> {
    pub head: &'s RequestHead<'s>,
    pub presented: Presented<'s>,
    pub proofs: Option<&'s ProofVerifier>,
    pub at: UnixTime,
}

impl Shown<'_> {
    /// What each check of the proof wants and finds, for a token with these claims.
    pub(super) fn findings(&self, claims: &Object<'_>, is_workload_token: bool, asked: Binding) -> Vec<Finding> {
        let bound = bound_to(claims, is_workload_token);
        let mut findings = Vec::new();
        if is_workload_token {
            let wanted = "a sound public key in cnf, for the algorithm that it names".to_owned();
            findings.push(finding("key", wanted, bound.as_ref().map(|_| "one".to_owned()).map_err(Clone::clone)));
        }
        if let Ok(Some(bound)) = bound
            && asked.accepts(&bound.confirmation())
        {
            self.possession(&bound, &mut findings);
        }
        findings
    }

    fn possession(&self, bound: &Bound, findings: &mut Vec<Finding>) {
        let Self { head, presented, at, .. } = *self;
        let proof = match (bound, self.proofs) {
            (Bound::Certificate(hash), _) => {
                let wanted = format!("the client's certificate, with the SHA-256 {}", written_hash(&hash.0));
                let proven = prove_possession(Some(bound), presented, head, None, at);
                findings.push(finding("certificate", wanted, proven.map(|_| "that one".to_owned())));
                return;
            }
            (_, None) => return,
            (Bound::DpopKey(key), Some(proofs)) => {
                let found = if presented.token_type == TokenType::Dpop { "'DPoP'" } else { "another one" };
                findings.push(self.place("scheme", "'DPoP'", found, TokenType::Dpop));
                let RequestHead { method, path, proof, .. } = *head;
                let request = ProvenRequest { method, path, token: presented.text, key: *key };
                proofs.explain(proof, &request, at)
            }
            (Bound::Workload(key), Some(proofs)) => {
                let found = if presented.token_type == TokenType::Workload { "there" } else { "elsewhere" };
                findings.push(self.place("place", "in the Workload-Identity-Token field", found, TokenType::Workload));
                let Some(fields) = head.fields else { return };
                let request = workload_request(head, fields, presented.text, key);
                request.and_then(|request| proofs.explain_workload(fields.field(WORKLOAD_PROOF), &request, at))
            }
        };
        let field = if matches!(bound, Bound::Workload(_)) { "Workload-Proof-Token" } else { "DPoP" };
        let wanted = format!("one proof in the {field} field, with header, payload and signature");
        findings.push(finding("proof", wanted, proof.as_ref().map(|_| "one".to_owned()).map_err(Clone::clone)));
        findings.extend(proof.into_iter().flatten());
    }

    fn place(&self, check: &'static str, wanted: &str, found: &str, token_type: TokenType) -> Finding {
        let refused = (self.presented.token_type != token_type).then_some(Reason::TokenBound);
        Finding { check, wanted: wanted.to_owned(), found: found.to_owned(), refused }
    }
}

fn finding(check: &'static str, wanted: String, found: Result<String, Rejection>) -> Finding {
    match found {
        Ok(found) => Finding { check, wanted, found, refused: None },
        Err(refused) => Finding { check, wanted, found: refused.detail().to_owned(), refused: Some(refused.reason()) },
    }
}
