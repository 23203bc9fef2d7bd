//! What accepted tokens are bound to, for each issuer whose tokens may be bound to something, and who still sends tokens that are
//! bound to nothing: whether they may be refused. Callers are anybody's words, though proven ones, so the first so many of each
//! issuer are counted by name and all others together.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::callers::CALLERS_MAX;
use super::registrar::Registrar;
use super::series::{NONE, OTHER};
use crate::clock::UnixTime;
use crate::confirmation::Confirmation;
use crate::status::{BoundTokens, UnboundCaller};

/// The metrics of what tokens are bound to.
pub struct BindingMetrics {
    series: Series,
    /// Those of each issuer, for as long as the process runs.
    issuers: Mutex<HashMap<String, Arc<IssuerBindings>>>,
}

/// Those of one issuer.
pub struct IssuerBindings {
    issuer: String,
    certificates: IntCounter,
    keys: IntCounter,
    workloads: IntCounter,
    unbound: IntCounter,
    /// Of tokens that are bound to nothing.
    callers: RwLock<BTreeMap<String, CallerSeries>>,
    series: Series,
}

#[derive(Clone)]
struct Series {
    accepted: IntCounterVec,
    unbound: IntCounterVec,
    last: IntGaugeVec,
}

#[derive(Clone)]
struct CallerSeries {
    requests: IntCounter,
    last: IntGauge,
}

impl BindingMetrics {
    pub(super) fn register(registrar: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let series = Series {
            accepted: registrar.counters(
                "callgate_token_bindings_total",
                "Forwarded requests by issuer and what their token is bound to (certificate, dpop, wimse, none), for issuers with a binding.",
                &["issuer", "binding"],
            )?,
            unbound: registrar.counters(
                "callgate_unbound_requests_total",
                "Forwarded requests with a token that is bound to nothing, by issuer and caller, for issuers with a binding.",
                &CALLER_LABELS,
            )?,
            last: registrar.gauges(
                "callgate_unbound_last_timestamp_seconds",
                "When such a request was last seen.",
                &CALLER_LABELS,
            )?,
        };
        Ok(Self { series, issuers: Mutex::default() })
    }

    /// Those of a configured issuer, the same at each call.
    #[must_use]
    pub fn issuer(&self, issuer: &str) -> Arc<IssuerBindings> {
        // The map is whole after every operation, so a poisoned lock is as good as another.
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(IssuerBindings::new(issuer, self.series.clone()));
        Arc::clone(issuers.entry(issuer.to_owned()).or_insert_with(new))
    }
}

impl IssuerBindings {
    fn new(issuer: &str, series: Series) -> Self {
        let accepted = |binding: &str| series.accepted.with_label_values(&[issuer, binding]);
        Self {
            issuer: issuer.to_owned(),
            certificates: accepted(CERTIFICATE),
            keys: accepted(DPOP),
            workloads: accepted(WIMSE),
            unbound: accepted(NONE),
            callers: RwLock::default(),
            series,
        }
    }

    /// Counts a forwarded request of a proven caller, by what its token is bound to.
    pub fn count(&self, confirmation: Option<&Confirmation>, caller: &str, now: impl FnOnce() -> UnixTime) {
        match confirmation {
            Some(Confirmation::Certificate(_)) => self.certificates.inc(),
            Some(Confirmation::DpopKey(_)) => self.keys.inc(),
            Some(Confirmation::WorkloadKey(_)) => self.workloads.inc(),
            None => {
                self.unbound.inc();
                self.count_caller(caller, now());
            }
        }
    }

    fn count_caller(&self, caller: &str, now: UnixTime) {
        // The map is whole after every operation, so a poisoned lock is as good as another.
        if let Some(series) = self.callers.read().unwrap_or_else(PoisonError::into_inner).get(caller) {
            return series.count(now);
        }
        let mut callers = self.callers.write().unwrap_or_else(PoisonError::into_inner);
        let name = if callers.len() < CALLERS_MAX { caller } else { OTHER };
        callers.entry(name.to_owned()).or_insert_with(|| self.series.of(&self.issuer, name)).count(now);
    }

    /// What was counted, added to what the configuration says.
    #[must_use]
    pub fn add_to(&self, tokens: BoundTokens) -> BoundTokens {
        let callers = self.callers.read().unwrap_or_else(PoisonError::into_inner);
        let unbound = callers.iter().map(|(caller, series)| UnboundCaller {
            caller: caller.clone(),
            requests: series.requests.get(),
            last: UnixTime::from_secs(series.last.get().unsigned_abs()),
        });
        let bound = [(CERTIFICATE, &self.certificates), (DPOP, &self.keys), (WIMSE, &self.workloads)];
        let bound = bound.map(|(binding, counter)| (binding.to_owned(), counter.get()));
        // What is experimental is told of where it is in use.
        let bound = bound.into_iter().filter(|(binding, requests)| binding != WIMSE || *requests > 0);
        tokens.counted(bound.collect(), self.unbound.get(), unbound.collect())
    }
}

impl Series {
    fn of(&self, issuer: &str, caller: &str) -> CallerSeries {
        let labels = [issuer, caller];
        CallerSeries { requests: self.unbound.with_label_values(&labels), last: self.last.with_label_values(&labels) }
    }
}

impl CallerSeries {
    fn count(&self, now: UnixTime) {
        self.requests.inc();
        self.last.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    }
}

const CERTIFICATE: &str = "certificate";
const DPOP: &str = "dpop";
const WIMSE: &str = "wimse";

const CALLER_LABELS: [&str; 2] = ["issuer", "caller"];

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::confirmation::{CertificateHash, KeyThumbprint};
    use crate::status::Answer;

    const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);

    fn metrics() -> BindingMetrics {
        BindingMetrics::register(&Registrar(&Registry::new())).unwrap()
    }

    #[test]
    fn each_issuers_tokens_are_counted_by_what_they_are_bound_to() {
        let metrics = metrics();
        let issuer = metrics.issuer("a");
        let (certificate, key) =
            (Confirmation::Certificate(CertificateHash([1; 32])), Confirmation::DpopKey(KeyThumbprint([2; 32])));
        for confirmation in [Some(&certificate), Some(&key), Some(&key), None] {
            issuer.count(confirmation, "billing", || NOW);
        }
        let told = metrics.issuer("a").add_to(BoundTokens::new(false));
        assert_eq!(told.bound, BTreeMap::from([("certificate".to_owned(), 1), ("dpop".to_owned(), 2)]));
        let billing = UnboundCaller { caller: "billing".to_owned(), requests: 1, last: NOW };
        assert_eq!((told.unbound, told.unbound_callers), (1, vec![billing]));
        assert_eq!(told.answer, Answer::NotYet);
        issuer.count(Some(&Confirmation::WorkloadKey(KeyThumbprint([3; 32]))), "billing", || NOW);
        assert_eq!(issuer.add_to(BoundTokens::new(false)).bound["wimse"], 1);
        let another = metrics.issuer("b").add_to(BoundTokens::new(false));
        assert_eq!((another.unbound, another.unbound_callers, another.answer), (0, vec![], Answer::Unknown));
    }

    #[test]
    fn callers_are_known_by_name_up_to_a_bound_that_a_reload_does_not_renew() {
        let metrics = metrics();
        for n in 0..CALLERS_MAX + 50 {
            metrics.issuer("a").count(None, &format!("caller-{n}"), || NOW);
        }
        let later = NOW.plus(std::time::Duration::from_secs(5));
        metrics.issuer("a").count(None, "caller-0", || later);
        let told = metrics.issuer("a").add_to(BoundTokens::new(false));
        assert_eq!(told.unbound_callers.len(), CALLERS_MAX + 1);
        let of = |name: &str| {
            let found = told.unbound_callers.iter().find(|it| it.caller == name).unwrap();
            (found.requests, found.last)
        };
        assert_eq!((of("other"), of("caller-0")), ((50, NOW), (2, later)));
    }
}
