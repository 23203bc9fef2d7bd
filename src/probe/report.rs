//! What a probe found, as text for people and in two forms for machines. No part of a token is in any of them.

pub(super) mod json;
pub(super) mod junit;
pub(super) mod text;

use super::attempt::Class;
use super::judge::{Baseline, Finding, Verdict};
use super::target::Target;

/// The exit code when no case failed.
pub const PASSED: u8 = 0;
/// The exit code when something got through.
pub const FAILED: u8 = 1;
/// The exit code when the result is not to tell: the good token did not pass each time.
pub const NOT_TO_TELL: u8 = 3;
/// A whole probe.
pub(super) struct Report {
    /// Scheme, host and path.
    pub url: String,
    pub status: u16,
    pub shows_echo: bool,
    pub speaks_http2: bool,
    pub is_open: bool,
    /// Good requests sent between the cases and at the end, and those of them that passed.
    pub good: (usize, usize),
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(target: &Target, baseline: &Baseline, good: (usize, usize), findings: Vec<Finding>) -> Self {
        let scheme = if target.is_tls { "https" } else { "http" };
        // A query may hold what is nobody else's business.
        let path = target.path.split('?').next().unwrap_or_default();
        Self {
            url: format!("{scheme}://{}{path}", target.authority),
            status: baseline.status,
            shows_echo: baseline.echo.is_some(),
            speaks_http2: baseline.speaks_http2,
            is_open: baseline.is_open,
            good,
            findings,
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        let (sent, passed) = self.good;
        if self.count(None, Verdict::Fail) > 0 {
            FAILED
        } else if passed < sent || self.count(None, Verdict::Pass) == 0 {
            NOT_TO_TELL
        } else {
            PASSED
        }
    }

    /// How many cases, of one class or of all, have this verdict.
    pub(super) fn count(&self, class: Option<Class>, verdict: Verdict) -> usize {
        let is_wanted =
            |finding: &&Finding| class.is_none_or(|class| finding.case.class == class) && finding.verdict == verdict;
        self.findings.iter().filter(is_wanted).count()
    }
}
