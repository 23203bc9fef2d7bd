//! What the upstream is told about clients.

use super::Findings;
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::Forwarding;

pub fn forwarding(table: &file::Forwarding, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<Forwarding> {
    if table.trusted_hops > 0 {
        let message = "whoever reaches Callgate without those proxies can say where a request came from";
        findings.warning(&at.key("trusted_hops"), message);
    }
    // Its range is a matter of the shape.
    let trusted_hops = usize::try_from(table.trusted_hops).ok()?;
    Some(Forwarding { trusted_hops, request_id: table.request_id })
}
