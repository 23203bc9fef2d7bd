//! Where requests come in, and where operators look. Nothing is bound here.

use std::net::{IpAddr, SocketAddr};

use super::address::{bracketed, is_host, is_port, unix};
use super::findings::{Findings, Reported};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::{ListenAddress, Upstream, UpstreamAddress};

pub(super) mod tls;

pub(super) fn listen(
    table: &file::Listen,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<ListenAddress, Reported> {
    let key = at.key("address");
    if table.address.starts_with('/') {
        return Err(
            findings.error(&key, format!("{0:?} is no address; for a socket write \"unix:{0}\"", table.address))
        );
    }
    let Some(path) = table.address.strip_prefix("unix:") else {
        let address = bind(&table.address, &key, findings);
        if table.socket_mode.is_some() {
            return Err(
                findings.error(&at.key("socket_mode"), "is for an address with \"unix:\"; this one is no socket")
            );
        }
        return address.map(ListenAddress::Tcp);
    };
    let path = unix(path, &key, findings);
    let mode = mode(table.socket_mode.as_deref().unwrap_or(SOCKET_MODE), &at.key("socket_mode"), findings);
    Ok(ListenAddress::Unix { path: path?, mode: mode? })
}

pub(super) fn admin(
    table: &file::Admin,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<SocketAddr, Reported> {
    bind(&table.address, &at.key("address"), findings)
}

/// The three addresses must not be one another's.
pub(super) fn differ(
    listen: Option<&ListenAddress>,
    admin: Option<&SocketAddr>,
    upstream: Option<&Upstream>,
    findings: &mut Findings<'_, '_>,
) -> Result<(), Reported> {
    let mut differ = Ok(());
    let call_itself = |table: &str| {
        format!("this is {table}.address: Callgate would call itself; name the address of the service behind it")
    };
    let listen = match listen {
        Some(ListenAddress::Unix { path, .. }) => {
            if upstream.is_some_and(|upstream| upstream.address == UpstreamAddress::Unix(path.clone())) {
                let key = KeyPath::root().key("upstream").key("address");
                differ = Err(findings.error(&key, call_itself("listen")));
            }
            None
        }
        Some(ListenAddress::Tcp(address)) => Some(*address),
        None => None,
    };
    if let (Some(listen), Some(admin)) = (listen, admin)
        && listen.port() == admin.port()
        && listen.port() != 0
    {
        let key = KeyPath::root().key("admin").key("address");
        let message = format!("port {} is already used by listen.address; give admin a port of its own", admin.port());
        differ = Err(findings.error(&key, message));
    }
    let Some((ip, port)) = upstream.and_then(|upstream| upstream.address.local()) else { return differ };
    for (table, ours) in [("listen", listen), ("admin", admin.copied())] {
        if ours.is_some_and(|ours| ours.port() == port && (ours.ip() == ip || ours.ip().is_unspecified())) {
            let key = KeyPath::root().key("upstream").key("address");
            differ = Err(findings.error(&key, call_itself(table)));
        }
    }
    differ
}

/// An address of this machine, to listen on.
fn bind(written: &str, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<SocketAddr, Reported> {
    if let Ok(address) = written.parse() {
        return Ok(address);
    }
    let advice = match written.rsplit_once(':') {
        _ if written.contains("//") => "write it without scheme and path".to_owned(),
        Some(("", port)) if is_port(port) => format!("write \"0.0.0.0:{port}\""),
        Some(("localhost", port)) if is_port(port) => format!("write \"127.0.0.1:{port}\""),
        Some(("*", port)) if is_port(port) => format!("write \"0.0.0.0:{port}\""),
        Some((ip, port)) if ip.parse::<IpAddr>().is_ok() && !is_port(port) => "the port must be 0 to 65535".to_owned(),
        Some((name, port)) if is_host(name) && is_port(port) => "names are not resolved here".to_owned(),
        _ if bracketed(written).is_some() => format!("write {:?}", bracketed(written).unwrap_or_default()),
        _ if written.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()) => format!("write \"{written}:8080\""),
        _ if written.parse::<IpAddr>().is_ok() => format!("write \"[{written}]:8080\""),
        _ if is_port(written) => format!("write \"0.0.0.0:{written}\""),
        _ => "for example \"0.0.0.0:8080\"".to_owned(),
    };
    Err(findings.error(key, format!("{written:?} is no IP address with a port; {advice}")))
}

/// Permissions as `chmod` takes them. Whoever may not write to a socket cannot connect to it.
fn mode(written: &str, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<u32, Reported> {
    let digits = written.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    match u32::from_str_radix(written, 8) {
        Ok(mode) if digits && written.len() <= 4 && mode <= 0o777 && mode & 0o200 != 0 => Ok(mode),
        _ => Err(findings
            .error(key, format!("{written:?} are no permissions for a socket; write \"0660\", or \"0666\" for all"))),
    }
}

/// What a socket's file gets if nothing is said.
const SOCKET_MODE: &str = "0660";
