//! Proofs of workloads: what they must fulfil, and whether they can.

use super::findings::{Findings, Reported};
use super::issuers::algorithms;
use super::unit::{DurationRange, MINUTE, seconds};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::Issuer;
use crate::identity::CallerRule;
use crate::issuers::PerIssuer;
use crate::proof::WorkloadProofRules;
use crate::proof::uri::ExternalUrl;
use crate::request::{TokenField, WORKLOAD_PROOF, WORKLOAD_TOKEN};

/// What proofs must fulfil.
pub(super) fn rules(
    table: &file::Wimse,
    external_urls: Vec<ExternalUrl>,
    token: Option<&TokenField>,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<WorkloadProofRules, Reported> {
    let why = "name the algorithms that proofs may be signed with";
    let algorithms = algorithms(&table.algorithms, why, &at.key("algorithms"), findings);
    let range = DurationRange::token(seconds(5), MINUTE.saturating_mul(10));
    let window = range.read(&table.window, &at.key("window"), findings);
    // Tokens in these have claims of their own in a proof.
    let has_claim = |name: &str| ["Authorization", "Txn-Token"].iter().any(|known| known.eq_ignore_ascii_case(name));
    let token_field = token.map(TokenField::name).filter(|name| !has_claim(name)).map(str::to_owned);
    Ok(WorkloadProofRules { algorithms: algorithms?, window: window?, external_urls, token_field })
}

/// Whether an issuer accepts proofs of workloads, which then must be possible.
///
/// # Errors
/// If they are not.
pub(super) fn is_accepted(
    issuers: &PerIssuer<Issuer>,
    external_urls: &[ExternalUrl],
    token: &TokenField,
    caller: Option<&CallerRule>,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<bool, Reported> {
    let accepts = |issuer: &Issuer| issuer.rules.requirement.binding().wimse;
    let Some((index, _)) = issuers.iter().enumerate().find(|(_, issuer)| accepts(issuer)) else { return Ok(false) };
    let key = at.index(index).key("binding");
    if external_urls.is_empty() {
        let why = "a proof is for a URL: forwarding.external_urls must say what this service is called outside";
        return Err(findings.error(&key, why));
    }
    let is_taken = |name: &str| token.name().eq_ignore_ascii_case(name) || caller.is_some_and(|it| it.is_alias(name));
    if [WORKLOAD_TOKEN, WORKLOAD_PROOF].into_iter().any(is_taken) {
        let why = "Workload-Identity-Token and Workload-Proof-Token are for workloads; give token.header or caller.header another name";
        return Err(findings.error(&key, why));
    }
    Ok(true)
}
