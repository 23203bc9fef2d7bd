//! The requests that need no token, and those that are only reported. Every one of them is a warning, so that none stands
//! there unnoticed.

use std::collections::BTreeSet;

use super::Findings;
use crate::config::file;
use crate::config::path::KeyPath;
use crate::route::{PublicRoute, PublicRoutes};

pub fn routes(tables: Vec<file::PublicRoute>, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<PublicRoutes> {
    let listing = Listing { name: "public", is: "public", means: "reaches the upstream without a token" };
    list(tables, at, &listing, findings)
}

/// What a list of routes is for.
pub struct Listing {
    /// The name of its table.
    pub name: &'static str,
    /// What its routes are.
    pub is: &'static str,
    /// What it means for a request, which should be known.
    pub means: &'static str,
}

/// The routes of a list.
pub fn list(
    tables: Vec<file::PublicRoute>,
    at: &KeyPath,
    listing: &Listing,
    findings: &mut Findings<'_, '_>,
) -> Option<PublicRoutes> {
    let mut seen = BTreeSet::new();
    let mut routes = Vec::new();
    let mut sound = true;
    for (index, table) in tables.into_iter().enumerate() {
        let at = at.index(index);
        if !seen.insert(table.path.clone()) {
            let (path, name) = (&table.path, listing.name);
            let message = format!("{path:?} is already listed; put all its methods into one [[{name}]]");
            findings.error::<()>(&at.key("path"), message);
        }
        let route = route(table, &at, listing, findings);
        sound &= route.is_some();
        routes.extend(route);
    }
    sound.then(|| PublicRoutes::new(routes))
}

fn route(
    table: file::PublicRoute,
    at: &KeyPath,
    listing: &Listing,
    findings: &mut Findings<'_, '_>,
) -> Option<PublicRoute> {
    let methods = methods(&table.methods, &at.key("methods"), listing, findings);
    let shown = format!("{} {}", table.methods.join(", "), table.path);
    let route = match PublicRoute::new(table.path.clone(), table.methods) {
        Ok(route) => route,
        Err(fault) => {
            let message = format!("{:?} cannot be {}: {fault}", table.path, listing.is);
            return findings.error(&at.key("path"), message);
        }
    };
    methods?;
    findings.warning(&at.key("path"), format!("{shown} {}", listing.means));
    Some(route)
}

fn methods(methods: &[String], key: &KeyPath, listing: &Listing, findings: &mut Findings<'_, '_>) -> Option<()> {
    if methods.is_empty() {
        return findings.error(key, "must not be empty; name the methods, for example [\"GET\"]");
    }
    let mut sound = Some(());
    for (index, method) in methods.iter().enumerate() {
        let fault = match method.as_str() {
            _ if http::Method::from_bytes(method.as_bytes()).is_err() => "is no method; for example \"GET\"".to_owned(),
            "CONNECT" | "TRACE" => format!("cannot be {}", listing.is),
            _ if methods.iter().take(index).any(|earlier| earlier == method) => "is listed twice".to_owned(),
            _ if method.bytes().any(|byte| byte.is_ascii_lowercase()) => {
                format!("is not in upper case, and methods are case-sensitive; write {:?}", method.to_ascii_uppercase())
            }
            _ => continue,
        };
        sound = findings.error(&key.index(index), format!("{method:?} {fault}"));
    }
    sound
}
