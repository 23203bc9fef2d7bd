//! `make soak`: the real program under mixed traffic for as long as is wanted, while keys rotate, issuers fail, the configuration and
//! the audit's file change, and clients are slow or leave. A model says for each request what must come of it; the audit must hold
//! exactly these records, and memory, descriptors and threads must be at the end what they were before.
//!
//! It ends with 0 if all of that held. `CALLGATE` names the program, `MINUTES` the time, `UPDATE` a directory for the page of results.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool that meets what it does not expect ends and says so"
)]

mod audit; // the records of the rotated files
mod ledger; // what was asked, what had to come, and what came
mod operator; // rotations, outages, reloads, scrapes
mod over_http1; // callers over HTTP/1
mod over_http2; // callers over HTTP/2, and gRPC
mod page; // the result: a table for the terminal, a page with plots
mod plot; // SVG
mod service; // what stands behind the program
mod verdict; // what must hold at the end
mod watch; // memory, descriptors and threads
mod world; // everything that runs

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::verdict::Verdict;
use crate::watch::Watch;
use crate::world::World;

fn main() -> ExitCode {
    let minutes = std::env::var("MINUTES").map_or(3.0, |text| text.parse::<f64>().expect("MINUTES is a number"));
    let binary: PathBuf = std::env::var_os("CALLGATE").expect("CALLGATE names the program").into();
    let world = Arc::new(World::set(&binary));
    println!("soak: {} under mixed traffic for {minutes} minutes.", binary.display());

    let watches: Vec<_> = world.instances.iter().map(Watch::of).collect();
    let operators = start(&world, operator::all());
    let callers = start(&world, over_http1::all().into_iter().chain(over_http2::all()).collect());
    let time = Duration::from_secs_f64(minutes * 60.0);
    for watch in &watches {
        watch.begin(&world, time);
    }
    world.let_pass(time);
    world.end_traffic();
    join(callers);
    world.end_operation();
    join(operators);
    let verdict = Verdict::reach(&world, &watches, time);
    print!("{}", page::terminal(&world, &verdict));
    if let Some(directory) = std::env::var_os("UPDATE").filter(|directory| !directory.is_empty()) {
        page::write(&PathBuf::from(directory), &world, &watches, &verdict, time).expect("the page can be written");
    }
    if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Something that goes on until it is told to end.
type Activity = (String, Box<dyn Fn(&Arc<World>) + Send>);

fn start(world: &Arc<World>, activities: Vec<Activity>) -> Vec<(String, thread::JoinHandle<()>)> {
    let run = |(name, activity): Activity| {
        let world = Arc::clone(world);
        (name, thread::spawn(move || activity(&world)))
    };
    activities.into_iter().map(run).collect()
}

fn join(threads: Vec<(String, thread::JoinHandle<()>)>) {
    for (name, thread) in threads {
        assert!(thread.join().is_ok(), "{name} has ended before its time");
    }
}
