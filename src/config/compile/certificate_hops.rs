//! The proxies that tell the client's certificate.

use ipnet::IpNet;

use super::findings::{Findings, Reported, all};
use crate::client_certificate::{CertificateField, CertificateHops};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::ListenAddress;

/// Reads which field they write and where they are.
pub(super) fn certificate_hops(
    table: &file::Forwarding,
    listen: Option<&ListenAddress>,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Option<CertificateHops>, Reported> {
    let (field_at, from_at) = (at.key("client_certificate"), at.key("client_certificate_from"));
    let from = &table.client_certificate_from;
    let field = match table.client_certificate {
        None if from.is_empty() => return Ok(None),
        None => {
            let message = "has no effect without client_certificate, which says what those proxies write";
            return Err(findings.error(&from_at, message));
        }
        Some(_) if from.is_empty() => {
            let message = "counts from nobody: add client_certificate_from = [\"10.0.0.7\"], the addresses of the proxies that write it";
            return Err(findings.error(&field_at, message));
        }
        Some(file::ClientCertificate::Rfc9440) => CertificateField::Rfc9440,
        Some(file::ClientCertificate::Xfcc) => CertificateField::Xfcc,
    };
    let read = from.iter().enumerate().map(|(index, written)| hop(written, listen, &from_at.index(index), findings));
    let hops: Vec<Option<IpNet>> = all(read)?;
    findings.warning(
        &from_at,
        "whoever sends from these addresses can say which certificate a client has; let only those proxies reach Callgate",
    );
    let on_socket = hops.iter().any(Option::is_none);
    Ok(Some(CertificateHops::new(field, hops.into_iter().flatten().collect(), on_socket)))
}

/// A network, or `None` for our own Unix socket.
fn hop(
    written: &str,
    listen: Option<&ListenAddress>,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Option<IpNet>, Reported> {
    if written == "unix" {
        return match listen {
            Some(ListenAddress::Tcp(_)) => {
                Err(findings.error(key, "\"unix\" needs a Unix socket in listen.address; write the proxy's address"))
            }
            _ => Ok(None),
        };
    }
    let network = written.parse().ok().or_else(|| Some(IpNet::from(written.parse::<std::net::IpAddr>().ok()?)));
    match network {
        Some(network) if network.prefix_len() == 0 => {
            Err(findings.error(key, format!("{written:?} is everybody: any client could say which certificate it has")))
        }
        Some(network) => Ok(Some(network)),
        None => Err(findings.error(
            key,
            format!("{written:?} is no address and no network; for example \"10.0.0.7\", \"10.1.0.0/16\" or \"unix\""),
        )),
    }
}
