//! The times that nobody sees unless somebody stops: an upstream that does not take a request, a client that does not take its
//! answer, and a client that does not finish its handshake.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::http::{Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::refusal::{assert_problem, request_id};
use testkit::request::{Request, noise};
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::start_ready;

/// More than the kernels on both sides hold.
const LARGE: usize = 24 << 20;

#[test]
fn an_upstream_that_does_not_take_the_request_is_answered_with_504() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let issuer = Issuer::start("https://auth.internal.example");
    let times = "write_timeout = \"300ms\"\nread_timeout = \"300ms\"";
    let setup = Setup::before_address(&address).upstream(times).trusting(&issuer);
    let sidecar = start_ready(&setup);
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let request = Request::new("POST", "/send").bearer(&token).body(&noise(LARGE));
    let began = Instant::now();
    let mut connection = sidecar.connect();
    // The rest may not be taken once it is given up.
    let _given_up = connection.send(request.bytes());
    let answer = connection.read_answer("POST").unwrap();
    assert_eq!(answer.status(), 504, "{}", answer.text());
    assert_problem(&answer, "upstream_timeout");
    let audit = sidecar.audit_for(&request_id(&answer)).expect("it is in the audit");
    assert_eq!((&audit["caller"], &audit["reason"]), (&"billing".into(), &"upstream_timeout".into()));
    assert!(began.elapsed() < PATIENCE / 2, "it took {:?}", began.elapsed());
    drop(listener);
}

#[test]
fn a_client_that_does_not_take_its_answer_is_given_up_in_time() {
    let upstream = Server::local(Arc::new(|mut connection: Connection| {
        while connection.read_head()?.is_some() {
            connection.send_answer("200 OK", &[], &noise(LARGE))?;
        }
        Ok(())
    }));
    let upstream = upstream.unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let limits = "[limits]\nwrite_timeout = \"400ms\"";
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer).with(limits));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let request = Request::new("GET", "/export").bearer(&token).bytes();
    let began = Instant::now();
    let mut idle = sidecar.connect();
    idle.send(&request).unwrap();
    let audit = sidecar.audit(0).expect("it is given up, and recorded");
    assert!(began.elapsed() < PATIENCE);
    assert_eq!((&audit["status"], &audit["caller"]), (&200.into(), &"billing".into()));
    assert!(audit["reason"].is_null(), "it is the client's doing, and no fault of the proxy: {audit}");
    assert!(audit["response_bytes"].as_u64().unwrap() < LARGE as u64, "not all of it was taken: {audit}");
    // One that reads has all the time it needs.
    assert_eq!(sidecar.connect().exchange(&request).unwrap().body.len(), LARGE);
}

#[test]
fn a_client_that_takes_no_heads_is_given_up_in_time() {
    let upstream = Server::local(Arc::new(|mut connection: Connection| {
        let large = "x".repeat(16 << 10);
        let fields: Vec<_> = (0..40).map(|n| (format!("X-{n}"), large.as_str())).collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        while connection.read_head()?.is_some() {
            connection.send_answer("200 OK", &fields, b"")?;
        }
        Ok(())
    }));
    let upstream = upstream.unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let limits = "[limits]\nwrite_timeout = \"400ms\"\nrequests = 1";
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer).with(limits));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let request = Request::new("GET", "/export").bearer(&token).bytes();
    let mut idle = sidecar.connect();
    // Their heads together are more than the kernels on both sides hold.
    idle.send(request.repeat(LARGE / (40 * (16 << 10)))).unwrap();
    assert_eq!(sidecar.audit(0).expect("the first is answered")["status"], 200);
    let began = Instant::now();
    while !sidecar.ask_admin("/metrics").text().contains("\ncallgate_connections 0\n") {
        assert!(began.elapsed() < PATIENCE, "it is waited for without end\n{}", sidecar.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    // Its place is another's now.
    assert_eq!(sidecar.connect().exchange(&request).unwrap().status(), 200);
}

#[test]
fn a_handshake_that_does_not_go_on_is_given_up_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(at("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(at("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let tables = format!(
        "[listen.tls]\ncert = \"{}\"\nkey = \"{}\"\n[limits]\nhead_time = \"300ms\"",
        at("tls.crt"),
        at("tls.key")
    );
    let sidecar = start_ready(&Setup::before_address("127.0.0.1:1").trusting(&issuer).with(&tables));
    let began = Instant::now();
    let mut silent = TcpStream::connect(sidecar.listen()).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(silent.read(&mut [0]), Ok(0) | Err(_)), "it is closed");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(250) && took < PATIENCE, "it took {took:?}");
    assert_eq!(sidecar.audit_so_far(), Vec::<String>::new(), "it was no request");
}
