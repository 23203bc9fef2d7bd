//! The rules of the source tree: which module may use which, and where each crate may be named. They are read off the text
//! of `src`, so that a reviewer of the core needs to read nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

mod imports;

/// Each module with the modules that it may use. A module may always use its own parts. Order: from the vocabulary outwards.
const MAY_USE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("confirmation", &[]),
    ("request", &["confirmation", "http1"]),
    ("rejection", &[]),
    ("algorithm", &[]),
    ("client_certificate", &["confirmation", "http1", "request"]),
    ("forwarding", &["http1"]),
    ("issuers", &[]),
    ("limits", &[]),
    ("requirement", &["algorithm", "confirmation", "rejection"]),
    ("token", &["rejection", "request"]),
    ("route", &["request"]),
    ("http1", &["rejection"]),
    ("json", &["rejection"]),
    ("jwt", &["algorithm", "clock", "confirmation", "issuers", "json", "rejection", "requirement"]),
    ("identity", &["http1", "json", "jwt", "rejection"]),
    ("keys", &["algorithm", "clock", "confirmation", "json", "jwt"]),
    // The list is core; the watcher of its file is an edge and has a rule of its own below.
    ("revocation", &["clock", "json"]),
    (
        "authenticator",
        &[
            "algorithm",
            "clock",
            "confirmation",
            "identity",
            "issuers",
            "json",
            "jwt",
            "keys",
            "proof",
            "rejection",
            "request",
            "requirement",
            "revocation",
            "route",
            "token",
        ],
    ),
    (
        "explain",
        &["authenticator", "clock", "json", "jwt", "keys", "proof", "rejection", "request", "requirement", "token"],
    ),
    ("mode", &["issuers", "request", "route"]),
    ("proof", &["algorithm", "clock", "confirmation", "json", "jwt", "keys", "rejection", "request"]),
    ("protected_resource", &["algorithm", "request", "requirement"]),
    ("audit", &["clock", "rejection"]),
    ("trace", &[]),
    ("status", &["audit", "clock"]),
    ("metrics", &["audit", "clock", "confirmation", "keys", "mode", "rejection", "status", "trace"]),
    ("file_watcher", &[]),
    ("outage", &[]),
    ("replay_store", &["file_watcher", "metrics", "outage", "proof", "rejection"]),
    ("jwks_refresh", &["algorithm", "clock", "file_watcher", "issuers", "jwt", "keys", "metrics", "rejection"]),
    ("revocation::watcher", &["file_watcher", "metrics", "revocation"]),
    ("upstream", &[]),
    ("downstream", &["http1", "rejection"]),
    (
        "proxy",
        &[
            "algorithm",
            "audit",
            "authenticator",
            "client_certificate",
            "clock",
            "confirmation",
            "downstream",
            "forwarding",
            "http1",
            "identity",
            "issuers",
            "jwks_refresh",
            "limits",
            "metrics",
            "mode",
            "outage",
            "proof",
            "protected_resource",
            "rejection",
            "replay_store",
            "request",
            "status",
            "trace",
            "upstream",
        ],
    ),
    ("admin", &["clock", "http1", "jwks_refresh", "metrics", "replay_store", "status"]),
    (
        "config",
        &[
            "algorithm",
            "authenticator",
            "client_certificate",
            "forwarding",
            "http1",
            "identity",
            "issuers",
            "jwt",
            "keys",
            "limits",
            "mode",
            "proof",
            "protected_resource",
            "rejection",
            "request",
            "requirement",
            "revocation",
            "route",
        ],
    ),
    (
        "server",
        &[
            "admin",
            "audit",
            "authenticator",
            "clock",
            "config",
            "downstream",
            "file_watcher",
            "http1",
            "issuers",
            "jwks_refresh",
            "keys",
            "limits",
            "metrics",
            "mode",
            "proof",
            "protected_resource",
            "proxy",
            "rejection",
            "replay_store",
            "request",
            "revocation",
            "status",
            "trace",
            "upstream",
        ],
    ),
    ("probe", &[]),
    (
        "cli",
        &[
            "algorithm",
            "authenticator",
            "clock",
            "config",
            "confirmation",
            "explain",
            "issuers",
            "jwks_refresh",
            "json",
            "jwt",
            "keys",
            "probe",
            "proof",
            "rejection",
            "request",
            "server",
            "status",
            "token",
        ],
    ),
    ("main", &["cli"]),
];

/// The modules that know no socket, clock, log, file or configuration.
const CORE: &[&str] = &[
    "clock",
    "confirmation",
    "request",
    "rejection",
    "algorithm",
    "client_certificate",
    "forwarding",
    "issuers",
    "limits",
    "requirement",
    "token",
    "route",
    "http1",
    "json",
    "jwt",
    "identity",
    "keys",
    "revocation",
    "mode",
    "proof",
    "protected_resource",
    "authenticator",
];

/// Where a crate may be named. A crate that is not listed may be named nowhere in `src`.
const CRATES: &[(&str, &[&str])] = &[
    ("arc_swap", &["keys", "proxy", "revocation", "server"]),
    ("async_trait", &["downstream", "proxy", "server", "upstream"]),
    ("aws_lc_rs", &["cli", "client_certificate", "jwt", "jwks_refresh", "keys", "probe", "proof", "server"]),
    ("base64", &["authenticator", "client_certificate", "jwt", "keys", "probe", "proof", "replay_store"]),
    ("bytes", &["jwks_refresh", "downstream", "proxy", "server"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("fastrand", &["jwks_refresh", "replay_store"]),
    ("futures_core", &["downstream"]),
    ("getrandom", &["server"]),
    ("h2", &["downstream", "proxy", "server"]),
    ("http", &["admin", "config", "jwks_refresh", "downstream", "proxy", "server"]),
    ("httpdate", &["jwks_refresh"]),
    ("ipnet", &["client_certificate", "config"]),
    ("jsonwebtoken", &["jwt"]),
    ("nix", &["proxy", "server"]),
    ("pingora", &["downstream", "proxy", "server", "upstream"]),
    ("prometheus", &["audit", "cli", "metrics", "jwks_refresh", "server", "trace"]),
    ("prost", &["jwks_refresh"]),
    ("quick_cache", &["authenticator"]),
    ("redis", &["replay_store"]),
    ("reqwest", &["cli", "jwks_refresh", "server", "trace"]),
    ("rustls", &["cli", "config", "keys", "probe", "server", "jwks_refresh", "replay_store"]),
    ("rustls_platform_verifier", &["probe", "replay_store"]),
    ("schemars", &["audit", "config", "status"]),
    ("serde", &["admin", "audit", "config", "json", "keys", "jwks_refresh", "protected_resource", "proxy", "status"]),
    (
        "serde_json",
        &[
            "admin",
            "audit",
            "config",
            "explain",
            "json",
            "keys",
            "jwks_refresh",
            "probe",
            "protected_resource",
            "proxy",
            "cli",
            "status",
            "trace",
        ],
    ),
    ("strsim", &["config"]),
    (
        "thiserror",
        &[
            "cli",
            "config",
            "file_watcher",
            "identity",
            "json",
            "jwt",
            "keys",
            "jwks_refresh",
            "probe",
            "proof",
            "protected_resource",
            "replay_store",
            "requirement",
            "revocation",
            "route",
            "server",
            "trace",
            "revocation::watcher",
            "http1",
        ],
    ),
    ("time", &["clock"]),
    (
        "tokio",
        &[
            "admin",
            "audit",
            "cli",
            "file_watcher",
            "jwks_refresh",
            "downstream",
            "proxy",
            "replay_store",
            "server",
            "trace",
            "revocation::watcher",
            "upstream",
        ],
    ),
    ("tokio_rustls", &["replay_store"]),
    ("toml", &["config"]),
    ("tonic", &["jwks_refresh"]),
    ("tonic_prost", &["jwks_refresh"]),
    ("tracing", &["admin", "audit", "jwks_refresh", "proxy", "replay_store", "server", "trace", "revocation::watcher"]),
    ("tracing_subscriber", &["server"]),
    ("url", &["config", "keys", "probe", "protected_resource", "trace"]),
    ("uuid", &["proxy", "trace"]),
];

/// What the core must not contain, and why.
const BANNED_IN_CORE: &[(&str, &str)] = &[
    ("SystemTime::now", "the time is passed in"),
    ("Instant::now", "the time is passed in"),
    ("std::fs", "the core reads no files"),
    ("std::net", "the core knows no sockets"),
    ("std::env", "the core knows no environment"),
    ("std::thread", "the core starts nothing"),
    ("println!", "the core says nothing"),
];

/// A source file without its tests, comments and strings of documentation.
struct Source {
    path: PathBuf,
    module: String,
    code: String,
}

#[test]
fn modules_use_only_what_the_design_allows_them() {
    let rules: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let allowed = rules
            .get(source.module.as_str())
            .unwrap_or_else(|| panic!("{}: module {} has no rule in MAY_USE", source.path.display(), source.module));
        for used in used_modules(&source.code) {
            if used != source.module && !allowed.contains(&used.as_str()) && source.module != "lib" {
                wrong.push(format!("{} uses crate::{used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the rules of MAY_USE:\n{}", wrong.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let name = |path: &Path| {
        let path = path.strip_prefix(&root).unwrap().with_extension("");
        path.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("::")
    };
    let code = sources().into_iter().map(|source| (name(&source.path), source.code)).collect();
    let found = imports::circles(&imports::imports(&code));
    assert!(found.is_empty(), "these files use each other in a circle: {found:#?}");
}

#[test]
fn crates_are_named_only_where_they_belong() {
    let mut wrong = Vec::new();
    let crates = dependencies();
    for source in sources() {
        for name in &crates {
            if !names_crate(&source.code, name) {
                continue;
            }
            let allowed = CRATES.iter().find(|(listed, _)| listed == name).map_or(&[][..], |(_, places)| places);
            if !allowed.contains(&source.module.as_str()) {
                wrong.push(format!("{} names {name}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the rules of CRATES:\n{}", wrong.join("\n"));
}

#[test]
fn every_dependency_has_its_place() {
    let listed: Vec<_> = CRATES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(dependencies(), listed, "CRATES and [dependencies] of Cargo.toml name the same crates, sorted");
}

#[test]
fn the_core_is_pure() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| CORE.contains(&source.module.as_str())) {
        for (banned, why) in BANNED_IN_CORE {
            if source.code.contains(banned) {
                wrong.push(format!("{} contains {banned}: {why}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_proven_is_read_only_to_be_shown() {
    let readers: BTreeSet<_> = sources()
        .into_iter()
        .filter(|source| source.code.contains(".unproven_claims()"))
        .map(|source| source.module)
        .collect();
    assert_eq!(readers.iter().collect::<Vec<_>>(), ["explain", "identity"]);
}

#[test]
fn what_is_proven_is_made_in_one_place() {
    for (made, place) in [
        ("Verified {", "src/jwt/verify.rs"),
        ("Identity {", "src/identity.rs"),
        ("Possession::of(", "src/proof.rs"),
        ("Claim {", "src/proof/replay.rs"),
        ("unclaimed.settle(", "src/proxy/authenticate.rs"),
    ] {
        for source in sources() {
            let expression = source.code.lines().any(|line| {
                let line = line.trim_start();
                let declares = ["impl", "struct ", "fn ", "for "].iter().any(|word| line.contains(word));
                !declares && has_word(line, made)
            });
            assert!(!expression || source.path.ends_with(place), "{} makes a {made} ... }}", source.path.display());
        }
    }
}

#[test]
fn files_begin_by_saying_what_they_are_for_and_stay_readable() {
    for source in sources() {
        let text = fs::read_to_string(&source.path).unwrap();
        let doc = text.lines().take_while(|line| line.starts_with("//!")).count();
        assert!((1..=8).contains(&doc), "{} opens with {doc} lines of module documentation", source.path.display());
        let lines = source.code.lines().filter(|line| !line.trim().is_empty()).count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines of code; split it", source.path.display());
    }
}

/// What judges a token is read by reviewers first, and whole.
#[test]
fn the_verifier_stays_small_enough_to_be_read_in_one_sitting() {
    let verifier = sources().into_iter().filter(|source| ["jwt", "token"].contains(&source.module.as_str()));
    let lines: usize = verifier.map(|source| source.code.lines().filter(|line| !line.trim().is_empty()).count()).sum();
    assert!((500..VERIFIER_MAX).contains(&lines), "jwt and token have {lines} lines of code");
}

/// `fuzz/core` builds a part of the tree by itself, and only where a nightly toolchain is.
#[test]
fn the_part_that_is_fuzzed_has_all_that_it_uses() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/core");
    let text = fs::read_to_string(core.join("lib.rs")).unwrap();
    let modules: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")).collect();
    let modules: Vec<_> = modules.iter().map(|rest| rest.trim_end_matches([';', '{', ' '])).collect();
    let manifest: toml::Table = fs::read_to_string(core.join("Cargo.toml")).unwrap().parse().unwrap();
    let crates = manifest["dependencies"].as_table().unwrap();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| modules.contains(&source.module.as_str())) {
        let path = source.path.display();
        let absent = used_modules(&source.code).into_iter().filter(|used| !modules.contains(&used.as_str()));
        wrong.extend(absent.map(|used| format!("{path} uses crate::{used}, which fuzz/core/lib.rs lacks")));
        let absent = dependencies().into_iter().filter(|name| names_crate(&source.code, name));
        let absent = absent.filter(|name| !crates.contains_key(name) && !crates.contains_key(&name.replace('_', "-")));
        wrong.extend(absent.map(|name| format!("{path} names {name}, which fuzz/core/Cargo.toml lacks")));
    }
    assert!(modules.len() > 10 && wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 10, "the sources are found");
    files
        .into_iter()
        .filter(|path| !path.ends_with("lib.rs") && !path.iter().any(|part| part == "tests" || part == "tests.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let module = module_of(path.strip_prefix(&root).unwrap());
            Source { code: code_of(&text), module, path }
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The top module of a file; the watcher of the deny-list's file counts as one of its own.
fn module_of(path: &Path) -> String {
    let path = path.with_extension("");
    let mut parts = path.iter().map(|part| part.to_str().unwrap());
    let top = parts.next().unwrap();
    if top == "revocation" && parts.next() == Some("watcher") { "revocation::watcher".into() } else { top.into() }
}

/// The code before the module of its tests, without comments.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn used_modules(code: &str) -> Vec<String> {
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect())
        .filter(|module: &String| !module.is_empty())
        .collect()
}

fn names_crate(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// Whether a line has this text, and not as the end of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// The names under `[dependencies]`, as they are written in code.
fn dependencies() -> Vec<String> {
    let manifest: toml::Table =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap().parse().unwrap();
    let mut names: Vec<_> =
        manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_")).collect();
    names.sort();
    names
}

/// Lines of code in `jwt` and `token` together, less than.
const VERIFIER_MAX: usize = 1000;

/// Lines of code in one file, tests, comments and blank lines aside.
const LINES_MAX: usize = 300;
