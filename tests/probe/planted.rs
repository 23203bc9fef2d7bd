//! One fault after the other in a proxy that is sound without it.

use super::reference::{Fault, Reference};
use super::{Probing, with_verdict};

fn probe(fault: Fault) -> (u8, serde_json::Value) {
    let reference = Reference::start(fault);
    let mut probing = Probing::of(&reference.url(), &reference.token());
    probing.options.target.keys_file = Some(probing.file("jwks.json", &reference.jwks()));
    let (code, report, told) = probing.run();
    assert!(!report.is_null(), "{fault:?}: {told}");
    (code, report)
}

#[test]
fn a_sound_proxy_passes_and_is_told_apart_by_nothing() {
    let (code, report) = probe(Fault::Nothing);
    assert_eq!(with_verdict(&report, "fail"), Vec::<String>::new());
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["good"]["sent"], report["good"]["passed"]);
    assert!(report["pass"].as_u64().unwrap() > 300, "{report:#}");
    // The reference speaks no HTTP/2; everything else is told.
    let unknown = with_verdict(&report, "not to tell");
    assert!(unknown.iter().all(|case| case.starts_with("HTTP/2") || case.starts_with("framing")), "{unknown:#?}");
}

#[test]
fn every_planted_fault_is_found_by_the_case_that_is_about_it() {
    let missed: Vec<_> = std::thread::scope(|scope| {
        let probing: Vec<_> = PLANTED
            .iter()
            .map(|(fault, wanted)| {
                scope.spawn(move || {
                    let (code, report) = probe(*fault);
                    let found = with_verdict(&report, "fail");
                    let is_found = code == 1 && found.iter().any(|case| case.contains(wanted));
                    (!is_found).then(|| format!("{fault:?}: no {wanted:?} among {found:?}"))
                })
            })
            .collect();
        probing.into_iter().filter_map(|one| one.join().unwrap()).collect()
    });
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(PLANTED.len() >= 40);
}

/// A fault, and a part of the case that finds it.
const PLANTED: &[(Fault, &str)] = &[
    (Fault::AcceptsNoToken, "no token: nothing"),
    (Fault::AcceptsAnyToken, "no token: Authorization is \"Bearer null\""),
    (Fault::ChecksNoSignature, "claims: another sub"),
    (Fault::ChecksOnlyTheStartOfTheSignature, "signature: followed by a byte"),
    (Fault::AcceptsNone, "algorithm: alg: \"none\"; no signature"),
    (Fault::AcceptsNoneInAnyCase, "algorithm: alg: \"nOnE\"; no signature"),
    (Fault::AcceptsHmacWithThePublicKey, "algorithm: HS256 with the whole key file"),
    (Fault::AcceptsHmacWithAWeakSecret, "algorithm: HS256 with the secret \"secret\""),
    (Fault::AcceptsHmacWithTheFileThatKidNames, "kid is a path to an empty file"),
    (Fault::TrustsAnEmbeddedKey, "header: signed by a stranger, with its jwk embedded"),
    (Fault::AcceptsZeroSignatures, "signature: a signature of zeros"),
    (Fault::AcceptsDer, "signature: in DER"),
    (Fault::AcceptsPadding, "form: padding behind the signature"),
    (Fault::AcceptsUnusedBits, "form: unused bits"),
    (Fault::AcceptsPlainBase64, "form: the signature in plain base64"),
    (Fault::AcceptsMoreParts, "form: a fourth part"),
    (Fault::CutsAtControlCharacters, "form: NUL behind it"),
    (Fault::IgnoresTheScheme, "form: the scheme is \"\""),
    (Fault::ReadsTheQuery, "placement: in the query as access_token"),
    (Fault::ReadsCookies, "placement: in a cookie access_token"),
    (Fault::ReadsForms, "placement: in a form"),
    (Fault::ReadsOtherHeaders, "placement: in X-Access-Token"),
    (Fault::TakesTheFirstOfTwo, "two fields: a bad token behind"),
    (Fault::TakesTheLastOfTwo, "two fields: a bad token before"),
    (Fault::TakesAnyOfAList, "a list: Basic, the good token"),
    (Fault::StripsOneSpelling, "identity: with underscores"),
    (Fault::StripsNothing, "identity: as it is"),
    (Fault::LetsConnectionRemoveTheCaller, "identity: only named in Connection"),
    (Fault::TrustsForwardedFor, "no token: X-Forwarded-For"),
    (Fault::TrustsAnotherUrl, "no token: X-Original-URL"),
    (Fault::TrustsTheHost, "no token: the host is localhost"),
    (Fault::ComparesPathsByTheirStart, "path: no token, /healthz/.. before it"),
    (Fault::CutsPathsAtSemicolons, "path: no token, /healthz;/.. before it"),
    (Fault::LeavesTheRestOfAnAmbiguousBody, "framing: a length, then chunks"),
    (Fault::TakesTheFirstOfTwoLengths, "framing: two lengths that differ"),
    (Fault::UnfoldsFields, "framing: a folded field"),
    (Fault::AllowsSpaceBeforeColons, "framing: a space before the colon"),
    (Fault::AllowsBareLineFeeds, "framing: bare line feeds everywhere"),
    (Fault::AllowsTwoHosts, "framing: two hosts"),
    (Fault::AllowsControlCharacters, "framing: NUL in a value"),
    (Fault::AllowsAnyVersion, "framing: a version that does not exist"),
];
