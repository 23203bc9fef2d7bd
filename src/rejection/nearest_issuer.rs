//! What a token of an unknown issuer lacks, in words for the developer who sent it: the name that was found, and the trusted one
//! that it was probably meant to be. It decides nothing.

use super::quoted;

/// Why a token that claims to come from `claimed` is not trusted. Each name is compared in one pass: who sends it has shown nothing.
pub fn untrusted<'i>(claimed: &str, trusted: impl Iterator<Item = &'i str>) -> String {
    let found = format!("the token's iss is {}, and no issuer of this name is configured", quoted(claimed));
    let nearest = trusted.filter_map(|name| Some((Difference::between(claimed, name)?, name)));
    match nearest.min_by_key(|(difference, _)| *difference) {
        Some((difference, name)) => format!("{found}; the nearest, {}, differs {}", quoted(name), difference.words()),
        None => found,
    }
}

/// In what alone two names differ; the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    Slash,
    Space,
    Case,
    Scheme,
    Path,
    Host,
}

impl Difference {
    fn between(claimed: &str, name: &str) -> Option<Self> {
        if without_slash(claimed) == without_slash(name) {
            return Some(Self::Slash);
        }
        if claimed.trim() == name {
            return Some(Self::Space);
        }
        if claimed.eq_ignore_ascii_case(name) {
            return Some(Self::Case);
        }
        let ((scheme, found), (wanted_scheme, wanted)) = (claimed.split_once("://")?, name.split_once("://")?);
        if found == wanted {
            return Some(Self::Scheme);
        }
        let ((host, path), (wanted_host, wanted_path)) = (host_and_path(found), host_and_path(wanted));
        match scheme == wanted_scheme && host == wanted_host {
            true => Some(Self::Path),
            false => (path == wanted_path && !path.is_empty()).then_some(Self::Host),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Slash => "by a slash at the end",
            Self::Space => "by white space around it",
            Self::Case => "in upper and lower case",
            Self::Scheme => "in its scheme",
            Self::Path => "in its path",
            Self::Host => "in its host",
        }
    }
}

fn without_slash(name: &str) -> &str {
    name.strip_suffix('/').unwrap_or(name)
}

fn host_and_path(rest: &str) -> (&str, &str) {
    rest.split_once('/').unwrap_or((rest, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUSTED: [&str; 2] = ["https://auth.example/realms/a", "urn:issuer:b"];

    fn said(claimed: &str) -> String {
        untrusted(claimed, TRUSTED.into_iter())
    }

    #[test]
    fn the_nearest_trusted_issuer_is_named_with_the_difference() {
        for (claimed, difference) in [
            ("https://auth.example/realms/a/", "by a slash at the end"),
            (" https://auth.example/realms/a", "by white space around it"),
            ("https://Auth.example/realms/a", "in upper and lower case"),
            ("http://auth.example/realms/a", "in its scheme"),
            ("https://auth.example/realms/b", "in its path"),
            ("https://auth.example", "in its path"),
            ("http://keycloak:8080/realms/a", "in its host"),
        ] {
            let wanted = format!(
                "the token's iss is {}, and no issuer of this name is configured; the nearest, \
                 'https://auth.example/realms/a', differs {difference}",
                quoted(claimed)
            );
            assert_eq!(said(claimed), wanted);
        }
        assert!(said("URN:issuer:b").ends_with("the nearest, 'urn:issuer:b', differs in upper and lower case"));
    }

    #[test]
    fn a_name_that_is_like_none_is_shown_alone() {
        for claimed in ["", "https://eve.example", "https://eve.example/", "b", "https://auth.example.eve.example/"] {
            let wanted = format!("the token's iss is {}, and no issuer of this name is configured", quoted(claimed));
            assert_eq!(said(claimed), wanted);
        }
    }

    #[test]
    fn what_is_shown_is_short_and_clean() {
        let said = said(&format!("https://auth.example/\u{1b}[31m\"{}", "x".repeat(10_000)));
        assert!(said.len() < 300 && said.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"'), "{said}");
    }
}
