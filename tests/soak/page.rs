//! The result: a table for the terminal, and a page with plots.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::ledger::Histogram;
use crate::plot::{self, Line};
use crate::verdict::{Verdict, minutes};
use crate::watch::{Held, Watch};
use crate::world::World;

/// What `make soak` prints.
pub(crate) fn terminal(world: &World, verdict: &Verdict) -> String {
    let mut text = format!("{}\n{}\n{}\n", latencies(world), records(verdict), happened(world));
    for claim in &verdict.claims {
        let mark = if claim.holds { "holds" } else { "DOES NOT HOLD" };
        writeln!(text, "soak: {}: {} ({mark})", claim.what, claim.found).expect("text");
    }
    text
}

/// Something of what an instance holds, with its name.
type Value = (&'static str, fn(&Held) -> f64);

/// Writes `soak.md` and `soak/*.svg` into this directory.
pub(crate) fn write(
    directory: &Path,
    world: &World,
    watches: &[Watch],
    verdict: &Verdict,
    time: Duration,
) -> io::Result<()> {
    let plots = directory.join("soak");
    fs::create_dir_all(&plots)?;
    let lines = |values: &[Value]| -> Vec<Line> {
        let of = |watch: &Watch, (name, value): &Value| Line {
            name: format!("{}: {name}", watch.name),
            points: watch.samples().iter().map(|held| (held.at.as_secs_f64() / 60.0, value(held))).collect(),
        };
        watches.iter().flat_map(|watch| values.iter().map(|value| of(watch, value))).collect()
    };
    let mark = Some((verdict.warm.as_secs_f64() / 60.0, "judged from here"));
    let memory = lines(&[
        ("resident", |held| held.resident as f64 / 1024.0),
        ("anonymous", |held| held.anonymous as f64 / 1024.0),
    ]);
    fs::write(plots.join("memory.svg"), plot::lines("Memory, MiB", &memory, mark))?;
    let held = lines(&[("descriptors", |held| held.descriptors as f64), ("tasks", |held| held.tasks)]);
    fs::write(plots.join("descriptors.svg"), plot::lines("Open descriptors, and tasks", &held, None))?;
    let times = world.ledger.lock().times.clone();
    let rows: Vec<_> = times.iter().map(|(kind, times)| ((*kind).to_owned(), times.shares())).collect();
    fs::write(
        plots.join("latency.svg"),
        plot::histograms("Time to the answer by kind (the share of each kind)", &rows),
    )?;
    fs::write(directory.join("soak.md"), page(world, verdict, time))
}

fn page(world: &World, verdict: &Verdict, time: Duration) -> String {
    let requests: u64 = verdict.rows.iter().map(|(_, expected, _)| expected).sum();
    let claims: String = verdict
        .claims
        .iter()
        .map(|claim| format!("| {} | {} | {} |\n", claim.what, claim.found, if claim.holds { "yes" } else { "**no**" }))
        .collect();
    format!(
        "{}\
         ## The result\n\n\
         {} of traffic, {requests} requests, on {}.\n\n\
         | what | found | holds |\n|---|---|---|\n{claims}\n\
         ![Memory over time](soak/memory.svg)\n\n\
         ![Descriptors and tasks over time](soak/descriptors.svg)\n\n\
         ## Times by kind\n\n\
         Measured by the callers, on the machine that runs everything, in its development build: they are an upper bound. Of streams, \
         upgrades and events it is the time to the head of the answer. `slow`, `late` and `download` are slow by their callers' \
         will, and `refused` waits for a fetch of keys where a token names an unknown one.\n\n\
         {}\n\
         ![Histograms of the times by kind](soak/latency.svg)\n\n\
         ## Requests and their records\n\n\
         How many requests of each row the callers made by the model, and how many records the audit has of it.\n\n\
         {}\n\
         ## What happened meanwhile\n\n\
         {}",
        include_str!("page.md"),
        minutes(time),
        machine(),
        latencies(world),
        records(verdict),
        happened(world),
    )
}

fn latencies(world: &World) -> String {
    let mut text = "| kind | requests | p50 | p90 | p99 | longest |\n|---|--:|--:|--:|--:|--:|\n".to_owned();
    for (kind, times) in &world.ledger.lock().times {
        let at = |share| milliseconds(Histogram::quantile(times, share));
        let (count, longest) = (times.count(), milliseconds(times.longest));
        writeln!(text, "| {kind} | {count} | {} | {} | {} | {longest} |", at(0.5), at(0.9), at(0.99)).expect("text");
    }
    text
}

fn records(verdict: &Verdict) -> String {
    let mut text = "| kind | decision | reason | status | requests | records |\n|---|---|---|--:|--:|--:|\n".to_owned();
    for (row, expected, recorded) in &verdict.rows {
        let (open, close) = if expected == recorded { ("", "") } else { ("**", "**") };
        let reason = if row.reason.is_empty() { "–" } else { &row.reason };
        writeln!(
            text,
            "| {} | {} | {reason} | {} | {expected} | {open}{recorded}{close} |",
            row.kind, row.decision, row.status
        )
        .expect("text");
    }
    text
}

fn happened(world: &World) -> String {
    let mut text = "| what | how often |\n|---|--:|\n".to_owned();
    for (what, count) in &world.ledger.lock().events {
        writeln!(text, "| {what} | {count} |").expect("text");
    }
    text
}

fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 { format!("{milliseconds:.1} ms") } else { format!("{milliseconds:.0} ms") }
}

/// The machine, by what its kernel says.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let information = read("/proc/cpuinfo");
    let model = information.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches(['\t', ' ', ':']).trim();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores ({model}), Linux {}", kernel.trim())
}
