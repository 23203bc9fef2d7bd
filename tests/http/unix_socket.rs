//! A listener on a Unix socket: the same rules, without an address to forward, and a file that is handled with care.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::signal::Signal;

use testkit::email_service::EmailService;
use testkit::http::{Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::process;
use testkit::refusal::assert_unauthorized;
use testkit::request::Request;
use testkit::setup::Setup;
use testkit::stage::{Stage, binary, start};

fn stage(path: &Path, more: &str) -> Stage {
    let address = format!("unix:{}", path.display());
    Stage::set_with(|setup| setup.listening(&address, "127.0.0.1:0").with(more))
}

#[test]
fn a_request_over_a_socket_is_judged_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("callgate.sock");
    let stage = stage(&path, "");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let mut connection = stage.sidecar.connect();
    let refused = connection.exchange(Request::send().header("X-Caller-Service", "admin").bytes()).unwrap();
    assert_unauthorized(&refused, "token_missing");
    stage.assert_nothing_received();
    let claiming = Request::send().header("X-Forwarded-For", "10.9.9.9").header("X-Caller-Service", "admin");
    assert_eq!(connection.exchange(claiming.bearer(&stage.token()).bytes()).unwrap().status(), 202);
    let received = stage.only_received();
    assert_eq!(received.callers(), ["billing"]);
    assert_eq!(received.head.all("x-forwarded-for"), Vec::<&str>::new(), "there is no address, and none is believed");
    assert_eq!(received.head.all("x-forwarded-proto"), ["http"]);
    stage.audit(1);
    let malformed = stage.sidecar.connect().exchange("GET  / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(malformed.status(), 400);
    let client = format!("unix:uid={},pid={}", fs::metadata(&path).map(|file| uid(&file)).unwrap(), std::process::id());
    for (n, reason) in [(0, "token_missing".into()), (1, serde_json::Value::Null), (2, "request_malformed".into())] {
        let audit = stage.audit(n);
        assert_eq!((&audit["client"], &audit["reason"]), (&client.clone().into(), &reason), "{audit}");
    }
    stage.end();
    assert!(!path.exists(), "the file is gone with the process");
}

fn uid(file: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(file)
}

#[test]
fn of_what_trusted_proxies_say_over_a_socket_their_part_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let stage = stage(&directory.path().join("callgate.sock"), "[forwarding]\ntrusted_hops = 1");
    let claiming = Request::send().bearer(&stage.token()).header("X-Forwarded-For", "10.9.9.9, 10.1.1.1");
    assert_eq!(stage.ask(&claiming).status(), 202);
    assert_eq!(stage.only_received().head.all("x-forwarded-for"), ["10.1.1.1"]);
    stage.end();
}

#[test]
fn a_socket_that_a_killed_process_left_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("callgate.sock");
    let killed = stage(&path, "");
    killed.sidecar.process().signal(Signal::SIGKILL);
    killed.sidecar.wait(PATIENCE);
    assert!(path.exists(), "it could not clear up");
    let stage = stage(&path, "");
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    stage.end();
}

#[test]
fn a_socket_in_use_and_a_file_are_left_alone_and_it_is_said_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let taken = directory.path().join("taken.sock");
    let _other = UnixListener::bind(&taken).unwrap();
    let file = directory.path().join("precious");
    fs::write(&file, "data").unwrap();
    let (email, issuer) = (EmailService::start(), Issuer::start("https://auth.internal.example"));
    for (path, why) in [(&taken, "another process listens there; stop it"), (&file, "no socket; remove it")] {
        let setup = Setup::before(email.address()).trusting(&issuer);
        let setup = setup.listening(&format!("unix:{}", path.display()), "127.0.0.1:0");
        let config = directory.path().join("sidecar.toml");
        fs::write(&config, setup.toml()).unwrap();
        let ended = process::run(binary(), &["run".as_ref(), "--config".as_ref(), config.as_os_str()]).unwrap();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("listen.address unix:") && ended.stderr.contains(why), "{}", ended.stderr);
        assert!(path.exists());
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "data");
}

#[test]
fn a_reload_keeps_the_socket_and_another_mode_needs_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("callgate.sock");
    let (email, issuer) = (EmailService::start(), Issuer::start("https://auth.internal.example"));
    let setup = Setup::before(email.address()).trusting(&issuer);
    let setup = setup.listening(&format!("unix:{}", path.display()), "127.0.0.1:0");
    let sidecar = start(&setup);
    let written = setup.toml();
    let other = written.replacen(".sock\"", ".sock\"\nsocket_mode = \"0666\"", 1);
    for (text, message) in [
        (other, "The configuration was not loaded again; the old one stays in force."),
        (format!("mode = \"report\"\n{written}"), "The configuration was loaded again and is in force."),
    ] {
        fs::write(sidecar.config(), text).unwrap();
        sidecar.process().signal(Signal::SIGHUP);
        let line = sidecar.log_where(message, |_| true).unwrap_or_else(|| panic!("{}", sidecar.log()));
        let names_it = line["error"].as_str().is_some_and(|error| error.contains("listen.socket_mode"));
        assert_eq!(names_it, message.contains("not loaded"), "{line}");
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let answer = Connection::open_unix(&path).unwrap().exchange(Request::send().bytes()).unwrap();
    assert_eq!(answer.status(), 202, "it is only reported now");
    sidecar.stop();
}
