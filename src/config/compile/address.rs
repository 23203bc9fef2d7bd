//! Where we listen and where the upstream is. Nothing is resolved and nothing is bound here.

use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};

use super::Findings;
use super::unit::{HOUR, MILLISECOND, MINUTE, Span};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::{ListenAddress, Upstream, UpstreamAddress};

pub fn listen(table: &file::Listen, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<ListenAddress> {
    let key = at.key("address");
    if table.address.starts_with('/') {
        return findings.error(&key, format!("{0:?} is no address; for a socket write \"unix:{0}\"", table.address));
    }
    let Some(path) = table.address.strip_prefix("unix:") else {
        let address = bind(&table.address, &key, findings);
        if table.socket_mode.is_some() {
            return findings.error(&at.key("socket_mode"), "is for an address with \"unix:\"; this one is no socket");
        }
        return address.map(ListenAddress::Tcp);
    };
    let path = unix(path, &key, findings);
    let mode = mode(table.socket_mode.as_deref().unwrap_or(SOCKET_MODE), &at.key("socket_mode"), findings);
    Some(ListenAddress::Unix { path: path?, mode: mode? })
}

pub fn admin(table: &file::Admin, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<SocketAddr> {
    bind(&table.address, &at.key("address"), findings)
}

pub fn upstream(table: &file::Upstream, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<Upstream> {
    let (connect, io) = (Span::wait(MILLISECOND, MINUTE), Span::wait(MILLISECOND, HOUR));
    let address = upstream_address(&table.address, &at.key("address"), findings);
    let connect_timeout = connect.read(&table.connect_timeout, &at.key("connect_timeout"), findings);
    let read_timeout = io.read(&table.read_timeout, &at.key("read_timeout"), findings);
    let write_timeout = io.read(&table.write_timeout, &at.key("write_timeout"), findings);
    let idle_timeout = io.read(&table.idle_timeout, &at.key("idle_timeout"), findings);
    Some(Upstream {
        address: address?,
        protocol: table.protocol,
        connect_timeout: connect_timeout?,
        read_timeout: read_timeout?,
        write_timeout: write_timeout?,
        idle_timeout: idle_timeout?,
    })
}

/// The three addresses must not be one another's.
pub fn differ(
    listen: Option<&ListenAddress>,
    admin: Option<SocketAddr>,
    upstream: Option<&Upstream>,
    findings: &mut Findings<'_, '_>,
) {
    let call_itself = |table: &str| {
        format!("this is {table}.address: Callgate would call itself; name the address of the service behind it")
    };
    let listen = match listen {
        Some(ListenAddress::Unix { path, .. }) => {
            if upstream.is_some_and(|upstream| upstream.address == UpstreamAddress::Unix(path.clone())) {
                let key = KeyPath::root().key("upstream").key("address");
                findings.error::<()>(&key, call_itself("listen"));
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
        findings.error::<()>(&key, message);
    }
    let Some((ip, port)) = upstream.and_then(|upstream| upstream.address.local()) else { return };
    for (table, ours) in [("listen", listen), ("admin", admin)] {
        if ours.is_some_and(|ours| ours.port() == port && (ours.ip() == ip || ours.ip().is_unspecified())) {
            let key = KeyPath::root().key("upstream").key("address");
            findings.error::<()>(&key, call_itself(table));
        }
    }
}

/// An address of this machine, to listen on.
fn bind(written: &str, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<SocketAddr> {
    if let Ok(address) = written.parse() {
        return Some(address);
    }
    let advice = match written.rsplit_once(':') {
        _ if written.contains("//") => "write it without scheme and path".to_owned(),
        Some(("", port)) if is_port(port) => format!("write \"0.0.0.0:{port}\""),
        Some(("localhost", port)) if is_port(port) => format!("write \"127.0.0.1:{port}\""),
        Some(("*", port)) if is_port(port) => format!("write \"0.0.0.0:{port}\""),
        Some((ip, port)) if ip.parse::<IpAddr>().is_ok() && !is_port(port) => "the port must be 0 to 65535".to_owned(),
        Some((name, port)) if is_host(name) && is_port(port) => "names are not resolved here".to_owned(),
        _ if written.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()) => format!("write \"{written}:8080\""),
        _ if written.parse::<IpAddr>().is_ok() => format!("write \"[{written}]:8080\""),
        _ if is_port(written) => format!("write \"0.0.0.0:{written}\""),
        _ => "for example \"0.0.0.0:8080\"".to_owned(),
    };
    findings.error(key, format!("{written:?} is no IP address with a port; {advice}"))
}

fn upstream_address(written: &str, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<UpstreamAddress> {
    if let Some(path) = written.strip_prefix("unix:") {
        return unix(path, key, findings).map(UpstreamAddress::Unix);
    }
    let address = match (written.parse::<SocketAddr>(), written.rsplit_once(':')) {
        (Ok(address), _) if address.port() == 0 => {
            return findings.error(
                key,
                format!("{written:?} has port 0, to which nothing can be sent; name the port of the service"),
            );
        }
        (Ok(address), _) if address.ip().is_unspecified() => {
            let message = format!("{written:?} is any address, to listen on; write \"127.0.0.1:{}\"", address.port());
            return findings.error(key, message);
        }
        (Ok(address), _) => UpstreamAddress::Ip(address),
        (Err(_), Some((name, port))) if is_host(name) && port != "0" && is_port(port) => {
            UpstreamAddress::Host { name: name.to_owned(), port: port.parse().ok()? }
        }
        _ => return findings.error(key, not_an_upstream(written)),
    };
    // A socket never gets here.
    if address.local().is_none() {
        let message =
            "the upstream is not on this machine: whoever can reach it without Callgate can call it as anybody";
        findings.warning(key, message);
    }
    Some(address)
}

fn unix(path: &str, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<PathBuf> {
    let socket = Path::new(path);
    if path.starts_with("//") {
        return findings.error(key, format!("write \"unix:/{}\"", path.trim_start_matches('/')));
    }
    if !socket.is_absolute() {
        return findings
            .error(key, format!("{path:?} is not absolute; write \"unix:/run/email/email.sock\", from the root"));
    }
    if path.len() > SOCKET_PATH_MAX
        || path.contains('\0')
        || socket.components().any(|part| part == Component::ParentDir)
    {
        let message =
            format!("{path:?} cannot be a socket; it must have at most {SOCKET_PATH_MAX} bytes, no NUL and no '..'");
        return findings.error(key, message);
    }
    Some(socket.to_owned())
}

/// Permissions as `chmod` takes them. Whoever may not write to a socket cannot connect to it.
fn mode(written: &str, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<u32> {
    let digits = written.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    match u32::from_str_radix(written, 8) {
        Ok(mode) if digits && written.len() <= 4 && mode <= 0o777 && mode & 0o200 != 0 => Some(mode),
        _ => findings
            .error(key, format!("{written:?} are no permissions for a socket; write \"0660\", or \"0666\" for all")),
    }
}

fn not_an_upstream(written: &str) -> String {
    let advice = match written.split_once("://") {
        Some((_, rest)) => {
            format!("write it without scheme and path: {:?}", rest.split('/').next().unwrap_or_default())
        }
        None if written.starts_with('/') => format!("for a socket write \"unix:{written}\""),
        None if is_host(written) || written.parse::<IpAddr>().is_ok() => "the port is missing".to_owned(),
        None => "for example \"127.0.0.1:3000\" or \"unix:/run/email/email.sock\"".to_owned(),
    };
    format!("{written:?} is no address of an upstream (IP:PORT, HOST:PORT or unix:/PATH); {advice}")
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// A host name (RFC 1123 §2.1, and `_` as container networks use it). All-numeric names are mistyped addresses.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let numeric = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    !numeric && name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(label)
}

/// What a socket's file gets if nothing is said.
const SOCKET_MODE: &str = "0660";

/// The size of a Unix socket's address on Linux, less the NUL at its end.
const SOCKET_PATH_MAX: usize = 107;
