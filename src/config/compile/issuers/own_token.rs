//! The issuer of the cluster that this pod runs in, as the pod's own token names it. The name only selects whose keys are tried: what
//! is accepted was signed with the keys of the API server.

use crate::config::compile::findings::{Findings, Reported};
use crate::config::file::{self, Preset};
use crate::config::input;
use crate::config::path::KeyPath;
use crate::config::settings::OwnToken;
use crate::jwt::parse::issuer_of;

/// Names the issuers that take their name from the pod's own token: those of the preset `kubernetes` without `issuer`.
pub(crate) fn name_own(
    tables: &mut [file::Issuer],
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Vec<OwnToken>, Reported> {
    let mut own = Vec::new();
    let mut outcome = Ok(());
    for (index, table) in tables.iter_mut().enumerate() {
        let key = at.index(index).key("issuer");
        let is_left_out = table.issuer.as_deref() == Some("") && !findings.is_written(&key);
        if table.preset != Some(Preset::Kubernetes) || !is_left_out {
            continue;
        }
        let Some(written) = table.keys.as_ref().and_then(|keys| keys.token_file.as_deref()) else {
            let message = "this key is missing; it can be left out only for the cluster that this runs in, whose keys need no source";
            outcome = Err(findings.error(&key, message));
            // So that nothing else is said about it.
            table.issuer = Some(UNKNOWN.to_owned());
            continue;
        };
        let path = findings.path(written);
        let issuer = input::read(&path).ok().and_then(|token| own_issuer(&token));
        if issuer.is_none() {
            let message = format!(
                "it is read from the pod's own token, and {path:?} holds none here; until it does, no token is accepted"
            );
            findings.warning(&key, message);
        }
        table.issuer = Some(issuer.clone().unwrap_or_else(|| UNKNOWN.to_owned()));
        own.push(OwnToken { path, issuer });
    }
    outcome.map(|()| own)
}

/// The issuer of a token as it stands in its file.
pub(crate) fn own_issuer(token: &[u8]) -> Option<String> {
    issuer_of(std::str::from_utf8(token).ok()?.trim())
}

/// What the cluster is called while its name is not known.
const UNKNOWN: &str = "the issuer of this pod's own token";
