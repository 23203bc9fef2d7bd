//! The log in trouble: a pipe that nobody reads, and an upstream that fails again and again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use testkit::http::{Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::{binary, start_ready};

/// An address that refuses every connection.
const NOBODY: &str = "127.0.0.1:1";

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let answer = Connection::open(address).unwrap().exchange(request).expect("the admin port answers");
    (answer.status(), answer.text())
}

#[test]
fn log_that_nobody_reads_stops_no_request_no_probe_and_no_signal() {
    let issuer = Issuer::start("https://auth.internal.example");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sidecar.toml");
    std::fs::write(&file, Setup::before_address(NOBODY).trusting(&issuer).toml()).unwrap();
    let (reader, mut filler) = std::io::pipe().unwrap();
    let mut child = Command::new(binary())
        .args(["run".as_ref(), "--config".as_ref(), file.as_os_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(filler.try_clone().unwrap())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(reader);
    let (listen, admin): (SocketAddr, SocketAddr) = loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["message"] == "Callgate is listening." {
            break (
                line["listen"].as_str().unwrap().parse().unwrap(),
                line["admin"].as_str().unwrap().parse().unwrap(),
            );
        }
    };
    while get(admin, "/readyz").0 != 200 {}
    // Nobody reads from now on, and the pipe is full: this thread writes until it blocks, and ends with the reader.
    std::thread::spawn(move || filler.write_all(&[b'\n'; 1 << 20]));

    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    for _ in 0..8 {
        let answer = Connection::open(listen).unwrap().exchange(Request::send().bearer(&token).bytes());
        assert_eq!(answer.expect("requests are answered").status(), 502);
        let pid = Pid::from_raw(child.id().cast_signed());
        kill(pid, Signal::SIGHUP).unwrap();
        assert_eq!(get(admin, "/livez").0, 200);
    }
    let reloaded = "callgate_config_reloads_total{result=\"success\"} ";
    let end = Instant::now() + PATIENCE;
    while !get(admin, "/metrics").1.lines().any(|line| line.strip_prefix(reloaded).is_some_and(|count| count != "0")) {
        assert!(Instant::now() < end, "the configuration is loaded again");
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() >= end {
            child.kill().unwrap();
            panic!("it does not stop");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn upstream_that_fails_every_request_is_one_line_of_the_log() {
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before_address(NOBODY).trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    for _ in 0..50 {
        let answer = sidecar.connect().exchange(Request::send().bearer(&token).bytes()).unwrap();
        assert_eq!(answer.status(), 502);
    }
    let line = sidecar.log_where("The upstream did not answer.", |_| true).expect("the outage is logged");
    assert_eq!(line["reason"], "upstream_unreachable");
    assert_eq!(line["error"], "the connection was refused");
    let ended = sidecar.stop();
    let records = ended.stdout.lines().filter(|line| line.contains("\"reason\":\"upstream_unreachable\"")).count();
    assert_eq!(records, 50, "each has its record");
    // Another may come when the machine needs more than ten seconds for these.
    assert!(ended.stderr.matches("The upstream did not answer.").count() <= 2, "{}", ended.stderr);
}
