//! Faults that a test plants between the product and its world, to see that the model finds them. Each stands where the product ends
//! and does what a faulty product would seem to do, at every fourth occasion only.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::model::NamedKey;

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A key that its issuer withdrew stays in every set that is fetched later.
    StaleKey,
    /// A waiting request misses the first occasion to go on.
    LostWakeUp,
    /// What was accepted is accepted as long as the token's time allows, whatever became of its key.
    CacheOutlivesKey,
    /// The same, whatever became of its issuer.
    CacheOutlivesConfiguration,
    /// A request that waited is not decided again.
    NoSecondLook,
    /// While a request waits, all that come after it do, whichever issuer they need.
    OneQueue,
    /// Every document is asked for twice.
    AskedTwice,
    /// The instance says that it is ready as soon as it runs.
    AlwaysReady,
    /// What the deny-list names passes if it passed before.
    DenyListForgotten,
}

/// The keys that arrive with [`Fault::StaleKey`]: the new ones, and all that came before.
pub(super) fn with_old_keys(arrived: &mut Vec<NamedKey>, keys: &[NamedKey]) -> Vec<NamedKey> {
    let is_replaced = |old: &NamedKey| keys.iter().any(|new| new.kid == old.kid);
    arrived.retain(|old| !is_replaced(old));
    arrived.extend(keys);
    arrived.clone()
}

/// A future whose first wake-up is lost.
pub(super) struct Deaf<F> {
    future: Pin<Box<F>>,
    ear: Arc<Ear>,
}

struct Ear {
    has_missed_one: AtomicBool,
    waker: Mutex<Waker>,
}

impl<F> Deaf<F> {
    pub(super) fn new(future: F) -> Self {
        let ear = Ear { has_missed_one: AtomicBool::new(false), waker: Mutex::new(Waker::noop().clone()) };
        Self { future: Box::pin(future), ear: Arc::new(ear) }
    }
}

impl<F: Future> Future for Deaf<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.ear.waker.lock().expect("a waker").clone_from(context.waker());
        let waker = Waker::from(Arc::clone(&self.ear));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Ear {
    fn wake(self: Arc<Self>) {
        if self.has_missed_one.swap(true, Ordering::SeqCst) {
            self.waker.lock().expect("a waker").wake_by_ref();
        }
    }
}
