//! The result for people: a table by class, and what failed.

use std::io::{self, Write};

use super::Report;
use crate::probe::attempt::{Case, Class, Weight};
use crate::probe::judge::Verdict;

/// The cases, one a line, without sending any.
pub(crate) fn list(cases: &[Case], out: &mut impl Write) -> io::Result<()> {
    for case in cases {
        writeln!(out, "{:<10} {:<10} {:<16} {}", case.class.name(), case.weight.name(), case.source, case.what)?;
    }
    writeln!(out, "{} cases; nothing was sent.", cases.len())
}

pub(crate) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}: the good token passes with {}.", report.url, report.status)?;
    writeln!(out)?;
    writeln!(out, "{:<12}{:>8}{:>8}{:>13}", "class", "pass", "fail", "not to tell")?;
    for class in Class::ALL {
        let count = |verdict| report.count(Some(class), verdict);
        let (pass, fail, unknown) = (count(Verdict::Pass), count(Verdict::Fail), count(Verdict::Unknown));
        if pass + fail + unknown > 0 {
            writeln!(out, "{:<12}{pass:>8}{fail:>8}{unknown:>13}", class.name())?;
        }
    }
    let count = |verdict| report.count(None, verdict);
    let (pass, fail, unknown) = (count(Verdict::Pass), count(Verdict::Fail), count(Verdict::Unknown));
    writeln!(out, "{:<12}{pass:>8}{fail:>8}{unknown:>13}", "all")?;
    for (verdict, weight, title) in [
        (Verdict::Fail, Some(Weight::Bypass), "Somebody without a good token gets in, or names himself:"),
        (Verdict::Fail, Some(Weight::Leniency), "Taken, although its standard forbids the form:"),
        (Verdict::Unknown, None, "Not to tell:"),
    ] {
        let wanted = |weight_of: Weight| weight.is_none_or(|weight| weight == weight_of);
        let mut findings =
            report.findings.iter().filter(|it| it.verdict == verdict && wanted(it.case.weight)).peekable();
        if findings.peek().is_some() {
            writeln!(out, "\n{title}")?;
        }
        for finding in findings {
            let case = &finding.case;
            writeln!(out, "  {}: {} ({}): {}", case.class.name(), case.what, case.source, finding.came)?;
        }
    }
    writeln!(out)?;
    if report.is_open {
        writeln!(out, "A request without any token passes: nothing is protected here.")?;
    }
    let (sent, passed) = report.good;
    if passed < sent {
        let missed = sent - passed;
        writeln!(out, "The good token did not pass {missed} of {sent} times in between: the result is not to tell.")?;
    }
    match (fail, passed < sent) {
        (0, false) => writeln!(out, "Nothing got through."),
        (0, true) => Ok(()),
        (fail, _) => writeln!(out, "{fail} cases got through."),
    }
}
