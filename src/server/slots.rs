//! The places for connections. When all are taken and one more connection comes, the one that has waited longest for a request
//! makes room, those that never carried a proven caller first. Otherwise a few thousand silent connections would keep everybody
//! else out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pingora::server::ShutdownWatch;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout;

use super::turns::Turns;
use crate::downstream::stream_info::ConnectionSlot;

/// The places of one listener.
pub struct Slots {
    permits: Arc<Semaphore>,
    limit: usize,
    open: IntGauge,
    /// Connections that had to make room.
    evicted: IntCounter,
    epoch: Instant,
    table: Mutex<Table>,
    /// The bytes of unfinished heads that all connections keep.
    head_bytes: AtomicUsize,
    /// Of the connections without a proven caller that have much to read.
    turns: Arc<Turns>,
}

#[derive(Default)]
struct Table {
    next: u64,
    entries: HashMap<u64, Arc<Entry>>,
    /// Connections that waited when they were last looked for, the one to go first at the end.
    candidates: Vec<Candidate>,
    is_stopping: bool,
}

/// What is known of an open connection.
struct Entry {
    /// Milliseconds after the epoch, and one; 0 if it does not wait for a request, or [`CUT`]. Every connection begins by waiting.
    waits_since: AtomicU64,
    /// Whether it has carried a request of a proven caller.
    is_proven: AtomicBool,
    /// The bytes of an unfinished head.
    head_bytes: AtomicUsize,
    stop: watch::Sender<bool>,
    /// The connection is to be dropped as it is.
    cut: Notify,
}

struct Candidate {
    id: u64,
    waits_since: u64,
}

/// An open connection: it takes a place until it is dropped.
pub struct Slot {
    id: u64,
    entry: Arc<Entry>,
    slots: Arc<Slots>,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// Room for that many connections, which are counted in `open`.
    pub fn new(limit: usize, open: IntGauge, evicted: IntCounter) -> Self {
        let permits = Arc::new(Semaphore::new(limit));
        Self {
            permits,
            limit,
            open,
            evicted,
            epoch: Instant::now(),
            table: Mutex::default(),
            head_bytes: AtomicUsize::new(0),
            turns: Arc::default(),
        }
    }

    /// A place, if one is free.
    pub fn try_take(self: &Arc<Self>) -> Option<Slot> {
        Arc::clone(&self.permits).try_acquire_owned().ok().map(|permit| self.register(permit))
    }

    /// A place, as soon as there is one. Connections that wait for a request make room.
    pub async fn take(self: &Arc<Self>) -> Slot {
        loop {
            if let Some(slot) = self.try_take() {
                return slot;
            }
            self.make_room();
            if let Ok(Ok(permit)) = timeout(LOOK, Arc::clone(&self.permits).acquire_owned()).await {
                return self.register(permit);
            }
        }
    }

    /// Asks every connection to end, those to come as well.
    pub fn stop(&self) {
        let mut table = self.table();
        table.is_stopping = true;
        for entry in table.entries.values() {
            entry.stop.send_replace(true);
        }
    }

    /// Returns when no connection is left.
    pub async fn empty(&self) {
        // It fails only if the semaphore is closed, which nobody does.
        let _ = self.permits.acquire_many(u32::try_from(self.limit).unwrap_or(u32::MAX)).await;
    }

    /// The number of connections that are open.
    pub fn open(&self) -> usize {
        self.table().entries.len()
    }

    /// Asks the connection to end that has waited longest.
    fn make_room(&self) {
        let mut table = self.table();
        if table.candidates.is_empty() {
            table.candidates = table.candidates();
        }
        while let Some(Candidate { id, waits_since }) = table.candidates.pop() {
            if let Some(entry) = table.entries.get(&id)
                && entry.waits_since.load(Ordering::Relaxed) == waits_since
                && !entry.stop.send_replace(true)
            {
                self.evicted.inc();
                return;
            }
        }
    }

    /// Cuts off the connections that have waited longest for the end of a head, until there is some room again for others.
    fn cut_heads(&self) {
        let table = self.table();
        for (_, waits_since, id) in table.waiting(|entry| entry.head_bytes.load(Ordering::Relaxed) > 0) {
            if self.head_bytes.load(Ordering::Relaxed) <= HEAD_BUDGET / 4 * 3 {
                return;
            }
            if let Some(entry) = table.entries.get(&id)
                && entry.waits_since.compare_exchange(waits_since, CUT, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            {
                self.head_bytes.fetch_sub(entry.head_bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
                self.evicted.inc();
                entry.cut.notify_one();
            }
        }
    }

    fn register(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Slot {
        self.open.inc();
        let mut table = self.table();
        let entry = Arc::new(Entry {
            waits_since: AtomicU64::new(self.now()),
            is_proven: AtomicBool::new(false),
            head_bytes: AtomicUsize::new(0),
            cut: Notify::new(),
            stop: watch::Sender::new(table.is_stopping),
        });
        let id = table.next;
        table.next += 1;
        table.entries.insert(id, Arc::clone(&entry));
        drop(table);
        Slot { id, entry, slots: Arc::clone(self), _permit: permit }
    }

    /// The time, as entries have it.
    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The connections that wait, were not asked to end, and are wanted: whether each is of a proven caller, since when it waits, and
    /// its number. The one to go first comes first.
    fn waiting(&self, is_wanted: impl Fn(&Entry) -> bool) -> Vec<(bool, u64, u64)> {
        let mut waiting: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| !*entry.stop.borrow() && is_wanted(entry))
            .map(|(id, entry)| {
                (entry.is_proven.load(Ordering::Relaxed), entry.waits_since.load(Ordering::Relaxed), *id)
            })
            .filter(|(_, waits_since, _)| !matches!(*waits_since, 0 | CUT))
            .collect();
        waiting.sort_unstable();
        waiting
    }

    /// Some of the connections that wait, the one to go first at the end. One search serves many newcomers: there may be as many
    /// connections as the limit says.
    fn candidates(&self) -> Vec<Candidate> {
        let mut waiting = self.waiting(|_| true);
        // While there are others, those of proven callers are not even found: the list may be used much later.
        let unproven = waiting.iter().take_while(|(is_proven, _, _)| !is_proven).count();
        waiting.truncate(if unproven > 0 { unproven.min(CANDIDATES) } else { CANDIDATES });
        waiting.into_iter().rev().map(|(_, waits_since, id)| Candidate { id, waits_since }).collect()
    }
}

impl Slot {
    /// Tells when the connection has to end: because the process does, or to make room.
    pub fn stopped(&self) -> ShutdownWatch {
        self.entry.stop.subscribe()
    }

    /// Waits until the connection is to be dropped as it is, because of the head that it has begun and not ended.
    pub async fn cut(&self) {
        self.entry.cut.notified().await;
    }

    fn set_head_bytes(&self, bytes: usize) -> usize {
        let before = self.entry.head_bytes.swap(bytes, Ordering::Relaxed);
        let total = &self.slots.head_bytes;
        if bytes > before {
            let grown = bytes - before;
            return total.fetch_add(grown, Ordering::Relaxed) + grown;
        }
        total.fetch_sub(before - bytes, Ordering::Relaxed)
    }
}

impl ConnectionSlot for Slot {
    fn begin_waiting(&self) {
        // One that waits already goes on waiting.
        let _ = self.entry.waits_since.compare_exchange(0, self.slots.now(), Ordering::Relaxed, Ordering::Relaxed);
    }

    fn head_grows(&self, bytes: usize) {
        if self.set_head_bytes(bytes) > HEAD_BUDGET {
            self.slots.cut_heads();
        }
    }

    fn end_waiting(&self) -> bool {
        if self.entry.head_bytes.load(Ordering::Relaxed) > 0 {
            self.set_head_bytes(0);
        }
        self.entry.waits_since.swap(0, Ordering::Relaxed) != CUT
    }

    fn caller_proven(&self) {
        self.entry.is_proven.store(true, Ordering::Relaxed);
    }

    fn next_turn(&self) -> Option<oneshot::Receiver<()>> {
        (!self.entry.is_proven.load(Ordering::Relaxed)).then(|| self.slots.turns.next())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.set_head_bytes(0);
        self.slots.open.dec();
        self.slots.table().entries.remove(&self.id);
    }
}

/// The bytes of unfinished heads that all connections together may keep. A buffer may be twice as large as what is in it.
const HEAD_BUDGET: usize = 8 * 1024 * 1024;

/// In the place of a time: the connection is cut off.
const CUT: u64 = u64::MAX;

/// How long a connection that was asked to end is waited for before another one is asked.
const LOOK: Duration = Duration::from_millis(100);

/// How many connections one search finds.
const CANDIDATES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(limit: usize) -> Arc<Slots> {
        let evicted = IntCounter::new("evicted", "connections").unwrap();
        Arc::new(Slots::new(limit, IntGauge::new("open", "connections").unwrap(), evicted))
    }

    /// So many connections that wait, each a little longer than the next.
    fn waiting(slots: &Arc<Slots>, count: u64) -> Vec<Slot> {
        let waits = |number| {
            let slot = slots.try_take().expect("there is room");
            slot.entry.waits_since.store(number, Ordering::Relaxed);
            slot
        };
        (1..=count).map(waits).collect()
    }

    fn is_stopped(slot: &Slot) -> bool {
        *slot.stopped().borrow()
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_takes_the_place_of_the_connection_that_has_waited_longest() {
        let slots = slots(3);
        let mut open = waiting(&slots, 3);
        let newcomer = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.take().await }
        });
        let mut stopped = open[0].stopped();
        stopped.wait_for(|stopped| *stopped).await.unwrap();
        assert!(!is_stopped(&open[1]) && !is_stopped(&open[2]));
        drop(open.remove(0));
        let _newcomer = newcomer.await.unwrap();
        assert_eq!((slots.evicted.get(), slots.open.get()), (1, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn connections_of_proven_callers_go_last_and_those_with_a_request_stay() {
        let slots = slots(3);
        let open = waiting(&slots, 3);
        open[0].caller_proven();
        assert!(open[1].end_waiting());
        let newcomer = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.take().await }
        });
        // One is asked after the other, as none of them goes.
        open[2].stopped().wait_for(|stopped| *stopped).await.unwrap();
        assert!(!is_stopped(&open[0]));
        open[0].stopped().wait_for(|stopped| *stopped).await.unwrap();
        tokio::time::sleep(LOOK * 20).await;
        assert!(!is_stopped(&open[1]) && !newcomer.is_finished());
        drop(open);
        newcomer.await.unwrap();
    }

    #[tokio::test]
    async fn only_connections_without_a_proven_caller_read_in_turns() {
        let slots = slots(2);
        let open = waiting(&slots, 2);
        open[0].caller_proven();
        assert!(open[0].next_turn().is_none());
        open[1].next_turn().expect("nothing is proven on it").await.unwrap();
    }

    #[test]
    fn nobody_makes_room_while_there_is_some() {
        let slots = slots(4);
        let open = waiting(&slots, 3);
        let _newcomer = slots.try_take().unwrap();
        assert!(open.iter().all(|slot| !is_stopped(slot)));
        assert!(slots.try_take().is_none());
    }

    #[test]
    fn unfinished_heads_beyond_the_budget_cost_those_that_have_waited_longest() {
        let slots = slots(100);
        let open = waiting(&slots, 10);
        open[0].caller_proven();
        let tenth = HEAD_BUDGET / 10;
        for slot in &open {
            slot.head_grows(tenth);
        }
        assert_eq!(slots.evicted.get(), 0);
        open[9].head_grows(2 * tenth);
        let is_cut = |slot: &Slot| slot.entry.waits_since.load(Ordering::Relaxed) == CUT;
        let cut: Vec<_> = open.iter().map(is_cut).collect();
        assert_eq!(cut, [false, true, true, true, true, false, false, false, false, false]);
        assert!(!open[1].end_waiting() && open[0].end_waiting() && open[9].end_waiting());
        let left = slots.head_bytes.load(Ordering::Relaxed);
        assert_eq!(left, 4 * tenth, "of 5 to 8");
        drop(open);
        assert_eq!(slots.head_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_stop_reaches_the_connections_that_are_open_and_those_that_still_come() {
        let slots = slots(2);
        let open = slots.try_take().unwrap();
        slots.stop();
        assert!(is_stopped(&open) && is_stopped(&slots.try_take().unwrap()));
    }
}
