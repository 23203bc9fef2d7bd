//! The rules: from what was written to what it means. Every rule looks at one part, reports what is wrong there, and goes on,
//! so that all findings come at once. Only a file without any error becomes a [`Compiled`].

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::file::{self, File};
use super::path::KeyPath;
use super::settings::{Compiled, Issuer, Log, Reload, Wimse};
use crate::issuers::PerIssuer;
use crate::keys::readiness::Readiness;

mod address;
mod caller;
mod certificate_hops;
mod dpop;
mod findings;
mod forwarding;
mod issuers;
mod keys;
mod limits;
mod listen;
mod operation;
mod protected_resource;
mod replay;
mod revocation;
mod routes;
mod token;
mod unit;
mod upstream;
mod wimse;

pub(super) use findings::{Findings, Reported};

pub(crate) use issuers::own_issuer;

/// Compiles a file.
///
/// # Errors
/// If an error was reported.
pub(super) fn compile(mut file: File, findings: &mut Findings<'_, '_>) -> Result<Compiled, Reported> {
    let root = KeyPath::root();
    let listen = listen::listen(&file.listen, &root.key("listen"), findings);
    let tls = listen::tls::tls(&file.listen, &root.key("listen").key("tls"), findings);
    let upstream = upstream::upstream(&file.upstream, &root.key("upstream"), findings);
    let admin = listen::admin(&file.admin, &root.key("admin"), findings);
    let differ = listen::differ(listen.as_ref().ok(), admin.as_ref().ok(), upstream.as_ref().ok(), findings);
    let all_keys = root.key("keys");
    let snapshot_dir = snapshot_dir(file.keys.snapshot_dir.as_deref(), &all_keys.key("snapshot_dir"), findings);
    let own_tokens = issuers::name_own(&mut file.issuers, &root.key("issuers"), findings);
    let own_modes = file.issuers.iter().map(|issuer| (issuers::name(issuer), issuer.mode)).collect();
    let modes = routes::modes(file.mode, own_modes, file.report, &root, findings);
    let agreed = token::agreed(&file.issuers, &root, findings);
    let issuers = issuers::issuers(file.issuers, &file.caller, &root.key("issuers"), findings);
    let forwarding =
        forwarding::forwarding(&file.forwarding, file.caller.forward_token, &root.key("forwarding"), findings);
    let caller = caller::caller(file.caller, &root.key("caller"), findings);
    let token = token::field(file.token, &root.key("token"), findings);
    let token = match (token, &caller) {
        (Ok(field), Ok(caller)) => token::differs(&field, caller, &root.key("token"), findings).map(|()| field),
        (field, _) => field,
    };
    let public = routes::public(file.public, &root.key("public"), findings);
    let revocation = revocation::revocation(&file.revocation, &root.key("revocation"), findings);
    let protected_resource =
        protected_resource::identifier(file.protected_resource.as_ref(), &root.key("protected_resource"), findings);
    let limits = limits::limits(&file.limits, &root.key("limits"), findings);
    let forwarding_at = root.key("forwarding");
    let hops = certificate_hops::certificate_hops(&file.forwarding, listen.as_ref().ok(), &forwarding_at, findings);
    let shown = match (&issuers, &tls, &hops) {
        (Ok(issuers), Ok(tls), Ok(hops)) => {
            let asks = hops.is_some() || tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
            issuers::certificates_are_shown(issuers, asks, &root.key("issuers"), findings)
        }
        _ => Ok(()),
    };
    let urls_key = root.key("forwarding").key("external_urls");
    let external_urls = dpop::external_urls(&file.forwarding.external_urls, &urls_key, findings);
    let takes_proofs = match (&issuers, &external_urls, &token) {
        (Ok(issuers), Ok(urls), Ok(token)) => dpop::is_accepted(issuers, urls, token, &root.key("issuers"), findings),
        _ => Ok(false),
    };
    let takes_workloads = match (&issuers, &external_urls, &token) {
        (Ok(issuers), Ok(urls), Ok(token)) => {
            wimse::is_accepted(issuers, urls, token, caller.as_ref().ok(), &root.key("issuers"), findings)
        }
        _ => Ok(false),
    };
    let external_urls = external_urls?;
    let field = token.as_ref().ok();
    let workloads = wimse::rules(&file.wimse, external_urls.clone(), field, &root.key("wimse"), findings);
    let dpop = dpop::dpop(&file.dpop, external_urls, &root.key("dpop"), findings);
    let replay = replay::replay(&file.replay, &root.key("replay"), findings);
    let takes_none = matches!((&takes_proofs, &takes_workloads), (Ok(false), Ok(false)));
    if takes_none && replay.as_ref().is_ok_and(Option::is_some) {
        let why = "is never asked: no issuer accepts proofs; add binding = [\"dpop\"] to one, or remove this";
        findings.warning(&root.key("replay").key("store"), why);
    }
    if let (Ok(issuers), Ok(limits)) = (&issuers, &limits) {
        keys::fit_wait(issuers, limits.key_wait, &root, findings);
    }
    let cache = limits::cache(&file.cache, &root.key("cache"), findings);
    let audit = operation::audit(&file.audit, &root.key("audit"), findings);
    let tracing = operation::tracing(&file.tracing, &root.key("tracing"), findings);
    let shutdown = operation::shutdown(&file.shutdown, &root.key("shutdown"), findings);
    differ?;
    agreed?;
    shown?;
    let (dpop, rules) = (dpop?, workloads?);
    let wimse = takes_workloads?.then_some(Wimse { rules, memory: dpop.memory });
    let dpop = takes_proofs?.then_some(dpop);
    Ok(Compiled {
        listen: listen?,
        http2: file.listen.http2,
        tls: tls?,
        upstream: upstream?,
        admin: admin?,
        page: file.admin.page,
        issuers: with_snapshots(issuers?, snapshot_dir?.as_deref()),
        own_tokens: own_tokens?,
        caller: caller?,
        token: token?,
        public: public?,
        revocation: revocation?,
        forwarding,
        certificate_hops: hops?,
        replay: replay?.filter(|_| dpop.is_some() || wimse.is_some()),
        dpop,
        wimse,
        modes: modes?,
        readiness: match file.readiness {
            file::Readiness::All => Readiness::All,
            file::Readiness::Any => Readiness::Any,
        },
        refusals: routes::disclosure(file.refusals),
        protected_resource: protected_resource?,
        limits: limits?,
        cache: cache?,
        audit: audit?,
        tracing: tracing?,
        reload: Reload { watch: file.reload.watch },
        log: Log { level: file.log.level, format: file.log.format },
        shutdown: shutdown?,
        warnings: Vec::new(),
    })
}

/// The directory in which fetched keys are kept, if there is one.
fn snapshot_dir(
    written: Option<&str>,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Option<PathBuf>, Reported> {
    match written {
        None => Ok(None),
        Some("") => Err(findings.error(key, "must not be empty; for example \"/var/cache/callgate\"")),
        Some(written) => {
            let path = findings.path(written);
            if path.exists() && !path.is_dir() {
                return Err(findings.error(key, format!("{path:?} is no directory")));
            }
            // A directory that does not exist yet is made when the first keys are kept.
            if path.exists()
                && let Err(error) = probe(&path)
            {
                let message = format!(
                    "this user cannot write into {path:?}: {}; a restart during an outage would have no keys",
                    error.kind()
                );
                return Err(findings.error(key, message));
            }
            Ok(Some(path))
        }
    }
}

/// Makes and removes a file, which is the only proof that it can be done on every file system.
fn probe(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".callgate-check-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(path)
}

fn with_snapshots(issuers: PerIssuer<Issuer>, directory: Option<&Path>) -> PerIssuer<Issuer> {
    let keep = |mut issuer: Issuer| {
        issuer.origin.settings.snapshot_dir = directory.map(Path::to_owned);
        issuer
    };
    issuers.into_iter().map(keep).collect()
}
