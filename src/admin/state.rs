//! The status of this instance, put together when somebody asks for it.

use std::time::SystemTime;

use crate::clock::UnixTime;
use crate::jwks_refresh::JwksRefresher;
use crate::metrics::Metrics;
use crate::metrics::callers::CALLERS_MAX;
use crate::replay_store::StoreStatus;
use crate::status::{
    Board, Configuration, Enforcement, INTERVAL, InForce, Issuer, Limit, ReplayStore, Requests, State, Status, VERSION,
};

/// What there is to say now.
pub(super) fn status(
    board: &Board,
    metrics: &Metrics,
    keys: &JwksRefresher,
    cache_bytes: u64,
    is_stopping: bool,
) -> Status {
    let in_force = board.in_force();
    let total = metrics.outcomes();
    Status {
        callgate: env!("CARGO_PKG_VERSION").to_owned(),
        version: VERSION,
        time: UnixTime::from(SystemTime::now()),
        started: board.started,
        state: match (is_stopping, keys.is_ready()) {
            (true, _) => State::Stopping,
            (false, true) => State::Ready,
            (false, false) => State::NotReady,
        },
        service: in_force.service.clone(),
        enforcement: Enforcement::new(in_force.reported.clone(), metrics.report.kinds(), total.forward),
        issuers: issuers(&in_force, metrics, keys),
        requests: Requests { total, interval_seconds: INTERVAL.as_secs(), intervals: board.traffic.intervals(total) },
        replay_store: None,
        without_token: board.without_token.all(),
        refusals: board.refusals.all(),
        limits: limits(&in_force, metrics, cache_bytes),
        configuration: Configuration {
            file: in_force.file.clone(),
            since: in_force.since,
            warnings: in_force.warnings.clone(),
            last_reload: board.last_reload(),
        },
    }
}

/// What is said of the store of proofs.
pub(super) fn replay_store(status: StoreStatus) -> ReplayStore {
    let StoreStatus { address, answers, detail } = status;
    ReplayStore { address, answers, detail }
}

fn issuers(in_force: &InForce, metrics: &Metrics, keys: &JwksRefresher) -> Vec<Issuer> {
    let mut issuers = in_force.issuers.clone();
    let mut statuses = keys.status();
    for issuer in &mut issuers {
        let tokens = issuer.bound_tokens.take();
        issuer.bound_tokens = tokens.map(|tokens| metrics.bindings.issuer(&issuer.issuer).add_to(tokens));
        // The two are swapped one after the other, so for a moment one may know an issuer that the other does not.
        let Some(at) = statuses.iter().position(|status| status.issuer == issuer.issuer) else { continue };
        let status = statuses.swap_remove(at);
        issuer.detail = status.detail();
        issuer.ready = status.ready;
        issuer.keys = status.kids;
        issuer.age_seconds = status.age.map(|age| age.as_secs());
        issuer.next_refresh_seconds = status.next_refresh.map(|next| next.as_secs());
        issuer.failures = status.failures;
    }
    issuers
}

fn limits(in_force: &InForce, metrics: &Metrics, cache_bytes: u64) -> Vec<Limit> {
    let limit = |name: &'static str, key: Option<&'static str>, used: u64, limit: u64| {
        let (name, key) = (name.into(), key.map(Into::into));
        Limit { name, key, used, limit }
    };
    let gauge = |value: i64| u64::try_from(value).unwrap_or_default();
    let callers = metrics.callers.known();
    vec![
        limit(
            "Requests in progress",
            Some("limits.requests"),
            gauge(metrics.in_flight().get()),
            gauge(metrics.requests_limit().get()),
        ),
        limit(
            "Client connections",
            Some("limits.connections"),
            gauge(metrics.connections().get()),
            gauge(metrics.connections_limit().get()),
        ),
        limit("Bytes of remembered tokens", Some("cache.size"), cache_bytes, in_force.cache),
        limit(
            "Audit records that wait",
            Some("audit.queue"),
            gauge(metrics.audit().queued.get()),
            in_force.audit_queue,
        ),
        limit("Callers counted by name", None, callers as u64, CALLERS_MAX as u64),
    ]
}
