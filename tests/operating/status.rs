//! The status of an instance, as JSON and as a page in a real browser: it says what was sent, never a token, and a name that looks
//! like markup stays a name. Where Chromium is missing the page is skipped, and says so.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use testkit::email_service::EmailService;
use testkit::http::{Connection, PATIENCE};
use testkit::issuer::{Issuer, now};
use testkit::process::run;
use testkit::request::Request;
use testkit::setup::Setup;
use testkit::sidecar::Sidecar;
use testkit::stage::{Stage, binary, start_ready};
use testkit::tools;

const REPORTED: &str = "[[report]]\npath = \"/reported\"\nmethods = [\"GET\"]";
const BOUND: &str = "[forwarding]\nexternal_urls = [\"https://mail.example\"]";
const PUBLIC: &str = "[[public]]\npath = \"/healthz\"\nmethods = [\"GET\"]";

/// A stage on which every outcome can be had.
fn stage() -> Stage {
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let keys = format!("keys = {{ url = \"{}\" }}\nbinding = [\"dpop\"]", issuer.jwks_url());
    let setup = Setup::before(email.address()).trusting_with(&issuer, &keys).with(BOUND).with(REPORTED).with(PUBLIC);
    let sidecar = start_ready(&setup);
    Stage { issuer, email, sidecar }
}

/// The status, once it satisfies a condition.
fn status_where(sidecar: &Sidecar, wanted: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = sidecar.ask_admin("/status");
        assert_eq!(answer.status(), 200);
        let status = answer.json();
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < end, "{status:#}\n{}", sidecar.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Requests with every outcome: three accepted, two refused, one public, one that would be refused.
fn traffic(stage: &Stage) -> [String; 2] {
    let (token, expired) = (stage.token(), stage.token_but("exp", json!(now() - 3600)));
    for _ in 0..3 {
        assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);
    }
    assert_eq!(stage.ask(&Request::send()).status(), 401);
    // It is recorded when it has ended, and the next one must not overtake it.
    assert!(stage.sidecar.audit_where(|record| record["reason"] == "token_missing").is_some());
    assert_eq!(stage.ask(&Request::new("POST", "/send?secret=1").bearer(&expired)).status(), 401);
    assert!(stage.sidecar.audit_where(|record| record["reason"] == "token_expired").is_some());
    assert_eq!(stage.ask(&Request::new("GET", "/healthz")).status(), 200);
    assert_eq!(stage.ask(&Request::new("GET", "/reported").bearer(&expired)).status(), 404);
    [token, expired]
}

fn has_all(status: &Value) -> bool {
    let total = json!({"forward": 3, "pass": 1, "reject": 2, "would_reject": 1});
    // Counts and notes are not written in one step.
    status["requests"]["total"] == total && status["refusals"].as_array().is_none_or(|refusals| refusals.len() == 3)
}

fn schema_path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/status.schema.json"))
}

#[test]
fn the_published_schema_of_the_status_is_that_of_the_code() {
    let schema = callgate::status::schema();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(schema_path(), format!("{schema:#}\n")).unwrap();
    }
    let published: Value = serde_json::from_str(&std::fs::read_to_string(schema_path()).unwrap()).unwrap();
    assert_eq!(published, schema, "UPDATE_SCHEMA=1 cargo test --test operating writes docs/status.schema.json anew");
}

#[test]
fn the_status_says_what_was_sent_keeps_to_its_schema_and_holds_no_token() {
    let stage = stage();
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(schema_path()).unwrap()).unwrap();
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let quiet = status_where(&stage.sidecar, |status| status["state"] == "ready");
    assert!(schema.is_valid(&quiet), "{:?}", schema.validate(&quiet));
    assert_eq!((&quiet["refusals"], &quiet["enforcement"]["answer"]), (&json!([]), &json!("unknown")));

    let tokens = traffic(&stage);
    let status = status_where(&stage.sidecar, has_all);
    assert!(schema.is_valid(&status), "{:?}", schema.validate(&status));
    let mut another = status.clone();
    another["requests"]["total"]["reject"] = json!(-1);
    assert!(!schema.is_valid(&another), "the schema can say no");

    let sum = |outcome: &str| -> u64 {
        let intervals = status["requests"]["intervals"].as_array().unwrap();
        intervals.iter().map(|counts| counts[outcome].as_u64().unwrap()).sum()
    };
    assert_eq!([sum("forward"), sum("reject"), sum("pass"), sum("would_reject")], [3, 2, 1, 1]);
    let refusals = status["refusals"].as_array().unwrap();
    let told: Vec<_> = refusals.iter().map(|it| (&it["reason"], &it["path"], &it["status"], &it["decision"])).collect();
    assert_eq!(
        told,
        [
            (&json!("token_expired"), &json!("/reported"), &json!(404), &json!("would_reject")),
            (&json!("token_expired"), &json!("/send"), &json!(401), &json!("reject")),
            (&json!("token_missing"), &json!("/send"), &json!(401), &json!("reject")),
        ]
    );
    let refusal = &refusals[0];
    let audit = stage.sidecar.audit_for(refusal["request_id"].as_str().unwrap()).unwrap();
    for key in ["request_id", "claimed_caller", "issuer", "kid", "client", "method"] {
        assert_eq!(refusal[key], audit[key], "{key} is the audit's");
    }
    assert_eq!(refusal["claimed_caller"], "billing");
    assert_eq!((&refusals[1]["claimed_caller"], &refusals[2]["claimed_caller"]), (&json!("billing"), &Value::Null));
    assert_eq!(status["enforcement"]["answer"], "not_yet");
    assert_eq!(status["enforcement"]["would_reject"][0]["claimed_caller"], "billing");
    assert_eq!(status["enforcement"]["reported"], json!(["GET /reported"]));
    assert_eq!(status["service"]["public"], json!(["GET /healthz"]));
    assert_eq!(status["service"]["listen"], stage.sidecar.listen().to_string());
    let issuer = &status["issuers"][0];
    assert_eq!((&issuer["issuer"], &issuer["ready"]), (&json!(stage.issuer.name()), &json!(true)));
    assert_eq!(issuer["keys"], json!([stage.issuer.key().kid()]));
    let bound = &issuer["bound_tokens"];
    assert_eq!((&bound["answer"], &bound["unbound"]), (&json!("not_yet"), &json!(3)));
    assert_eq!(bound["unbound_callers"][0]["caller"], "billing");
    let text = status.to_string();
    assert!(!text.contains("secret"), "a query is not shown");
    for token in tokens {
        assert!(token.split('.').all(|part| !text.contains(part)), "no part of a token is shown");
    }
    stage.end();
}

#[test]
fn a_reload_is_shown_with_what_is_in_force_then() {
    let stage = stage();
    let before = status_where(&stage.sidecar, |status| status["state"] == "ready");
    assert_eq!(before["configuration"]["last_reload"], Value::Null);
    let admin = stage.sidecar.admin().to_string();
    let reload = || run(binary(), &["reload", "--admin", &admin]).unwrap().code;
    let good = std::fs::read_to_string(stage.sidecar.config()).unwrap();

    std::fs::write(stage.sidecar.config(), "nonsense").unwrap();
    assert_eq!(reload(), Some(1));
    let refused = status_where(&stage.sidecar, |_| true);
    let last = &refused["configuration"]["last_reload"];
    assert_eq!(last["successful"], false);
    let detail = last["detail"].as_str().unwrap();
    assert!(detail.contains("is not in force") && detail.contains("sidecar.toml:1:"), "{last}");
    assert!(!detail.contains("nonsense"), "no line of the file is shown: {last}");
    assert_eq!(refused["service"], before["service"]);

    std::fs::write(stage.sidecar.config(), format!("mode = \"report\"\n{good}")).unwrap();
    assert_eq!(reload(), Some(0));
    let status = status_where(&stage.sidecar, |_| true);
    assert_eq!(status["configuration"]["last_reload"]["successful"], true);
    assert_eq!(status["enforcement"]["reported"][0], "all requests");
    assert!(status["configuration"]["warnings"].to_string().contains("mode"), "{status:#}");
    stage.end();
}

#[test]
fn without_the_page_there_is_none_and_no_refusal_is_kept() {
    let (email, issuer) = (EmailService::start(), Issuer::start("https://a.example"));
    let toml = Setup::before(email.address()).trusting(&issuer).toml();
    let sidecar = Sidecar::start(binary(), &toml.replace("[admin]", "[admin]\npage = false")).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    assert_eq!(sidecar.connect().exchange(Request::send().bytes()).unwrap().status(), 401);
    let status = status_where(&sidecar, |status| status["requests"]["total"]["reject"] == 1);
    assert_eq!(status["refusals"], Value::Null);
    assert_eq!(sidecar.ask_admin("/").status(), 404);
    let admin = sidecar.admin().to_string();
    assert_eq!(run(binary(), &["rollout", "--admin", &admin]).unwrap().code, Some(0), "rollout can ask");
    assert_eq!(sidecar.stop().code, Some(0));
}

#[test]
fn a_domain_that_was_made_to_mean_this_machine_reads_nothing() {
    let stage = stage();
    let admin = stage.sidecar.admin();
    let ask = |method: &str, path: &str, host: &str| {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Connection::open(admin).unwrap().exchange(request).unwrap()
    };
    let port = admin.port();
    for (method, path) in [("GET", "/"), ("GET", "/status"), ("GET", "/metrics"), ("POST", "/drain")] {
        let answer = ask(method, path, &format!("evil.example:{port}"));
        assert_eq!((answer.status(), answer.text().trim()), (421, "ask for this by an address or localhost"), "{path}");
    }
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), "callgate".to_owned()] {
        assert_eq!(ask("GET", "/status", &host).status(), 200, "{host}");
    }
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202, "nothing drains");
    stage.end();
}

#[test]
fn the_page_may_run_its_own_script_and_nothing_else() {
    let stage = stage();
    let page = stage.sidecar.ask_admin("/");
    assert_eq!(page.status(), 200);
    let policy = page.header("content-security-policy").unwrap();
    for word in ["default-src 'none'", "frame-ancestors 'none'", "script-src 'sha256-", "style-src 'sha256-"] {
        assert!(policy.contains(word), "{word} in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(stage.sidecar.ask_admin("/status").header("x-content-type-options"), Some("nosniff"));
    stage.end();
}

/// The page as Chromium has it after its script has run, and everything that Chromium said meanwhile.
fn shown(sidecar: &Sidecar, more: &[&str]) -> Option<(String, String)> {
    let Some(chromium) = tools::find("chromium-headless-shell") else {
        tools::skip("the status page in a browser", "chromium-headless-shell is missing");
        return None;
    };
    let profile = tempfile::tempdir().unwrap();
    let (profile, url) =
        (format!("--user-data-dir={}", profile.path().display()), format!("http://{}/", sidecar.admin()));
    // Its sandbox needs what a container has not; it loads nothing but our own page.
    let fixed =
        ["--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom"];
    let arguments: Vec<&OsStr> =
        fixed.iter().chain(more).map(OsStr::new).chain([OsStr::new(&profile), OsStr::new(&url)]).collect();
    let ended = run(&chromium, &arguments).unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    Some((ended.stdout, ended.stderr))
}

/// The text of the element with this id, without its tags.
fn text_of(page: &str, id: &str) -> String {
    let (_, rest) = page.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id} in {page}"));
    let end = rest.find("</section>").or_else(|| rest.find("</header>")).unwrap_or(rest.len());
    let mut text = String::new();
    for part in rest[..end].split_once('>').unwrap().1.split('<') {
        let content =
            if text.is_empty() && !part.contains('>') { part } else { part.split_once('>').map_or("", |(_, it)| it) };
        text += &format!("{content} ");
    }
    text
}

#[test]
fn the_page_in_a_browser_says_what_was_sent_and_names_that_look_like_markup_stay_text() {
    let stage = stage();
    traffic(&stage);
    let evil = "<img/src=x>";
    let mut claims = stage.claims();
    (claims["sub"], claims["exp"]) = (json!(evil), json!(now() - 3600));
    let header = json!({"alg": "ES256", "kid": "<script>document.title=1</script>", "typ": "JWT"});
    let token = stage.issuer.key().mint_as(&header, &claims);
    assert_eq!(stage.ask(&Request::new("GET", "/reported").bearer(&token)).status(), 404);
    status_where(&stage.sidecar, |status| status["requests"]["total"]["would_reject"] == 2);

    let Some((page, said)) = shown(&stage.sidecar, &[]) else { return };
    assert!(page.contains("data-shown=\"yes\""), "the script has run: {said}\n{page}");
    for complaint in ["Content Security Policy", "Uncaught", "TypeError"] {
        assert!(!said.contains(complaint), "{said}");
    }
    for (outcome, count) in [("forward", "3"), ("reject", "2"), ("would_reject", "2"), ("pass", "1")] {
        let figure = page.split_once(&format!("id=\"requests-{outcome}\"")).unwrap().1;
        let count_shown = figure.split_once("class=\"number\">").unwrap().1.split('<').next();
        assert_eq!(count_shown, Some(count), "{outcome}");
    }
    let refusals = text_of(&page, "refusals");
    let audit: Vec<_> = (0..8).map(|n| stage.audit(n)).filter(|record| !record["reason"].is_null()).collect();
    assert_eq!(audit.len(), 4);
    for record in audit {
        for key in ["request_id", "reason", "path", "client"] {
            assert!(refusals.contains(record[key].as_str().unwrap()), "{key} of {record} in {refusals}");
        }
    }
    assert!(refusals.contains("&lt;img/src=x&gt;"), "the claimed caller, as text: {refusals}");
    assert!(refusals.contains("&lt;script&gt;document.title=1&lt;/script&gt;"), "the kid, as text: {refusals}");
    assert!(!page.contains("<img"), "no markup came of it");
    assert_eq!(page.matches("<script").count(), 1, "the page's own");
    assert!(text_of(&page, "enforce").contains("Not yet"), "{page}");
    assert!(text_of(&page, "service").contains(&stage.sidecar.listen().to_string()));
    let issuers = text_of(&page, "issuers");
    for words in [stage.issuer.name().as_str(), "nothing: 3", "dpop: 0", "not yet", "billing × 3"] {
        assert!(issuers.contains(words), "{words} in {issuers}");
    }
    assert!(!page.contains(&token), "no token is shown");
    stage.end();
}

#[test]
fn the_page_says_whether_the_replay_store_answers() {
    let store = "[forwarding]\nexternal_urls = [\"https://mail.example\"]\n[replay]\nstore = \"redis://127.0.0.1:1\"";
    let stage = Stage::set_with(|setup| setup.with("binding = [\"dpop\"]").with(store));
    let wanted =
        json!({"address": "redis://127.0.0.1:1", "answers": false, "detail": "no connection: connection refused"});
    status_where(&stage.sidecar, |status| status["replay_store"] == wanted);
    assert_eq!(stage.sidecar.ask_admin("/readyz").status(), 200, "only proofs need it");
    let Some((page, _)) = shown(&stage.sidecar, &[]) else { return };
    let service = text_of(&page, "service");
    for words in ["Replay store", "redis://127.0.0.1:1", "does not answer", "connection refused"] {
        assert!(service.contains(words), "{words} in {service}");
    }
    stage.end();
}

/// `cargo test --test operating -- --ignored pictures` puts them into target/pictures, to be looked at.
#[test]
#[ignore = "there is nothing to assert: people look at the pictures"]
fn pictures_of_the_page() {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/pictures"));
    std::fs::create_dir_all(&directory).unwrap();
    let take = |sidecar: &Sidecar, name: &str, more: &[&str]| {
        let picture = format!("--screenshot={}", directory.join(name).display());
        let more: Vec<_> = [picture.as_str(), "--hide-scrollbars"].into_iter().chain(more.iter().copied()).collect();
        shown(sidecar, &more);
    };
    let (wide, narrow, dark) =
        ("--window-size=1280,1250", "--window-size=390,3600", "--blink-settings=preferredColorScheme=0");
    let quiet = Stage::set();
    take(&quiet.sidecar, "quiet.png", &[wide]);
    quiet.end();

    let reported = stage();
    for round in 0..3_u64 {
        for _ in 0..=round * 7 {
            traffic(&reported);
        }
        std::thread::sleep(Duration::from_secs(10));
    }
    take(&reported.sidecar, "refusals.png", &["--window-size=1280,3200"]);
    take(&reported.sidecar, "dark.png", &[wide, dark]);
    take(&reported.sidecar, "narrow.png", &[narrow]);
    std::fs::write(reported.sidecar.config(), "nonsense").unwrap();
    run(binary(), &["reload", "--admin", &reported.sidecar.admin().to_string()]).unwrap();
    reported.issuer.go_down();
    take(&reported.sidecar, "refused-reload.png", &["--window-size=1280,3200"]);
    reported.end();

    let reporting = Stage::set();
    let good = std::fs::read_to_string(reporting.sidecar.config()).unwrap();
    std::fs::write(reporting.sidecar.config(), format!("mode = \"report\"\n{good}")).unwrap();
    run(binary(), &["reload", "--admin", &reporting.sidecar.admin().to_string()]).unwrap();
    for name in ["billing", "orders", "a-service-with-quite-a-long-name.in-some-namespace"] {
        let mut claims = reporting.claims();
        (claims["sub"], claims["aud"]) = (json!(name), json!("another"));
        assert_eq!(reporting.ask(&Request::send().bearer(&reporting.issuer.mint(&claims))).status(), 202);
    }
    take(&reporting.sidecar, "report.png", &[wide]);
    reporting.end();
}
