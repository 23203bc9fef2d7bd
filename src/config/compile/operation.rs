//! What operators watch, and how the process ends. Nothing is opened and nobody is asked here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::findings::{Findings, Reported};
use super::unit::{DurationRange, HOUR, MINUTE, count};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::{Audit, Shutdown, Tracing};
use crate::keys::source::{AddressError, check};

pub(super) fn audit(table: &file::Audit, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<Audit, Reported> {
    let file = file(table.file.as_deref(), &at.key("file"), findings);
    Ok(Audit { file: file?, queue: count(table.queue), when_full: table.when_full })
}

/// The file of the audit; `None` is standard output.
fn file(written: Option<&str>, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<Option<PathBuf>, Reported> {
    let Some(written) = written else { return Ok(None) };
    let path = findings.path(written);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match written {
        "" => Err(findings.error(key, "must not be empty; leave the key out for standard output")),
        "stdout" | "-" => {
            Err(findings.error(key, format!("{written:?} is no path; leave the key out for standard output")))
        }
        _ if path.is_dir() => Err(findings.error(key, format!("{} is a directory, not a file", path.display()))),
        _ if !parent.is_dir() => {
            Err(findings.error(key, format!("{} does not exist; make it first", parent.display())))
        }
        _ => Ok(Some(path)),
    }
}

/// `None` if nothing is traced.
pub(super) fn tracing(
    table: &file::Tracing,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Option<Tracing>, Reported> {
    let key = at.key("endpoint");
    let Some(written) = &table.endpoint else {
        if findings.is_written(&at.key("sample")) {
            findings.warning(&at.key("sample"), "has no effect without endpoint: nothing is traced");
        }
        return Ok(None);
    };
    let url = match Url::parse(&format!("{}/v1/traces", written.trim_end_matches('/'))) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => url,
        _ => {
            return Err(findings.error(&key, format!("{written:?} is no URL; for example \"http://127.0.0.1:4318\"")));
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(findings.error(&key, "has a user name or password in it; secrets do not belong in this file"));
    }
    if check(&url, false) == Err(AddressError::PlainHttp) {
        let message = format!(
            "{written:?} is plain http to another machine: callers and paths would be readable on the way; use https, or a \
             collector on this machine"
        );
        return Err(findings.error(&key, message));
    }
    Ok(Some(Tracing { url, sample: table.sample, use_proxy_env: table.use_proxy_env }))
}

pub(super) fn shutdown(
    table: &file::Shutdown,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Shutdown, Reported> {
    let lame_duck = DurationRange::wait(Duration::ZERO, MINUTE.saturating_mul(5)).read(
        &table.lame_duck,
        &at.key("lame_duck"),
        findings,
    );
    let drain = DurationRange::wait(Duration::ZERO, HOUR).read(&table.drain, &at.key("drain"), findings);
    Ok(Shutdown { lame_duck: lame_duck?, drain: drain? })
}
