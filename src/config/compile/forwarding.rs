//! What the upstream is told about clients, and whether it gets the token.

use super::findings::Findings;
use super::unit::count;
use crate::config::file;
use crate::config::path::KeyPath;
use crate::forwarding::{ForwardingPolicy, RequestIds, TokenForwarding};

pub(super) fn forwarding(
    table: &file::Forwarding,
    forward_token: bool,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> ForwardingPolicy {
    if table.trusted_hops > 0 {
        let message = "whoever reaches Callgate without those proxies can say where a request came from";
        findings.warning(&at.key("trusted_hops"), message);
    }
    let request_id = match table.request_id {
        file::RequestId::Keep => RequestIds::Keep,
        file::RequestId::Make => RequestIds::Make,
    };
    let token = if forward_token { TokenForwarding::Forward } else { TokenForwarding::Withhold };
    ForwardingPolicy { trusted_hops: count(table.trusted_hops), request_id, token }
}
