//! Makes what every product of the comparison is given: one key for each algorithm, and tokens signed with it.
//!
//! `peers_tokens DIRECTORY COUNT` writes `jwks.json`, and for each algorithm `ALG.txt` (COUNT valid tokens, one a line, all
//! different), `bad-ALG.txt` (1,000 with a wrong signature), `expired-ALG.txt` (one) and `ALG.pem` (the public key).

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a tool that meets what it does not expect ends and says so"
)]

mod public;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use aws_lc_rs::encoding::AsDer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::keys::Key;

/// The algorithms that are compared: those that services use, one of each family.
const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// Who issues and who is called; the products' configurations say the same.
const ISSUER: &str = "https://auth.internal.example";
const AUDIENCE: &str = "email-service";

/// How long the tokens live: the comparison makes new ones when less than half of it is left.
const LIFE: Duration = Duration::from_secs(2 * 24 * 3600);

const BAD_TOKENS: usize = 1000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(count)) = (arguments.next(), arguments.next()) else {
        eprintln!("peers_tokens DIRECTORY COUNT");
        std::process::exit(2);
    };
    let (directory, count) = (Path::new(&directory), count.parse().expect("COUNT is a number"));
    fs::create_dir_all(directory).expect("the directory can be made");
    let write = |name: String, text: String| fs::write(directory.join(name), text).expect("the file can be written");

    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970").as_secs();
    let keys = ALGORITHMS.map(|alg| Key::generate(alg, &format!("key-{}", alg.to_lowercase())));
    for key in &keys {
        let alg = key.alg();
        let tokens = mint(key, count, now);
        write(format!("bad-{alg}.txt"), tokens.iter().take(BAD_TOKENS).map(|token| spoil(token) + "\n").collect());
        write(format!("{alg}.txt"), tokens.iter().map(|token| format!("{token}\n")).collect());
        write(format!("expired-{alg}.txt"), key.mint(&claims(0, now - 7200, now - 3600)) + "\n");
        write(format!("{alg}.pem"), pem(&key.jwk()));
    }
    // Last: the comparison takes its presence and age for those of all files.
    write("jwks.json".into(), json!({ "keys": keys.each_ref().map(Key::jwk) }).to_string());
}

/// Different tokens, made on all cores: an RSA signature takes half a millisecond.
fn mint(key: &Key, count: usize, now: u64) -> Vec<String> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let worker = |number| {
            move || {
                let range = (count * number / workers)..(count * (number + 1) / workers);
                range.map(|id| key.mint(&claims(id, now, now + LIFE.as_secs()))).collect::<Vec<_>>()
            }
        };
        let minting: Vec<_> = (0..workers).map(|number| scope.spawn(worker(number))).collect();
        minting.into_iter().flat_map(|worker| worker.join().expect("a worker ends")).collect()
    })
}

/// What a service's token usually says.
fn claims(id: usize, issued: u64, expires: u64) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "billing", "iat": issued, "exp": expires, "jti": format!("{id:032x}")})
}

/// The same token with another character at the start of its signature, where no algorithm can tell before the arithmetic.
fn spoil(token: &str) -> String {
    let at = token.rfind('.').expect("a token has periods") + 11;
    let other = if &token[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

/// A SubjectPublicKeyInfo (RFC 5280) as PEM.
fn pem(jwk: &Value) -> String {
    let der = public::parsed(jwk).as_der().expect("the key can be written");
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}
