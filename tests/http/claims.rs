//! More claims as headers (`caller.forward`), under the guard of the caller's name; and a token that stays here
//! (`caller.forward_token`).

use serde_json::{Value, json};

use testkit::refusal::assert_unauthorized;
use testkit::request::Request;
use testkit::stage::Stage;

const FORWARD: &str = "[caller]\nforward = { X-Caller-Team = \"team\", X-Caller-Scopes = \"/auth/scopes\" }\n\
                       [[public]]\npath = \"/healthz\"\nmethods = [\"GET\"]";

/// What a backend could take for the first of them.
const SPELLINGS: [&str; 5] = ["X-Caller-Team", "x-caller-team", "X_Caller_Team", "x.caller.team", "XCallerTeam"];

fn spoofed(request: Request) -> Request {
    SPELLINGS.into_iter().fold(request, |request, name| request.header(name, "admins"))
}

/// Every value under a name with the same letters.
fn teams(stage: &Stage) -> Vec<String> {
    let letters = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let received = stage.email.latest().expect("it has seen a request");
    let ours = received.head.headers.into_iter().filter(|(name, _)| letters(name) == "xcallerteam");
    ours.map(|(_, value)| value).collect()
}

#[test]
fn claims_are_forwarded_and_whatever_a_client_says_in_their_place_is_not() {
    let stage = Stage::set_with(|setup| setup.with(FORWARD));
    let mut claims = stage.claims();
    claims["team"] = json!("payments");
    claims["auth"] = json!({ "scopes": ["mail:send", "mail:read"] });
    let token = stage.issuer.mint(&claims);
    let request = spoofed(Request::send()).header("Connection", "X-Caller-Team, X-Caller-Scopes").bearer(&token);
    assert_eq!(stage.ask(&request).status(), 202);
    let received = stage.only_received();
    assert_eq!(teams(&stage), ["payments"]);
    assert_eq!(received.head.all("x-caller-scopes"), ["mail:send,mail:read"]);
    assert_eq!(received.callers(), ["billing"]);
    assert_eq!(stage.audit(0)["caller"], "billing");
    stage.end();
}

#[test]
fn a_claim_that_is_not_there_leaves_its_header_out_whatever_the_client_sent() {
    let stage = Stage::set_with(|setup| setup.with(FORWARD));
    assert_eq!(stage.ask(&spoofed(Request::send()).bearer(&stage.token())).status(), 202);
    assert_eq!(teams(&stage), Vec::<String>::new());
    assert_eq!(stage.only_received().callers(), ["billing"]);
    stage.end();
}

#[test]
fn on_a_public_path_no_claim_is_forwarded_and_none_of_the_clients() {
    let stage = Stage::set_with(|setup| setup.with(FORWARD));
    assert_eq!(stage.ask(&spoofed(Request::new("GET", "/healthz"))).status(), 200);
    assert_eq!(teams(&stage), Vec::<String>::new());
    assert_eq!(stage.audit(0)["decision"], "pass");
    stage.end();
}

#[test]
fn a_request_that_is_only_reported_brings_no_claims_of_its_own() {
    let stage = Stage::set_with(|setup| setup.with(FORWARD).with("[[report]]\npath = \"/send\"\nmethods = [\"POST\"]"));
    assert_eq!(stage.ask(&spoofed(Request::send())).status(), 202);
    assert_eq!(teams(&stage), Vec::<String>::new());
    assert_eq!(stage.audit(0)["decision"], "would_reject");
    stage.end();
}

#[test]
fn a_claim_that_is_no_header_value_refuses_its_token() {
    let stage = Stage::set_with(|setup| setup.with(FORWARD));
    let unusable: [Value; 8] = [
        json!("payments\r\nX-Caller-Service: admin"),
        json!("caf\u{e9}"),
        json!(" payments"),
        json!({ "name": "payments" }),
        json!(["a,b", "c"]),
        json!(["a", 1]),
        json!(1.5),
        json!("x".repeat(1025)),
    ];
    for (n, team) in unusable.into_iter().enumerate() {
        let refused = stage.ask(&Request::send().bearer(&stage.token_but("team", team.clone())));
        let detail = assert_unauthorized(&refused, "claim_invalid");
        assert!(detail.contains("team"), "{detail}");
        assert_eq!(stage.audit(n)["reason"], "claim_invalid", "{team}");
    }
    stage.assert_nothing_received();
    for (team, header) in
        [(json!("x".repeat(1024)), "x".repeat(1024)), (json!(7), "7".into()), (json!(true), "true".into())]
    {
        assert_eq!(stage.ask(&Request::send().bearer(&stage.token_but("team", team))).status(), 202);
        assert_eq!(teams(&stage), [header]);
    }
    stage.end();
}

#[test]
fn the_token_goes_on_unless_it_shall_stay_here() {
    let public = "[[public]]\npath = \"/healthz\"\nmethods = [\"GET\"]";
    let stage = Stage::set_with(|setup| setup.with(public));
    let token = stage.token();
    assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);
    assert_eq!(stage.only_received().head.all("authorization"), [format!("Bearer {token}")]);
    stage.end();

    let stage = Stage::set_with(|setup| setup.with("[caller]\nforward_token = false").with(public));
    let token = stage.token();
    assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);
    assert_eq!(stage.ask(&Request::new("GET", "/healthz").bearer(&token)).status(), 200);
    for received in stage.email.received() {
        assert_eq!(received.head.all("authorization"), Vec::<&str>::new(), "{:?}", received.head.start);
        let everything = format!("{:?}", received.head);
        assert!(!everything.contains(&token), "nor under another name: {everything}");
    }
    assert_eq!(stage.email.received()[0].callers(), ["billing"]);
    stage.end();
}
