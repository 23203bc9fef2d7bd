//! What issuers are called: by their `iss`, or by the trust domain of their callers.

use crate::config::compile::findings::{Findings, Reported};
use crate::config::file::{self, Preset};
use crate::config::path::KeyPath;

/// What an issuer is called: by its `iss`, or a trust domain by its SPIFFE ID.
pub(crate) fn name(table: &file::Issuer) -> String {
    let domain = || table.trust_domain.as_ref().map(|domain| format!("spiffe://{domain}"));
    table.issuer.clone().or_else(domain).unwrap_or_default()
}

/// Whether each issuer is there once, and each trust domain whose tokens are found by it.
pub(super) fn differ(tables: &[file::Issuer], at: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<(), Reported> {
    let mut outcome = Ok(());
    for (index, table) in tables.iter().enumerate() {
        let same_name = |earlier: &file::Issuer| name(earlier) == name(table);
        // Tokens of a trust domain that stands alone never reach another issuer.
        let same_domain = |earlier: &file::Issuer| {
            let stands_alone = earlier.issuer.is_none() || table.issuer.is_none();
            stands_alone && table.trust_domain.is_some() && earlier.trust_domain == table.trust_domain
        };
        let Some(earlier) = tables.iter().take(index).position(|earlier| same_name(earlier) || same_domain(earlier))
        else {
            continue;
        };
        let (key, written) = match (&table.issuer, &table.trust_domain) {
            (None, Some(domain)) => ("trust_domain", domain.clone()),
            _ => ("issuer", name(table)),
        };
        let message = format!("{written:?} is already issuers[{earlier}]; name each issuer once");
        outcome = Err(findings.error(&at.index(index).key(key), message));
    }
    outcome
}

/// Whether the trust domain is one, and has a place to be.
pub(super) fn trust_domain(
    table: &file::Issuer,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<(), Reported> {
    let key = at.key("trust_domain");
    match (table.preset, &table.issuer, &table.trust_domain) {
        (Some(Preset::Spiffe), _, None) => {
            Err(findings
                .error(&key, "preset = \"spiffe\" needs it; add it, for example trust_domain = \"example.org\""))
        }
        (None | Some(Preset::Kubernetes | Preset::Rfc9068 | Preset::TxnToken), Some(_), Some(_)) => {
            Err(findings.error(&key, "has no effect without preset = \"spiffe\" beside issuer; remove it"))
        }
        (_, _, Some(domain)) => {
            // SPIFFE-ID §2.1.
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
            if domain.is_empty() || domain.len() > 255 || !domain.bytes().all(allowed) {
                return Err(findings.error(
                    &key,
                    format!("{domain:?} is no trust domain: small letters, digits, '.', '-' and '_'; for example \"example.org\""),
                ));
            }
            Ok(())
        }
        // Without both the shape has an error.
        (_, _, None) => Ok(()),
    }
}
