//! What is refused and what is only reported. Whatever is only reported is a warning.

use super::Findings;
use super::public::{self, Listing};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::mode::{Mode, Modes};

/// Compiles the general mode, those of the issuers by name, and the routes that are only reported.
pub fn modes(
    general: file::Mode,
    issuers: Vec<(String, Option<file::Mode>)>,
    routes: Vec<file::ReportRoute>,
    root: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Option<Modes> {
    if general == file::Mode::Report {
        findings.warning(
            &root.key("mode"),
            "nothing is protected: requests that do not pass reach the upstream without a caller's name",
        );
    }
    for (index, (name, mode)) in issuers.iter().enumerate() {
        if *mode == Some(file::Mode::Report) {
            let message = format!("whoever names {name:?} as issuer reaches the upstream, without a caller's name");
            findings.warning(&root.key("issuers").index(index).key("mode"), message);
        }
    }
    let routes = routes.into_iter().map(|route| file::PublicRoute { path: route.path, methods: route.methods });
    let listing = Listing { name: "report", is: "only reported", means: "is only reported and never refused" };
    let routes = public::list(routes.collect(), &root.key("report"), &listing, findings);
    let issuers = issuers.into_iter().map(|(name, mode)| (name, mode.map(meant))).collect();
    Some(Modes::new(meant(general), issuers, routes?))
}

const fn meant(written: file::Mode) -> Mode {
    match written {
        file::Mode::Enforce => Mode::Enforce,
        file::Mode::Report => Mode::Report,
    }
}
