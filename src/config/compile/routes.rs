//! What is refused, what is only reported, and what needs no token. Every exception is a warning, so that none stands there
//! unnoticed.

use std::collections::BTreeSet;

use super::findings::{Findings, Reported};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::issuers::PerIssuer;
use crate::mode::{Mode, Modes};
use crate::rejection::Disclosure;
use crate::route::{PublicRoute, PublicRoutes};

/// Compiles the general mode, those of the issuers by name, and the routes that are only reported.
pub(super) fn modes(
    general: file::Mode,
    issuers: PerIssuer<(String, Option<file::Mode>)>,
    routes: Vec<file::ReportRoute>,
    root: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Modes, Reported> {
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
    let routes = list(routes.collect(), &root.key("report"), &listing, findings);
    let issuers = issuers.map(|(name, mode)| (name.clone(), mode.map(meant)));
    Ok(Modes::new(meant(general), issuers, routes?))
}

const fn meant(written: file::Mode) -> Mode {
    match written {
        file::Mode::Enforce => Mode::Enforce,
        file::Mode::Report => Mode::Report,
    }
}

pub(super) const fn disclosure(written: file::Refusals) -> Disclosure {
    match written {
        file::Refusals::Full => Disclosure::Full,
        file::Refusals::Reason => Disclosure::Reason,
        file::Refusals::Bare => Disclosure::Bare,
    }
}

pub(super) fn public(
    tables: Vec<file::PublicRoute>,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<PublicRoutes, Reported> {
    let listing = Listing { name: "public", is: "public", means: "reaches the upstream without a token" };
    list(tables, at, &listing, findings)
}

/// What a list of routes is for.
struct Listing {
    /// The name of its table.
    name: &'static str,
    /// What its routes are.
    is: &'static str,
    /// What it means for a request, which should be known.
    means: &'static str,
}

/// The routes of a list.
fn list(
    tables: Vec<file::PublicRoute>,
    at: &KeyPath,
    listing: &Listing,
    findings: &mut Findings<'_, '_>,
) -> Result<PublicRoutes, Reported> {
    let mut seen = BTreeSet::new();
    let mut routes = Vec::new();
    let mut outcome = Ok(());
    for (index, table) in tables.into_iter().enumerate() {
        let at = at.index(index);
        if !seen.insert(table.path.clone()) {
            let (path, name) = (&table.path, listing.name);
            let message = format!("{path:?} is already listed; put all its methods into one [[{name}]]");
            outcome = Err(findings.error(&at.key("path"), message));
        }
        match route(table, &at, listing, findings) {
            Ok(route) => routes.push(route),
            Err(reported) => outcome = Err(reported),
        }
    }
    outcome.map(|()| PublicRoutes::new(routes))
}

fn route(
    table: file::PublicRoute,
    at: &KeyPath,
    listing: &Listing,
    findings: &mut Findings<'_, '_>,
) -> Result<PublicRoute, Reported> {
    let methods = methods(&table.methods, &at.key("methods"), listing, findings);
    let shown = format!("{} {}", table.methods.join(", "), table.path);
    let route = match PublicRoute::new(table.path.clone(), table.methods) {
        Ok(route) => route,
        Err(error) => {
            let message = format!("{:?} cannot be {}: {error}", table.path, listing.is);
            return Err(findings.error(&at.key("path"), message));
        }
    };
    methods?;
    findings.warning(&at.key("path"), format!("{shown} {}", listing.means));
    Ok(route)
}

fn methods(
    methods: &[String],
    key: &KeyPath,
    listing: &Listing,
    findings: &mut Findings<'_, '_>,
) -> Result<(), Reported> {
    if methods.is_empty() {
        return Err(findings.error(key, "must not be empty; name the methods, for example [\"GET\"]"));
    }
    let mut outcome = Ok(());
    for (index, method) in methods.iter().enumerate() {
        let error = match method.as_str() {
            "*" => "is no method; name each method, for example [\"GET\", \"HEAD\"]".to_owned(),
            _ if http::Method::from_bytes(method.as_bytes()).is_err() => "is no method; for example \"GET\"".to_owned(),
            "CONNECT" | "TRACE" => format!("cannot be {}", listing.is),
            _ if methods.iter().take(index).any(|earlier| earlier == method) => "is listed twice".to_owned(),
            _ if method.bytes().any(|byte| byte.is_ascii_lowercase()) => {
                format!("is not in upper case, and methods are case-sensitive; write {:?}", method.to_ascii_uppercase())
            }
            _ => continue,
        };
        outcome = Err(findings.error(&key.index(index), format!("{method:?} {error}")));
    }
    outcome
}
