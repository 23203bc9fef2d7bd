//! Workload identity tokens (draft-ietf-wimse-workload-creds, SPIFFE's WIT-SVID) with proofs, judged by the way that every request goes: the
//! examples of the drafts, whose keys sign what, and who is whose workload.

use std::sync::Arc;
use std::time::Duration;

use callgate::algorithm::Algorithm;
use callgate::authenticator::{Authenticator, Decision, Issuer};
use callgate::clock::UnixTime;
use callgate::explain::{Outcome, explain};
use callgate::identity::{CallerRule, ClaimPath};
use callgate::keys::jwks::{KeyUse, Reading};
use callgate::keys::store::{KeySlot, Published};
use callgate::proof::uri::ExternalUrl;
use callgate::proof::{ProofState, ProofVerifier, WorkloadProofRules};
use callgate::request::{Fields, RequestHead, SingletonField};
use callgate::requirement::{Binding, Requirement};
use callgate::route::PublicRoutes;
use serde_json::{Value, json};

use testkit::signing::{Pair, encode, pair};
use testkit::workload::hash;
use testkit::world::{NOW, verdict};

const URL: &str = "https://mail.example/send";

/// The fields of a request.
#[derive(Clone, Default)]
pub(crate) struct Sent(Vec<(String, String)>);

impl Sent {
    fn of<const N: usize>(fields: [(&str, &str); N]) -> Self {
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }

    /// With this field too.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

impl Fields for Sent {
    fn field(&self, name: &str) -> SingletonField<'_> {
        let lines = self.0.iter().filter(|(sent, _)| sent.eq_ignore_ascii_case(name));
        SingletonField::from_lines(lines.map(|(_, value)| value.as_bytes()))
    }
}

/// What proofs must fulfil for a service of this name.
pub(crate) fn rules(url: &str) -> WorkloadProofRules {
    WorkloadProofRules {
        algorithms: vec![Algorithm::Es256, Algorithm::Ed25519],
        window: Duration::from_secs(300),
        external_urls: vec![ExternalUrl::new(url).expect("a URL")],
        token_field: None,
    }
}

/// A service for the workloads of these trust domains, with the keys of each.
pub(crate) fn service(rules: WorkloadProofRules, domains: &[(&str, KeyUse, Value)], binding: Binding) -> Authenticator {
    let issuers: Vec<_> = domains
        .iter()
        .map(|(domain, usage, document)| {
            let reading = Reading::parse_for(*usage, document.to_string().as_bytes(), &Algorithm::ALL).expect("keys");
            let keys = Arc::new(KeySlot::default());
            keys.publish(Published { keys: reading.keys.into(), confirmed: UnixTime::default(), stale: UnixTime::MAX });
            let asked = Requirement::of_trust_domain(domain, vec!["mail".into()], vec![Algorithm::Es256]);
            Issuer::new(asked.expect("full lists").with_binding(binding), keys)
        })
        .collect();
    let caller = CallerRule::new("X-Caller-Service".into(), ClaimPath::parse("sub").expect("a claim"));
    let state = ProofState::new(&[7; 32]);
    state.memory.resize(1 << 20);
    Authenticator::new(issuers, caller, PublicRoutes::default(), 8192)
        .with_cache(1 << 20)
        .with_proofs(ProofVerifier::new(None, Arc::new(state)).with_workload(rules))
}

fn both() -> Binding {
    Binding { wimse: true, ..Binding::default() }
}

/// What is said of a request, which an explanation agrees with.
pub(crate) fn said(service: &Authenticator, path: &str, sent: &Sent, secs: u64) -> String {
    let head = RequestHead {
        method: "POST",
        path: Some(path),
        authorization: sent.field("Authorization"),
        proof: SingletonField::Absent,
        certificate: None,
        fields: Some(sent),
    };
    let at = UnixTime::from_secs(secs);
    let explanation = explain(service, &head, at, None);
    let decision = service.decide(&head, at);
    // The explanation has used up the proof of what is accepted.
    match (explanation.refusing().map(|check| check.outcome), &decision) {
        (None, Decision::Reject(refused)) => {
            assert_eq!(refused.rejection.reason().as_str(), "proof_replayed");
            let callgate::explain::Verdict::Accepted { caller } = explanation.verdict else { panic!("refused") };
            format!("-> {caller}")
        }
        (Some(Outcome::Refused(reason)), Decision::Reject(refused)) => {
            assert_eq!(reason, refused.rejection.reason(), "{}", refused.rejection);
            verdict(&decision)
        }
        (None, _) => verdict(&decision),
        (outcome, _) => panic!("{outcome:?} and {}", verdict(&decision)),
    }
}

/// Of draft-ietf-wimse-wpt-02 §2 and draft-ietf-wimse-workload-creds-02 §5.1: the request, and the key of the identity server.
#[test]
fn the_request_of_the_drafts_passes_at_its_time() {
    let keys = json!({"keys": [{
        "kty": "EC",
        "kid": "June 5",
        "crv": "P-256",
        "x": "kXqnA2Op7hgd4zRMbw0iFcc_hDxUxhojxOFVGjE2gks",
        "y": "n__VndPMR021-59UAs0b9qDTFT-EZtT6xSNs_xFskLo",
    }]});
    let service =
        |domain| service(rules("https://workload.example.com"), &[(domain, KeyUse::Signature, keys.clone())], both());
    let sent = Sent::of([
        ("Authorization", "Bearer 16_mAd0GiwaZokU26_0902100"),
        ("Workload-Identity-Token", DRAFT_WIT),
        ("Workload-Proof-Token", DRAFT_WPT),
    ]);
    let time = 1_745_510_016 - 60;
    let caller = "-> wimse://example.com/specific-workload";
    assert_eq!(said(&service("example.com"), "/path", &sent, time), caller);
    assert_eq!(said(&service("example.com"), "/path", &sent, time + 60), "proof_expired");
    assert_eq!(said(&service("example.com"), "/path", &sent, 1_745_512_510), "token_expired");
    assert_eq!(said(&service("example.com"), "/other", &sent, time), "proof_invalid");
    assert_eq!(said(&service("eve.example"), "/path", &sent, time), "issuer_untrusted");
    let without = |name: &str| Sent(sent.0.iter().filter(|(field, _)| *field != name).cloned().collect());
    assert_eq!(said(&service("example.com"), "/path", &without("Authorization"), time), "proof_invalid");
    assert_eq!(said(&service("example.com"), "/path", &without("Workload-Proof-Token"), time), "proof_missing");
    assert_eq!(said(&service("example.com"), "/path", &without("Workload-Identity-Token"), time), "token_malformed");
}

/// The specification does not tell the key that signed it (WIT-SVID, appendix A), so its signature cannot be checked.
#[test]
fn the_example_of_spiffe_is_read_up_to_its_key() {
    let keys = json!({"keys": [of_use("wit-svid", "p256", "another")]});
    let service = service(rules("https://mail.example"), &[("example.com", KeyUse::Svid, keys)], both());
    let sent = Sent::of([("Workload-Identity-Token", SPIFFE_WIT)]);
    assert_eq!(said(&service, "/send", &sent, 1_765_452_903), "key_unknown");
}

fn of_use(usage: &str, name: &str, kid: &str) -> Value {
    let mut jwk = pair(name).jwk(Some(kid));
    jwk["use"] = usage.into();
    jwk
}

fn jws(signer: &Pair, header: &Value, claims: &Value) -> String {
    let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    format!("{input}.{}", encode(signer.sign("ES256", input.as_bytes())))
}

/// A workload's token of this kind and key, and a proof of its key, which is `strict-p256`.
fn sent_by(typ: &str, signer: &str, kid: &str, sub: &str) -> Sent {
    let mut jwk = pair("strict-p256").jwk(None);
    jwk["alg"] = "ES256".into();
    let claims = json!({"sub": sub, "exp": NOW + 300, "cnf": {"jwk": jwk}});
    let token = jws(pair(signer), &json!({"alg": "ES256", "typ": typ, "kid": kid}), &claims);
    let proof = json!({"aud": URL, "exp": NOW + 60, "jti": "a", "wth": hash(&token)});
    let proof = jws(pair("strict-p256"), &json!({"alg": "ES256", "typ": "wpt+jwt"}), &proof);
    Sent::of([("Workload-Identity-Token", &token), ("Workload-Proof-Token", &proof)])
}

fn bearer(signer: &str, kid: &str, sub: &str) -> Sent {
    let claims = json!({"sub": sub, "aud": "mail", "exp": NOW + 300});
    let token = jws(pair(signer), &json!({"alg": "ES256", "kid": kid}), &claims);
    Sent::of([("Authorization", &format!("Bearer {token}"))])
}

#[test]
fn in_a_spiffe_bundle_each_kind_of_token_has_keys_of_its_own() {
    let bundle = json!({"keys": [of_use("wit-svid", "p256", "wit"), of_use("jwt-svid", "other-p256", "jwt")]});
    let svid = || service(rules("https://mail.example"), &[("example.com", KeyUse::Svid, bundle.clone())], both());
    let who = "spiffe://example.com/billing";
    let wit = |signer, kid| sent_by("wit+jwt", signer, kid, who);
    assert_eq!(said(&svid(), "/send", &wit("p256", "wit"), NOW), format!("-> {who}"));
    assert_eq!(said(&svid(), "/send", &bearer("other-p256", "jwt", who), NOW), format!("-> {who}"));
    assert_eq!(said(&svid(), "/send", &wit("other-p256", "jwt"), NOW), "key_unknown");
    assert_eq!(said(&svid(), "/send", &bearer("p256", "wit", who), NOW), "key_unknown");
    let only = Binding { bearer: false, ..both() };
    let strict = service(rules("https://mail.example"), &[("example.com", KeyUse::Svid, bundle.clone())], only);
    assert_eq!(said(&strict, "/send", &wit("p256", "wit"), NOW), format!("-> {who}"));
    assert_eq!(said(&strict, "/send", &bearer("other-p256", "jwt", who), NOW), "token_unbound");
    // Keys of certificates are for neither.
    let x509 = json!({"keys": [of_use("x509-svid", "p256", "wit")]}).to_string();
    assert!(Reading::parse_for(KeyUse::Svid, x509.as_bytes(), &Algorithm::ALL).is_err());
    let wits = Reading::parse_for(KeyUse::JwtSvid, bundle.to_string().as_bytes(), &Algorithm::ALL).expect("keys");
    assert_eq!(wits.keys.keys().len(), 1, "without workloads their keys are left out");
}

#[test]
fn a_workload_is_of_the_trust_domain_of_its_name_whatever_the_scheme() {
    let own = |name| json!({"keys": [pair(name).jwk(Some("k"))]});
    let domains =
        [("example.com", KeyUse::Signature, own("p256")), ("other.example", KeyUse::Signature, own("other-p256"))];
    for (typ, signer, sub, wanted) in [
        ("wit+jwt", "p256", "wimse://example.com/billing", "-> wimse://example.com/billing"),
        ("wit+jwt", "p256", "spiffe://example.com/billing", "-> spiffe://example.com/billing"),
        ("wit+jwt", "p256", "https://example.com/billing", "-> https://example.com/billing"),
        ("application/wit+jwt", "p256", "wimse://example.com/billing", "-> wimse://example.com/billing"),
        ("WIT+JWT", "p256", "wimse://example.com", "-> wimse://example.com"),
        ("wit+jwt", "other-p256", "wimse://other.example/a", "-> wimse://other.example/a"),
        // Nobody speaks for another.
        ("wit+jwt", "p256", "wimse://other.example/a", "signature_invalid"),
        ("wit+jwt", "other-p256", "wimse://example.com/billing", "signature_invalid"),
        ("wit+jwt", "p256", "wimse://eve.example/a", "issuer_untrusted"),
        ("wit+jwt", "p256", "wimse://EXAMPLE.com/a", "issuer_untrusted"),
        ("wit+jwt", "p256", "wimse://example.com:443/a", "claim_missing"),
        ("wit+jwt", "p256", "wimse://a@example.com/a", "claim_missing"),
        ("wit+jwt", "p256", "wimse://example.com/a?b", "claim_missing"),
        ("wit+jwt", "p256", "wimse://example.com/a#b", "claim_missing"),
        ("wit+jwt", "p256", "//example.com/a", "claim_missing"),
        ("wit+jwt", "p256", "example.com", "claim_missing"),
        // Another kind of token is none of a workload.
        ("JWT", "p256", "spiffe://example.com/billing", "type_refused"),
        ("wpt+jwt", "p256", "spiffe://example.com/billing", "type_refused"),
    ] {
        let service = service(rules("https://mail.example"), &domains, both());
        assert_eq!(said(&service, "/send", &sent_by(typ, signer, "k", sub), NOW), wanted, "{typ} {sub}");
    }
}

const DRAFT_WIT: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6Ikp1bmUgNSIsInR5cCI6IndpdCtqd3QifQ.eyJjbmYiOnsiandrIjp7ImFsZyI6IkVkRFNBIiwiY3J2Ijo",
    "iRWQyNTUxOSIsImt0eSI6Ik9LUCIsIngiOiIxQ1hYdmZsTl9MVlZzSXNZWHNVdkIwM0ptbEdXZUNIcVFWdW91Q0Y5MmJnIn19LCJleHAiOjE3N",
    "DU1MTI1MTAsImlhdCI6MTc0NTUwODkxMCwianRpIjoieC1fMUNUTDJjY2EzQ1NFNGN3Yl9sIiwic3ViIjoid2ltc2U6Ly9leGFtcGxlLmNvbS9",
    "zcGVjaWZpYy13b3JrbG9hZCJ9.6KraSQUxWdl9dxFQ3Fj6dPY0Vi88OkwFwZpAIOhLeq6AbXAnLLQgOp8U9UDGcBuYF3KiNv6oKQD1ZWAzrMZO",
    "Jw"
);

const DRAFT_WPT: &str = concat!(
    "eyJhbGciOiJFZERTQSIsInR5cCI6IndwdCtqd3QifQ.eyJhdGgiOiJDTDR3amZwUm1OZi1iZFlJYllMblY5ZDVyTUFSR3dLWUUxMHdVd3pDMGp",
    "JIiwiYXVkIjoiaHR0cHM6Ly93b3JrbG9hZC5leGFtcGxlLmNvbS9wYXRoIiwiZXhwIjoxNzQ1NTEwMDE2LCJqdGkiOiJfX2J3YzRFU0MzYWNjM",
    "kxUQzEtX3giLCJ3dGgiOiJBYVlVZkMzNEQxZGkyRnhRTHBpSUpKN1NnOFZaNm84T0Nkd1NmOUlUb0xnIn0.PI7d9AcYhLoEgPgbJvcM132lkBK",
    "nM1NXU-5hZUzVTIyj2dRJaTLFs6e5NYv5gg6AqcV7NvkYCwfgMgWasWQzCA"
);

const SPIFFE_WIT: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImxRU2kzaFpGbmRhMkQtWEprajF6bDdmb0pvdWl3STRuckF5aHk0alppSmciLCJ0eXAiOiJ3aXQrand0In",
    "0.eyJjbmYiOnsiandrIjp7ImFsZyI6IkVTMjU2IiwiY3J2IjoiUC0yNTYiLCJrdHkiOiJFQyIsIngiOiJyelA3bUxDS0FIV21zTTZYMEV3VklT",
    "Q19oSTN1amN1OTVmZlVreWVER0dvIiwieSI6InVPcmZEbGp0WDltM2pZLWhzeWhMSllheHRHa3pEdjVlNWttQ2U1OFo5N2cifX0sImV4cCI6MT",
    "c2NTQ1NjUwMywiaWF0IjoxNzY1NDUyOTAzLCJqdGkiOiIxeWoxOVY0TWNPQXpNY0ZpN3F2c2dfQWdDeGxyWTVFX3g1MDl3bEtLUXRjIiwic3Vi",
    "Ijoic3BpZmZlOi8vZXhhbXBsZS5jb20vbXktd29ya2xvYWQifQ.sfhEvZNdY_kWrICF08lX0u__rn39YnTavnW-VPBS20zgowDh6-X43v5eOUK",
    "ZbjZf06yLBQM-Mry5w1g1QFsCkg"
);
