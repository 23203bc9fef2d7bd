//! `docs/reasons.md` says of every reason what the code says, and of nothing else.

use callgate::explain::advice;
use callgate::rejection::Reason;

const PAGE: &str = include_str!("../../docs/reasons.md");

/// The text under the heading of a reason. The heading's anchor is the word itself.
fn paragraph(reason: Reason) -> &'static str {
    let heading = format!("\n### `{reason}`\n");
    let (_, rest) = PAGE.split_once(&heading).unwrap_or_else(|| panic!("{reason} has no paragraph"));
    rest.split("\n##").next().expect("a text")
}

#[test]
fn every_reason_has_a_paragraph_with_its_status_and_its_title() {
    for reason in Reason::ALL {
        let start = format!("**Status {}. {}.**", reason.status(), reason.title());
        assert!(paragraph(reason).starts_with(&start), "{reason} must begin with {start}");
    }
}

#[test]
fn every_paragraph_says_who_fixes_it_and_how() {
    for reason in Reason::ALL {
        let text = paragraph(reason);
        assert!(text.contains("\n**Who:** ") && text.contains(" **How:** "), "{reason}: {text}");
        assert!(!advice(reason).is_empty(), "{reason}");
    }
}

#[test]
fn the_page_has_no_other_reasons() {
    let mut found: Vec<_> = PAGE.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let mut wanted: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}
