//! The store of proofs that instances share: where it is, and what is needed to be let in.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use url::Url;

use super::address::{is_host, unix};
use super::findings::{Findings, Reported};
use super::keys::files::{self, Pem};
use super::unit::{DurationRange, MILLISECOND, seconds};
use crate::config::file;
use crate::config::input;
use crate::config::path::KeyPath;
use crate::proof::store::{StoreAddress, StoreSettings};

/// Compiles the table. `None` if instances share nothing.
pub(super) fn replay(
    table: &file::Replay,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Option<StoreSettings>, Reported> {
    let range = DurationRange::wait(MILLISECOND.saturating_mul(10), seconds(5));
    let timeout = range.read(&table.timeout, &at.key("timeout"), findings);
    let password_file = own_file(table.password_file.as_deref(), &at.key("password_file"), findings, password);
    let ca_file = own_file(table.ca_file.as_deref(), &at.key("ca_file"), findings, |path, key, findings| {
        files::pem(path, Pem::Certificate, key, findings).map(|_| ())
    });
    let Some(written) = &table.store else {
        for (name, written) in [("password_file", &table.password_file), ("ca_file", &table.ca_file)] {
            if written.is_some() {
                findings.warning(&at.key(name), "has no effect without replay.store; remove it");
            }
        }
        return Ok(None);
    };
    let key = at.key("store");
    let (address, user, database) = address(written, &key, findings)?;
    if table.ca_file.is_some() && !matches!(address, StoreAddress::Tcp { tls: true, .. }) {
        let message = "is for TLS, which is not spoken with replay.store; write that with rediss://, or remove this";
        return Err(findings.error(&at.key("ca_file"), message));
    }
    if user.is_some() && table.password_file.is_none() {
        return Err(findings.error(&key, "names a user; add replay.password_file = \"…\" with its password"));
    }
    let (password_file, ca_file, timeout) = (password_file?, ca_file?, timeout?);
    Ok(Some(StoreSettings { address, database, user, password_file, ca_file, timeout }))
}

/// Where it is, who we are there, and the number of the database.
fn address(
    written: &str,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<(StoreAddress, Option<String>, u32), Reported> {
    if let Some(path) = written.strip_prefix("unix:") {
        return unix(path, key, findings).map(|path| (StoreAddress::Unix(path), None, 0));
    }
    let Ok(url) = Url::parse(written) else {
        return Err(findings.error(key, format!("{written:?} is no URL; {FORM}")));
    };
    // Before anything else: nothing of it is shown then.
    if url.password().is_some() {
        let message = "has a password in it; secrets do not belong in this file: write it to a file of its own and name that in replay.password_file";
        return Err(findings.error(key, message));
    }
    let tls = match url.scheme() {
        "redis" => false,
        "rediss" => true,
        other => return Err(findings.error(key, format!("{written:?} has the scheme {other:?}; {FORM}"))),
    };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    if !is_host(&host) && host.parse::<IpAddr>().is_err() {
        return Err(findings.error(key, format!("{written:?} names no host; {FORM}")));
    }
    let port = url.port().unwrap_or(PORT);
    if port == 0 || url.query().is_some() || url.fragment().is_some() {
        return Err(findings.error(key, format!("{written:?} cannot be an address; {FORM}")));
    }
    let user = Some(url.username()).filter(|user| !user.is_empty());
    if user.is_some_and(|user| user.contains('%')) {
        let message = format!("{written:?} has a user whose name cannot stand in a URL; give that user another name");
        return Err(findings.error(key, message));
    }
    let database = match url.path().trim_start_matches('/') {
        "" => Some(0),
        number => number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten(),
    };
    match database {
        Some(database) => Ok((StoreAddress::Tcp { host, port, tls }, user.map(str::to_owned), database)),
        None => Err(findings.error(key, format!("{written:?} has no number of a database behind the host; {FORM}"))),
    }
}

/// Whether a file can be read and holds a password on one line.
fn password(path: &Path, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<(), Reported> {
    let content = match input::read(path) {
        Ok(content) => content,
        Err(error) => {
            let message = format!("{path:?} {error}; relative paths start at the configuration file");
            return Err(findings.error(key, message));
        }
    };
    let text = std::str::from_utf8(&content).unwrap_or_default().trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.contains(['\r', '\n']) {
        return Err(findings.error(key, format!("{path:?} does not hold one line of text")));
    }
    Ok(())
}

/// The path of a file that is named here, after a look into it.
fn own_file(
    written: Option<&str>,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
    look: impl FnOnce(&Path, &KeyPath, &mut Findings<'_, '_>) -> Result<(), Reported>,
) -> Result<Option<PathBuf>, Reported> {
    let Some(written) = written else { return Ok(None) };
    if written.is_empty() {
        return Err(findings.error(key, "must not be empty"));
    }
    let path = findings.path(written);
    look(&path, key, findings).map(|()| Some(path))
}

const FORM: &str = "write it as \"redis://host:6379\", with rediss for TLS, or as \"unix:/run/…\"";

/// Where such stores listen if nothing else is said.
const PORT: u16 = 6379;
