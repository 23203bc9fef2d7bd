//! What one issuer's refresh task and the requests share. The task writes what it does; requests read it, and ask for newer keys.
//! Requests never fetch: however many need a key, there is one fetch, and at most one per cooldown.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::error::{Asked, FetchError};
use super::negative_cache::NegativeCache;
use super::waiting_room::WaitingRoom;
use crate::clock::UnixTime;
use crate::keys::store::KeySlot;

/// What a request learns that asked for fresher keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say what `retry_after` is")]
pub enum Freshness {
    /// The keys are others now, or there are keys now: decide again.
    Changed,
    /// The issuer was asked, and does not answer properly. The next attempt comes after this time.
    Failed { retry_after: Duration },
    /// A refresh is running and does not end within the bound.
    TimedOut,
    /// The next refresh is allowed only after this time, which is beyond the bound. It will then be made.
    TooSoon { retry_after: Duration },
    /// As many requests wait for the issuer's keys as there are places. The next attempt comes after this time.
    RoomFull { retry_after: Duration },
    /// The issuer was asked after the decision, or has lately been asked for this very key: it has no such key, or no other.
    Unchanged,
}

impl Freshness {
    /// The word it is counted under.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Failed { .. } => "failed",
            Self::RoomFull { .. } => "room_full",
            Self::TimedOut => "timed_out",
            Self::TooSoon { .. } => "too_soon",
            Self::Unchanged => "unchanged",
        }
    }
}

/// The shared state of one issuer's refresh.
pub(super) struct SharedRefresh {
    task: watch::Sender<TaskState>,
    /// The start of the latest decision that lacked a key.
    wanted: watch::Sender<Option<Instant>>,
    negative: Mutex<NegativeCache>,
    cooldown: Duration,
    room: WaitingRoom,
}

/// What the task did and will do.
#[derive(Clone, Debug)]
pub(super) struct TaskState {
    /// Refreshes that ended.
    pub attempts: u64,
    pub in_flight: bool,
    /// When the latest refresh that succeeded was started: the keys are at least as new.
    pub confirmed: Option<Instant>,
    /// When the usable keys became others.
    pub changed: Option<Instant>,
    /// How many refreshes failed since the last success, and why the last of them.
    pub failures: u32,
    pub fault: Option<FetchError>,
    /// What the refresh that failed last asked for.
    pub asked: Option<Asked>,
    pub last_success: Option<UnixTime>,
    /// The time of the next refresh that is made in any case.
    pub scheduled: Instant,
    /// The end of the cooldown after the latest refresh that was made for a request.
    pub cooled: Instant,
    /// From when on a refresh is made for a request.
    pub permitted: Instant,
    /// Whether the task was ended: nothing will change any more.
    pub retired: bool,
}

impl TaskState {
    /// Notes that keys of an earlier time serve, before any refresh.
    pub(super) const fn restored(&mut self, confirmed: UnixTime, now: Instant) {
        (self.changed, self.last_success) = (Some(now), Some(confirmed));
    }
}

/// A request for a key set that is newer than a decision.
#[derive(Clone, Copy)]
pub(super) struct KeyRequest<'a> {
    pub kid: Option<&'a str>,
    /// When the decision that lacked a key was begun.
    pub since: Instant,
    pub within: Duration,
    /// The time by which the keys at hand are judged.
    pub now: UnixTime,
}

/// Whether a [`KeyRequest`] has waited already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Comes,
    Waits,
}

/// What to do about a [`KeyRequest`] in a given state.
enum NextMove {
    /// Waiting would change nothing.
    Done(Freshness),
    /// Wait for the next change of the state.
    Wait,
}

impl SharedRefresh {
    pub(super) fn new(cooldown: Duration, room: WaitingRoom, now: Instant) -> Self {
        let state = TaskState {
            attempts: 0,
            in_flight: false,
            confirmed: None,
            changed: None,
            failures: 0,
            fault: None,
            asked: None,
            last_success: None,
            scheduled: now,
            cooled: now,
            permitted: now,
            retired: false,
        };
        Self {
            task: watch::Sender::new(state),
            wanted: watch::Sender::new(None),
            negative: Mutex::default(),
            cooldown,
            room,
        }
    }

    /// The least time between two refreshes that are made for requests.
    pub(super) const fn cooldown(&self) -> Duration {
        self.cooldown
    }

    /// A copy of the state.
    pub(super) fn state(&self) -> TaskState {
        self.task.borrow().clone()
    }

    /// Changes the state, and wakes everybody who waits for that.
    pub(super) fn write(&self, change: impl FnOnce(&mut TaskState)) {
        self.task.send_modify(change);
    }

    /// Returns once there are keys, or a first refresh has ended without.
    pub(super) async fn first_attempt(&self) {
        // It fails only without a sender, and that is in self.
        let _ = self.task.subscribe().wait_for(|state| state.attempts > 0 || state.changed.is_some()).await;
    }

    /// Returns once a request wants keys newer than `since`, and a refresh is permitted.
    pub(super) async fn asked(&self, since: Instant) {
        let _ = self.wanted.subscribe().wait_for(|wanted| wanted.is_some_and(|wanted| wanted > since)).await;
        let permitted = self.task.borrow().permitted;
        tokio::time::sleep_until(permitted).await;
    }

    /// Asks for keys newer than a decision, and waits for them within a bound. A request that ends meanwhile is dropped with this
    /// future, which gives its place back.
    pub(super) async fn fresher(&self, slot: &KeySlot, request: KeyRequest<'_>) -> Freshness {
        let deadline = Instant::now() + request.within;
        let mut states = self.task.subscribe();
        let mut place = None;
        loop {
            let stage = if place.is_none() { Stage::Comes } else { Stage::Waits };
            let step = self.step(&states.borrow_and_update(), slot, request, stage, deadline);
            if let NextMove::Done(freshness) = step {
                return freshness;
            }
            place = place.or_else(|| self.room.enter());
            if place.is_none() {
                let next = states.borrow().scheduled;
                return Freshness::RoomFull { retry_after: next.saturating_duration_since(Instant::now()) };
            }
            // A sender is in self, so the only failure is the deadline's.
            if timeout_at(deadline, states.changed()).await.is_err() {
                return Freshness::TimedOut;
            }
        }
    }

    fn step(
        &self,
        state: &TaskState,
        slot: &KeySlot,
        request: KeyRequest<'_>,
        stage: Stage,
        deadline: Instant,
    ) -> NextMove {
        let since = |moment: Option<Instant>| moment.is_some_and(|moment| moment >= request.since);
        let published = slot.latest();
        let keys = published.as_ref().and_then(|published| published.usable(request.now));
        // Only a change after the decision can help: it was made with whatever keys were there. Without a name, any may.
        let may_help = keys.is_some_and(|keys| request.kid.is_none_or(|kid| keys.named(kid).is_some()));
        if may_help && since(state.changed) {
            return NextMove::Done(Freshness::Changed);
        }

        let now = Instant::now();
        if state.retired {
            return NextMove::Done(Freshness::Failed { retry_after: Duration::ZERO });
        }
        if since(state.confirmed) {
            if let (Some(kid), Some(keys)) = (request.kid, keys)
                && keys.keys().iter().all(|key| key.kid().is_some())
            {
                self.negative(|cache| cache.remember(kid, self.cooldown, now));
            }
            return NextMove::Done(if since(state.changed) { Freshness::Changed } else { Freshness::Unchanged });
        }
        // What was remembered after the request came says nothing about it: a look that began earlier did not settle it.
        if let (Some(kid), Some(_), Stage::Comes) = (request.kid, keys, stage)
            && self.negative(|cache| cache.knows(kid, now))
        {
            return NextMove::Done(Freshness::Unchanged);
        }

        // What is under way may bring the key; only after that is it worth asking for more.
        if state.in_flight {
            return NextMove::Wait;
        }
        self.request_refresh(request.since);
        let next = state.permitted.min(state.scheduled);
        if next < deadline {
            return NextMove::Wait;
        }
        let retry_after = next.saturating_duration_since(now);
        NextMove::Done(match state.failures {
            0 => Freshness::TooSoon { retry_after },
            _ => Freshness::Failed { retry_after },
        })
    }

    fn request_refresh(&self, since: Instant) {
        self.wanted.send_if_modified(|wanted| {
            let is_later = wanted.is_none_or(|wanted| wanted < since);
            if is_later {
                *wanted = Some(since);
            }
            is_later
        });
    }

    /// It is consistent after every operation, so a poisoned lock does no harm.
    fn negative<T>(&self, operation: impl FnOnce(&mut NegativeCache) -> T) -> T {
        operation(&mut self.negative.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
