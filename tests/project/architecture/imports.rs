//! Which file of `src` uses which, read off its code: `use` with nested braces, and paths in the code itself. A circle means that
//! none of its files can be understood or tested without the others.

use std::collections::{BTreeMap, BTreeSet};

/// Each module (`keys::jwks` is the file `keys/jwks.rs`) with the modules that it uses.
pub(crate) type Imports = BTreeMap<String, BTreeSet<String>>;

/// Reads the imports off each module's code. `mod x;` is a declaration and no import; other crates do not count.
pub(crate) fn imports(code: &BTreeMap<String, String>) -> Imports {
    let used = |module: &String, text: &String| {
        let tokens = tokens(text);
        let children = children(&tokens);
        let paths = paths(&tokens).into_iter().filter_map(|path| absolute(module, &children, &path));
        let files = paths.filter_map(|path| file(&path, code)).filter(|used| used != module);
        files.collect()
    };
    code.iter().map(|(module, text)| (module.clone(), used(module, text))).collect()
}

/// The groups of modules that use each other (the strongly connected components of more than one module), by Tarjan's algorithm.
pub(crate) fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let mut search =
        Search { imports, index: BTreeMap::new(), low: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for module in imports.keys() {
        if !search.index.contains_key(module.as_str()) {
            search.visit(module);
        }
    }
    search.found
}

struct Search<'i> {
    imports: &'i Imports,
    /// The order of the first visit.
    index: BTreeMap<&'i str, usize>,
    /// The earliest module on the stack that can be reached.
    low: BTreeMap<&'i str, usize>,
    stack: Vec<&'i str>,
    found: Vec<Vec<String>>,
}

impl<'i> Search<'i> {
    fn visit(&mut self, module: &'i str) {
        let index = self.index.len();
        self.index.insert(module, index);
        self.low.insert(module, index);
        self.stack.push(module);
        for used in &self.imports[module] {
            let reached = if !self.index.contains_key(used.as_str()) {
                self.visit(used);
                self.low[used.as_str()]
            } else if self.stack.contains(&used.as_str()) {
                self.index[used.as_str()]
            } else {
                continue;
            };
            let low = self.low[module].min(reached);
            self.low.insert(module, low);
        }
        if self.low[module] == index {
            let start = self.stack.iter().position(|other| *other == module).unwrap();
            let mut circle: Vec<_> = self.stack.split_off(start).into_iter().map(str::to_owned).collect();
            circle.sort();
            if circle.len() > 1 {
                self.found.push(circle);
            }
        }
    }
}

/// Names, `::`, and every other character by itself. Strings are left out.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_name(first) {
            rest.find(|c| !is_name(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else if first == '"' {
            rest = after_string(rest);
            continue;
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        if !token.trim().is_empty() {
            tokens.push(token.to_owned());
        }
        rest = after;
    }
    tokens
}

/// What follows the string that this begins with. A quote as a character (`'"'`) begins none that matters: it ends at the next.
fn after_string(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

fn children(tokens: &[String]) -> BTreeSet<&str> {
    let declared = tokens.windows(3).filter(|window| window[0] == "mod" && window[2] == ";");
    declared.map(|window| window[1].as_str()).collect()
}

/// All paths of more than one name, with what stands in braces written out.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let (mut paths, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let begins = is_name(&tokens[at]) && tokens.get(at + 1).is_some_and(|next| next == "::");
        at = if begins { path(tokens, at, &[], &mut paths) } else { at + 1 };
    }
    paths
}

/// Reads the path that begins here, and returns where it ends.
fn path(tokens: &[String], mut at: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = if tokens[at] == "," { at + 1 } else { self::path(tokens, at, &path, paths) };
                }
                return at + 1;
            }
            Some("self") if !path.is_empty() => at += 1,
            Some(name) if is_name(name) => {
                path.push(name.to_owned());
                at += 1;
            }
            _ => at += 1,
        }
        if tokens.get(at).is_none_or(|next| next != "::") {
            break;
        }
        at += 1;
    }
    if tokens.get(at).is_some_and(|next| next == "as") && !prefix.is_empty() {
        at += 2;
    }
    paths.push(path);
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// A path from the crate's root, if it leads into this crate.
fn absolute(module: &str, children: &BTreeSet<&str>, path: &[String]) -> Option<Vec<String>> {
    let own = || module.split("::").map(str::to_owned).collect::<Vec<_>>();
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([own(), rest.to_vec()].concat()),
        "super" => {
            let ups = path.iter().take_while(|name| *name == "super").count();
            let mut base = own();
            base.truncate(base.len().saturating_sub(ups));
            Some([base, path[ups..].to_vec()].concat())
        }
        child if children.contains(child) => Some([own(), path.to_vec()].concat()),
        _ => None,
    }
}

/// The file that an item is in, as far as its path tells: the longest part of the path that is a file.
fn file(path: &[String], code: &BTreeMap<String, String>) -> Option<String> {
    (1..=path.len()).rev().map(|length| path[..length].join("::")).find(|module| code.contains_key(module))
}

fn graph(files: &[(&str, &str)]) -> Imports {
    imports(&files.iter().map(|(module, code)| ((*module).to_owned(), (*code).to_owned())).collect())
}

#[test]
fn imports_are_seen_however_they_are_written() {
    let files = ["a", "a::b", "a::c", "a::c::d", "e"];
    for (module, code, wanted) in [
        ("a::b", "use super::c::{self, Thing};", &["a::c"][..]),
        ("a::b", "use crate::{a::c::{d::{X as Y, Z}, T}, e};", &["a::c", "a::c::d", "e"]),
        ("a::c::d", "use super::super::b;\nuse super::T;", &["a::b", "a::c"]),
        ("a::b", "fn f() { crate::e::g(\"crate::a::c\"); super::h() }", &["a", "e"]),
        ("a", "mod b;\npub mod c;\npub use c::T;\nfn f() { self::b::g() }", &["a::b", "a::c"]),
        ("a", "mod b;\npub mod c;\nuse std::{c, b::c};", &[]),
        ("e", "use a::b; use tokio::e::{self, a};", &[]),
    ] {
        let mut code: Vec<_> =
            files.iter().filter(|f| **f != module).map(|f| (*f, "")).chain([(module, code)]).collect();
        code.sort_unstable();
        let found: Vec<_> = graph(&code)[module].iter().map(String::clone).collect();
        assert_eq!(found, wanted, "{module}: {code:?}");
    }
}

#[test]
fn circles_are_found_between_siblings_and_between_parent_and_child() {
    let straight = [("a", "mod b; use b::T;"), ("a::b", "use crate::c::T;"), ("c", "")];
    assert!(circles(&graph(&straight)).is_empty());
    let child = [("a", "mod b; use b::T;"), ("a::b", "use super::U;"), ("c", "use crate::a::U;")];
    assert_eq!(circles(&graph(&child)), [["a", "a::b"]]);
    let siblings =
        [("a", "mod b;"), ("a::b", "use super::c::T;"), ("a::c", "use crate::d::T;"), ("d", "use crate::a::b::T;")];
    assert_eq!(circles(&graph(&siblings)), [["a::b", "a::c", "d"]]);
}
