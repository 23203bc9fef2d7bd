//! Tokens that others made: keys, key sets and tokens of every algorithm by PyJWT, joserfc and jose for Node, judged by the real code.
//! Where an interpreter or the network is missing, a test says so on standard error and proves nothing; with
//! `REQUIRE_ALL_TOOLS=1` it fails.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use callgate::algorithm::Algorithm;
use callgate::authenticator::{Authenticator, Issuer};
use callgate::clock::UnixTime;
use callgate::identity::{CallerRule, ClaimPath};
use callgate::keys::jwks::Reading;
use callgate::keys::store::{KeySlot, Published};
use callgate::route::PublicRoutes;
use serde_json::Value;

use testkit::world::{ISSUER, NOW, judge, requirement, verdict};

#[test]
fn tokens_of_pyjwt_and_joserfc_get_their_verdicts() {
    // One after the other: they share an installation.
    check("python.sh", &["mint.py"]);
    check("python.sh", &["mint_joserfc.py"]);
}

#[test]
fn tokens_of_jose_for_node_get_their_verdicts() {
    check("node.sh", &["mint.mjs"]);
}

/// The exit code of a script that cannot get its interpreter or its libraries.
const UNAVAILABLE: i32 = 69;

fn check(name: &str, mint: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/interop").join(name);
    let minted =
        Command::new(&script).args(mint).args([ISSUER, "email-service", &NOW.to_string()]).output().expect("a script");
    let said = String::from_utf8_lossy(&minted.stderr);
    if minted.status.code() == Some(UNAVAILABLE) {
        return testkit::tools::skip(&format!("the test of tokens by {name}"), said.trim());
    }
    assert!(minted.status.success(), "{name} failed: {said}");
    let minted: Value = serde_json::from_slice(&minted.stdout).expect("JSON");
    let by = minted["by"].as_str().expect("a name");
    let world = world(&minted["keys"]);
    let tokens = minted["tokens"].as_array().expect("a list");
    // Neither library makes ML-DSA on every runtime: the vectors of RFC 9964 stand for it.
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.name().starts_with("ML-DSA")) {
        let count = tokens
            .iter()
            .filter(|token| token["alg"].as_str().and_then(Algorithm::from_name) == Some(algorithm))
            .count();
        assert!(count >= 6, "{by} made {count} tokens with {algorithm}");
    }
    for token in tokens {
        let (alg, what) = (&token["alg"], &token["what"]);
        let text = token["token"].as_str().expect("a token");
        let found = verdict(&judge(&world, format!("Bearer {text}").as_bytes()));
        assert_eq!(found, token["verdict"], "{by}, {alg}, {what}");
        // One letter of the signature, beside each acceptance.
        if found.starts_with("->") {
            let at = text.len() - 20;
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            let forged = format!("Bearer {}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(verdict(&judge(&world, forged.as_bytes())), "signature_invalid", "{by}, {alg}, {what}");
        }
    }
}

/// A service that trusts one issuer with the keys of this document.
fn world(document: &Value) -> Authenticator {
    let reading = Reading::parse(document.to_string().as_bytes(), &Algorithm::ALL).expect("a key set");
    assert_eq!(reading.left_out, [], "every key is understood");
    let keys = Arc::new(KeySlot::default());
    keys.publish(Published { keys: reading.keys.into(), confirmed: UnixTime::from_secs(NOW), stale: UnixTime::MAX });
    let issuer = Issuer { requirement: requirement(ISSUER, &Algorithm::ALL), keys, naming: None, recorded: Vec::new() };
    let caller = CallerRule::new("X-Caller-Service".into(), ClaimPath::parse("sub").expect("a claim"));
    Authenticator::new(vec![issuer], caller, PublicRoutes::default(), 8192)
}
