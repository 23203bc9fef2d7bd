//! What the service is called outside.

use super::findings::{Findings, Reported};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::protected_resource::ResourceIdentifier;

pub(super) fn identifier(
    table: Option<&file::ProtectedResource>,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Option<ResourceIdentifier>, Reported> {
    let Some(table) = table else { return Ok(None) };
    let identifier = ResourceIdentifier::new(&table.resource);
    identifier.map(Some).map_err(|error| findings.error(&at.key("resource"), error.to_string()))
}
