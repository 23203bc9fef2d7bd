//! Public routes: what can be listed means the same to everybody, and only what is listed matches. The input is a listed path and a
//! request's path with a newline between them.
#![no_main]

use callgate::request::{RequestHead, SingletonField};
use callgate::route::{PublicRoute, PublicRoutes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (listed, asked) = text.split_once('\n').unwrap_or((text, text));
    let Ok(route) = PublicRoute::new(listed.into(), vec!["GET".into()]) else { return };
    let routes = PublicRoutes::new(vec![route]);
    let is_public = |method, path| {
        routes.contains(&RequestHead {
            method,
            path: Some(path),
            authorization: SingletonField::Absent,
            proof: SingletonField::Absent,
            certificate: None,
            fields: None,
        })
    };
    let stem = listed.strip_suffix('*');
    assert!(plain(stem.unwrap_or(listed)) && stem != Some("/"));
    assert!(!is_public("POST", asked) && !is_public("get", asked));
    let expected = match stem {
        None => asked == listed,
        Some(stem) => asked.starts_with(stem) && asked != stem && plain(asked),
    };
    assert_eq!(is_public("GET", asked), expected);
});

/// Whether a path is the same to who resolves it (a browser's reader, which resolves and escapes), decodes it, or folds it.
fn plain(path: &str) -> bool {
    let resolved = url::Url::parse(&format!("http://host{path}"));
    path.starts_with('/')
        && resolved.is_ok_and(|resolved| resolved.path() == path && resolved.query().is_none())
        && !path.contains("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"%;?#\\\"<>[]^`{|},".contains(&byte))
}
