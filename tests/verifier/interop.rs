//! Tokens and proofs that others made: keys, key sets and tokens of every algorithm by PyJWT, joserfc and jose for Node, and proofs of
//! keys by `dpop` for Node, joserfc and `cryptography`, judged by the real code.
//! Where an interpreter or the network is missing, a test says so on standard error and proves nothing; with
//! `REQUIRE_ALL_TOOLS=1` it fails.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callgate::algorithm::Algorithm;
use callgate::authenticator::{Authenticator, Issuer};
use callgate::clock::UnixTime;
use callgate::confirmation::KeyThumbprint;
use callgate::identity::{CallerRule, ClaimPath};
use callgate::keys::jwks::{KeyUse, Reading};
use callgate::keys::store::{KeySlot, Published};
use callgate::proof::uri::ExternalUrl;
use callgate::proof::{ProofRules, ProofState, ProofVerifier, ProvenRequest};
use callgate::request::SingletonField;
use callgate::requirement::Binding;
use callgate::route::PublicRoutes;
use serde_json::Value;

use testkit::world::{ISSUER, NOW, judge, requirement, verdict};

use crate::workload::{Sent, rules, said, service};

#[test]
fn tokens_and_proofs_of_python_get_their_verdicts() {
    // One after the other: they share an installation.
    check("python.sh", &["mint.py"]);
    check("python.sh", &["mint_joserfc.py"]);
    check_proofs("python.sh", "proofs.py");
    check_workloads("python.sh", "workloads.py");
}

#[test]
fn tokens_and_proofs_of_node_get_their_verdicts() {
    check("node.sh", &["mint.mjs"]);
    check_proofs("node.sh", "proofs.mjs");
    check_workloads("node.sh", "workloads.mjs");
}

/// The exit code of a script that cannot get its interpreter or its libraries.
const UNAVAILABLE: i32 = 69;

/// What a script makes; `None` if it cannot.
fn made_by(name: &str, arguments: &[&str]) -> Option<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/interop").join(name);
    let made = Command::new(&script).args(arguments).output().expect("a script");
    let said = String::from_utf8_lossy(&made.stderr);
    if made.status.code() == Some(UNAVAILABLE) {
        testkit::tools::skip(&format!("the test of what {name} makes"), said.trim());
        return None;
    }
    assert!(made.status.success(), "{name} failed: {said}");
    Some(serde_json::from_slice(&made.stdout).expect("JSON"))
}

/// Proofs are made for now: their libraries have no other time.
fn check_proofs(name: &str, script: &str) {
    const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
    let Some(made) = made_by(name, &[script, "POST", "https://mail.example/send", TOKEN]) else { return };
    let by = made["by"].as_str().expect("a name");
    let state = ProofState::new(&[0; 32]);
    state.memory.resize(1 << 20);
    let rules = ProofRules {
        algorithms: [Algorithm::Es256, Algorithm::Ed25519, Algorithm::Ps256, Algorithm::Rs256].to_vec(),
        window: Duration::from_secs(60),
        external_urls: vec![ExternalUrl::new("https://mail.example").expect("a URL")],
        nonce: false,
    };
    let verifier = ProofVerifier::new(rules, Arc::new(state));
    let proofs = made["proofs"].as_array().expect("a list");
    assert!(proofs.len() >= 28, "{by} made {} proofs", proofs.len());
    for made in proofs {
        let jkt = URL_SAFE_NO_PAD.decode(made["jkt"].as_str().expect("a thumbprint")).expect("base64url");
        let key = KeyThumbprint(jkt.try_into().expect("a SHA-256"));
        let request = ProvenRequest { method: "POST", path: Some("/send"), token: TOKEN.as_bytes(), key };
        let field = SingletonField::One(made["proof"].as_str().expect("a proof").as_bytes());
        let judged = |request: &ProvenRequest<'_>| match verifier.prove(field, request, SystemTime::now().into()) {
            Ok(_) => "proven".to_owned(),
            Err(refused) => refused.reason().as_str().to_owned(),
        };
        let found = judged(&request);
        assert_eq!(found, made["verdict"], "{by}, {}, {}", made["alg"], made["what"]);
        if found == "proven" {
            assert_eq!(judged(&request), "proof_replayed");
            let other = ProvenRequest { key: KeyThumbprint([1; 32]), ..request };
            assert_eq!(judged(&other), "proof_invalid", "the token is bound to another key");
        }
    }
}

/// Workload identity tokens with proofs, made for now too.
fn check_workloads(name: &str, script: &str) {
    let Some(made) = made_by(name, &[script, "https://mail.example/send"]) else { return };
    let by = made["by"].as_str().expect("a name");
    let mut rules = rules("https://mail.example");
    rules.algorithms.extend([Algorithm::Ps256, Algorithm::Rs256]);
    let domains = [("example.com", KeyUse::Signature, made["keys"].clone())];
    let service = service(rules, &domains, Binding { wimse: true, ..Binding::default() });
    let requests = made["requests"].as_array().expect("a list");
    assert!(requests.len() >= 18, "{by} made {} requests", requests.len());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs();
    for made in requests {
        let mut sent = Sent::default();
        sent.add("Workload-Identity-Token", made["token"].as_str().expect("a token"));
        sent.add("Workload-Proof-Token", made["proof"].as_str().expect("a proof"));
        for (name, value) in made["fields"].as_object().expect("fields") {
            sent.add(name, value.as_str().expect("a value"));
        }
        let found = said(&service, "/send", &sent, now);
        assert_eq!(found, made["verdict"], "{by}, {}, {}", made["alg"], made["what"]);
    }
}

fn check(name: &str, mint: &[&str]) {
    let now = NOW.to_string();
    let arguments = [mint, &[ISSUER, "email-service", &now]].concat();
    let Some(minted) = made_by(name, &arguments) else { return };
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
