//! The rules: from what was written to what it means. Every rule looks at one part, reports what is wrong there, and goes on,
//! so that all findings come at once. Only a file without any error becomes a [`Compiled`].

use std::path::Path;

use super::file::File;
use super::path::KeyPath;
use super::settings::{Compiled, Log, Reload};

mod address;
mod caller;
mod findings;
mod issuer;
mod keys;
mod limits;
mod mode;
mod operation;
mod public;
mod unit;

pub use findings::Findings;

/// Compiles a file. Paths in it are relative to `base`. `None` if there is an error among the findings.
pub fn compile(file: File, base: &Path, findings: &mut Findings<'_, '_>) -> Option<Compiled> {
    let root = KeyPath::root();
    let listen = address::listen(&file.listen, &root.key("listen"), findings);
    let upstream = address::upstream(&file.upstream, &root.key("upstream"), findings);
    let admin = address::admin(&file.admin, &root.key("admin"), findings);
    address::differ(listen, admin, upstream.as_ref(), findings);
    let own_modes: Vec<_> = file.issuers.iter().map(|issuer| (issuer.issuer.clone(), issuer.mode)).collect();
    let modes = mode::modes(file.mode, own_modes, file.report, &root, findings);
    let issuers = issuer::issuers(file.issuers, &root.key("issuers"), base, findings);
    let caller = caller::caller(file.caller, &root.key("caller"), findings);
    let public = public::routes(file.public, &root.key("public"), findings);
    let limits = limits::limits(&file.limits, &root.key("limits"), findings);
    let audit = operation::audit(&file.audit, &root.key("audit"), base, findings);
    let tracing = operation::tracing(&file.tracing, &root.key("tracing"), findings);
    let shutdown = limits::shutdown(&file.shutdown, &root.key("shutdown"), findings);
    Some(Compiled {
        listen: listen?,
        upstream: upstream?,
        admin: admin?,
        issuers: issuers?,
        caller: caller?,
        public: public?,
        modes: modes?,
        limits: limits?,
        audit: audit?,
        tracing: tracing?,
        reload: Reload { watch: file.reload.watch },
        log: Log { level: file.log.level, format: file.log.format },
        shutdown: shutdown?,
        warnings: Vec::new(),
    })
}
