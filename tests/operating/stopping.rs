//! SIGTERM under load: instances are replaced one after the other, and no request fails, however long it takes.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::load::{Load, Rotation};
use crate::scaled;
use testkit::http::{Answer, Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::process::{Process, run};
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::{binary, start_ready};
use testkit::tools;

/// An upstream that takes its time for `/slow`.
fn upstream(slow: Duration) -> Server {
    Server::local(Arc::new(move |mut connection: Connection| {
        while let Some(head) = connection.read_head()? {
            connection.read_body(Connection::request_body(&head))?;
            if head.target() == "/slow" {
                thread::sleep(slow);
            }
            connection.send_answer("202 Accepted", &[], b"{}")?;
        }
        Ok(())
    }))
    .unwrap()
}

fn accepted(answer: &Answer) -> Result<(), String> {
    if answer.status() == 202 { Ok(()) } else { Err(format!("{} {}", answer.status(), answer.text())) }
}

#[test]
fn rolling_stops_under_load_fail_no_request_and_lose_no_record() {
    let slow = Duration::from_millis(1500);
    let (upstream, issuer) = (upstream(slow), Issuer::start("https://auth.internal.example"));
    let setup = Setup::before(upstream.address()).trusting(&issuer);
    let setup = setup.with("[shutdown]\nlame_duck = \"500ms\"\ndrain = \"20s\"");
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let request = |target: &str| Request::send().to("POST", target).bearer(&token).bytes();

    let mut running = start_ready(&setup);
    let rotation = Rotation::of(running.listen());
    let quick = Load::start(4, &rotation, &request("/send"), accepted);
    let long = Load::start(3, &rotation, &request("/slow"), accepted);
    let mut records = 0;
    let mut recorded = |sidecar: Sidecar| {
        let ended = sidecar.wait(PATIENCE);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        records += ended.stdout.lines().filter(|line| line.contains("\"status\":202")).count();
    };
    for _ in 0..scaled(4, 20) {
        let next = start_ready(&setup);
        rotation.add(next.listen());
        running.terminate();
        // What a load balancer does: it learns that the instance is not ready, and a moment later stops sending there.
        running.wait_for_readiness(503).expect("a lame duck is not ready");
        thread::sleep(Duration::from_millis(100));
        rotation.remove(running.listen());
        recorded(std::mem::replace(&mut running, next));
    }
    let answered = quick.end() + long.end();
    running.terminate();
    recorded(running);
    assert_eq!(records, answered, "each answer has its record");
    eprintln!("{answered} requests were answered");
}

#[test]
fn request_that_is_cut_is_in_the_audit_too() {
    let (upstream, issuer) = (upstream(PATIENCE), Issuer::start("https://auth.internal.example"));
    let setup = Setup::before(upstream.address()).trusting(&issuer).with("[shutdown]\ndrain = \"200ms\"");
    let sidecar = start_ready(&setup);
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let mut connection = sidecar.connect();
    connection.send(Request::send().to("POST", "/slow").bearer(&token).bytes()).unwrap();
    crate::samples::wait_for_sample(&sidecar, "callgate_requests_in_flight", &[], |value| value > 0.0);
    let ended = sidecar.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let records: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(records.len(), 1, "{records:?}");
    for part in ["\"path\":\"/slow\"", "\"decision\":\"forward\"", "\"caller\":\"billing\"", "\"status\":0"] {
        assert!(records[0].contains(part), "{part} in {}", records[0]);
    }
}

#[test]
fn connection_that_was_made_before_the_stop_is_served_after_it() {
    let (upstream, issuer) = (upstream(PATIENCE), Issuer::start("https://auth.internal.example"));
    let setup = Setup::before(upstream.address()).trusting(&issuer).with("[shutdown]\nlame_duck = \"0s\"");
    let sidecar = start_ready(&setup);
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let mut connection = sidecar.connect();
    sidecar.terminate();
    sidecar.log_where("Callgate is stopping.", |_| true).expect("it says so");
    let answer = connection.exchange(Request::send().bearer(&token).bytes()).unwrap();
    assert_eq!((answer.status(), answer.header("connection")), (202, Some("close")));
    assert_eq!(sidecar.wait(PATIENCE).code, Some(0));
}

#[test]
fn process_one_of_a_container_stops_in_order_and_at_once_when_told_twice() {
    if run("unshare".as_ref(), &["-r", "-p", "-f", "true"]).is_ok_and(|ended| ended.code != Some(0)) {
        let why = "this machine does not let the test make a PID namespace";
        return tools::unavailable("the test of process one", why);
    }
    let (upstream, issuer) = (upstream(PATIENCE), Issuer::start("https://auth.internal.example"));
    for (lame_duck, twice) in [("0s", false), ("5m", true)] {
        let shutdown = format!("[shutdown]\nlame_duck = \"{lame_duck}\"");
        let config = Setup::before(upstream.address()).trusting(&issuer).with(&shutdown).toml();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sidecar.toml");
        std::fs::write(&file, &config).unwrap();
        let callgate = binary().as_os_str();
        let arguments = ["-r", "-p", "-f"].map(AsRef::as_ref);
        let arguments = [&arguments[..], &[callgate, "run".as_ref(), "--config".as_ref(), file.as_ref()]].concat();
        let process = Process::start("unshare".as_ref(), &arguments).unwrap();
        let sidecar = Sidecar::wait_until_listening(process, directory, &config).unwrap();
        let parent = sidecar.process().pid();
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        let child = nix::unistd::Pid::from_raw(children.trim().parse().unwrap());
        let began = Instant::now();
        nix::sys::signal::kill(child, Signal::SIGTERM).unwrap();
        if twice {
            sidecar.log_where("Callgate is stopping.", |_| true).expect("it says so");
            nix::sys::signal::kill(child, Signal::SIGTERM).unwrap();
        }
        let ended = sidecar.wait(PATIENCE);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());
    }
}
