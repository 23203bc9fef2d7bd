//! Worlds with bad days: the real key tasks, authenticator, cache, deny-list and reload, with a clock and a network that a seed
//! plays, and a model beside them that says at each step whether a promise of docs/keys.md is broken. `make simulate` plays thousands;
//! a seed that fails plays the same again with `make simulate SEED=n`, which prints what happened.

mod faults;
mod model;
mod network;
mod sidecar;
mod stage;
mod tokens;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use faults::Fault;
use model::{Broken, Promise};
use world::{Outcome, Tally, play};

/// Plays worlds on all processors, until one breaks a promise, or this one. Returns the lowest seed that did among those played,
/// and what happened in all.
fn search(seeds: u64, fault: Option<Fault>, wanted: Option<Promise>) -> (Option<(u64, Broken)>, Tally) {
    let next = AtomicU64::new(0);
    let found: Mutex<Option<(u64, Broken)>> = Mutex::default();
    let total = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds || found.lock().expect("a result").is_some() {
                        return;
                    }
                    let Outcome { broken, tally, .. } = play(seed, fault, false);
                    let mut total = total.lock().expect("a tally");
                    total.requests += tally.requests;
                    total.events += tally.events;
                    total.virtual_time += tally.virtual_time;
                    let mut found = found.lock().expect("a result");
                    if let Some(broken) = broken
                        && wanted.is_none_or(|wanted| wanted == broken.promise)
                        && found.as_ref().is_none_or(|(first, _)| seed < *first)
                    {
                        *found = Some((seed, broken));
                    }
                }
            });
        }
    });
    (found.into_inner().expect("a result"), total.into_inner().expect("a tally"))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().expect("a number"))
}

/// `SEEDS` says how many; `SEED` plays one and prints all that happens.
#[test]
fn no_world_breaks_a_promise() {
    if let Some(seed) = number("SEED") {
        let Outcome { broken, log, .. } = play(seed, None, true);
        println!("{}", log.join("\n"));
        assert!(broken.is_none(), "seed {seed}: {}", broken.expect("it is there"));
        return;
    }
    let begun = Instant::now();
    let seeds = number("SEEDS").unwrap_or(SEEDS);
    let (broken, tally) = search(seeds, None, None);
    println!(
        "{seeds} worlds, {} events, {} requests and {} days of virtual time in {:.1?}",
        tally.events,
        tally.requests,
        tally.virtual_time.as_secs() / 86_400,
        begun.elapsed()
    );
    if let Some((seed, broken)) = broken {
        panic!("seed {seed}: {broken}; make simulate SEED={seed} plays it again");
    }
    assert!(tally.requests > seeds * 20 && tally.virtual_time > Duration::from_secs(seeds * 300), "{tally:?}");
}

/// In these worlds the list changes after a reload, and a token that it names is shown to the policy before.
#[test]
fn what_the_deny_list_names_is_refused_under_a_replaced_policy_too() {
    for seed in [2932, 3009, 3249] {
        let Outcome { broken, log, .. } = play(seed, None, true);
        assert!(broken.is_none(), "seed {seed}: {}", broken.expect("it is there"));
        let mut seen = log.iter().map(|line| line.split_once("ms  ").map_or("", |(_, event)| event));
        assert!(seen.any(|event| event.starts_with("the deny-list names")), "seed {seed}");
        assert!(seen.any(|event| event.starts_with("a request is judged under the replaced policy")), "seed {seed}");
    }
}

#[test]
fn a_seed_plays_the_same_world_again() {
    for seed in 0..40 {
        // In which order tokio wakes the requests of one moment is its own choice.
        let [first, second] = [(); 2].map(|()| {
            let mut log = play(seed, None, true).log;
            log.sort();
            log
        });
        assert!(first.len() > 50, "{first:?}");
        assert_eq!(first, second, "seed {seed}");
    }
}

/// That a world breaks this promise soon if a fault is planted, and the model says so.
fn is_found(fault: Fault, promise: Promise) {
    let (found, _) = search(1000, Some(fault), Some(promise));
    let (seed, broken) = found.unwrap_or_else(|| panic!("{fault:?} is not found"));
    println!("{fault:?}, seed {seed}: {broken}");
}

#[test]
fn a_stale_key_served_too_long_is_found_within_1000_seeds() {
    is_found(Fault::StaleKey, Promise::WithdrawnKeys);
}

#[test]
fn a_lost_wake_up_is_found_within_1000_seeds() {
    is_found(Fault::LostWakeUp, Promise::Waiting);
}

#[test]
fn a_cache_entry_that_outlives_its_key_is_found_within_1000_seeds() {
    is_found(Fault::CacheOutlivesKey, Promise::WithdrawnKeys);
}

#[test]
fn a_cache_entry_that_outlives_its_configuration_is_found_within_1000_seeds() {
    is_found(Fault::CacheOutlivesConfiguration, Promise::NoSay);
}

#[test]
fn a_request_that_is_not_decided_again_is_found_within_1000_seeds() {
    is_found(Fault::NoSecondLook, Promise::GoodTokens);
}

#[test]
fn one_queue_for_the_callers_of_all_issuers_is_found_within_1000_seeds() {
    is_found(Fault::OneQueue, Promise::OthersTrouble);
}

#[test]
fn a_document_that_is_asked_for_twice_is_found_within_1000_seeds() {
    is_found(Fault::AskedTwice, Promise::FetchBudget);
}

#[test]
fn an_instance_that_says_too_early_that_it_is_ready_is_found_within_1000_seeds() {
    is_found(Fault::AlwaysReady, Promise::Readiness);
}

#[test]
fn a_deny_list_that_remembered_tokens_pass_is_found_within_1000_seeds() {
    is_found(Fault::DenyListForgotten, Promise::NoSay);
}

/// How many worlds a test plays that nobody told how many.
const SEEDS: u64 = 200;
