//! What is counted about requests that are only reported: who would be refused, why, since when. The claimed callers are
//! not verified: they are short, cleaned, and only the first so many have a time series of their own.

use prometheus::core::Collector as _;
use prometheus::{IntCounterVec, IntGaugeVec};

use super::bounded::Bounded;
use super::registrar::Registrar;
use super::series::{NONE, OTHER, label, whole};
use crate::clock::UnixTime;
use crate::mode::ReportScope;
use crate::rejection::Reason;
use crate::status::WouldReject;

/// The metrics of the mode `report`.
pub struct ReportMetrics {
    requests: IntCounterVec,
    first: IntGaugeVec,
    last: IntGaugeVec,
    scopes: IntGaugeVec,
    /// Combinations of claimed caller, reason and issuer that have time series of their own.
    known: Bounded<(String, Reason, String)>,
}

impl ReportMetrics {
    pub(super) fn register(registrar: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests: registrar.counters(
                "callgate_would_reject_total",
                "Requests that were forwarded and would be refused, by the caller that their token claims (unverified).",
                &LABELS,
            )?,
            first: registrar.gauges(
                "callgate_would_reject_first_timestamp_seconds",
                "When such a request was first seen.",
                &LABELS,
            )?,
            last: registrar.gauges(
                "callgate_would_reject_last_timestamp_seconds",
                "When such a request was last seen.",
                &LABELS,
            )?,
            scopes: registrar.gauges(
                "callgate_report_only",
                "1 for each part of the traffic that is only reported and never refused: all, an issuer, or a path.",
                &["scope", "name"],
            )?,
            known: Bounded::new(KNOWN_MAX),
        })
    }

    /// From now on exactly this is only reported. That nothing is, is said too.
    pub fn scopes(&self, scopes: &[ReportScope]) {
        self.scopes.reset();
        self.scopes.with_label_values(&["all", ""]).set(0);
        for scope in scopes {
            self.scopes.with_label_values(&[scope.kind, &scope.name]).set(1);
        }
    }

    /// Counts a request that would be refused. `claimed` is cleaned and short; the issuer is a configured one.
    pub fn would_reject(&self, claimed: Option<&str>, reason: Reason, issuer: Option<&str>, now: UnixTime) {
        let (claimed, issuer) = (claimed.unwrap_or(NONE), issuer.unwrap_or(NONE));
        let is_known = self.known.admits(&(claimed.to_owned(), reason, issuer.to_owned()));
        let labels = [if is_known { claimed } else { OTHER }, reason.as_str(), issuer];
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.requests.with_label_values(&labels).inc();
        self.last.with_label_values(&labels).set(now);
        let first = self.first.with_label_values(&labels);
        if first.get() == 0 {
            first.set(now);
        }
    }

    /// All that was counted, by kind.
    #[must_use]
    pub fn kinds(&self) -> Vec<WouldReject> {
        let families = self.requests.collect();
        let kind = |series| {
            let [claimed_caller, reason, issuer] = LABELS.map(|name| label(series, name));
            let at = |times: &IntGaugeVec| {
                let time = times.with_label_values(&[claimed_caller, reason, issuer]).get();
                UnixTime::from_secs(time.unsigned_abs())
            };
            WouldReject {
                claimed_caller: claimed_caller.to_owned(),
                reason: reason.to_owned(),
                issuer: issuer.to_owned(),
                requests: whole(series.get_counter().get_value()),
                first: at(&self.first),
                last: at(&self.last),
            }
        };
        families.iter().flat_map(|family| family.get_metric()).map(kind).collect()
    }
}

/// What makes a kind.
const LABELS: [&str; 3] = ["claimed_caller", "reason", "issuer"];

/// How many combinations have time series of their own, three each.
const KNOWN_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn those_who_would_be_refused_are_known_by_name_up_to_a_bound() {
        let registry = Registry::new();
        let report = ReportMetrics::register(&Registrar(&registry)).unwrap();
        let now = UnixTime::from_secs(1000);
        for n in 0..KNOWN_MAX + 50 {
            report.would_reject(Some(&format!("caller-{n}")), Reason::TokenExpired, Some("a"), now);
        }
        let later = now.plus(std::time::Duration::from_secs(5));
        report.would_reject(Some("caller-0"), Reason::TokenExpired, Some("a"), later);
        let count = |caller: &str| report.requests.with_label_values(&[caller, "token_expired", "a"]).get();
        assert_eq!((count("caller-0"), count("other")), (2, 50));
        assert_eq!(report.first.with_label_values(&["caller-0", "token_expired", "a"]).get(), 1000);
        assert_eq!(report.last.with_label_values(&["caller-0", "token_expired", "a"]).get(), 1005);
        let kinds = report.kinds();
        assert_eq!(kinds.len(), KNOWN_MAX + 1);
        let first = kinds.iter().find(|kind| kind.claimed_caller == "caller-0").unwrap();
        assert_eq!((first.requests, first.first, first.last), (2, now, later));
    }
}
