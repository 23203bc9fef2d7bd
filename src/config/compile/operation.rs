//! What operators watch, and how the process ends. Nothing is opened and nobody is asked here.

use std::path::Path;
use std::time::Duration;

use url::Url;

use super::Findings;
use super::unit::{HOUR, MINUTE, Span};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::{Audit, Shutdown, Tracing, Transport};

pub fn audit(table: &file::Audit, at: &KeyPath, base: &Path, findings: &mut Findings<'_, '_>) -> Option<Audit> {
    let file = file(table.file.as_deref(), &at.key("file"), base, findings);
    // The range of the queue is a matter of the shape.
    Some(Audit { file: file?, queue: usize::try_from(table.queue).ok()?, when_full: table.when_full })
}

/// The inner `None` is standard output, the outer one means that it is wrong.
#[expect(clippy::option_option, reason = "an optional key that may be wrong")]
fn file(
    written: Option<&str>,
    key: &KeyPath,
    base: &Path,
    findings: &mut Findings<'_, '_>,
) -> Option<Option<std::path::PathBuf>> {
    let Some(written) = written else { return Some(None) };
    let path = base.join(written);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match written {
        "" => findings.error(key, "must not be empty; leave the key out for standard output"),
        "stdout" | "-" => findings.error(key, format!("{written:?} is no path; leave the key out for standard output")),
        _ if path.is_dir() => findings.error(key, format!("{} is a directory, not a file", path.display())),
        _ if !parent.is_dir() => findings.error(key, format!("{} does not exist; make it first", parent.display())),
        _ => Some(Some(path)),
    }
}

/// The inner `None` means that nothing is traced, the outer one that it is wrong.
#[expect(clippy::option_option, reason = "an optional table that may be wrong")]
pub fn tracing(table: &file::Tracing, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<Option<Tracing>> {
    let key = at.key("endpoint");
    let Some(written) = &table.endpoint else {
        if findings.is_written(&at.key("sample")) {
            findings.warning(&at.key("sample"), "has no effect without endpoint: nothing is traced");
        }
        return Some(None);
    };
    let url = match Url::parse(&format!("{}/v1/traces", written.trim_end_matches('/'))) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => url,
        _ => {
            return findings.error(&key, format!("{written:?} is no URL; for example \"http://127.0.0.1:4318\""));
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        return findings.error(&key, "has a user name or password in it; secrets do not belong in this file");
    }
    if !Transport::Https.permits(&url) {
        let message = format!(
            "{written:?} is plain http to another machine: callers and paths would be readable on the way; use https, or a \
             collector on this machine"
        );
        return findings.error(&key, message);
    }
    Some(Some(Tracing { url, sample: table.sample }))
}

pub fn shutdown(table: &file::Shutdown, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<Shutdown> {
    let lame_duck =
        Span::wait(Duration::ZERO, MINUTE.saturating_mul(5)).read(&table.lame_duck, &at.key("lame_duck"), findings);
    let drain = Span::wait(Duration::ZERO, HOUR).read(&table.drain, &at.key("drain"), findings);
    Some(Shutdown { lame_duck: lame_duck?, drain: drain? })
}
