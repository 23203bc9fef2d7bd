//! The deny-list. It is read here once: a sidecar that starts without it would let a leaked credential in.

use std::path::Path;

use super::Findings;
use crate::config::file;
use crate::config::input;
use crate::config::path::KeyPath;
use crate::config::settings::Revocation;
use crate::revocation::list::DenyList;

/// Compiles the table. The outer `None` is an error, the inner one no deny-list.
pub fn revocation(
    table: &file::Revocation,
    at: &KeyPath,
    base: &Path,
    findings: &mut Findings<'_, '_>,
) -> Option<Option<Revocation>> {
    let Some(file) = &table.file else { return Some(None) };
    let key = at.key("file");
    if file.is_empty() {
        return findings.error(&key, "must not be empty");
    }
    let path = base.join(file);
    let text = match input::read(&path) {
        Ok(text) => text,
        Err(fault) => {
            return findings.error(&key, format!("{path:?} {fault}; an empty file revokes nothing"));
        }
    };
    match DenyList::parse(&text) {
        Ok(list) => Some(Some(Revocation { file: path, list })),
        Err(fault) => findings.error(&key, format!("{path:?} is no deny-list: {fault}")),
    }
}
