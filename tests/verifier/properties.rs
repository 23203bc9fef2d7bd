//! What holds for every input, tried with made-up ones: a changed token never means something else, two implementations read the
//! same text in the same way and write the same text, and nothing is accepted that another verifier refuses.

mod mutation;
mod naive;
mod reading;
mod recording;
mod remembering;
mod second_opinion;

use proptest::test_runner::Config;

/// That many made-up inputs. A failure prints the smallest input that shows it, and becomes a test of its own.
fn cases(count: u32) -> Config {
    Config { cases: count, failure_persistence: None, ..Config::default() }
}
