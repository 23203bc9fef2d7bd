//! The result as one JSON object.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Report;
use crate::probe::judge::{Finding, Verdict};

pub(crate) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let (sent, passed) = report.good;
    let count = |verdict| report.count(None, verdict);
    let whole = json!({
        "url": report.url,
        "good": {"status": report.status, "sent": sent, "passed": passed},
        "echo": report.shows_echo,
        "http2": report.speaks_http2,
        "open": report.is_open,
        "pass": count(Verdict::Pass),
        "fail": count(Verdict::Fail),
        "not_to_tell": count(Verdict::Unknown),
        "cases": report.findings.iter().map(finding).collect::<Vec<_>>(),
    });
    writeln!(out, "{whole:#}")
}

fn finding(finding: &Finding) -> Value {
    let case = &finding.case;
    json!({
        "class": case.class.name(),
        "what": case.what,
        "source": case.source,
        "weight": case.weight.name(),
        "verdict": finding.verdict.name(),
        "came": finding.came,
    })
}
