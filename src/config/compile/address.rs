//! The parts of addresses: ports, host names, paths of sockets.

use std::net::Ipv6Addr;
use std::path::{Component, Path, PathBuf};

use super::findings::{Findings, Reported};
use crate::config::path::KeyPath;

pub(super) fn unix(path: &str, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<PathBuf, Reported> {
    let socket = Path::new(path);
    if path.starts_with("//") {
        return Err(findings.error(key, format!("write \"unix:/{}\"", path.trim_start_matches('/'))));
    }
    if !socket.is_absolute() {
        return Err(findings
            .error(key, format!("{path:?} is not absolute; write its path from the root, as in \"unix:/run/…\"")));
    }
    if path.len() > SOCKET_PATH_MAX
        || path.contains('\0')
        || socket.components().any(|part| part == Component::ParentDir)
    {
        let message =
            format!("{path:?} cannot be a socket; it must have at most {SOCKET_PATH_MAX} bytes, no NUL and no '..'");
        return Err(findings.error(key, message));
    }
    Ok(socket.to_owned())
}

/// A port, in digits only.
pub(super) fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

pub(super) fn is_port(text: &str) -> bool {
    port(text).is_some()
}

/// An IPv6 address and a port that lack the brackets around the address (RFC 3986 §3.2.2), with them.
pub(super) fn bracketed(written: &str) -> Option<String> {
    let (address, port) = written.rsplit_once(':')?;
    address.parse::<Ipv6Addr>().ok()?;
    is_port(port).then(|| format!("[{address}]:{port}"))
}

/// A host name (RFC 1123 §2.1, and `_` as container networks use it). All-numeric names are mistyped addresses.
pub(super) fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let numeric = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    !numeric && name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(label)
}

/// The size of a Unix socket's address on Linux, less the NUL at its end.
const SOCKET_PATH_MAX: usize = 107;
