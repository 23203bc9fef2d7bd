//! The parts of addresses: ports, host names, paths of sockets.

use std::path::{Component, Path, PathBuf};

use super::{Findings, Reported};
use crate::config::path::KeyPath;

pub fn unix(path: &str, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<PathBuf, Reported> {
    let socket = Path::new(path);
    if path.starts_with("//") {
        return Err(findings.error(key, format!("write \"unix:/{}\"", path.trim_start_matches('/'))));
    }
    if !socket.is_absolute() {
        return Err(findings
            .error(key, format!("{path:?} is not absolute; write \"unix:/run/email/email.sock\", from the root")));
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
pub fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

pub fn is_port(text: &str) -> bool {
    port(text).is_some()
}

/// A host name (RFC 1123 §2.1, and `_` as container networks use it). All-numeric names are mistyped addresses.
pub fn is_host(name: &str) -> bool {
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
