//! What holds for every input, tried with made-up ones: a changed token never means something else, two implementations read the
//! same text in the same way and write the same text, and nothing is accepted that another verifier refuses.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a suite that meets what it does not expect fails on the spot"
)]

#[path = "properties/mutation.rs"]
mod mutation;
#[path = "properties/naive.rs"]
mod naive;
#[path = "properties/reading.rs"]
mod reading;
#[path = "properties/recording.rs"]
mod recording;
#[path = "properties/remembering.rs"]
mod remembering;
#[path = "properties/second_opinion.rs"]
mod second_opinion;

use proptest::test_runner::Config;

/// That many made-up inputs. A failure prints the smallest input that shows it, and becomes a test of its own.
fn cases(count: u32) -> Config {
    Config { cases: count, failure_persistence: None, ..Config::default() }
}
