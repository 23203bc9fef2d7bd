//! Proofs of keys as they come, and URLs: any bytes are a refusal or the one proof that the key's owner has signed, an explanation agrees
//! with the verdict, and a URL has one normal form.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callgate::algorithm::Algorithm;
use callgate::clock::UnixTime;
use callgate::confirmation::KeyThumbprint;
use callgate::json::Object;
use callgate::jwt::claims::Finding;
use callgate::keys::proof_key::WorkloadKey;
use callgate::proof::uri::{ExternalUrl, path_of};
use callgate::proof::{
    PROOF_MAX, ProofRules, ProofState, ProofVerifier, ProvenRequest, WorkloadProofRules, WorkloadRequest, verify,
    verify_workload,
};
use callgate::rejection::{DETAIL_MAX, Rejection};
use callgate::request::{Fields, SingletonField};
use libfuzzer_sys::fuzz_target;

/// The proof of RFC 9449 §7.1, the only one that was ever signed with its key.
const SIGNED: &str = include_str!("../corpus/proof/rfc9449");

/// Its time.
const NOW: UnixTime = UnixTime::from_secs(1_562_262_618);

static RULES: LazyLock<ProofRules> = LazyLock::new(|| ProofRules {
    algorithms: Algorithm::ALL.to_vec(),
    window: Duration::from_secs(60),
    external_urls: vec![ExternalUrl::new("https://resource.example.org").expect("a URL")],
    nonce: false,
});

static VERIFIER: LazyLock<ProofVerifier> =
    LazyLock::new(|| ProofVerifier::new(RULES.clone(), Arc::new(ProofState::new(&[7; 32]))));

/// The proof of draft-ietf-wimse-wpt-02 §2, likewise.
const SIGNED_BY_WORKLOAD: &str = include_str!("../corpus/proof/wimse");

/// The token that it is for.
const WORKLOAD_TOKEN: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6Ikp1bmUgNSIsInR5cCI6IndpdCtqd3QifQ.eyJjbmYiOnsiandrIjp7ImFsZyI6IkVkRFNBIiwiY3J2Ijo",
    "iRWQyNTUxOSIsImt0eSI6Ik9LUCIsIngiOiIxQ1hYdmZsTl9MVlZzSXNZWHNVdkIwM0ptbEdXZUNIcVFWdW91Q0Y5MmJnIn19LCJleHAiOjE3N",
    "DU1MTI1MTAsImlhdCI6MTc0NTUwODkxMCwianRpIjoieC1fMUNUTDJjY2EzQ1NFNGN3Yl9sIiwic3ViIjoid2ltc2U6Ly9leGFtcGxlLmNvbS9",
    "zcGVjaWZpYy13b3JrbG9hZCJ9.6KraSQUxWdl9dxFQ3Fj6dPY0Vi88OkwFwZpAIOhLeq6AbXAnLLQgOp8U9UDGcBuYF3KiNv6oKQD1ZWAzrMZO",
    "Jw",
);

/// Its time.
const NOW_OF_WORKLOAD: UnixTime = UnixTime::from_secs(1_745_509_956);

/// Its key.
const WORKLOAD_KEY: &str =
    r#"{"alg":"EdDSA","crv":"Ed25519","kty":"OKP","x":"1CXXvflN_LVVsIsYXsUvB03JmlGWeCHqQVuouCF92bg"}"#;

static WORKLOAD_RULES: LazyLock<WorkloadProofRules> = LazyLock::new(|| WorkloadProofRules {
    algorithms: Algorithm::ALL.to_vec(),
    window: Duration::from_secs(60),
    external_urls: vec![ExternalUrl::new("https://workload.example.com").expect("a URL")],
    token_field: None,
});

static WORKLOAD_VERIFIER: LazyLock<ProofVerifier> = LazyLock::new(|| {
    ProofVerifier::new(None, Arc::new(ProofState::new(&[7; 32]))).with_workload(WORKLOAD_RULES.clone())
});

/// A request with one further field.
struct Sent;

impl Fields for Sent {
    fn field(&self, name: &str) -> SingletonField<'_> {
        if name == "x" { SingletonField::One(b" a ") } else { SingletonField::Absent }
    }
}

fuzz_target!(|bytes: &[u8]| {
    judge(bytes);
    judge_of_workload(bytes);
    // Header and payload as they are, so that what stands in them is reached without encoding it.
    if let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
        let (header, payload) = bytes.split_at(at);
        let [header, payload] = [header, &payload[1..]].map(|part| URL_SAFE_NO_PAD.encode(part));
        let proof = format!("{header}.{payload}.{}", "A".repeat(86));
        judge(proof.as_bytes());
        judge_of_workload(proof.as_bytes());
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(url) = ExternalUrl::new(text)
    {
        let normal = url.to_string();
        assert_eq!(ExternalUrl::new(&normal), Ok(url.clone()));
        assert_eq!(
            path_of(&normal),
            path_of(text).map(|path| match path.trim_end_matches('/') {
                "" => "/".to_owned(),
                path => path.to_owned(),
            })
        );
    }
});

fn judge(proof: &[u8]) {
    let thumbprint = URL_SAFE_NO_PAD.decode("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").expect("base64url");
    let request = ProvenRequest {
        method: "GET",
        path: Some("/protectedresource"),
        token: b"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU",
        key: KeyThumbprint(thumbprint.try_into().expect("a SHA-256")),
    };
    let explained = VERIFIER.explain(SingletonField::One(proof), &request, NOW);
    agree(proof, SIGNED, verify(proof, &RULES, None, &request, NOW).err(), explained);
}

fn judge_of_workload(proof: &[u8]) {
    let jwk = Object::parse(WORKLOAD_KEY.as_bytes()).expect("an object");
    let key = WorkloadKey::read(&jwk, Algorithm::Ed25519).expect("a key");
    let request = WorkloadRequest {
        path: Some("/path"),
        token: WORKLOAD_TOKEN.trim_ascii().as_bytes(),
        key: &key,
        access_token: Some(b"16_mAd0GiwaZokU26_0902100"),
        transaction_token: None,
        fields: &Sent,
    };
    let explained = WORKLOAD_VERIFIER.explain_workload(SingletonField::One(proof), &request, NOW_OF_WORKLOAD);
    let refused = verify_workload(proof, &WORKLOAD_RULES, &request, NOW_OF_WORKLOAD).err();
    agree(proof, SIGNED_BY_WORKLOAD, refused, explained);
}

/// A proof is refused with a plain reason that its explanation comes to as well, or it is the one that was signed.
fn agree(proof: &[u8], signed: &str, refused: Option<Rejection>, explained: Result<Vec<Finding>, Rejection>) {
    let Some(refused) = refused else {
        assert!(proof.len() <= PROOF_MAX);
        let input = |proof: &[u8]| proof.rsplitn(2, |byte| *byte == b'.').nth(1).expect("three parts").to_vec();
        assert_eq!(input(proof), input(signed.trim_ascii().as_bytes()));
        assert!(explained.expect("it is readable").iter().all(|finding| finding.refused.is_none()));
        return;
    };
    let detail = refused.detail();
    assert!(!detail.is_empty() && detail.len() <= DETAIL_MAX);
    assert!(detail.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'));
    let reason = match explained {
        Ok(findings) => findings.iter().find_map(|finding| finding.refused),
        Err(unreadable) => Some(unreadable.reason()),
    };
    assert_eq!(reason, Some(refused.reason()));
}
