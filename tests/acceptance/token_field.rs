//! The token in another field than `Authorization`, which then belongs to the service and its users.

use serde_json::{Value, json};

use testkit::email_service::EmailService;
use testkit::issuer::now;
use testkit::refusal::{assert_unauthorized, request_id};
use testkit::request::Request;
use testkit::setup::AUDIENCE;
use testkit::stage::Stage;

const FIELD: &str = "X-Service-Authorization";

/// What a user's client sends to the service: nothing that Callgate could read.
const USERS: &str = "Bearer the.users.own";

fn stage_with(more: &str) -> Stage {
    Stage::set_with(|setup| setup.with(&format!("[token]\nheader = \"{FIELD}\"\n{more}")))
}

#[test]
fn token_in_the_configured_field_names_the_caller_and_authorization_passes_untouched() {
    let stage = stage_with("");
    let bearer = format!("Bearer {}", stage.token());
    let answer = stage.ask(&Request::send().header("Authorization", USERS).header(FIELD, &bearer));
    assert_eq!(answer.status(), 202, "{}", answer.text());
    let received = stage.only_received();
    assert_eq!(received.callers(), ["billing"]);
    assert_eq!(received.head.all("authorization"), [USERS]);
    assert_eq!(received.head.all(FIELD), [bearer.as_str()]);
    assert_eq!(stage.audit(0)["caller"], "billing");

    // What is in `Authorization` decides nothing: not even two of them, or a good token.
    let twice = Request::send().bearer("one").header("Authorization", "Basic YTpi").header(FIELD, &bearer);
    assert_eq!(stage.ask(&twice).status(), 202);
    assert_eq!(stage.email.received()[1].head.all("authorization"), ["Bearer one", "Basic YTpi"]);
    let elsewhere = stage.ask(&Request::send().bearer(&stage.token()));
    assert_unauthorized(&elsewhere, "token_missing");
    assert_eq!(stage.email.received().len(), 2);
    assert_eq!(stage.sidecar.audit_for(&request_id(&elsewhere)).unwrap()["reason"], "token_missing");
    stage.end();
}

#[test]
fn refusal_names_the_field_in_the_challenge_and_in_the_detail() {
    let stage = stage_with("");
    let missing = stage.ask(&Request::send().header("Authorization", USERS));
    let detail = missing.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail, format!("send the token as '{FIELD}: Bearer <token>'"));
    let challenge = format!("Bearer realm=\"{AUDIENCE}\", header=\"{FIELD}\"");
    assert_eq!(missing.header("www-authenticate"), Some(challenge.as_str()));
    let twice = Request::send().header(FIELD, "Bearer a.b.c").header("x-service-authorization", "Bearer a.b.c");
    assert!(assert_unauthorized(&stage.ask(&twice), "token_ambiguous").contains(FIELD));
    let expired = stage.token_but("exp", json!(now() - 3600));
    let expired = stage.ask(&Request::send().header(FIELD, &format!("Bearer {expired}")));
    assert_unauthorized(&expired, "token_expired");
    assert!(expired.header("www-authenticate").unwrap().starts_with(&format!("{challenge}, error=")));
    stage.assert_nothing_received();
    stage.end();
}

#[test]
fn field_is_guarded_under_every_spelling() {
    let stage = stage_with("");
    let bearer = format!("Bearer {}", stage.token());
    let spellings =
        ["X_Service_Authorization", "x.service.authorization", "X-ServiceAuthorization", "x_service-authorization_"];
    for spelling in spellings {
        assert_unauthorized(&stage.ask(&Request::send().header(spelling, &bearer)), "token_missing");
    }
    stage.assert_nothing_received();
    let disguised = spellings.into_iter().fold(Request::send(), |request, name| request.header(name, "Bearer admins"));
    assert_eq!(stage.ask(&disguised.header(FIELD, &bearer)).status(), 202);
    let received = stage.only_received();
    assert_eq!(received.head.all(FIELD), [bearer.as_str()]);
    assert!(!received.head.headers.iter().any(|(_, value)| value == "Bearer admins"), "{:#?}", received.head);
    stage.end();
}

#[test]
fn field_is_withheld_on_request_and_authorization_is_not() {
    let stage = stage_with("[caller]\nforward_token = false");
    let bearer = format!("Bearer {}", stage.token());
    let request = Request::send().header("Authorization", USERS).header(FIELD, &bearer);
    assert_eq!(stage.ask(&request.header("X_Service_Authorization", &bearer)).status(), 202);
    let received = stage.only_received();
    assert_eq!(received.head.all("authorization"), [USERS]);
    assert!(!received.head.headers.iter().any(|(_, value)| *value == bearer), "{:#?}", received.head);
    stage.end();
}

#[test]
fn nothing_of_the_field_is_ever_in_a_log_or_a_record() {
    let stage = stage_with("[log]\nlevel = \"trace\"");
    let (good, expired) = (stage.token(), stage.token_but("exp", json!(now() - 3600)));
    let mut secrets = vec!["the.users.own".to_owned()];
    for token in [&good, &expired] {
        stage.ask(&Request::send().header("Authorization", USERS).header(FIELD, &format!("Bearer {token}")));
        secrets.push(token.rsplit('.').next().unwrap().to_owned());
    }
    stage.ask(&Request::send().header(FIELD, &good));
    let rejected = (0..3).filter(|n| stage.audit(*n)["decision"] == "reject").count();
    assert_eq!(rejected, 2);
    let ended = stage.end();
    for secret in secrets {
        assert!(!ended.stdout.contains(&secret) && !ended.stderr.contains(&secret), "{secret} is told");
    }
}

#[test]
fn bare_token_is_the_whole_field() {
    let stage = stage_with("scheme = \"none\"");
    assert_eq!(stage.ask(&Request::send().header(FIELD, &stage.token())).status(), 202);
    assert_eq!(stage.only_received().callers(), ["billing"]);
    let with_scheme = stage.ask(&Request::send().header(FIELD, &format!("Bearer {}", stage.token())));
    assert!(assert_unauthorized(&with_scheme, "token_malformed").contains("without the scheme 'Bearer'"));
    assert_unauthorized(&stage.ask(&Request::send().header(FIELD, "")), "token_malformed");
    let two = format!("{}, {}", stage.token(), stage.token());
    assert_unauthorized(&stage.ask(&Request::send().header(FIELD, &two)), "token_ambiguous");
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn query_cookie_and_body_are_no_places_for_a_token_whatever_the_field() {
    let stage = stage_with("");
    let token = stage.token();
    for request in [
        Request::new("POST", &format!("/send?access_token={token}")).body(b"{}"),
        Request::send().header("Cookie", &format!("{FIELD}=Bearer {token}; access_token={token}")),
        Request::new("POST", "/send")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("access_token={token}").as_bytes()),
    ] {
        assert_unauthorized(&stage.ask(&request), "token_missing");
    }
    stage.assert_nothing_received();
    stage.end();
}

#[test]
fn transaction_tokens_come_in_their_field_and_name_the_workload_that_asked_for_them() {
    let stage = Stage::set_before(EmailService::start(), |setup| setup);
    let issuer = &stage.issuer;
    let table = format!(
        "[[issuers]]\npreset = \"txn-token\"\nissuer = \"{}\"\naudiences = [\"trust-domain.example\"]\nalgorithms = \
         [\"ES256\"]\nkeys = {{ url = \"{}\" }}",
        issuer.name(),
        issuer.jwks_url()
    );
    let sidecar = testkit::stage::start_ready(&testkit::setup::Setup::before(stage.email.address()).with(&table));
    // The draft's example, with an issuer and other times.
    let claims = json!({
        "iss": issuer.name(),
        "iat": now(),
        "aud": "trust-domain.example",
        "exp": now() + 60,
        "txn": "97053963-771d-49cc-a4e3-20aad399c312",
        "sub": "d084sdrt234fsaw34tr23t",
        "req_wl": "apigateway.trust-domain.example",
        "rctx": {"req_ip": "69.151.72.123", "authn": "urn:ietf:rfc:6749"},
        "scope": "trade.stocks",
        "tctx": {"action": "BUY", "ticker": "MSFT", "quantity": "100", "customer_type": {"geo": "US", "level": "VIP"}}
    });
    let mint = |typ: &str, claims: &Value| {
        issuer.key().mint_as(&json!({"alg": "ES256", "kid": issuer.key().kid(), "typ": typ}), claims)
    };
    let ask = |request: Request| sidecar.connect().exchange(request.bytes()).unwrap();
    let good = mint("txntoken+jwt", &claims);
    let answer = ask(Request::send().header("Authorization", USERS).header("Txn-Token", &good));
    assert_eq!(answer.status(), 202, "{}", answer.text());
    let received = stage.only_received();
    assert_eq!(received.callers(), ["apigateway.trust-domain.example"]);
    assert_eq!(received.head.all("authorization"), [USERS]);
    let record = sidecar.audit_where(|record| record["decision"] == "forward").expect("a record");
    assert_eq!(record["claims"], json!({"txn": "97053963-771d-49cc-a4e3-20aad399c312"}));

    assert_unauthorized(&ask(Request::send().bearer(&good)), "token_missing");
    assert_unauthorized(&ask(Request::send().header("Txn-Token", &mint("at+jwt", &claims))), "type_refused");
    let mut other = claims.clone();
    other.as_object_mut().unwrap().remove("txn");
    assert_unauthorized(&ask(Request::send().header("Txn-Token", &mint("txntoken+jwt", &other))), "claim_missing");
    assert_eq!(stage.email.received().len(), 1);
}
