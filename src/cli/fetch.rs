//! `callgate check --fetch`: asks each issuer for its keys once, as the sidecar does at its start, and prints what came.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use prometheus::Registry;

use crate::config;
use crate::jwks_refresh::JwksRefresher;
use crate::rejection::quoted;
use crate::server::{Verifier, prepare_tls};

/// Fetches the keys of all issuers of a configuration that has no errors. Returns the exit code: 0 if each has usable keys.
///
/// # Errors
/// If the fetches cannot be started, or the result not be written.
pub(super) fn run(path: &Path, root: Option<&Path>, out: &mut impl Write) -> io::Result<u8> {
    let Ok(config) = config::load_for(path, root) else { return Ok(1) };
    prepare_tls();
    let timeouts = config.issuers.iter().map(|issuer| issuer.origin.settings.timeout);
    let patience = timeouts.max().unwrap_or_default().saturating_add(Duration::from_secs(1));
    let mut sources: Vec<_> = Verifier::new(config, None).sources.into_iter().collect();
    for source in &mut sources {
        // What is stored from an earlier run says nothing about the issuer.
        source.origin.settings.snapshot_dir = None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let statuses = runtime.block_on(async {
        let refresher = JwksRefresher::start(sources, &Registry::new()).map_err(io::Error::other)?;
        refresher.first_attempts(patience).await;
        Ok::<_, io::Error>(refresher.status())
    })?;
    for status in &statuses {
        match status.detail() {
            None if status.ready => {
                let kids: Vec<_> =
                    status.kids.iter().map(|kid| format!("{:?}", kid.as_deref().unwrap_or_default())).collect();
                writeln!(out, "  fetched   {}: {} keys: {}", status.issuer, kids.len(), kids.join(", "))?;
                for (kid, why) in &status.left_out {
                    writeln!(out, "            left out {}: {why}", quoted(kid))?;
                }
            }
            detail => {
                let detail = detail.unwrap_or_else(|| "no answer in time".to_owned());
                writeln!(out, "  failed    {}: {detail}", status.issuer)?;
            }
        }
    }
    Ok(u8::from(!statuses.iter().all(|status| status.ready)))
}
