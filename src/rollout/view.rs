//! What the metrics say about refusing: the parts that are only reported, the requests that would be refused, the answer.

use std::fmt;

use super::samples::{Sample, Samples};
use crate::clock::UnixTime;

/// What was learned of one instance.
pub(super) struct View {
    version: String,
    started: UnixTime,
    now: UnixTime,
    since: Option<UnixTime>,
    reported: Vec<String>,
    forwarded: f64,
    public: f64,
    refused: f64,
    kinds: Vec<Kind>,
}

/// Requests that would be refused for the same reason and claim the same caller.
struct Kind {
    claimed: String,
    reason: String,
    issuer: String,
    count: f64,
    first: UnixTime,
    last: UnixTime,
}

/// May refusing begin?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has begun.
    Enforced,
    /// Somebody would be refused.
    NotYet,
    /// No accepted token was seen.
    Unknown,
    Yes,
}

impl View {
    /// Reads what is to be known. Kinds of requests that were last seen before `since` are solved.
    pub(super) fn new(samples: &Samples, now: UnixTime, since: Option<UnixTime>) -> Self {
        let requests = |outcome: &str| -> f64 {
            let all = samples.named("callgate_requests_total");
            all.filter(|sample| sample.label("outcome") == outcome).fold(0.0, |sum, sample| sum + sample.value)
        };
        let reported = samples.named("callgate_report_only").filter(|sample| sample.value > 0.0).map(scope).collect();
        let version = samples.named("callgate_build_info").next();
        let mut kinds: Vec<_> = samples
            .named("callgate_would_reject_total")
            .map(|count| kind(samples, count))
            .filter(|kind| since.is_none_or(|since| kind.last >= since))
            .collect();
        kinds.sort_by(|one, other| other.count.total_cmp(&one.count));
        Self {
            version: version.map_or("", |sample| sample.label("version")).to_owned(),
            started: seconds(samples.value("process_start_time_seconds")),
            now,
            since,
            reported,
            forwarded: requests("forward"),
            public: requests("pass"),
            refused: requests("reject"),
            kinds,
        }
    }

    /// The answer.
    pub(super) fn answer(&self) -> Answer {
        if self.reported.is_empty() {
            Answer::Enforced
        } else if !self.kinds.is_empty() {
            Answer::NotYet
        } else if self.forwarded < 1.0 {
            Answer::Unknown
        } else {
            Answer::Yes
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.now.since(self.started).as_secs() / 3600;
        writeln!(f, "Callgate {}, running since {} ({hours} h).", self.version, self.started)?;
        match self.reported.as_slice() {
            [] => writeln!(f, "Everything is enforced.")?,
            reported => writeln!(f, "Only reported: {}.", reported.join("; "))?,
        }
        let would = self.kinds.iter().fold(0.0, |sum, kind| sum + kind.count);
        writeln!(
            f,
            "Requests: {} with an accepted token, {} to public paths, {} refused, {would} that would be refused.",
            self.forwarded, self.public, self.refused
        )?;
        if let Some(since) = self.since {
            writeln!(f, "Requests that would be refused count if their kind was seen after {since}.")?;
        }
        for kind in &self.kinds {
            let Kind { claimed, reason, issuer, count, first, last } = kind;
            writeln!(f, "{count:>9} × {reason}, caller (unverified): {claimed}, issuer: {issuer}, {first} to {last}")?;
        }
        f.write_str(match self.answer() {
            Answer::Enforced => "Nothing to do: requests that do not pass are already refused.",
            Answer::NotYet => {
                "Not yet: these callers would be refused. Each reason has a paragraph in docs/reasons.md."
            }
            Answer::Unknown => "Not known yet: no request with an accepted token was seen.",
            Answer::Yes => "Yes: nobody would have been refused. Other instances may have seen others; ask them too.",
        })
    }
}

fn kind(samples: &Samples, count: &Sample) -> Kind {
    let labels = ["claimed_caller", "reason", "issuer"];
    let same = |sample: &&Sample| labels.iter().all(|label| sample.label(label) == count.label(label));
    let time = |name: &str| seconds(samples.named(name).find(same).map_or(0.0, |sample| sample.value));
    Kind {
        claimed: count.label("claimed_caller").to_owned(),
        reason: count.label("reason").to_owned(),
        issuer: count.label("issuer").to_owned(),
        count: count.value,
        first: time("callgate_would_reject_first_timestamp_seconds"),
        last: time("callgate_would_reject_last_timestamp_seconds"),
    }
}

fn scope(sample: &Sample) -> String {
    match sample.label("scope") {
        "all" => "all requests".to_owned(),
        "issuer" => format!("tokens that name {}", sample.label("name")),
        _ => sample.label("name").to_owned(),
    }
}

/// A time as Prometheus writes it: seconds, never negative here.
fn seconds(value: f64) -> UnixTime {
    UnixTime::from_secs(format!("{:.0}", value.max(0.0)).parse().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);
    const FORWARDED: &str = "callgate_requests_total{outcome=\"forward\",reason=\"none\",issuer=\"a\"} 90\n";
    const REPORT: &str = "callgate_report_only{scope=\"all\",name=\"\"} 1\n";
    const REFUSED: &str = "callgate_would_reject_total{claimed_caller=\"billing\",reason=\"token_expired\",issuer=\"a\"} 7\n\
        callgate_would_reject_first_timestamp_seconds{claimed_caller=\"billing\",reason=\"token_expired\",issuer=\"a\"} 1767000000\n\
        callgate_would_reject_last_timestamp_seconds{claimed_caller=\"billing\",reason=\"token_expired\",issuer=\"a\"} 1767200000\n";

    fn view(text: &str, hours: Option<u64>) -> View {
        let since = hours.map(|hours| NOW.minus(Duration::from_secs(hours * 3600)));
        View::new(&Samples::parse(text), NOW, since)
    }

    #[test]
    fn refusing_may_begin_when_tokens_pass_and_nobody_would_be_refused() {
        assert_eq!(view(&format!("{REPORT}{FORWARDED}"), None).answer(), Answer::Yes);
        assert_eq!(view(REPORT, None).answer(), Answer::Unknown);
        assert_eq!(view(FORWARDED, None).answer(), Answer::Enforced);
        let refused = view(&format!("{REPORT}{FORWARDED}{REFUSED}"), None);
        assert_eq!(refused.answer(), Answer::NotYet);
        let said = refused.to_string();
        for words in ["7 × token_expired", "billing", "2025-12-29T09:20:00Z to 2025-12-31T16:53:20Z", "Not yet"] {
            assert!(said.contains(words), "{words} in\n{said}");
        }
    }

    #[test]
    fn what_was_last_seen_long_ago_is_solved() {
        let text = format!("{REPORT}{FORWARDED}{REFUSED}");
        assert_eq!(view(&text, Some(6)).answer(), Answer::Yes);
        assert_eq!(view(&text, Some(24)).answer(), Answer::NotYet);
    }
}
