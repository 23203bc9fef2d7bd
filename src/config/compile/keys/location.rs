//! Where the keys are: exactly one place, and if it is a URL, one that keys may be fetched from.

use url::Url;

use crate::config::compile::address::unix;
use crate::config::compile::findings::{Findings, Reported};
use crate::config::file::{self, WorkloadApi};
use crate::config::path::KeyPath;
use crate::keys::source::{AddressError, FetchUrl, Location, check, discovery_documents};

/// Whose keys they are.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub issuer: &'a str,
    pub trust_domain: Option<&'a str>,
    /// Whether workload identity tokens are among its tokens.
    pub has_workloads: bool,
}

/// The place of the keys of an issuer.
pub(super) fn location(
    table: &file::Keys,
    owner: Owner<'_>,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Location, Reported> {
    // `false` is no source.
    let agent = table.workload_api.as_ref().filter(|written| **written != WorkloadApi::Environment(false));
    match (&table.url, table.discovery, &table.file, agent) {
        (Some(written), false, None, None) => {
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
        (None, true, None, None) => discovery(owner.issuer, table.allow_http, at, findings).map(Location::Discovery),
        (None, false, Some(file), None) if file.is_empty() => Err(findings.error(&at.key("file"), "must not be empty")),
        (None, false, Some(file), None) => Ok(Location::File(findings.path(file))),
        (None, false, None, Some(written)) => workload_api(written, owner.trust_domain, at, findings),
        (None, false, None, None) => Err(findings.error(
            at,
            "names no source of keys; write exactly one of url = \"https://…\", discovery = true, file = \"…\"",
        )),
        (url, discovery, file, agent) => {
            let found = [
                ("url", url.is_some()),
                ("discovery", discovery),
                ("file", file.is_some()),
                ("workload_api", agent.is_some()),
            ];
            let found: Vec<_> = found.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect();
            let message = format!("names several sources of keys ({}); keep exactly one", found.join(" and "));
            Err(findings.error(at, message))
        }
    }
}

/// The agent's socket, and whose bundle is wanted of it.
fn workload_api(
    written: &WorkloadApi,
    trust_domain: Option<&str>,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Location, Reported> {
    let key = at.key("workload_api");
    let named = match written {
        WorkloadApi::Socket(socket) => socket.clone(),
        WorkloadApi::Environment(_) => match std::env::var(ENDPOINT_SOCKET) {
            Ok(socket) => socket,
            Err(_) => {
                let message = format!(
                    "{ENDPOINT_SOCKET} is not set where this runs; set it, or write the socket: \"unix:/run/spire/agent.sock\""
                );
                return Err(findings.error(&key, message));
            }
        },
    };
    let Some(path) = named.strip_prefix("unix:") else {
        let message = format!(
            "{named:?} is no socket of this machine; write \"unix:\" and its path: whoever answers elsewhere could make tokens"
        );
        return Err(findings.error(&key, message));
    };
    // SPIFFE writes it as a URI with an empty authority (SPIFFE Workload Endpoint, section 4).
    let path = path.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let socket = unix(path, &key, findings)?;
    match trust_domain {
        Some(trust_domain) => Ok(Location::WorkloadApi { socket, trust_domain: trust_domain.to_owned() }),
        None => Err(findings.error(
            &key,
            "needs to know whose bundle is wanted; add preset = \"spiffe\" and trust_domain = \"…\" to the issuer",
        )),
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

/// Where a workload learns of the agent (SPIFFE Workload Endpoint, section 4).
const ENDPOINT_SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";
