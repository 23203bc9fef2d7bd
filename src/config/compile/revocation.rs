//! The deny-list. It is read here once: a sidecar that starts without it would let a leaked credential in.

use super::findings::{Findings, Reported};
use crate::config::file;
use crate::config::input;
use crate::config::path::KeyPath;
use crate::config::settings::Revocation;
use crate::revocation::list::DenyList;

/// Compiles the table. `None` if there is no deny-list.
pub(super) fn revocation(
    table: &file::Revocation,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Option<Revocation>, Reported> {
    let Some(file) = &table.file else { return Ok(None) };
    let key = at.key("file");
    if file.is_empty() {
        return Err(findings.error(&key, "must not be empty"));
    }
    let path = findings.path(file);
    let text = match input::read(&path) {
        Ok(text) => text,
        Err(error) => {
            return Err(findings.error(&key, format!("{path:?} {error}; an empty file revokes nothing")));
        }
    };
    match DenyList::parse(&text) {
        Ok(list) => Ok(Some(Revocation { file: path, list })),
        Err(error) => Err(findings.error(&key, format!("{path:?} is no deny-list: {error}"))),
    }
}
