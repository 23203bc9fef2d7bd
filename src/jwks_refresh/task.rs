//! One issuer's refresh task: it waits for its time or for a request's wish, fetches, and publishes what came. What failed or
//! is not a usable key set never replaces keys that serve. It ends only with its owner.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::error::FetchError;
use super::fetch::{Cause, Fetch, Fetched, Known, Validators};
use super::refresh_log::{RefreshLog, Service};
use super::schedule::{Schedule, chance};
use super::snapshot::{Remembered, Snapshot};
use super::state::RefreshState;
use crate::clock::UnixTime;
use crate::keys::jwks::{KeySetError, Reading};
use crate::keys::source::Source;
use crate::keys::store::Published;
use crate::metrics::keys::IssuerKeyMetrics;

/// The time of day.
pub(super) type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// What one task works with.
pub(super) struct Task<F> {
    pub source: Source,
    pub fetcher: F,
    pub board: Arc<RefreshState>,
    pub schedule: Schedule,
    pub aging: Aging,
    pub clock: Clock,
    pub metrics: IssuerKeyMetrics,
    pub news: RefreshLog,
    /// Where the last good document is kept across restarts.
    pub snapshot: Option<Snapshot>,
    /// The document whose keys are published.
    pub serving: Option<Serving>,
}

/// Whether keys that nobody confirms become stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aging {
    Never,
    StaleAfter(Duration),
}

/// A document that was accepted.
pub(super) struct Serving {
    pub document: Vec<u8>,
    pub validators: Option<Validators>,
}

/// A refresh that succeeded.
struct Success {
    effect: Effect,
    fresh_for: Option<Duration>,
    keys: usize,
}

/// What a refresh did to the keys that requests can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Changed,
    Unchanged,
}

impl Effect {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

impl<F: Fetch> Task<F> {
    /// Refreshes for ever.
    pub async fn run(mut self) {
        self.restore().await;
        let mut cause = Cause::Schedule;
        loop {
            let started = Instant::now();
            self.refresh(cause, started).await;
            let scheduled = self.board.state().scheduled;
            cause = tokio::select! {
                () = sleep_until(scheduled) => Cause::Schedule,
                () = self.board.asked(started) => Cause::Request,
            };
        }
    }

    /// Publishes the keys of the snapshot, if there is one that is fit to serve, until fresher ones come.
    async fn restore(&mut self) {
        let (Some(snapshot), Aging::StaleAfter(limit)) = (&self.snapshot, self.aging) else { return };
        let remembered = match snapshot.load((self.clock)(), limit).await {
            Ok(Some(remembered)) => remembered,
            Ok(None) => return,
            Err(flaw) => return self.news.snapshot_unusable(&flaw),
        };
        let Remembered { document, confirmed } = remembered;
        match self.publish(Serving { document, validators: None }, confirmed) {
            Ok((_, keys)) => {
                self.board.write(|state| (state.changed, state.last_success) = (Some(Instant::now()), Some(confirmed)));
                self.news.restored(confirmed, keys);
            }
            Err(fault) => self.news.snapshot_unusable(&fault),
        }
    }

    async fn refresh(&mut self, cause: Cause, started: Instant) {
        self.board.write(|state| state.in_flight = true);
        let known = self.serving.as_ref().map(Serving::known);
        let fetched = timeout(self.source.origin.settings.timeout, self.fetcher.fetch(cause, known)).await;
        let now = (self.clock)();
        let answer = fetched.unwrap_or_else(|_| {
            self.fetcher.forget();
            Err(FetchError::Timeout)
        });
        let taken = answer.and_then(|answer| self.take(answer, now));
        match taken {
            Ok(success) => {
                self.succeed(cause, started, now, &success);
                self.remember(now).await;
            }
            Err(fault) => self.fail(cause, started, now, fault),
        }
    }

    /// Publishes the keys of an answer, if it has usable ones.
    fn take(&mut self, answer: Fetched, now: UnixTime) -> Result<Success, FetchError> {
        let (serving, fresh_for) = match answer {
            Fetched::Document { document, validators, fresh_for } => (Serving { document, validators }, fresh_for),
            // Only a server that was not asked for it says this about nothing.
            Fetched::NotModified { fresh_for } => (self.serving.take().ok_or(FetchError::Status(304))?, fresh_for),
        };
        let (effect, keys) = self.publish(serving, now)?;
        Ok(Success { effect, fresh_for, keys })
    }

    /// Publishes the keys of a document that the issuer confirmed at this time, if it has usable ones. Returns how many.
    fn publish(&mut self, serving: Serving, confirmed: UnixTime) -> Result<(Effect, usize), FetchError> {
        let reading = Reading::parse_for(self.source.origin.usage, &serving.document, &self.source.origin.algorithms);
        match &reading {
            Ok(Reading { left_out, .. }) | Err(KeySetError::NoKeys(left_out)) => self.news.left_out(left_out),
            Err(KeySetError::NotAKeySet) => {}
        }
        let keys = reading.map_err(FetchError::Document)?.keys;

        let previous = self.source.slot.latest();
        let was_usable = previous.as_ref().is_some_and(|previous| previous.usable(confirmed).is_some());
        let is_same = self.serving.as_ref().is_none_or(|previous| previous.document == serving.document);
        let effect = if was_usable && is_same { Effect::Unchanged } else { Effect::Changed };
        self.news.rotation(previous.as_ref().map(|previous| previous.keys.as_ref()), &keys);
        let stale = match self.aging {
            Aging::Never => UnixTime::MAX,
            Aging::StaleAfter(limit) => confirmed.plus(limit),
        };
        let count = keys.keys().len();
        self.source.slot.publish(Published { keys: keys.into(), confirmed, stale });
        self.serving = Some(serving);
        Ok((effect, count))
    }

    /// Keeps the document for the next start.
    async fn remember(&mut self, now: UnixTime) {
        if let (Some(snapshot), Some(serving)) = (&mut self.snapshot, &self.serving)
            && let Err(flaw) = snapshot.save(&serving.document, now).await
        {
            self.news.snapshot_unwritten(&flaw);
        }
    }

    fn succeed(&mut self, cause: Cause, started: Instant, now: UnixTime, success: &Success) {
        let wait = self.schedule.after_success(success.fresh_for, chance());
        let cooled = started + self.board.cooldown();
        let ended = Instant::now();
        self.board.write(|state| {
            state.attempts += 1;
            state.in_flight = false;
            state.confirmed = Some(started);
            if success.effect == Effect::Changed {
                state.changed = Some(ended);
            }
            (state.failures, state.fault) = (0, None);
            state.last_success = Some(now);
            state.scheduled = ended + wait;
            if cause == Cause::Request {
                state.cooled = cooled;
            }
            state.permitted = state.cooled;
        });
        self.news.success();
        self.metrics.succeeded(success.effect.as_str(), success.keys, now, now.plus(wait));
    }

    fn fail(&mut self, cause: Cause, started: Instant, now: UnixTime, fault: FetchError) {
        let failures = self.board.state().failures.saturating_add(1);
        let wait = self.schedule.after_failure(failures, chance());
        let cooled = started + self.board.cooldown();
        let scheduled = Instant::now() + wait;
        self.metrics.failed(fault.class(), now.plus(wait));
        let published = self.source.slot.latest();
        let is_usable = published.as_ref().is_some_and(|published| published.usable(now).is_some());
        self.news.failure(&fault, if is_usable { Service::Up } else { Service::Down }, wait);
        self.board.write(|state| {
            state.attempts += 1;
            state.in_flight = false;
            (state.failures, state.fault) = (failures, Some(fault));
            state.scheduled = scheduled;
            if cause == Cause::Request {
                state.cooled = cooled;
            }
            // An issuer in trouble is left alone until its next turn, whoever asks.
            state.permitted = state.cooled.max(scheduled);
        });
    }
}

impl Serving {
    const fn known(&self) -> Known<'_> {
        Known { document: self.document.as_slice(), validators: self.validators.as_ref() }
    }
}
