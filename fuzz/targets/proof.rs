//! A proof of a key as it comes, and URLs: any bytes are a refusal or the one proof that the key's owner has signed, an explanation agrees
//! with the verdict, and a URL has one normal form.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callgate::algorithm::Algorithm;
use callgate::clock::UnixTime;
use callgate::confirmation::KeyThumbprint;
use callgate::proof::uri::{ExternalUrl, path_of};
use callgate::proof::{PROOF_MAX, ProofRules, ProofState, ProofVerifier, ProvenRequest, verify};
use callgate::rejection::DETAIL_MAX;
use callgate::request::SingletonField;
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

fuzz_target!(|bytes: &[u8]| {
    judge(bytes);
    // Header and payload as they are, so that what stands in them is reached without encoding it.
    if let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
        let (header, payload) = bytes.split_at(at);
        let [header, payload] = [header, &payload[1..]].map(|part| URL_SAFE_NO_PAD.encode(part));
        judge(format!("{header}.{payload}.{}", "A".repeat(86)).as_bytes());
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
    match verify(proof, &RULES, None, &request, NOW) {
        Ok(_) => {
            assert!(proof.len() <= PROOF_MAX);
            let input = |proof: &[u8]| proof.rsplitn(2, |byte| *byte == b'.').nth(1).expect("three parts").to_vec();
            assert_eq!(input(proof), input(SIGNED.as_bytes()));
            assert!(explained.expect("it is readable").iter().all(|finding| finding.refused.is_none()));
        }
        Err(refused) => {
            let detail = refused.detail();
            assert!(!detail.is_empty() && detail.len() <= DETAIL_MAX);
            assert!(detail.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'));
            let reason = match explained {
                Ok(findings) => findings.iter().find_map(|finding| finding.refused),
                Err(unreadable) => Some(unreadable.reason()),
            };
            assert_eq!(reason, Some(refused.reason()));
        }
    }
}
