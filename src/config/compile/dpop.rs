//! Proofs of keys: what they must fulfil, and whether they can.

use super::findings::{Findings, Reported, all};
use super::issuers::algorithms;
use super::unit::{DurationRange, MINUTE, seconds, size};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::{Dpop, Issuer};
use crate::issuers::PerIssuer;
use crate::proof::ProofRules;
use crate::proof::uri::ExternalUrl;
use crate::request::{Scheme, TokenField};

/// What proofs must fulfil.
pub(super) fn dpop(
    table: &file::Dpop,
    external_urls: Vec<ExternalUrl>,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Dpop, Reported> {
    let why = "name the algorithms that proofs may be signed with";
    let algorithms = algorithms(&table.algorithms, why, &at.key("algorithms"), findings);
    let range = DurationRange::token(seconds(5), MINUTE.saturating_mul(10));
    let window = range.read(&table.window, &at.key("window"), findings);
    let memory = size(&table.memory, (64 * KIB, 1024 * KIB * KIB), &at.key("memory"), findings);
    let rules = ProofRules { algorithms: algorithms?, window: window?, external_urls, nonce: table.nonce };
    Ok(Dpop { rules, memory: memory? as u64 })
}

/// What this service is called outside.
pub(super) fn external_urls(
    written: &[String],
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Vec<ExternalUrl>, Reported> {
    all(written.iter().enumerate().map(|(index, written)| {
        let url = ExternalUrl::new(written);
        url.map_err(|error| findings.error(&at.index(index), format!("{written:?} {error}")))
    }))
}

/// Whether an issuer accepts proofs, which then must be possible.
///
/// # Errors
/// If they are not.
pub(super) fn is_accepted(
    issuers: &PerIssuer<Issuer>,
    external_urls: &[ExternalUrl],
    token: &TokenField,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<bool, Reported> {
    let accepts = |issuer: &Issuer| issuer.rules.requirement.binding().dpop;
    let Some((index, _)) = issuers.iter().enumerate().find(|(_, issuer)| accepts(issuer)) else { return Ok(false) };
    let key = at.index(index).key("binding");
    if external_urls.is_empty() {
        let why = "a proof is for a URL: forwarding.external_urls must say what this service is called outside";
        return Err(findings.error(&key, why));
    }
    if token.scheme() == Scheme::Bare {
        let why = "a token with a proof comes after the scheme DPoP, and token.scheme is \"none\"";
        return Err(findings.error(&key, why));
    }
    Ok(true)
}

const KIB: usize = 1024;
