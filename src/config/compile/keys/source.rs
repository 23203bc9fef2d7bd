//! Where the keys are: exactly one place, and if it is a URL, one that keys may be fetched from.

use url::Url;

use crate::config::compile::{Findings, Reported};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::{KeySource, Transport};

/// The place of the keys of `issuer`.
pub fn source(
    table: &file::Keys,
    issuer: &str,
    transport: Transport,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<KeySource, Reported> {
    match (&table.url, table.discovery, &table.file) {
        (Some(url), false, None) => fetched(url, transport, &at.key("url"), at, findings).map(KeySource::Url),
        (None, true, None) => discovery(issuer, transport, at, findings).map(KeySource::Discovery),
        (None, false, Some(file)) if file.is_empty() => Err(findings.error(&at.key("file"), "must not be empty")),
        (None, false, Some(file)) => Ok(KeySource::File(findings.path(file))),
        (None, false, None) => Err(findings.error(
            at,
            "names no source of keys; write exactly one of url = \"https://…\", discovery = true, file = \"…\"",
        )),
        (url, discovery, file) => {
            let found = [("url", url.is_some()), ("discovery", discovery), ("file", file.is_some())];
            let found: Vec<_> = found.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect();
            Err(findings
                .error(at, format!("names several sources of keys ({}); keep exactly one", found.join(" and "))))
        }
    }
}

fn discovery(
    issuer: &str,
    transport: Transport,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Url, Reported> {
    let key = at.key("discovery");
    // OpenID Connect Discovery 1.0 §4: a slash at the issuer's end is not doubled.
    let document = format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
    if Url::parse(issuer).is_err() || issuer.contains(['?', '#']) {
        return Err(findings
            .error(&key, format!("needs an issuer that is a URL without query, and not {issuer:?}; use url or file")));
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
) -> Result<Url, Reported> {
    let url = match Url::parse(written) {
        Ok(url) if url.has_host() => url,
        Ok(_) => return Err(findings.error(key, format!("{written:?} names no host; write it as \"https://…\""))),
        Err(fault) => {
            return Err(findings.error(key, format!("{written:?} is no URL: {fault}; write it as \"https://…\"")));
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(findings.error(key, "has a user name or password in it; secrets do not belong in this file"));
    }
    if url.fragment().is_some() {
        return Err(findings.error(key, format!("{written:?} has a fragment ('#'), which is never sent; remove it")));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(findings.error(key, format!("{written:?} has the scheme {:?}; allowed: https", url.scheme())));
    }
    if !transport.permits(&url) {
        let message = format!(
            "{written:?} is plain http to another machine: whoever can change that traffic can make tokens; use https, or \
             add allow_http = true to accept that"
        );
        return Err(findings.error(key, message));
    }
    if transport == Transport::HttpAllowed && !Transport::Https.permits(&url) {
        let message = "keys come by plain http from another machine: whoever can change that traffic can make tokens";
        findings.warning(&at.key("allow_http"), message);
    }
    Ok(url)
}
