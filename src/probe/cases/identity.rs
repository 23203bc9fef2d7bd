//! The good token beside a header in which the client says itself who it is, under every spelling that backends take for the same.

use crate::probe::attempt::{Case, Class, Proof, Request, Weight, good_line, request};
use crate::probe::target::Target;

/// The name that the service must never be told.
pub(super) const PLANTED: &str = "probe-forged-caller";

pub(super) fn cases(target: &Target) -> Vec<Case> {
    let name = &target.caller_header;
    let mut cases = Vec::new();
    let mut add = |source, what: String, before: &[String], after: &[String]| {
        let good = good_line(target);
        let lines: Vec<_> = before.iter().chain([&good]).chain(after).map(|line| line.as_bytes()).collect();
        let path = target.echo_path.as_deref().unwrap_or(&target.path);
        cases.push(case(target, source, what, request(target, path, &lines)));
    };
    let planted = |name: &str| vec![format!("{name}: {PLANTED}")];
    let spellings = [
        ("as it is", name.clone()),
        ("in small letters", name.to_ascii_lowercase()),
        ("in capitals", name.to_ascii_uppercase()),
        ("with underscores", name.replace('-', "_")),
        ("with underscores, in capitals", name.replace('-', "_").to_ascii_uppercase()),
        ("with the first hyphen as an underscore", name.replacen('-', "_", 1)),
        (
            "with the last hyphen as an underscore",
            name.rsplit_once('-').map_or(name.clone(), |(a, b)| format!("{a}_{b}")),
        ),
    ];
    for (how, spelling) in spellings {
        add("RFC 3875 4.1.18", format!("{how}, before the token"), &planted(&spelling), &[]);
        add("RFC 3875 4.1.18", format!("{how}, behind the token"), &[], &planted(&spelling));
    }
    // PHP's names of variables, and mod_cgi's: read as the same by fewer servers.
    for (what, sign) in
        [("periods", "."), ("plus signs", "+"), ("tildes", "~"), ("exclamation marks", "!"), ("bars", "|")]
    {
        add("own", format!("with {what} for hyphens"), &[], &planted(&name.replace('-', sign)));
    }
    add("RFC 9110 5.3", "twice".into(), &planted(name), &planted(name));
    add("RFC 9110 5.3", "twice, in two spellings".into(), &planted(&name.replace('-', "_")), &planted(name));
    add("RFC 9110 5.3", "in a list".into(), &[], &[format!("{name}: x, {PLANTED}")]);
    add("RFC 9110 5.5", "within white space".into(), &[], &[format!("{name}:\t {PLANTED} \t")]);
    add(
        "RFC 9110 7.6.1",
        "and named in Connection".into(),
        &[],
        &[format!("{name}: {PLANTED}"), format!("Connection: {name}")],
    );
    add("RFC 9110 7.6.1", "only named in Connection".into(), &[], &[format!("Connection: {name}")]);
    add(
        "RFC 9110 7.6.1",
        "only named in Connection, behind close".into(),
        &[],
        &[format!("Connection: close, {name}")],
    );
    for case in &mut cases {
        if case.what.ends_with("for hyphens") {
            case.weight = Weight::Leniency;
        }
    }
    cases
}

fn case(target: &Target, source: &'static str, what: String, request: Request) -> Case {
    let proof = Proof::Told { planted: PLANTED, header: target.caller_header.clone() };
    Case { class: Class::Identity, source, what, weight: Weight::Bypass, request, proof }
}
