//! The page for people. It is one file without anything from elsewhere, holds no data, and shows what `/status` says: as text, so
//! that a name that looks like markup stays a name.

/// The page.
pub(super) const PAGE: &str = include_str!("page.html");

/// What a browser may do with it: run its own script and style, known by their hashes, and ask this port. A test works the hashes
/// out.
pub(super) const SECURITY: &str = concat!(
    "content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; ",
    "connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'; ",
    "style-src 'sha256-CiDWdhIpcDimwquQ03CPDvDYizY5NEyYTyacZulC5ow='; ",
    "script-src 'sha256-aIZ6eU2DeDOyUtSqW2E4EzjxrebVAKTCDbBTbnk+YNA='\r\n",
    "referrer-policy: no-referrer\r\ncross-origin-resource-policy: same-origin\r\n",
    "cross-origin-opener-policy: same-origin\r\nx-content-type-options: nosniff\r\ncache-control: no-store\r\n",
);

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn the_policy_has_the_hashes_of_the_script_and_the_style_and_there_is_nothing_else_that_runs() {
        for element in ["style", "script"] {
            let (_, rest) = PAGE.split_once(&format!("<{element}>")).unwrap();
            let (content, rest) = rest.split_once(&format!("</{element}>")).unwrap();
            assert!(!rest.contains(&format!("<{element}")), "one {element}");
            let hash = STANDARD.encode(digest(&SHA256, content.as_bytes()));
            let wanted = format!("{element}-src 'sha256-{hash}'");
            assert!(SECURITY.contains(&wanted), "SECURITY of src/admin/page.rs must have {wanted}");
        }
        let markup = PAGE.split_once("<script>").unwrap().0;
        for word in [" on", "style=", "src=", "http", "url(", "@import"] {
            let found = markup.match_indices(word).any(|(at, _)| word != " on" || markup[at..].starts_with(" onc"));
            assert!(!found, "{word}");
        }
    }
}
