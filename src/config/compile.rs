//! The rules: from what was written to what it means. Every rule looks at one part, reports what is wrong there, and goes on,
//! so that all findings come at once. Only a file without any error becomes a [`Compiled`].

use std::path::Path;

use super::file::File;
use super::path::KeyPath;
use super::settings::{Compiled, Log};

mod address;
mod caller;
mod edge;
mod findings;
mod issuer;
mod keys;
mod limits;
mod public;
mod unit;

pub use findings::Findings;

/// Compiles a file. Paths in it are relative to `base`. `None` if there is an error among the findings.
pub fn compile(file: File, base: &Path, findings: &mut Findings<'_, '_>) -> Option<Compiled> {
    let root = KeyPath::root();
    let listen = address::listen(&file.listen, &root.key("listen"), findings);
    let tls = edge::tls(file.listen.tls.as_ref(), &root.key("listen").key("tls"), base, findings);
    let upstream = address::upstream(&file.upstream, &root.key("upstream"), findings);
    let admin = address::admin(&file.admin, &root.key("admin"), findings);
    address::differ(listen, admin, upstream.as_ref(), findings);
    let issuers = issuer::issuers(file.issuers, &root.key("issuers"), base, findings);
    let forward_token = file.caller.forward_token;
    let caller = caller::caller(file.caller, &root.key("caller"), findings);
    let public = public::routes(file.public, &root.key("public"), findings);
    let forwarding = edge::forwarding(&file.forwarding, &root.key("forwarding"), findings);
    let limits = limits::limits(&file.limits, &root.key("limits"), findings);
    let shutdown = limits::shutdown(&file.shutdown, &root.key("shutdown"), findings);
    Some(Compiled {
        listen: listen?,
        tls: tls?,
        upstream: upstream?,
        admin: admin?,
        issuers: issuers?,
        caller: caller?,
        forward_token,
        public: public?,
        forwarding: forwarding?,
        limits: limits?,
        log: Log { level: file.log.level, format: file.log.format },
        shutdown: shutdown?,
        warnings: Vec::new(),
    })
}
