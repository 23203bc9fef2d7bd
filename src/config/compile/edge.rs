//! What is spoken with clients and the upstream, and what the upstream is told about clients.

use std::path::{Path, PathBuf};

use super::Findings;
use super::keys::files::{Pem, pem};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::{Forwarding, Tls};

pub fn forwarding(table: &file::Forwarding, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<Forwarding> {
    if table.trusted_hops > 0 {
        let message = "whoever reaches Callgate without those proxies can say where a request came from";
        findings.warning(&at.key("trusted_hops"), message);
    }
    // Its range is a matter of the shape.
    let trusted_hops = usize::try_from(table.trusted_hops).ok()?;
    Some(Forwarding { trusted_hops, request_id: table.request_id })
}

/// The outer `None` means that something is wrong, the inner one that there is no TLS.
#[expect(clippy::option_option, reason = "an optional table that may be wrong")]
pub fn tls(
    table: Option<&file::Tls>,
    at: &KeyPath,
    base: &Path,
    findings: &mut Findings<'_, '_>,
) -> Option<Option<Tls>> {
    let Some(table) = table else { return Some(None) };
    let mut file = |written: &str, key: &str, kind: Pem| -> Option<PathBuf> {
        let path = base.join(written);
        pem(&path, kind, &at.key(key), findings).map(|()| path)
    };
    let cert = file(&table.cert, "cert", Pem::Certificate);
    let key = file(&table.key, "key", Pem::PrivateKey);
    let client_ca = match &table.client_ca {
        Some(written) => file(written, "client_ca", Pem::Certificate).map(Some),
        None => Some(None),
    };
    Some(Some(Tls { cert: cert?, key: key?, client_ca: client_ca? }))
}
