//! The requests that need no token. Every one of them is a warning, so that none stands there unnoticed.

use std::collections::BTreeSet;

use super::Findings;
use crate::config::file;
use crate::config::path::KeyPath;
use crate::route::{PublicRoute, PublicRoutes};

pub fn routes(tables: Vec<file::PublicRoute>, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<PublicRoutes> {
    let mut seen = BTreeSet::new();
    let mut routes = Vec::new();
    let mut sound = true;
    for (index, table) in tables.into_iter().enumerate() {
        let at = at.index(index);
        if !seen.insert(table.path.clone()) {
            let message = format!("{:?} is already listed; put all its methods into one [[public]]", table.path);
            findings.error::<()>(&at.key("path"), message);
        }
        let route = route(table, &at, findings);
        sound &= route.is_some();
        routes.extend(route);
    }
    sound.then(|| PublicRoutes::new(routes))
}

fn route(table: file::PublicRoute, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<PublicRoute> {
    let methods = methods(&table.methods, &at.key("methods"), findings);
    let shown = format!("{} {}", table.methods.join(", "), table.path);
    let route = match PublicRoute::new(table.path.clone(), table.methods) {
        Ok(route) => route,
        Err(fault) => return findings.error(&at.key("path"), format!("{:?} cannot be public: {fault}", table.path)),
    };
    methods?;
    findings.warning(&at.key("path"), format!("{shown} reaches the upstream without a token"));
    Some(route)
}

fn methods(methods: &[String], key: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<()> {
    if methods.is_empty() {
        return findings.error(key, "must not be empty; name the methods, for example [\"GET\"]");
    }
    let mut sound = Some(());
    for (index, method) in methods.iter().enumerate() {
        let fault = match method.as_str() {
            _ if http::Method::from_bytes(method.as_bytes()).is_err() => "is no method; for example \"GET\"".to_owned(),
            "CONNECT" | "TRACE" => "cannot be public".to_owned(),
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
