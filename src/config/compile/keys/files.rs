//! The files that belong to an issuer's keys, read once to be sure that they can be.

use std::path::Path;

use crate::algorithm::Algorithm;
use crate::config::compile::findings::{Findings, Reported};
use crate::config::input;
use crate::config::path::KeyPath;
use crate::keys::jwks::{KeySetError, KeyUse, LEFT_OUT_NAMED, Reading};

/// What a PEM file holds.
#[derive(Clone, Copy)]
pub(crate) enum Pem {
    Certificate,
    PrivateKey,
}

/// Whether a key file can be read and holds a key that can be used.
pub(crate) fn key_file(
    path: &Path,
    usage: KeyUse,
    algorithms: &[Algorithm],
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<(), Reported> {
    let document = read(path, key, findings)?;
    let (usable, left_out) = match Reading::parse_file(usage, &document, algorithms) {
        Ok(reading) => (Ok(()), reading.left_out),
        Err(KeySetError::NoKeys(left_out)) => {
            (Err(findings.error(key, format!("{path:?} holds no key that can be used"))), left_out)
        }
        Err(error) => return Err(findings.error(key, format!("{path:?} is no key set: {error}"))),
    };
    for left_out in left_out.iter().take(LEFT_OUT_NAMED) {
        findings.warning(key, format!("keys[{}] of {path:?} is not used: {}", left_out.index, left_out.why));
    }
    if let more @ 1.. = left_out.len().saturating_sub(LEFT_OUT_NAMED) {
        findings.warning(key, format!("{more} more keys of {path:?} are not used"));
    }
    usable
}

/// The content of a file that can be read and holds something of this kind in PEM.
pub(crate) fn pem(path: &Path, kind: Pem, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<Vec<u8>, Reported> {
    let pem = read(path, key, findings)?;
    let (label, what) = match kind {
        Pem::Certificate => ("CERTIFICATE-----", "certificate (\"BEGIN CERTIFICATE\")"),
        Pem::PrivateKey => ("PRIVATE KEY-----", "private key (\"BEGIN PRIVATE KEY\", not encrypted)"),
    };
    let begins = |line: &[u8]| line.starts_with(b"-----BEGIN ") && line.trim_ascii_end().ends_with(label.as_bytes());
    let is_plain = |line: &[u8]| !line.starts_with(b"-----BEGIN ENCRYPTED");
    if !pem.split(|byte| *byte == b'\n').any(|line| begins(line) && is_plain(line)) {
        return Err(findings.error(key, format!("{path:?} holds no PEM {what}")));
    }
    Ok(pem)
}

/// Whether a file can be read and holds one bearer token.
pub(crate) fn token(path: &Path, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<(), Reported> {
    let content = read(path, key, findings)?;
    let token = content.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(findings.error(key, format!("{path:?} does not hold one token and nothing else")));
    }
    Ok(())
}

fn read(path: &Path, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<Vec<u8>, Reported> {
    match input::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) => {
            Err(findings.error(key, format!("{path:?} {error}; relative paths start at the configuration file")))
        }
    }
}
