//! Turns: those who have much to say without having proven who they are go on one after another, and only when nothing else is to
//! be done. Without it a hundred connections that flood us would stand in front of each request at each of its steps.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::task::yield_now;

/// Those who wait for their turn, in the order in which they came.
#[derive(Default)]
pub(super) struct Turns(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<oneshot::Sender<()>>,
    /// Whether a task gives out turns.
    is_served: bool,
}

impl Turns {
    /// The end of the queue. Who no longer wants the turn drops it.
    pub(super) fn next(self: &Arc<Self>) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut queue = self.queue();
        queue.waiting.push_back(sender);
        if !queue.is_served {
            queue.is_served = true;
            tokio::spawn(Arc::clone(self).give());
        }
        receiver
    }

    /// Gives out turns until nobody waits.
    async fn give(self: Arc<Self>) {
        while let Some(turn) = self.first() {
            // A task that yields goes on when its thread has nothing else to do, and has looked for what has come.
            yield_now().await;
            // Who no longer waits needs none.
            let _ = turn.send(());
        }
    }

    fn first(&self) -> Option<oneshot::Sender<()>> {
        let mut queue = self.queue();
        let first = queue.waiting.pop_front();
        queue.is_served = first.is_some();
        first
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_come_one_after_another_in_order_and_not_before_other_work() {
        let turns = Arc::new(Turns::default());
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        let gone = turns.next();
        for name in ["first", "second"] {
            let (turn, done) = (turns.next(), Arc::clone(&done));
            tasks.spawn(async move {
                turn.await.unwrap();
                done.lock().unwrap().push(name);
            });
        }
        drop(gone);
        let work = Arc::clone(&done);
        tasks.spawn(async move { work.lock().unwrap().push("work") });
        tasks.join_all().await;
        assert_eq!(*done.lock().unwrap(), ["work", "first", "second"]);
        assert!(!turns.queue().is_served || turns.queue().waiting.is_empty());
        turns.next().await.expect("who comes later is served too");
    }
}
