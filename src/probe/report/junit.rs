//! The result in the XML of JUnit, which CI systems show: a suite per class, and what is not to tell is skipped.

use std::io::{self, Write};

use super::Report;
use crate::probe::attempt::Class;
use crate::probe::judge::Verdict;

pub(crate) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="callgate probe {}">"#, escaped(&report.url))?;
    for class in Class::ALL {
        let findings: Vec<_> = report.findings.iter().filter(|finding| finding.case.class == class).collect();
        if findings.is_empty() {
            continue;
        }
        let count = |verdict| report.count(Some(class), verdict);
        let (name, tests) = (escaped(class.name()), findings.len());
        let (failures, skipped) = (count(Verdict::Fail), count(Verdict::Unknown));
        writeln!(out, r#"<testsuite name="{name}" tests="{tests}" failures="{failures}" skipped="{skipped}">"#)?;
        for finding in findings {
            let (what, came) = (escaped(&finding.case.what), escaped(&finding.came));
            let source = escaped(finding.case.source);
            write!(out, r#"<testcase classname="{name}" name="{what} ({source})">"#)?;
            match finding.verdict {
                Verdict::Fail => write!(out, r#"<failure type="{}" message="{came}"/>"#, finding.case.weight.name())?,
                Verdict::Unknown => write!(out, r#"<skipped message="{came}"/>"#)?,
                Verdict::Pass => {}
            }
            writeln!(out, "</testcase>")?;
        }
        writeln!(out, "</testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

/// For text and for values of attributes. XML 1.0 has no way to write a control character.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_control() => escaped.push('?'),
            other => escaped.push(other),
        }
    }
    escaped
}
