//! Where the keys are: exactly one place, and if it is a URL, one that keys may be fetched from.

use url::Url;

use crate::config::compile::findings::{Findings, Reported};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::keys::source::{AddressError, FetchUrl, Location, check, discovery_documents};

/// The place of the keys of `issuer`.
pub(super) fn location(
    table: &file::Keys,
    issuer: &str,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Location, Reported> {
    match (&table.url, table.discovery, &table.file) {
        (Some(written), false, None) => {
            let key = at.key("url");
            let url = match Url::parse(written) {
                Ok(url) => url,
                Err(error) => {
                    let message = format!("{written:?} is no URL: {error}; write it as \"https://…\"");
                    return Err(findings.error(&key, message));
                }
            };
            fetched(url, written, table.allow_http, &key, at, findings).map(Location::Url)
        }
        (None, true, None) => discovery(issuer, table.allow_http, at, findings).map(Location::Discovery),
        (None, false, Some(file)) if file.is_empty() => Err(findings.error(&at.key("file"), "must not be empty")),
        (None, false, Some(file)) => Ok(Location::File(findings.path(file))),
        (None, false, None) => Err(findings.error(
            at,
            "names no source of keys; write exactly one of url = \"https://…\", discovery = true, file = \"…\"",
        )),
        (url, discovery, file) => {
            let found = [("url", url.is_some()), ("discovery", discovery), ("file", file.is_some())];
            let found: Vec<_> = found.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect();
            let message = format!("names several sources of keys ({}); keep exactly one", found.join(" and "));
            Err(findings.error(at, message))
        }
    }
}

/// The URL of an issuer whose discovery document may be fetched.
fn discovery(
    issuer: &str,
    allow_http: bool,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<FetchUrl, Reported> {
    let key = at.key("discovery");
    match Url::parse(issuer) {
        Ok(url) if !issuer.contains(['?', '#']) && !url.cannot_be_a_base() => {
            let [document, _] = discovery_documents(&url);
            fetched(url, document.as_str(), allow_http, &key, at, findings)
        }
        _ => {
            let message = format!("needs an issuer that is a URL without query, and not {issuer:?}; use url or file");
            Err(findings.error(&key, message))
        }
    }
}

/// A URL that may be fetched. It is called `written` in problems.
fn fetched(
    url: Url,
    written: &str,
    allow_http: bool,
    key: &KeyPath,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<FetchUrl, Reported> {
    if url.fragment().is_some() {
        return Err(findings.error(key, format!("{written:?} has a fragment ('#'), which is never sent; remove it")));
    }
    let is_plain = check(&url, false) == Err(AddressError::PlainHttp);
    let scheme = url.scheme().to_owned();
    let message = match FetchUrl::new(url, allow_http) {
        Ok(url) => {
            if is_plain {
                let message =
                    "keys come by plain http from another machine: whoever can change that traffic can make tokens";
                findings.warning(&at.key("allow_http"), message);
            }
            return Ok(url);
        }
        Err(AddressError::Credentials) => {
            "has a user name or password in it; secrets do not belong in this file".to_owned()
        }
        Err(AddressError::NotAUrl) => format!("{written:?} names no host; write it as \"https://…\""),
        Err(AddressError::Scheme) => format!("{written:?} has the scheme {scheme:?}; allowed: https"),
        Err(AddressError::PlainHttp | AddressError::Downgrade) => format!(
            "{written:?} is plain http to another machine: whoever can change that traffic can make tokens; use https, or \
             add allow_http = true to accept that"
        ),
    };
    Err(findings.error(key, message))
}
