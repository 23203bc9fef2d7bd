//! What must hold at the end, and whether it does.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::audit::Counted;
use crate::ledger::{Row, Rows};
use crate::operator::sample;
use crate::watch::{Held, Watch};
use crate::world::World;

/// By how much memory may grow after the warm-up, in KiB.
const GROWTH_MAX: i64 = 1024;
/// How many more threads the runtime's pool may get for what may block: as many as there are files to read and clients to make at a time.
const POOL: u64 = 6;
/// How long an instance may take to give back what its clients have held.
const REST: Duration = Duration::from_secs(60);

/// One thing that must hold.
pub(crate) struct Claim {
    pub(crate) what: String,
    pub(crate) found: String,
    pub(crate) holds: bool,
}

/// Everything that must hold.
pub(crate) struct Verdict {
    pub(crate) claims: Vec<Claim>,
    /// Each row with how often it was expected and recorded.
    pub(crate) rows: Vec<(Row, u64, u64)>,
    /// Until when memory may grow.
    pub(crate) warm: Duration,
}

impl Verdict {
    /// Looks at what is left of the traffic, ends the instances and counts their audits.
    pub(crate) fn reach(world: &World, watches: &[Watch], time: Duration) -> Self {
        let warm = if time >= Duration::from_secs(30 * 60) { Duration::from_secs(600) } else { time / 3 };
        let mut claims = Vec::new();
        let mut claim = |what: String, found: String, holds: bool| claims.push(Claim { what, found, holds });

        let (faults, unwanted) = (world.ledger.lock().fault_count, world.arrivals.unwanted());
        claim("wrong answers".into(), faults.to_string(), faults == 0);
        claim(
            "requests that should have been refused and reached the service".into(),
            unwanted.len().to_string(),
            unwanted.is_empty(),
        );

        for (watch, instance) in watches.iter().zip(&world.instances) {
            let name = watch.name;
            let growth = growth(&watch.samples(), warm);
            claim(
                format!("{name}: resident memory grows after {} by less than 1 MiB", minutes(warm)),
                growth.map_or("too few samples".to_owned(), |growth| format!("{growth} KiB")),
                growth.is_some_and(|growth| growth < GROWTH_MAX),
            );
            let threads = watch.first.threads + POOL;
            let left = || {
                let open = ["callgate_connections ", "callgate_requests_in_flight ", "callgate_key_waiting_requests"];
                (watch.look(world.began), open.map(|gauge| sample(instance.sidecar.admin(), gauge)))
            };
            let first = watch.first;
            let is_rest = |(held, open): &(Held, [f64; 3])| {
                held.descriptors <= first.descriptors
                    && held.threads <= threads
                    && held.tasks <= first.tasks
                    && *open == [0.0; 3]
            };
            let end = Instant::now() + REST;
            let mut last = left();
            while !is_rest(&last) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(500));
                last = left();
            }
            let (held, open) = last;
            claim(
                format!(
                    "{name}: after the traffic descriptors and tasks are as before, and there are at most {POOL} more threads"
                ),
                format!(
                    "descriptors {} → {}, tasks {} → {}, threads {} → {}; open connections {}, requests {}, waiting for keys {}",
                    first.descriptors,
                    held.descriptors,
                    first.tasks,
                    held.tasks,
                    first.threads,
                    held.threads,
                    open[0],
                    open[1],
                    open[2]
                ),
                is_rest(&last),
            );
        }

        let mut recorded = Rows::new();
        for instance in &world.instances {
            let name = instance.name;
            // One request less than is in the audit would be one that the metrics do not know.
            let counted = sample(instance.sidecar.admin(), "callgate_requests_total");
            instance.sidecar.terminate();
            let orderly = instance.sidecar.log_where("Callgate has stopped.", |line| line["orderly"] == true).is_some();
            let audit = instance.audit.end().unwrap_or_default();
            let Counted { rows, files, bytes, odd } = audit;
            let count: u64 = rows.values().sum();
            let found = if orderly { "in order" } else { "not in order" };
            claim(format!("{name}: the process ends when it is asked to"), found.to_owned(), orderly);
            claim(
                format!(
                    "{name}: records in {files} files of the audit ({} MiB), and requests in the metrics",
                    bytes >> 20
                ),
                format!("{count} and {counted}, and {} lines that are no records of requests", odd.len()),
                (count as f64 - counted).abs() < 0.5 && odd.is_empty(),
            );
            for (row, count) in rows {
                *recorded.entry(row).or_default() += count;
            }
        }
        let expected = world.ledger.lock().rows.clone();
        let all: BTreeSet<_> = expected.keys().chain(recorded.keys()).cloned().collect();
        let count = |rows: &Rows, row: &Row| rows.get(row).copied().unwrap_or(0);
        let rows: Vec<_> =
            all.into_iter().map(|row| (row.clone(), count(&expected, &row), count(&recorded, &row))).collect();
        let differing = rows.iter().filter(|(_, expected, recorded)| expected != recorded).count();
        let (asked, found): (u64, u64) = (expected.values().sum(), recorded.values().sum());
        claim(
            "requests by kind, decision, reason and status, and their records".into(),
            format!("{asked} and {found}, in {} rows of which {differing} differ", rows.len()),
            differing == 0,
        );
        Self { claims, rows, warm }
    }

    pub(crate) fn holds(&self) -> bool {
        self.claims.iter().all(|claim| claim.holds)
    }
}

/// The median of the last fifth of the time after the warm-up, less that of the first fifth.
fn growth(samples: &[Held], warm: Duration) -> Option<i64> {
    let after: Vec<_> = samples.iter().filter(|held| held.at >= warm).collect();
    let fifth = after.len() / 5;
    let median = |part: &[&Held]| {
        let mut sizes: Vec<_> = part.iter().map(|held| held.resident).collect();
        sizes.sort_unstable();
        sizes.get(sizes.len() / 2).and_then(|size| i64::try_from(*size).ok())
    };
    Some(median(after.get(after.len() - fifth..)?)? - median(after.get(..fifth)?)?)
}

/// A time in words.
pub(crate) fn minutes(time: Duration) -> String {
    let minutes = time.as_secs_f64() / 60.0;
    if (minutes - minutes.round()).abs() < 0.01 {
        format!("{minutes:.0} minutes")
    } else {
        format!("{minutes:.1} minutes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(resident: impl Fn(u64) -> u64) -> Option<i64> {
        let held = |second| Held { at: Duration::from_secs(second), resident: resident(second), ..Held::default() };
        growth(&(0..3600).map(held).collect::<Vec<_>>(), Duration::from_secs(600))
    }

    #[test]
    fn memory_that_goes_on_growing_after_the_warm_up_is_found_and_peaks_are_not() {
        let limit = GROWTH_MAX;
        assert!(run(|second| 20_000 + second).is_some_and(|growth| growth > limit));
        assert_eq!(run(|second| if second < 600 { 20 * second } else { 12_000 }), Some(0));
        assert_eq!(run(|second| if second % 100 == 0 { 90_000 } else { 20_000 }), Some(0));
        assert_eq!(growth(&[], Duration::ZERO), None);
    }
}
