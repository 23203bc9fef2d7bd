//! The command itself: what it prints, where, and with which exit code.

use std::process::Command;

use super::reference::{Fault, Reference};
use super::{Probing, with_verdict};

fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_callgate")).arg("probe").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn no_report_has_any_part_of_the_token() {
    let reference = Reference::start(Fault::ChecksNoSignature);
    let token = reference.token();
    let probing = Probing::of(&reference.url(), &token);
    let file = probing.options.target.token_file.to_str().unwrap().to_owned();
    let junit = probing.file("junit.xml", "");
    let url = reference.url();
    let arguments =
        ["--url", &url, "--token-file", &file, "--method", "POST", "--rate", "1000", "--echo-path", "/send"];
    let junit_at = junit.to_str().unwrap();
    let (code, text, progress) = output(&[&arguments[..], &["--junit", junit_at]].concat());
    assert_eq!(code, Some(1), "{text}{progress}");
    assert!(text.contains("Somebody without a good token gets in") && progress.contains("FAIL"), "{text}{progress}");
    let (code, json, _) = output(&[&arguments[..], &["--json"]].concat());
    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let junit = std::fs::read_to_string(&junit).unwrap();
    let failures = with_verdict(&report, "fail").len();
    assert!(failures > 10);
    assert_eq!(junit.matches("<failure ").count(), failures);
    for said in [&text, &progress, &json, &junit] {
        for part in token.split('.') {
            assert!(!said.contains(part) && !said.contains(&part[..16]), "{said}");
        }
    }
}

#[test]
fn a_dry_run_lists_the_cases_and_sends_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let reference = Reference::start(Fault::Nothing);
    let probing = Probing::of("http://h/", &reference.token());
    let file = probing.options.target.token_file.to_str().unwrap();
    let url = format!("http://{}/send", listener.local_addr().unwrap());
    let (code, text, _) = output(&["--url", &url, "--token-file", file, "--dry-run"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("RFC 8725 2.1") && text.ends_with("nothing was sent.\n"), "{text}");
    assert!(text.lines().count() > 300);
    assert!(listener.accept().is_err(), "nobody connects");
}

#[test]
fn without_a_good_token_nothing_is_probed() {
    let reference = Reference::start(Fault::Nothing);
    let other = Reference::start(Fault::Nothing);
    let probing = Probing::of(&reference.url(), &other.token());
    let (code, report, told) = probing.run();
    assert_eq!((code, report.is_null()), (3, true));
    assert!(told.contains("the good token must pass first, and 401 came"), "{told}");
}

#[test]
fn a_target_that_cannot_be_reached_or_read_has_its_own_exit_code() {
    let reference = Reference::start(Fault::Nothing);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let probing = Probing::of(&format!("http://{closed}/"), &reference.token());
    assert_eq!(probing.run().0, 69);
    let probing = Probing::of("ftp://h/", &reference.token());
    assert_eq!(probing.run().0, 64);
    let probing = Probing::of(&reference.url(), "no token");
    assert_eq!(probing.run().0, 64);
}

#[test]
fn every_request_has_the_marker_and_the_given_method() {
    let reference = Reference::start(Fault::Nothing);
    let mut probing = Probing::of(&reference.url(), &reference.token());
    probing.options.target.headers = vec!["X-Team: payments".to_owned()];
    let target = callgate::probe::Target::new(&probing.options.target).unwrap_or_else(|error| panic!("{error}"));
    for case in callgate::probe::cases(&target, None) {
        match case.request {
            callgate::probe::Request::Http1(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                assert!(text.starts_with("POST ") && text.contains("X-Callgate-Probe: "), "{}", case.what);
            }
            callgate::probe::Request::Http2 { fields, .. } => {
                assert!(fields.iter().any(|(name, _)| name == b"x-callgate-probe"), "{}", case.what);
                assert!(
                    fields.iter().any(|(name, value)| name == b":method" && value.starts_with(b"POST")),
                    "{}",
                    case.what
                );
            }
            callgate::probe::Request::Direct(_) => panic!("no address was given"),
        }
    }
}
