//! What the signature alone costs: aws-lc-rs verifies tokens with a parsed key and does nothing else. The comparison holds
//! a new token's cost against it.
//!
//! `peers_verification DIRECTORY SECONDS` reads what `peers_tokens` wrote and prints one JSON object: for each algorithm the
//! microseconds per verification, in a loop (`warm`), and with the processor's caches full of something else before each
//! (`cold`), as they are when a proxy has done its other work in between. Each is measured for SECONDS.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a tool that meets what it does not expect ends and says so"
)]

mod public;

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::ParsedPublicKey;
use serde_json::{Map, Value, json};

/// Few enough to stay in the cache, many enough that no branch predictor learns one of them.
const TOKENS: usize = 64;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(seconds)) = (arguments.next(), arguments.next()) else {
        eprintln!("peers_verification DIRECTORY SECONDS");
        std::process::exit(2);
    };
    let directory = Path::new(&directory);
    let time = Duration::from_secs_f64(seconds.parse().expect("SECONDS is a number"));
    let read = |name: String| fs::read_to_string(directory.join(name)).expect("a file of peers_tokens");
    let jwks: Value = serde_json::from_str(&read("jwks.json".into())).expect("a key set");
    let mut costs = Map::new();
    for jwk in jwks["keys"].as_array().expect("keys") {
        let alg = jwk["alg"].as_str().expect("alg");
        let tokens = read(format!("{alg}.txt"));
        let signed = Signed::read(jwk, &tokens);
        costs.insert(alg.into(), json!({ "warm": signed.warm(time), "cold": signed.cold(time) }));
    }
    println!("{}", Value::from(costs));
}

/// Tokens and their key.
struct Signed<'a> {
    key: ParsedPublicKey,
    /// What was signed, and the signature.
    tokens: Vec<(&'a str, Vec<u8>)>,
}

impl<'a> Signed<'a> {
    fn read(jwk: &Value, tokens: &'a str) -> Self {
        let parts = tokens.lines().take(TOKENS).map(|token| token.rsplit_once('.').expect("a token"));
        let tokens = parts.map(|(input, signature)| (input, public::decode(signature))).collect();
        Self { key: public::parsed(jwk), tokens }
    }

    fn verify(&self, (input, signature): &(&str, Vec<u8>)) {
        self.key.verify_sig(input.as_bytes(), signature).expect("the signature holds");
    }

    /// Microseconds of this thread's CPU.
    fn warm(&self, time: Duration) -> f64 {
        let (end, before, mut count) = (Instant::now() + time, cpu(), 0_u32);
        while Instant::now() < end {
            self.tokens.iter().for_each(|token| self.verify(token));
            count += TOKENS as u32;
        }
        (cpu() - before).as_secs_f64() * 1e6 / f64::from(count)
    }

    /// The median of the clock's microseconds.
    fn cold(&self, time: Duration) -> f64 {
        let mut others = vec![0_u8; SWEPT];
        let (end, mut times) = (Instant::now() + time, Vec::new());
        while Instant::now() < end {
            for token in &self.tokens {
                others.iter_mut().step_by(CACHE_LINE).for_each(|byte| *byte = black_box(*byte).wrapping_add(1));
                let began = Instant::now();
                self.verify(token);
                times.push(began.elapsed());
            }
        }
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    }
}

/// More than the caches next to a core hold, in bytes.
const SWEPT: usize = 4 << 20;

/// In bytes, on every processor that this is run on.
const CACHE_LINE: usize = 64;

/// The CPU time of this thread: the first figure of the kernel's `schedstat`, in nanoseconds.
fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|figure| figure.parse().ok()).expect("nanoseconds"))
}
