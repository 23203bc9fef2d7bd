//! Where the service behind us is. Nothing is resolved here.

use std::net::{IpAddr, SocketAddr};

use super::address::{bracketed, is_host, port, unix};
use super::findings::{Findings, Reported};
use super::unit::{DurationRange, HOUR, MILLISECOND, MINUTE};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::{Upstream, UpstreamAddress};

pub(super) fn upstream(
    table: &file::Upstream,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Upstream, Reported> {
    let (connect, io) = (DurationRange::wait(MILLISECOND, MINUTE), DurationRange::wait(MILLISECOND, HOUR));
    let address = upstream_address(&table.address, &at.key("address"), findings);
    let connect_timeout = connect.read(&table.connect_timeout, &at.key("connect_timeout"), findings);
    let read_timeout = io.read(&table.read_timeout, &at.key("read_timeout"), findings);
    let write_timeout = io.read(&table.write_timeout, &at.key("write_timeout"), findings);
    let idle_timeout = io.read(&table.idle_timeout, &at.key("idle_timeout"), findings);
    Ok(Upstream {
        address: address?,
        protocol: table.protocol,
        connect_timeout: connect_timeout?,
        read_timeout: read_timeout?,
        write_timeout: write_timeout?,
        idle_timeout: idle_timeout?,
    })
}

fn upstream_address(
    written: &str,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<UpstreamAddress, Reported> {
    if let Some(path) = written.strip_prefix("unix:") {
        return unix(path, key, findings).map(UpstreamAddress::Unix);
    }
    let address = match (written.parse::<SocketAddr>(), written.rsplit_once(':')) {
        (Ok(address), _) if address.port() == 0 => {
            return Err(findings.error(
                key,
                format!("{written:?} has port 0, to which nothing can be sent; name the port of the service"),
            ));
        }
        (Ok(address), _) if address.ip().is_unspecified() => {
            let message = format!("{written:?} is any address, to listen on; write \"127.0.0.1:{}\"", address.port());
            return Err(findings.error(key, message));
        }
        (Ok(address), _) => UpstreamAddress::Ip(address),
        (Err(_), parts) => match parts.and_then(|(name, written)| Some((name, port(written)?))) {
            Some((name, port)) if is_host(name) && port > 0 => UpstreamAddress::Host { name: name.to_owned(), port },
            _ => return Err(findings.error(key, not_an_upstream(written))),
        },
    };
    // A socket never gets here.
    if address.local().is_none() {
        let message =
            "the upstream is not on this machine: whoever can reach it without Callgate can call it as anybody";
        findings.warning(key, message);
    }
    Ok(address)
}

fn not_an_upstream(written: &str) -> String {
    let advice = match written.split_once("://") {
        Some(("https" | "wss" | "grpcs", rest)) => format!(
            "TLS to the upstream is not supported; if the service also speaks without it, write {:?}",
            rest.split('/').next().unwrap_or_default()
        ),
        Some((_, rest)) => {
            format!("write it without scheme and path: {:?}", rest.split('/').next().unwrap_or_default())
        }
        None if written.starts_with('/') => format!("for a socket write \"unix:{written}\""),
        None if bracketed(written).is_some() => format!("write {:?}", bracketed(written).unwrap_or_default()),
        None if is_host(written) || written.parse::<IpAddr>().is_ok() => "the port is missing".to_owned(),
        None => "for example \"127.0.0.1:3000\" or \"unix:/run/email/email.sock\"".to_owned(),
    };
    format!("{written:?} is no address of an upstream (IP:PORT, HOST:PORT or unix:/PATH); {advice}")
}
