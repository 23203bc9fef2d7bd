//! What the signature alone costs: aws-lc-rs verifies tokens with a parsed key and does nothing else. The comparison holds
//! a new token's cost against it.
//!
//! `peers_verification DIRECTORY SECONDS` reads what `peers_tokens` wrote and prints one JSON object, algorithm to
//! microseconds of CPU per verification, each measured for SECONDS.

mod public;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

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
        costs.insert(alg.into(), json!(cost(jwk, &read(format!("{alg}.txt")), time)));
    }
    println!("{}", Value::from(costs));
}

/// Microseconds of this thread's CPU per verification.
fn cost(jwk: &Value, tokens: &str, time: Duration) -> f64 {
    let key = public::parsed(jwk);
    let signed: Vec<_> = tokens.lines().take(TOKENS).map(|token| token.rsplit_once('.').expect("a token")).collect();
    let signed: Vec<_> = signed.into_iter().map(|(input, signature)| (input, public::decode(signature))).collect();
    let (end, before, mut count) = (Instant::now() + time, cpu(), 0_u32);
    while Instant::now() < end {
        for (input, signature) in &signed {
            key.verify_sig(input.as_bytes(), signature).expect("the signature holds");
        }
        count += TOKENS as u32;
    }
    (cpu() - before).as_secs_f64() * 1e6 / f64::from(count)
}

/// The CPU time of this thread: the first figure of the kernel's `schedstat`, in nanoseconds.
fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|figure| figure.parse().ok()).expect("nanoseconds"))
}
