//! The verdict about one case, from what came back.

use super::answer::{Answer, End, is_success};
use super::attempt::{Case, Proof, Request};

/// What the good token, and no token, got at the start.
pub(super) struct Baseline {
    pub status: u16,
    /// Whom the service was told when it was asked for an echo, or none if it gives no echo.
    pub echo: Option<Vec<String>>,
    pub speaks_http2: bool,
    /// A request without a token was taken too: nothing is protected here.
    pub is_open: bool,
}

/// Whether a case was withstood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It got through.
    Fail,
    /// What came says nothing.
    Unknown,
    /// It was refused.
    Pass,
}

impl Verdict {
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Unknown => "not to tell",
            Self::Pass => "pass",
        }
    }
}

/// A case with what came of it.
pub struct Finding {
    /// What was sent.
    pub case: Case,
    /// What its answer means.
    pub verdict: Verdict,
    /// The statuses, or how the exchange ended. Nothing else of what came.
    pub came: String,
}

impl Finding {
    pub(super) fn unknown(case: Case, why: String) -> Self {
        Self { case, verdict: Verdict::Unknown, came: why }
    }

    /// A refusal proves nothing while the good token is refused too.
    pub fn doubt(&mut self, why: &str) {
        if self.verdict == Verdict::Pass {
            self.verdict = Verdict::Unknown;
            self.came = format!("{}, but {why}", self.came);
        }
    }
}

/// Judges what came from the target.
pub(super) fn judge(case: Case, answer: &Answer, baseline: &Baseline) -> Finding {
    if let Request::Direct(_) = case.request {
        return judge_direct(case, answer);
    }
    let came = answer.to_string();
    let (verdict, came) = match answer.status() {
        None if answer.end == End::Closed => (Verdict::Pass, came),
        None => (Verdict::Unknown, came),
        Some(status) if is_success(status) => taken(&case.proof, answer, baseline, came),
        Some(404) if case.proof == Proof::TakenElsewhere => (Verdict::Unknown, came),
        Some(status) if is_refusal(status) => (Verdict::Pass, came),
        Some(_) => (Verdict::Unknown, came),
    };
    Finding { case, verdict, came }
}

/// What a success means.
fn taken(proof: &Proof, answer: &Answer, baseline: &Baseline, came: String) -> (Verdict, String) {
    match (proof, &baseline.echo) {
        (Proof::Taken | Proof::TakenElsewhere, _) => (Verdict::Fail, came),
        (Proof::SecondAnswer, _) if answer.statuses.iter().skip(1).any(|status| is_success(*status)) => {
            (Verdict::Fail, came)
        }
        (Proof::SecondAnswer, _) => (Verdict::Unknown, format!("{came}: read in some way")),
        (Proof::Told { .. }, None) => (Verdict::Unknown, format!("{came}, and no --echo-path shows what was told")),
        (Proof::Told { planted, header }, Some(told)) => {
            let body = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
            if body.contains(&planted.to_ascii_lowercase()) {
                return (Verdict::Fail, format!("{came}, and the service was told the planted name"));
            }
            if told_callers(&answer.body, header) != *told {
                return (Verdict::Fail, format!("{came}, and the service was not told its caller"));
            }
            (Verdict::Pass, came)
        }
    }
}

/// Judges what came from the service's own port, which nobody should reach.
fn judge_direct(case: Case, answer: &Answer) -> Finding {
    let came = answer.to_string();
    let verdict = match answer.status() {
        None if answer.is_unreachable() => Verdict::Pass,
        // Another guard stands there.
        Some(401 | 403) => Verdict::Pass,
        Some(_) => Verdict::Fail,
        None => Verdict::Unknown,
    };
    Finding { case, verdict, came }
}

/// Statuses that a proxy gives for what it does not let through. A redirect leads to a login. What 500 to 504 mean nobody knows:
/// the service may have seen the request.
fn is_refusal(status: u16) -> bool {
    matches!(status, 300..=499 | 501 | 505)
}

/// The values that an echo shows for this header, in whatever form it writes a field: `Name: value`, `"name": "value"`.
pub(super) fn told_callers(body: &[u8], header: &str) -> Vec<String> {
    let body = String::from_utf8_lossy(body);
    let (lower, name) = (body.to_ascii_lowercase(), header.to_ascii_lowercase());
    let mut values = Vec::new();
    for (at, _) in lower.match_indices(&name) {
        // Lower case of ASCII keeps every place.
        let Some(after) = body.get(at + name.len()..) else { continue };
        let value = after.trim_start_matches(['"', '\'']);
        let Some(value) = value.trim_start().strip_prefix(':') else { continue };
        let value = value.trim_start().trim_start_matches(['"', '\'', '[']);
        values.push(bounded(value.split(['"', '\'', '\r', '\n', ',']).next().unwrap_or_default().trim()));
    }
    values
}

/// A text within a line of a report: control characters are replaced, and it is cut.
fn bounded(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars().take(200) {
        let shown = if character.is_control() { '?' } else { character };
        line.push(shown);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_shows_the_caller_as_text_and_as_json() {
        let shown = |body: &str| told_callers(body.as_bytes(), "X-Caller-Service");
        assert_eq!(shown("GET / HTTP/1.1\r\nx-caller-service: billing\r\nHost: h"), ["billing"]);
        assert_eq!(shown(r#"{"X-Caller-Service": "billing", "Host": "h"}"#), ["billing"]);
        assert_eq!(shown("Connection: X-Caller-Service\r\n"), Vec::<String>::new());
    }
}
