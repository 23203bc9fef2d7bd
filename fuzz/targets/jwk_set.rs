//! Key documents: whatever they hold, what comes out is sound, bounded, and verifies nothing by itself.
#![no_main]

use callgate::algorithm::Algorithm;
use callgate::keys::jwks::{CANDIDATES_MAX, ENTRIES_MAX, KEYS_MAX, KeyUse, Reading};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| {
    let of_file = Reading::parse_file(KeyUse::Signature, document, &Algorithm::ALL);
    let Ok(reading) = Reading::parse(document, &Algorithm::ALL).or(of_file) else { return };
    let keys = reading.keys.keys();
    assert!(!keys.is_empty() && keys.len() <= KEYS_MAX && reading.left_out.len() <= ENTRIES_MAX + 1);
    for key in keys {
        for algorithm in Algorithm::ALL {
            assert_eq!(key.public().fits(algorithm) && algorithm.key_kind() != key.public().kind(), false);
            // Signatures of every kind of key, in characters of base64url.
            for length in [0, 86, 128, 176, 342, 3227, 4412, 6170] {
                assert!(key.public().verify(algorithm, b"message", &"A".repeat(length)).is_err());
            }
            assert!(reading.keys.candidates(key.kid(), algorithm).count() <= CANDIDATES_MAX);
        }
    }
});
