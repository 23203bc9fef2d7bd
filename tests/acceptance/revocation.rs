//! The deny-list: a file that takes away what is valid, while the sidecar runs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use testkit::http::PATIENCE;
use testkit::refusal::assert_unauthorized;
use testkit::request::Request;
use testkit::stage::Stage;

/// A stage whose sidecar has this deny-list.
fn stage(list: &Path) -> Stage {
    let table = format!("[revocation]\nfile = {:?}", list.display().to_string());
    Stage::set_with(|setup| setup.with(&table))
}

/// Asks until the answer has this status.
fn wait_for(stage: &Stage, token: &str, status: u16) {
    let deadline = Instant::now() + PATIENCE;
    while stage.ask(&Request::send().bearer(token)).status() != status {
        assert!(Instant::now() < deadline, "the deny-list was not taken over\n{}", stage.sidecar.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn leaked_token_is_refused_from_the_start_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("revoked.jsonl");
    fs::write(&list, "{\"jti\":\"leaked\"}\n").unwrap();
    let stage = stage(&list);
    let detail = assert_unauthorized(
        &stage.ask(&Request::send().bearer(&stage.token_but("jti", json!("leaked")))),
        "token_revoked",
    );
    assert!(detail.contains("jti"), "{detail}");
    stage.assert_nothing_received();
    let audit = stage.audit(0);
    assert_eq!((&audit["reason"], &audit["jti"]), (&json!("token_revoked"), &json!("leaked")), "{audit:#}");
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token_but("jti", json!("other")))).status(), 202);
    stage.end();
}

#[test]
fn caller_is_revoked_and_let_in_again_while_the_sidecar_runs() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("revoked.jsonl");
    fs::write(&list, "").unwrap();
    let stage = stage(&list);
    let token = stage.token();
    assert_eq!(stage.ask(&Request::send().bearer(&token)).status(), 202);
    fs::write(&list, "{\"sub\":\"billing\"}\n").unwrap();
    wait_for(&stage, &token, 401);
    assert_unauthorized(&stage.ask(&Request::send().bearer(&token)), "token_revoked");
    // A slip of the hand lets nobody in.
    fs::write(&list, "{\"sub\":\"billing\"\n").unwrap();
    let metrics = |line: &str| stage.sidecar.ask_admin("/metrics").text().contains(line);
    let deadline = Instant::now() + PATIENCE;
    while !metrics("callgate_deny_list_reloads_total{result=\"failed\"} 1") {
        assert!(Instant::now() < deadline, "the bad file was not noticed");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(metrics("callgate_deny_list_entries 1"));
    assert_unauthorized(&stage.ask(&Request::send().bearer(&token)), "token_revoked");
    fs::write(&list, "# nobody\n").unwrap();
    wait_for(&stage, &token, 202);
    stage.end();
}

/// The reload took over what stood in the file in that moment, and it was being written.
#[test]
fn reload_while_the_deny_list_is_written_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("revoked.jsonl");
    let revoked = "{\"sub\":\"billing\"}\n";
    fs::write(&list, revoked).unwrap();
    let stage = stage(&list);
    let token = stage.token();
    assert_unauthorized(&stage.ask(&Request::send().bearer(&token)), "token_revoked");
    fs::write(&list, "").unwrap();
    stage.sidecar.process().signal(Signal::SIGHUP);
    let deadline = Instant::now() + PATIENCE;
    let reloaded = "callgate_config_reloads_total{result=\"success\"} 1";
    while !stage.sidecar.ask_admin("/metrics").text().contains(reloaded) {
        assert!(Instant::now() < deadline, "the configuration was not loaded again\n{}", stage.sidecar.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::write(&list, revoked).unwrap();
    assert_unauthorized(&stage.ask(&Request::send().bearer(&token)), "token_revoked");
    stage.assert_nothing_received();
    stage.end();
}
