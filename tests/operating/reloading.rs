//! Another configuration while requests run: whole or not at all.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::load::{Load, Rotation};
use crate::samples::{sample, wait_for_sample};
use crate::scaled;
use testkit::email_service::EmailService;
use testkit::http::{Answer, Connection};
use testkit::issuer::Issuer;
use testkit::process::{Process, run};
use testkit::request::Request;
use testkit::server::{Address, Server};
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::{Stage, binary};

const SUCCESSFUL: &str = "callgate_config_last_reload_successful";
const RELOADS: &str = "callgate_config_reloads_total";

/// An upstream that says who it is and which callers' headers it has got.
fn witness(name: &'static str) -> Server {
    Server::local(Arc::new(move |mut connection: Connection| {
        while let Some(head) = connection.read_head()? {
            connection.read_body(Connection::request_body(&head))?;
            let callers: Vec<_> = head
                .headers
                .iter()
                .filter(|(field, _)| field.to_ascii_lowercase().starts_with("x-caller-"))
                .map(|(field, value)| format!("{}={value}", field.to_ascii_lowercase()))
                .collect();
            connection.send_answer("202 Accepted", &[], format!("{name} {}", callers.join(",")).as_bytes())?;
        }
        Ok(())
    }))
    .unwrap()
}

/// A configuration in which everything is called by this name: upstream, audience, header, claim.
fn named(name: &str, upstream: &Address, issuer: &Issuer) -> String {
    format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n[upstream]\naddress = \"{}\"\n\
         [[issuers]]\nissuer = \"{}\"\naudiences = [\"{name}\"]\nalgorithms = [\"ES256\"]\nkeys = {{ url = \"{}\" }}\n\
         [caller]\nheader = \"X-Caller-{name}\"\nclaim = \"{name}\"\n[reload]\nwatch = false\n",
        upstream.for_config(),
        issuer.name(),
        issuer.jwks_url()
    )
}

#[test]
fn reloads_under_load_fail_no_request_and_none_is_judged_by_a_mixture() {
    let issuer = Issuer::start("https://auth.internal.example");
    let (red, blue) = (witness("red"), witness("blue"));
    let configs = [named("red", red.address(), &issuer), named("blue", blue.address(), &issuer)];
    let sidecar = Sidecar::start(binary(), &configs[0]).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    let mut claims = issuer.claims("nobody", AUDIENCE);
    (claims["aud"], claims["red"], claims["blue"]) = (json!(["red", "blue"]), json!("r"), json!("b"));
    let token = issuer.mint(&claims);
    let rotation = Rotation::of(sidecar.listen());
    let judge = |answer: &Answer| match (answer.status(), answer.text().as_str()) {
        (202, "red x-caller-red=r" | "blue x-caller-blue=b") => Ok(()),
        (status, text) => Err(format!("{status} {text}")),
    };
    // What the client sends under either name is gone under the one that is in force, and passes under the other.
    let load = Load::start(4, &rotation, &Request::send().bearer(&token).bytes(), judge);
    let refused = Load::start(1, &rotation, &Request::send().bytes(), |answer| {
        let realm = answer.header("www-authenticate").unwrap_or_default().to_owned();
        let is_whole = realm == "Bearer realm=\"red\"" || realm == "Bearer realm=\"blue\"";
        if answer.status() == 401 && is_whole { Ok(()) } else { Err(format!("{} {realm}", answer.status())) }
    });
    let reloads = scaled(60, 200);
    for n in 1..=reloads {
        std::fs::write(sidecar.config(), &configs[n % 2]).unwrap();
        sidecar.process().signal(Signal::SIGHUP);
        wait_for_sample(&sidecar, RELOADS, &["success"], |done| done >= n as f64);
    }
    let answered = load.end() + refused.end();
    assert!(answered > reloads, "{answered} requests ran beside {reloads} reloads");
    assert_eq!(issuer.fetches(), 1, "the keys survived every reload");
    assert_eq!(sidecar.stop().code, Some(0));
    eprintln!("{answered} requests were answered beside {reloads} reloads");
}

#[test]
fn bad_file_changes_nothing_and_is_reported_with_its_errors() {
    let stage = Stage::set_with(|setup| setup.with("[reload]\nwatch = false"));
    let good = std::fs::read_to_string(stage.sidecar.config()).unwrap();
    assert_eq!(sample(&stage.sidecar, SUCCESSFUL, &[]), Some(1.0));
    std::fs::write(stage.sidecar.config(), good.replace(&format!("[\"{AUDIENCE}\"]"), "[]")).unwrap();
    stage.sidecar.process().signal(Signal::SIGHUP);
    wait_for_sample(&stage.sidecar, SUCCESSFUL, &[], |value| value < 0.5);
    let said = stage.sidecar.log_where("The configuration has a problem.", |_| true).expect("the error is told");
    let problem = said["problem"].as_str().unwrap();
    assert!(problem.contains("issuers[0].audiences") && problem.contains("sidecar.toml:"), "{problem}");
    assert_eq!(stage.sidecar.ask_admin("/readyz").status(), 200);
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);

    std::fs::write(stage.sidecar.config(), &good).unwrap();
    stage.sidecar.process().signal(Signal::SIGHUP);
    wait_for_sample(&stage.sidecar, SUCCESSFUL, &[], |value| value > 0.5);
    assert_eq!(stage.issuer.fetches(), 1, "the keys survived");
    stage.end();
}

#[test]
fn what_needs_a_restart_is_refused_by_name() {
    let stage = Stage::set_with(|setup| setup.with("[reload]\nwatch = false"));
    let good = std::fs::read_to_string(stage.sidecar.config()).unwrap();
    let changed = good.replacen("127.0.0.1:0", "127.0.0.1:1", 1) + "\n[audit]\nqueue = 5\n";
    std::fs::write(stage.sidecar.config(), changed).unwrap();
    stage.sidecar.process().signal(Signal::SIGHUP);
    let message = "The configuration was not loaded again; the old one stays in force.";
    let said = stage.sidecar.log_where(message, |_| true).expect("it is told");
    assert_eq!(said["error"], "audit, listen.address cannot change without a restart");
    assert_eq!(sample(&stage.sidecar, SUCCESSFUL, &[]), Some(0.0));
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    stage.end();
}

#[test]
fn signals_within_a_moment_are_one_reload() {
    let stage = loop {
        let stage = Stage::set_with(|setup| setup.with("[reload]\nwatch = false"));
        let began = Instant::now();
        stage.sidecar.process().signal(Signal::SIGHUP);
        std::thread::sleep(Duration::from_millis(5));
        stage.sidecar.process().signal(Signal::SIGHUP);
        // A busy machine may have let more than a moment pass between them, which shows nothing.
        if began.elapsed() < Duration::from_millis(50) {
            break stage;
        }
    };
    let message = "The configuration was loaded again and is in force.";
    stage.sidecar.log_where(message, |_| true).expect("it is loaded");
    // Later than the moment, so that this is another one.
    std::thread::sleep(Duration::from_millis(200));
    stage.sidecar.process().signal(Signal::SIGHUP);
    wait_for_sample(&stage.sidecar, RELOADS, &["success"], |done| done > 1.5);
    assert_eq!(stage.sidecar.log().matches(message).count(), 2);
    stage.end();
}

#[test]
fn a_reload_whose_new_issuer_is_down_for_a_moment_is_tried_again_by_itself_but_not_with_another_file() {
    let stage = Stage::set_with(|setup| setup.with("[reload]\nwatch = false"));
    let other = Issuer::start("https://other.internal.example");
    let good = std::fs::read_to_string(stage.sidecar.config()).unwrap();
    let with_other = format!(
        "{good}\n[[issuers]]\nissuer = \"{}\"\naudiences = [\"{AUDIENCE}\"]\nalgorithms = [\"ES256\"]\nkeys = {{ url = \"{}\" }}\n",
        other.name(),
        other.jwks_url()
    );
    let token = other.mint(&other.claims("partner", AUDIENCE));
    let message = "The configuration was not loaded again; the old one stays in force.";
    let admin = stage.sidecar.admin().to_string();
    let reload = || run(binary(), &["reload", "--admin", &admin]).unwrap();

    other.go_down();
    std::fs::write(stage.sidecar.config(), &with_other).unwrap();
    let refused = reload();
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("it is tried again in 2s"), "{}", refused.stderr);
    assert!(stage.sidecar.log_where(message, |line| line["retry_seconds"] == 2).is_some());
    assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 401);
    other.come_up();
    let message_after = "The configuration was loaded again and is in force.";
    assert!(stage.sidecar.log_where(message_after, |line| line["trigger"] == "retry").is_some());
    assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);

    std::fs::write(stage.sidecar.config(), &good).unwrap();
    assert_eq!(reload().code, Some(0));
    other.go_down();
    std::fs::write(stage.sidecar.config(), &with_other).unwrap();
    assert_eq!(reload().code, Some(1));
    std::fs::write(stage.sidecar.config(), format!("mode = \"report\"\n{with_other}")).unwrap();
    other.come_up();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 401, "nobody has asked for the file as it is now");
    stage.end();
}

#[test]
fn issuer_without_keys_is_not_let_in_and_one_with_keys_is() {
    let stage = Stage::set_with(|setup| setup.with("[reload]\nwatch = false"));
    let other = Issuer::start("https://other.internal.example");
    let good = std::fs::read_to_string(stage.sidecar.config()).unwrap();
    let table = |url: &str| {
        format!(
            "{good}\n[[issuers]]\nissuer = \"{}\"\naudiences = [\"{AUDIENCE}\"]\nalgorithms = [\"ES256\"]\nkeys = {{ url = \"{url}\" }}\n",
            other.name()
        )
    };
    let token = other.mint(&other.claims("partner", AUDIENCE));
    std::fs::write(stage.sidecar.config(), table(&format!("{}x", other.jwks_url()))).unwrap();
    stage.sidecar.process().signal(Signal::SIGHUP);
    wait_for_sample(&stage.sidecar, RELOADS, &["failure"], |failures| failures > 0.5);
    assert!(stage.sidecar.log().contains("there are no usable keys of https://other.internal.example"));
    assert_eq!(stage.sidecar.ask_admin("/readyz").status(), 200);
    assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 401);

    std::fs::write(stage.sidecar.config(), table(&other.jwks_url())).unwrap();
    stage.sidecar.process().signal(Signal::SIGHUP);
    wait_for_sample(&stage.sidecar, RELOADS, &["success"], |successes| successes > 0.5);
    assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);
    assert_eq!(sample(&stage.sidecar, "callgate_key_set_usable", &["other.internal"]), Some(1.0));

    std::fs::write(stage.sidecar.config(), &good).unwrap();
    stage.sidecar.process().signal(Signal::SIGHUP);
    wait_for_sample(&stage.sidecar, RELOADS, &["success"], |successes| successes > 1.5);
    assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 401);
    assert_eq!(sample(&stage.sidecar, "callgate_key_set_usable", &["other.internal"]), None);
    stage.end();
}

#[test]
fn deny_list_is_in_force_through_reloads_and_goes_when_it_is_taken_out() {
    let stage = Stage::set_with(|setup| setup.with("[reload]\nwatch = false"));
    let good = std::fs::read_to_string(stage.sidecar.config()).unwrap();
    let list = stage.sidecar.config().with_file_name("revoked.jsonl");
    std::fs::write(&list, "{\"sub\":\"billing\"}\n").unwrap();
    let reload = |config: &str, count: f64| {
        std::fs::write(stage.sidecar.config(), config).unwrap();
        stage.sidecar.process().signal(Signal::SIGHUP);
        wait_for_sample(&stage.sidecar, RELOADS, &["success"], |successes| successes > count - 0.5);
    };
    let ask = || stage.ask(&Request::send().bearer(&stage.token())).status();
    assert_eq!(ask(), 202);
    let denying = format!("{good}\n[revocation]\nfile = \"revoked.jsonl\"\n");
    reload(&denying, 1.0);
    assert_eq!(ask(), 401);
    reload(&format!("{denying}\n[limits]\nkey_wait = \"2s\"\n"), 2.0);
    assert_eq!(ask(), 401);
    // It is still kept as its file says.
    std::fs::write(&list, "{\"sub\":\"somebody\"}\n").unwrap();
    wait_for_sample(&stage.sidecar, "callgate_deny_list_reloads_total", &["changed"], |changes| changes > 0.5);
    let end = std::time::Instant::now() + testkit::http::PATIENCE;
    while ask() != 202 {
        assert!(std::time::Instant::now() < end, "the list is read again");
    }
    reload(&good, 3.0);
    assert_eq!(ask(), 202);
    assert_eq!(sample(&stage.sidecar, "callgate_deny_list_entries", &[]), Some(0.0));
    stage.end();
}

#[test]
fn config_map_that_kubernetes_swaps_is_noticed_without_a_signal() {
    let (issuer, upstream) = (Issuer::start("https://auth.internal.example"), witness("one"));
    let setup = Setup::before(upstream.address()).trusting(&issuer);
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let volume = |name: &str, config: &str| {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("sidecar.toml"), config).unwrap();
    };
    volume("..first", &setup.toml());
    volume("..second", &setup.clone().with("[caller]\nheader = \"X-Caller-Other\"").toml());
    symlink("..first", at("..data")).unwrap();
    symlink(Path::new("..data").join("sidecar.toml"), at("sidecar.toml")).unwrap();

    let file = at("sidecar.toml");
    let process = Process::start(binary(), &["run".as_ref(), "--config".as_ref(), file.as_ref()]).unwrap();
    let swap = at("..data_tmp");
    let data = at("..data");
    let sidecar = Sidecar::wait_until_listening(process, directory, "").unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let ask = || sidecar.connect().exchange(Request::send().bearer(&token).bytes()).unwrap().text();
    assert_eq!(ask(), "one x-caller-service=billing");
    symlink("..second", &swap).unwrap();
    std::fs::rename(&swap, &data).unwrap();
    wait_for_sample(&sidecar, RELOADS, &["success"], |successes| successes > 0.5);
    assert_eq!(ask(), "one x-caller-other=billing");
    assert_eq!(sidecar.stop().code, Some(0));
}

#[test]
fn level_of_the_log_changes_with_the_configuration() {
    let stage = Stage::set_with(|setup| setup.with("[reload]\nwatch = false"));
    let good = std::fs::read_to_string(stage.sidecar.config()).unwrap();
    std::fs::write(stage.sidecar.config(), format!("{good}\n[log]\nlevel = \"error\"\n")).unwrap();
    stage.sidecar.process().signal(Signal::SIGHUP);
    wait_for_sample(&stage.sidecar, RELOADS, &["success"], |successes| successes > 0.5);
    assert!(!stage.sidecar.log().contains("loaded again and is in force"), "it is quiet from now on");
    let ended = stage.sidecar.stop();
    assert!(!ended.stderr.contains("Callgate is stopping."), "{}", ended.stderr);
}

/// A request of the old configuration, kept open by a body that does not end, let the old host of the keys go on publishing:
/// 42 of 69 tokens of a withdrawn source passed.
#[test]
fn source_of_keys_that_is_withdrawn_has_no_say_while_an_old_stream_is_open() {
    let issuer = Issuer::at_its_own_address();
    let (withdrawn, trusted) = (Issuer::start(&issuer.name()), Issuer::start(&issuer.name()));
    let email = EmailService::start();
    let config = |host: &Issuer| {
        let host = host.jwks_url().split('/').nth(2).unwrap().to_owned();
        let keys = format!(
            "keys = {{ discovery = true, jwks_host = \"{host}\", refresh = \"1s\", unknown_key_cooldown = \"100ms\" }}"
        );
        Setup::before(email.address())
            .trusting_with(&issuer, &keys)
            .with("[limits]\nkey_wait = \"300ms\"\n[reload]\nwatch = false")
            .toml()
    };
    let sidecar = Sidecar::start(binary(), &config(&withdrawn)).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    let token = |by: &Issuer| by.mint(&by.claims("billing", AUDIENCE));
    let ask = |token: &str| sidecar.connect().exchange(Request::send().bearer(token).bytes()).unwrap().status();
    let remembered = token(&withdrawn);
    // The second time.
    assert_eq!([ask(&remembered), ask(&remembered)], [202, 202]);
    let mut stream = sidecar.connect();
    let whole = Request::send().bearer(&remembered).bytes();
    let (begun, rest) = whole.split_at(whole.len() - 8);
    stream.send(begun).unwrap();

    std::fs::write(sidecar.config(), config(&trusted)).unwrap();
    sidecar.process().signal(Signal::SIGHUP);
    wait_for_sample(&sidecar, RELOADS, &["success"], |successes| successes > 0.5);
    let fetches = withdrawn.fetches();
    assert_eq!(ask(&remembered), 401, "what was remembered is forgotten");
    for n in 0..20 {
        withdrawn.rotate(&format!("rotated-{n}"));
        assert_eq!(ask(&token(&withdrawn)), 401);
        assert_eq!(ask(&token(&trusted)), 202);
    }
    assert_eq!(withdrawn.fetches(), fetches, "nobody asks it any more");
    // The old stream ends as it began.
    stream.send(rest).unwrap();
    assert_eq!(stream.read_answer("POST").unwrap().status(), 202);
    assert_eq!(sidecar.stop().code, Some(0));
}

/// `callgate reload` for the instance with this admin address: exit code, standard output, standard error.
fn reload(admin: &str) -> (Option<i32>, String, String) {
    let ended = run(binary(), &["reload", "--admin", admin]).unwrap();
    (ended.code, ended.stdout, ended.stderr)
}

#[test]
fn reload_says_what_is_in_force_and_is_not_for_strangers() {
    let issuer = Issuer::start("https://auth.internal.example");
    let (red, blue) = (witness("red"), witness("blue"));
    let sidecar = Sidecar::start(binary(), &named("red", red.address(), &issuer)).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    let admin = sidecar.admin().to_string();
    let mut claims = issuer.claims("nobody", AUDIENCE);
    (claims["aud"], claims["red"], claims["blue"]) = (json!(["red", "blue"]), json!("r"), json!("b"));
    let request = Request::send().bearer(&issuer.mint(&claims));
    let text = || Connection::open(sidecar.listen()).unwrap().exchange(request.bytes()).unwrap().text();
    assert_eq!(text(), "red x-caller-red=r");

    let next = named("blue", blue.address(), &issuer);
    std::fs::write(sidecar.config(), next.replace("audiences", "audience")).unwrap();
    let (code, out, err) = reload(&admin);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("is not in force, the configuration before it is") && err.contains("did you mean"), "{err}");
    assert_eq!(text(), "red x-caller-red=r");

    std::fs::write(sidecar.config(), next).unwrap();
    // Neither a web page nor somebody else may ask.
    let page = format!(
        "POST /reload HTTP/1.1\r\nHost: {admin}\r\nOrigin: http://a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(Connection::open(&admin).unwrap().exchange(page).unwrap().status(), 403);
    assert_eq!(text(), "red x-caller-red=r");

    let (code, out, err) = reload(&admin);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("is in force"), "{out}");
    assert_eq!(text(), "blue x-caller-blue=b");
    drop(sidecar);
    assert_eq!(reload(&admin).0, Some(69), "nobody is there");
}
