//! What an instance holds of the machine, as the kernel tells it: memory, open descriptors, threads.

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::operator::sample;
use crate::world::{Instance, World};

/// What an instance holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Held {
    /// Since the beginning.
    pub(crate) at: Duration,
    /// Resident memory in KiB.
    pub(crate) resident: u64,
    /// Of that, what belongs to no file.
    pub(crate) anonymous: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    /// Tasks of its runtime.
    pub(crate) tasks: f64,
}

/// An instance that is looked at from time to time.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) name: &'static str,
    process: i32,
    admin: SocketAddr,
    /// Before the traffic.
    pub(crate) first: Held,
    samples: Arc<Mutex<Vec<Held>>>,
}

impl Watch {
    pub(crate) fn of(instance: &Instance) -> Self {
        let process = instance.sidecar.process().pid().as_raw();
        let mut watch = Self {
            name: instance.name,
            process,
            admin: instance.sidecar.admin(),
            first: Held::default(),
            samples: Arc::default(),
        };
        watch.first = watch.look(Instant::now());
        watch
    }

    /// Looks at it about 700 times while the traffic goes on.
    pub(crate) fn begin(&self, world: &Arc<World>, time: Duration) {
        let (watch, world) = (self.clone(), Arc::clone(world));
        thread::spawn(move || {
            while world.goes_on() {
                let held = watch.look(world.began);
                watch.samples.lock().unwrap_or_else(PoisonError::into_inner).push(held);
                world.let_pass((time / 700).max(Duration::from_millis(500)));
            }
        });
    }

    /// What it holds now.
    pub(crate) fn look(&self, began: Instant) -> Held {
        let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", self.process)).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        let (memory, status) = (read("smaps_rollup"), read("status"));
        let descriptors =
            fs::read_dir(format!("/proc/{}/fd", self.process)).map_or(0, |entries| entries.count() as u64);
        Held {
            at: began.elapsed(),
            resident: field(&memory, "Rss:"),
            anonymous: field(&memory, "Anonymous:"),
            descriptors,
            threads: field(&status, "Threads:"),
            tasks: sample(self.admin, "callgate_tasks "),
        }
    }

    pub(crate) fn samples(&self) -> Vec<Held> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
