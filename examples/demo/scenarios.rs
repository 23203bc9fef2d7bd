//! The acceptance scenarios, in the order in which they tell the story.
//!
//! Each is a sentence and a function that plays it, shows it, and says what was not as it should be.

use serde_json::{Value, json};

use super::show::Show;
use super::stage::{Scene, Stage};
use testkit::issuer::{Issuer, now};
use testkit::keys::{ALGORITHMS, Key};
use testkit::process;
use testkit::server::{Address, Server};
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;

/// Plays one scenario; an error says what was not as it should be.
pub(crate) type Play = fn(&Stage, &Show) -> Result<(), String>;

/// All scenarios with their titles.
pub(crate) const ALL: [(&str, Play); 13] = [
    ("With a valid token, a request reaches the email service, which learns who is calling.", valid),
    ("Every signature algorithm of the contract is accepted.", algorithms),
    ("Without a token, nothing gets through.", missing),
    ("A token that is no token is refused.", malformed),
    ("An expired token is refused, and the caller is told since when.", expired),
    ("A token meant for another service is refused.", wrong_audience),
    ("A token that was changed after it was signed is refused.", tampered),
    ("A correctly signed token of an issuer that nobody configured is refused.", stranger),
    ("One trusted issuer cannot speak in the name of another.", impostor),
    ("A caller cannot choose its own name, however it spells the header.", spoofed),
    ("If keys cannot be fetched, the answer is 503, and all is well once the issuer is back.", keyless),
    ("If the email service is down, the answer is 502.", upstream_down),
    ("A bad sidecar.toml is refused as a whole, with every error, before anything listens.", bad_configuration),
];

/// Plays all scenarios and returns the titles of those that failed.
pub(crate) fn play_all(stage: &Stage, show: &Show) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (number, (title, play)) in ALL.iter().enumerate() {
        show.title(&format!("{}. {title}", number + 1));
        let verdict = play(stage, show);
        show.verdict(&verdict);
        if verdict.is_err() {
            failed.push(*title);
        }
    }
    failed
}

fn valid(stage: &Stage, show: &Show) -> Result<(), String> {
    accepted(stage, show, &good_token(stage), "")
}

fn algorithms(stage: &Stage, show: &Show) -> Result<(), String> {
    let keys = ALGORITHMS.iter().map(|alg| Key::generate(alg, &format!("{alg}-key"))).collect();
    let issuer = Issuer::with_keys("https://auth.every.example", keys);
    let sidecar = Sidecar::start(&stage.binary, &Setup::before(stage.email.address()).trusting(&issuer).toml())?;
    sidecar.wait_for_readiness(200).map_err(|answer| format!("callgate is not ready: {}", answer.text()))?;
    for (n, key) in issuer.keys().iter().enumerate() {
        let token = key.mint(&issuer.claims("billing", AUDIENCE));
        let answer = sidecar.connect().exchange(request(&bearer(&token))).map_err(|error| error.to_string())?;
        let audit = sidecar.audit(n).unwrap_or_default();
        let time = audit["authentication_us"].to_string();
        show.line(key.alg(), &format!("{} for {}, {time} µs to authenticate", answer.status(), audit["caller"]));
        wanted(answer.status() == 202, &format!("{} answered {}", key.alg(), answer.status()))?;
    }
    Ok(())
}

fn missing(stage: &Stage, show: &Show) -> Result<(), String> {
    refused(stage, show, "", 401, "token_missing")
}

fn malformed(stage: &Stage, show: &Show) -> Result<(), String> {
    refused(stage, show, &bearer("open-sesame"), 401, "token_malformed")
}

fn expired(stage: &Stage, show: &Show) -> Result<(), String> {
    let mut claims = stage.issuer.claims("billing", AUDIENCE);
    claims["iat"] = json!(now() - 7200);
    claims["exp"] = json!(now() - 3600);
    refused(stage, show, &bearer(&stage.issuer.mint(&claims)), 401, "token_expired")
}

fn wrong_audience(stage: &Stage, show: &Show) -> Result<(), String> {
    let token = stage.issuer.mint(&stage.issuer.claims("billing", "invoice-service"));
    refused(stage, show, &bearer(&token), 401, "audience_mismatch")
}

fn tampered(stage: &Stage, show: &Show) -> Result<(), String> {
    let token = good_token(stage);
    let parts: Vec<_> = token.split('.').collect();
    let claims = testkit::keys::encode(stage.issuer.claims("admin", AUDIENCE).to_string().as_bytes());
    let token = format!("{}.{claims}.{}", parts[0], parts[2]);
    refused(stage, show, &bearer(&token), 401, "signature_invalid")
}

fn stranger(stage: &Stage, show: &Show) -> Result<(), String> {
    let token = stage.stranger.mint(&stage.stranger.claims("billing", AUDIENCE));
    refused(stage, show, &bearer(&token), 401, "issuer_untrusted")
}

fn impostor(stage: &Stage, show: &Show) -> Result<(), String> {
    show.note(&format!("{} signs a token that says it is from {}.", stage.partner.name(), stage.issuer.name()));
    let token = stage.partner.mint(&stage.issuer.claims("billing", AUDIENCE));
    refused(stage, show, &bearer(&token), 401, "signature_invalid")
}

fn spoofed(stage: &Stage, show: &Show) -> Result<(), String> {
    let spoofs = "X-Caller-Service: admin\r\nx-caller-service: root\r\nX_Caller_Service: admin\r\n\
                  X.Caller.Service: admin\r\n";
    accepted(stage, show, &good_token(stage), spoofs)
}

fn keyless(stage: &Stage, show: &Show) -> Result<(), String> {
    let issuer = Issuer::start("https://auth.sleepy.example");
    issuer.go_down();
    show.note("A second Callgate starts while its only issuer is down.");
    let keys = format!("keys = {{ url = \"{}\", unknown_key_cooldown = \"1s\" }}", issuer.jwks_url());
    let setup =
        Setup::before(stage.email.address()).trusting_with(&issuer, &keys).with("[limits]\nkey_wait = \"100ms\"");
    let sidecar = Sidecar::start(&stage.binary, &setup.toml())?;
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let ask = || sidecar.connect().exchange(request(&bearer(&token))).map_err(|error| error.to_string());

    show.request(&request(&bearer(&token)));
    let refused = ask()?;
    show.answer(&refused);
    wanted(refused.status() == 503, "503 was expected")?;
    wanted(refused.header("retry-after").is_some(), "Retry-After is missing")?;
    let readiness = sidecar.ask_admin("/readyz");
    show.request("GET /readyz HTTP/1.1");
    show.answer(&readiness);
    wanted(readiness.status() == 503, "/readyz should not be ready")?;

    show.note("The issuer comes up. Nobody touches Callgate.");
    issuer.come_up();
    sidecar.wait_for_readiness(200).map_err(|answer| format!("/readyz stays {}", answer.text()))?;
    let healed = ask()?;
    show.answer(&healed);
    wanted(healed.status() == 202, "202 was expected once the issuer is back")
}

fn upstream_down(stage: &Stage, show: &Show) -> Result<(), String> {
    // A server that is dropped leaves an address at which nobody listens.
    let gone = Server::local(std::sync::Arc::new(|_| Ok(()))).map_err(|error| error.to_string())?;
    let Address::Tcp(address) = *gone.address() else { return Err("the address is not a TCP address".into()) };
    drop(gone);
    let setup = Setup::before_address(&address.to_string()).trusting(&stage.issuer);
    let sidecar = Sidecar::start(&stage.binary, &setup.toml())?;
    sidecar.wait_for_readiness(200).map_err(|answer| format!("callgate is not ready: {}", answer.text()))?;
    let request = request(&bearer(&good_token(stage)));
    show.request(&request);
    let answer = sidecar.connect().exchange(&request).map_err(|error| error.to_string())?;
    show.answer(&answer);
    show.audit(&sidecar.audit_line(0).unwrap_or_default());
    wanted(answer.status() == 502, "502 was expected")
}

fn bad_configuration(stage: &Stage, show: &Show) -> Result<(), String> {
    let toml = "[listen]\naddress = \"127.0.0.1:0\"\n\n[upstream]\nadress = \"127.0.0.1:3000\"\n\n[admin]\n\
                address = \"127.0.0.1:0\"\n\n[[issuers]]\nissuer     = \"https://auth.internal.example\"\naudiences  = []\n\
                algorithms = [\"ES256\", \"none\"]\nkeys       = { file = \"jwks.json\" }\n";
    for line in toml.lines() {
        show.note(&format!("  {line}"));
    }
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = directory.path().join("sidecar.toml");
    std::fs::write(&file, toml).map_err(|error| error.to_string())?;
    show.line("$", "callgate run --config sidecar.toml");
    let ended = process::run(&stage.binary, &["run".as_ref(), "--config".as_ref(), file.as_os_str()])?;
    for line in ended.stderr.lines() {
        show.note(&format!("  {}", line.replace(&directory.path().display().to_string(), ".")));
    }
    show.line("exit code", &ended.code.map_or_else(|| "none".to_owned(), |code| code.to_string()));
    wanted(ended.code == Some(78), "exit code 78 was expected")?;
    for word in ["adress", "audiences", "none"] {
        wanted(ended.stderr.contains(word), &format!("the error about `{word}` is missing"))?;
    }
    Ok(())
}

/// Plays a request that must reach the email service with the caller's name on it, once.
fn accepted(stage: &Stage, show: &Show, token: &str, headers: &str) -> Result<(), String> {
    let Scene { answer, received, audit } = perform(stage, show, &format!("{}{headers}", bearer(token)))?;
    wanted(answer.status() == 202, &format!("202 was expected, not {}", answer.status()))?;
    let callers: Vec<_> = received.iter().flat_map(|request| request.callers()).collect();
    wanted(callers == ["billing"], &format!("the email service read its caller as {callers:?}"))?;
    audited(&audit, "forward", &Value::Null)
}

/// Plays a request that must be refused before the email service sees anything of it.
fn refused(stage: &Stage, show: &Show, headers: &str, status: u16, reason: &str) -> Result<(), String> {
    let Scene { answer, received, audit } = perform(stage, show, headers)?;
    wanted(answer.status() == status, &format!("{status} was expected, not {}", answer.status()))?;
    wanted(answer.json()["reason"] == reason, &format!("the reason should be {reason}"))?;
    wanted(received.is_empty(), "the email service should have seen nothing")?;
    audited(&audit, "reject", &json!(reason))
}

fn perform(stage: &Stage, show: &Show, headers: &str) -> Result<Scene, String> {
    let request = request(headers);
    show.request(&request);
    let scene = stage.play(&request)?;
    show.answer(&scene.answer);
    show.received(&scene.received);
    show.audit(&scene.audit);
    Ok(scene)
}

fn audited(audit: &str, decision: &str, reason: &Value) -> Result<(), String> {
    let audit: Value = serde_json::from_str(audit).map_err(|error| format!("the audit is not JSON: {error}"))?;
    wanted(audit["decision"] == decision, &format!("the audit should say {decision}"))?;
    wanted(audit["reason"] == *reason, &format!("the audit should give the reason {reason}"))
}

fn good_token(stage: &Stage) -> String {
    stage.issuer.mint(&stage.issuer.claims("billing", AUDIENCE))
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn request(headers: &str) -> String {
    let body = r#"{"to":"ada@example.com","subject":"Hello"}"#;
    format!(
        "POST /send HTTP/1.1\r\nHost: email.internal.example\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn wanted(condition: bool, otherwise: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise.to_owned()) }
}
