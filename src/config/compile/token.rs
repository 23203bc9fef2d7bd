//! The field that carries the token.

use super::caller::{self, HeaderUse};
use super::findings::{Findings, Reported};
use crate::config::file::{self, Preset};
use crate::config::path::KeyPath;
use crate::identity::CallerRule;
use crate::request::{Scheme, TokenField};

pub(super) fn field(table: file::Token, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<TokenField, Reported> {
    let scheme = match table.scheme {
        file::Scheme::Bare => Scheme::Bare,
        file::Scheme::Bearer => Scheme::Bearer,
    };
    if table.header.eq_ignore_ascii_case("Authorization") {
        return Ok(TokenField::new(table.header, scheme));
    }
    let header = caller::header(table.header, HeaderUse::Token, &at.key("header"), findings)?;
    Ok(TokenField::new(header, scheme))
}

/// Whether the token comes under another name than what is said of the caller.
pub(super) fn differs(
    field: &TokenField,
    caller: &CallerRule,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<(), Reported> {
    if caller.is_alias(field.name()) {
        let message =
            format!("{:?} is a header that tells the upstream about the caller; choose another name", field.name());
        return Err(findings.error(&at.key("header"), message));
    }
    Ok(())
}

/// Whether all issuers agree on the field: a preset may bring one, and it holds for everybody's tokens.
pub(super) fn agreed(
    issuers: &[file::Issuer],
    root: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<(), Reported> {
    let is_written = findings.is_written(&root.key("token").key("header"));
    let brings = |issuer: &file::Issuer| issuer.preset == Some(Preset::TxnToken);
    let (Some(index), false) = (issuers.iter().position(brings), is_written || issuers.iter().all(brings)) else {
        return Ok(());
    };
    let key = root.key("issuers").index(index).key("preset");
    let message = "its tokens come in Txn-Token and those of the other issuers in Authorization, and there is one header for all; \
                   write it, for example token.header = \"Txn-Token\"";
    Err(findings.error(&key, message))
}
