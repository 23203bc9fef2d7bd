//! Only configured issuers are believed, and none of them in the name of another.

use serde_json::Value;

use testkit::email_service::EmailService;
use testkit::http::Answer;
use testkit::issuer::Issuer;
use testkit::keys::Key;
use testkit::refusal::{assert_unauthorized, request_id};
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

struct Two {
    first: Issuer,
    second: Issuer,
    email: EmailService,
    sidecar: Sidecar,
}

impl Two {
    /// Two trusted issuers, whose keys bear these names.
    fn trusted(first: &str, second: &str) -> Self {
        let first = Issuer::with_keys("https://first.example", vec![Key::generate("ES256", first)]);
        let second = Issuer::with_keys("https://second.example", vec![Key::generate("ES256", second)]);
        let email = EmailService::start();
        let sidecar = start_ready(&Setup::before(email.address()).trusting(&first).trusting(&second));
        Self { first, second, email, sidecar }
    }

    fn ask(&self, token: &str) -> Answer {
        self.sidecar.connect().exchange(Request::send().bearer(token).bytes()).unwrap()
    }

    fn audit(&self, answer: &Answer) -> Value {
        self.sidecar.audit_for(&request_id(answer)).expect("the refusal is in the audit")
    }
}

#[test]
fn every_configured_issuer_is_accepted_in_its_own_name() {
    let two = Two::trusted("key-1", "key-1");
    for (n, issuer) in [&two.first, &two.second].into_iter().enumerate() {
        let answer = two.ask(&issuer.mint(&issuer.claims("billing", AUDIENCE)));
        assert_eq!(answer.status(), 202, "{}", answer.text());
        assert_eq!(two.sidecar.audit(n).unwrap()["issuer"], issuer.name());
    }
    assert_eq!(two.email.received().len(), 2);
}

#[test]
fn correctly_signed_token_of_an_issuer_that_is_not_configured_is_refused() {
    let two = Two::trusted("key-1", "key-2");
    let stranger = Issuer::start("https://stranger.example");
    let refused = two.ask(&stranger.mint(&stranger.claims("billing", AUDIENCE)));
    assert_unauthorized(&refused, "issuer_untrusted");
    assert!(two.email.received().is_empty());
    let audit = two.audit(&refused);
    assert_eq!(audit["reason"], "issuer_untrusted");
    assert!(audit["issuer"].is_null(), "no configured issuer matched: {audit}");
    assert_eq!(stranger.fetches(), 0, "a stranger's keys are never asked for");
}

#[test]
fn issuer_that_only_resembles_a_configured_one_is_refused() {
    let two = Two::trusted("key-1", "key-2");
    let names =
        ["https://first.example/", "https://FIRST.example", "https://first.example ", " https://first.example", ""];
    for name in names {
        let mut claims = two.first.claims("billing", AUDIENCE);
        claims["iss"] = name.into();
        assert_unauthorized(&two.ask(&two.first.mint(&claims)), "issuer_untrusted");
    }
    assert!(two.email.received().is_empty());
    assert_eq!(two.ask(&two.first.mint(&two.first.claims("billing", AUDIENCE))).status(), 202);
}

#[test]
fn name_of_one_issuer_on_the_key_of_another_with_the_same_kid_is_refused() {
    let two = Two::trusted("key-1", "key-1");
    let refused = two.ask(&two.second.mint(&two.first.claims("billing", AUDIENCE)));
    assert_unauthorized(&refused, "signature_invalid");
    assert!(two.email.received().is_empty());
    let audit = two.audit(&refused);
    assert_eq!(audit["issuer"], "https://first.example");
    assert!(audit["caller"].is_null());
    assert_eq!(two.ask(&two.second.mint(&two.second.claims("billing", AUDIENCE))).status(), 202);
}

#[test]
fn name_of_one_issuer_on_the_key_of_another_with_another_kid_is_refused() {
    let two = Two::trusted("key-1", "key-2");
    let refused = two.ask(&two.second.mint(&two.first.claims("billing", AUDIENCE)));
    assert_unauthorized(&refused, "key_unknown");
    assert!(two.email.received().is_empty());
    assert_eq!(two.audit(&refused)["reason"], "key_unknown");
    assert_eq!(two.ask(&two.second.mint(&two.second.claims("billing", AUDIENCE))).status(), 202);
}
