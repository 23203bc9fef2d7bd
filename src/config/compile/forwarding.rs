//! What the upstream is told about clients.

use super::Findings;
use super::unit::count;
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::Forwarding;

pub fn forwarding(table: &file::Forwarding, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Forwarding {
    if table.trusted_hops > 0 {
        let message = "whoever reaches Callgate without those proxies can say where a request came from";
        findings.warning(&at.key("trusted_hops"), message);
    }
    Forwarding { trusted_hops: count(table.trusted_hops), request_id: table.request_id }
}
