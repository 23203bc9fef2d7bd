//! A low limit of open files: connections take what is left beside the upstream, the admin port and the files, and no more.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

use crate::samples::{sample, wait_for_sample};
use testkit::email_service::EmailService;
use testkit::issuer::Issuer;
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::binary;

#[test]
fn low_limit_of_open_files_leaves_room_for_callers_the_upstream_the_admin_port_and_the_audit() {
    let email = EmailService::start();
    let issuer = Issuer::start("https://auth.internal.example");
    let directory = tempfile::tempdir().unwrap();
    let limited = directory.path().join("limited");
    fs::write(&limited, format!("#!/bin/sh\nulimit -n 600\nexec '{}' \"$@\"\n", binary().display())).unwrap();
    fs::set_permissions(&limited, fs::Permissions::from_mode(0o755)).unwrap();
    let audit = directory.path().join("audit.jsonl");
    let more = format!("[limits]\nconnections = 4000\nrequests = 50\n[audit]\nfile = {:?}", audit.display());
    let setup = Setup::before(email.address()).trusting(&issuer).with(&more);
    let sidecar = Sidecar::start(&limited, &setup.toml()).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    let told = sidecar.log_where(
        "Fewer connections than limits.connections may be open: the limit of open files is too low.",
        |_| true,
    );
    // 600 less the reserve of half of it, less one for each request.
    assert_eq!(told.expect("the operator is told")["connections"], 250);

    let silent: Vec<_> = (0..700).map(|_| TcpStream::connect(sidecar.listen()).expect("the kernel takes it")).collect();
    wait_for_sample(&sidecar, "callgate_connections_evicted_total", &[], |evicted| evicted > 449.5);
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    for _ in 0..20 {
        let answer = sidecar.connect().exchange(Request::send().bearer(&token).bytes()).unwrap();
        assert_eq!(answer.status(), 202, "{}", answer.text());
        assert_eq!(sidecar.connect().exchange(Request::send().bytes()).unwrap().status(), 401);
    }
    assert_eq!(sidecar.ask_admin("/livez").status(), 200);
    assert_eq!(sidecar.ask_admin("/readyz").status(), 200);
    assert!(sample(&sidecar, "callgate_connections", &[]).is_some_and(|open| open <= 250.0));
    assert_eq!(email.received().len(), 20);
    drop(silent);
    assert_eq!(sidecar.stop().code, Some(0));
    assert_eq!(fs::read_to_string(audit).unwrap().lines().count(), 40, "every request is recorded");
}
