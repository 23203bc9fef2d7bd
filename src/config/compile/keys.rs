//! Where an issuer's keys come from. Files are read here once, to be sure that they can be; the network is not asked.

use std::path::Path;
use std::time::Duration;

use url::Url;

use super::Findings;
use super::unit::{DAY, HOUR, MILLISECOND, MINUTE, Span, seconds, shown};
use crate::algorithm::Algorithm;
use crate::config::file;
use crate::config::input;
use crate::config::path::KeyPath;
use crate::config::settings::{KeySource, Keys, Transport};
use crate::keys::jwks::{Reading, Unusable};

/// Compiles the keys of `issuer`, whose tokens may use `algorithms` if they are known.
pub fn keys(
    table: &file::Keys,
    issuer: &str,
    algorithms: Option<&[Algorithm]>,
    at: &KeyPath,
    base: &Path,
    findings: &mut Findings<'_, '_>,
) -> Option<Keys> {
    let transport = if table.allow_http { Transport::HttpAllowed } else { Transport::Https };
    let source = source(table, issuer, transport, at, base, findings);
    if let (Some(KeySource::File(path)), Some(algorithms)) = (&source, algorithms) {
        key_file(path, algorithms, &at.key("file"), findings);
    }
    let ca_file = table.ca_file.as_ref().map(|path| base.join(path));
    if let Some(path) = &ca_file {
        certificates(path, &at.key("ca_file"), findings);
    }
    let refresh = Span::wait(TICK, DAY).read(&table.refresh, &at.key("refresh"), findings);
    let stale_limit = stale_limit(&table.stale_limit, refresh, &at.key("stale_limit"), findings);
    let unknown_key_cooldown =
        Span::wait(TICK, HOUR).read(&table.unknown_key_cooldown, &at.key("unknown_key_cooldown"), findings);
    let timeout = Span::wait(MILLISECOND, MINUTE).read(&table.timeout, &at.key("timeout"), findings);
    if matches!(source, Some(KeySource::File(_))) {
        for unused in ["ca_file", "allow_http", "timeout"].map(|name| at.key(name)) {
            if findings.is_written(&unused) {
                findings.warning(&unused, "has no effect with file: nothing is fetched; remove it");
            }
        }
    }
    Some(Keys {
        source: source?,
        refresh: refresh?,
        stale_limit: stale_limit?,
        unknown_key_cooldown: unknown_key_cooldown?,
        timeout: timeout?,
        ca_file,
        transport,
    })
}

fn source(
    table: &file::Keys,
    issuer: &str,
    transport: Transport,
    at: &KeyPath,
    base: &Path,
    findings: &mut Findings<'_, '_>,
) -> Option<KeySource> {
    match (&table.url, table.discovery, &table.file) {
        (Some(url), false, None) => fetched(url, transport, &at.key("url"), at, findings).map(KeySource::Url),
        (None, true, None) => discovery(issuer, transport, at, findings).map(KeySource::Discovery),
        (None, false, Some(file)) if file.is_empty() => findings.error(&at.key("file"), "must not be empty"),
        (None, false, Some(file)) => Some(KeySource::File(base.join(file))),
        (None, false, None) => findings.error(
            at,
            "names no source of keys; write exactly one of url = \"https://…\", discovery = true, file = \"…\"",
        ),
        (url, discovery, file) => {
            let found = [("url", url.is_some()), ("discovery", discovery), ("file", file.is_some())];
            let found: Vec<_> = found.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect();
            findings.error(at, format!("names several sources of keys ({}); keep exactly one", found.join(" and ")))
        }
    }
}

fn discovery(issuer: &str, transport: Transport, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<Url> {
    let key = at.key("discovery");
    // OpenID Connect Discovery 1.0 §4: a slash at the issuer's end is not doubled.
    let document = format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
    if Url::parse(issuer).is_err() || issuer.contains(['?', '#']) {
        return findings
            .error(&key, format!("needs an issuer that is a URL without query, and not {issuer:?}; use url or file"));
    }
    fetched(&document, transport, &key, at, findings)
}

/// A URL that may be fetched.
fn fetched(
    written: &str,
    transport: Transport,
    key: &KeyPath,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Option<Url> {
    let url = match Url::parse(written) {
        Ok(url) if url.has_host() => url,
        Ok(_) => return findings.error(key, format!("{written:?} names no host; write it as \"https://…\"")),
        Err(fault) => return findings.error(key, format!("{written:?} is no URL: {fault}; write it as \"https://…\"")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return findings.error(key, "has a user name or password in it; secrets do not belong in this file");
    }
    if url.fragment().is_some() {
        return findings.error(key, format!("{written:?} has a fragment ('#'), which is never sent; remove it"));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return findings.error(key, format!("{written:?} has the scheme {:?}; allowed: https", url.scheme()));
    }
    if !transport.permits(&url) {
        let message = format!(
            "{written:?} is plain http to another machine: whoever can change that traffic can make tokens; use https, or \
             add allow_http = true to accept that"
        );
        return findings.error(key, message);
    }
    if transport == Transport::HttpAllowed && !Transport::Https.permits(&url) {
        let message = "keys come by plain http from another machine: whoever can change that traffic can make tokens";
        findings.warning(&at.key("allow_http"), message);
    }
    Some(url)
}

fn stale_limit(
    written: &file::Duration,
    refresh: Option<Duration>,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Option<Duration> {
    let stale_limit = Span::token(seconds(1), DAY.saturating_mul(30)).read(written, key, findings)?;
    if let Some(refresh) = refresh.filter(|refresh| stale_limit < *refresh) {
        let message = format!(
            "{:?} is shorter than refresh ({}): the keys would be unusable before they are fetched again",
            written.0,
            shown(refresh)
        );
        return findings.error(key, message);
    }
    if stale_limit > DAY.saturating_mul(7) {
        let message = format!(
            "a key that its issuer withdraws can stay in use for {} while the issuer is cut off",
            shown(stale_limit)
        );
        findings.warning(key, message);
    }
    Some(stale_limit)
}

/// Whether a key file can be read and holds a key that can be used.
fn key_file(path: &Path, algorithms: &[Algorithm], key: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<()> {
    let document = read(path, key, findings)?;
    let left_out = match Reading::parse(&document, algorithms) {
        Ok(reading) => reading.left_out,
        Err(Unusable::NoKeys(left_out)) => {
            findings.error::<()>(key, format!("{path:?} holds no key that can be used"));
            left_out
        }
        Err(fault) => return findings.error(key, format!("{path:?} is no key set: {fault}")),
    };
    for left_out in left_out {
        findings.warning(key, format!("keys[{}] of {path:?} is not used: {}", left_out.index, left_out.why));
    }
    Some(())
}

fn certificates(path: &Path, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<()> {
    let pem = read(path, key, findings)?;
    let begin = b"-----BEGIN CERTIFICATE-----";
    if !pem.windows(begin.len()).any(|window| window == begin) {
        return findings.error(key, format!("{path:?} holds no PEM certificate (\"BEGIN CERTIFICATE\")"));
    }
    Some(())
}

fn read(path: &Path, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<Vec<u8>> {
    match input::read(path) {
        Ok(bytes) => Some(bytes),
        Err(fault) => findings.error(key, format!("{path:?} {fault}; relative paths start at the configuration file")),
    }
}

/// The shortest time between two fetches.
const TICK: Duration = Duration::from_millis(100);
