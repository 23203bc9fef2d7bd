//! SIGTERM: what has begun is finished, nothing new is begun, and the process ends as soon as nothing is left.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::http::{Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::socket::Socket;
use testkit::stage::{Stage, binary, start_ready};

/// Long enough for a slow machine, far shorter than the drain and any grace period.
const PROMPTLY: Duration = Duration::from_secs(10);

/// An upstream that answers when it is told to.
struct Waiting {
    server: Server,
    arrivals: mpsc::Receiver<()>,
    go_on: Sender<()>,
}

impl Waiting {
    fn start() -> Self {
        let (arrived, arrivals) = mpsc::channel();
        let (go_on, wait) = mpsc::channel();
        let (arrived, wait) = (Mutex::new(arrived), Mutex::new(wait));
        let server = Server::local(Arc::new(move |mut connection: Connection| {
            while connection.read_head()?.is_some() {
                let _test_is_over = arrived.lock().unwrap().send(());
                let _test_is_over = wait.lock().unwrap().recv_timeout(PATIENCE);
                connection.send_answer("200 OK", &[], b"at last")?;
            }
            Ok(())
        }));
        Self { server: server.unwrap(), arrivals, go_on }
    }
}

fn wait_until_refusing_connections(sidecar: &Sidecar) {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(sidecar.listen()).is_ok() {
        assert!(Instant::now() < end, "new connections should be refused after SIGTERM");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn request_in_flight_finishes_and_the_process_ends_right_after_it() {
    let upstream = Waiting::start();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.server.address()).trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let mut connection = sidecar.connect();
    connection.send(Request::new("GET", "/slow").bearer(&token).bytes()).unwrap();
    upstream.arrivals.recv_timeout(PATIENCE).unwrap();

    sidecar.terminate();
    wait_until_refusing_connections(&sidecar);
    upstream.go_on.send(()).unwrap();
    let answer = connection.read_answer("GET").unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "at last"));
    assert_eq!(answer.header("connection"), Some("close"), "the client should not reuse this connection");

    let began = Instant::now();
    let ended = sidecar.wait(PATIENCE);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(began.elapsed() < PROMPTLY, "it took {:?} after the last request", began.elapsed());
    assert!(ended.stdout.contains("\"status\":200"), "the last request is in the audit: {}", ended.stdout);
}

#[test]
fn request_that_never_finishes_is_cut_when_the_drain_is_over() {
    let upstream = Waiting::start();
    let issuer = Issuer::start("https://auth.internal.example");
    let setup = Setup::before(upstream.server.address()).trusting(&issuer).with("[shutdown]\ndrain = \"300ms\"");
    let sidecar = start_ready(&setup);
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let mut connection = sidecar.connect();
    connection.send(Request::new("GET", "/slow").bearer(&token).bytes()).unwrap();
    upstream.arrivals.recv_timeout(PATIENCE).unwrap();
    let began = Instant::now();
    sidecar.terminate();
    assert_eq!(sidecar.wait(PATIENCE).code, Some(0));
    assert!(began.elapsed() < PROMPTLY, "it took {:?}", began.elapsed());
}

#[test]
fn second_signal_ends_it_without_waiting() {
    let upstream = Waiting::start();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.server.address()).trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let mut connection = sidecar.connect();
    connection.send(Request::new("GET", "/slow").bearer(&token).bytes()).unwrap();
    upstream.arrivals.recv_timeout(PATIENCE).unwrap();
    sidecar.terminate();
    wait_until_refusing_connections(&sidecar);
    let began = Instant::now();
    sidecar.terminate();
    sidecar.wait(PATIENCE);
    assert!(began.elapsed() < PROMPTLY, "it took {:?}", began.elapsed());
}

#[test]
fn idle_connection_does_not_hold_the_process_back() {
    let stage = Stage::set();
    let mut idle = stage.sidecar.connect();
    assert_eq!(idle.exchange(Request::send().bearer(&stage.token()).bytes()).unwrap().status(), 202);
    let silent = stage.sidecar.connect();
    let began = Instant::now();
    stage.end();
    assert!(began.elapsed() < PROMPTLY, "it took {:?}", began.elapsed());
    drop((idle, silent));
}

#[test]
fn lame_duck_still_serves_and_is_no_longer_ready() {
    let stage = Stage::set_with(|setup| setup.with("[shutdown]\nlame_duck = \"3s\""));
    stage.sidecar.terminate();
    stage.sidecar.wait_for_readiness(503).expect("a lame duck is not ready");
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    assert_eq!(stage.ask(&Request::send()).status(), 401);
    assert_eq!(stage.sidecar.wait(PATIENCE).code, Some(0));
}

#[test]
fn second_signal_ends_a_lame_duck_too() {
    let stage = Stage::set_with(|setup| setup.with("[shutdown]\nlame_duck = \"1m\""));
    stage.sidecar.terminate();
    stage.sidecar.wait_for_readiness(503).expect("a lame duck is not ready");
    let began = Instant::now();
    stage.sidecar.terminate();
    stage.sidecar.wait(PATIENCE);
    assert!(began.elapsed() < PROMPTLY, "it took {:?}", began.elapsed());
}

#[test]
fn half_a_request_does_not_hold_the_process_back() {
    let stage = Stage::set();
    let mut half = stage.sidecar.connect();
    half.send("POST /send HTTP/1.1\r\nHost: email.int").unwrap();
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    let began = Instant::now();
    stage.end();
    assert!(began.elapsed() < PROMPTLY, "it took {:?}", began.elapsed());
}

fn drain(admin: SocketAddr) -> ExitStatus {
    Command::new(binary()).args(["drain", "--admin", &admin.to_string()]).status().unwrap()
}

#[test]
fn drain_lets_connections_end_and_goes_on_serving() {
    let stage = Stage::set();
    let mut kept = stage.sidecar.connect();
    let request = Request::send().bearer(&stage.token());
    assert_eq!(kept.exchange(request.bytes()).unwrap().header("connection"), Some("keep-alive"));

    assert!(drain(stage.sidecar.admin()).success());
    assert_eq!(stage.sidecar.ask_admin("/readyz").status(), 503);
    assert_eq!(stage.sidecar.ask_admin("/livez").status(), 200);
    for connection in [&mut kept, &mut stage.sidecar.connect()] {
        let answer = connection.exchange(request.bytes()).unwrap();
        assert_eq!((answer.status(), answer.header("connection")), (202, Some("close")));
    }
    let refused = stage.ask(&Request::send());
    assert_eq!((refused.status(), refused.header("connection")), (401, Some("close")));
    stage.end();
}

/// Asks for a drain as a stranger on the way could, from an address of this machine. The answer's status.
fn drain_from(source: &str, admin: SocketAddr, header: &str) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
        socket.connect(admin).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    let request =
        format!("POST /drain HTTP/1.1\r\nHost: {admin}\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n");
    Connection::over(Socket::Tcp(stream)).unwrap().exchange(request).unwrap().status()
}

#[test]
fn drain_is_not_for_strangers_and_not_for_web_pages() {
    let stage = Stage::set();
    let admin = stage.sidecar.admin();
    for header in ["", "X-Forwarded-For: 127.0.0.1\r\n", "Forwarded: for=127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n"] {
        assert_eq!(drain_from("127.0.0.2", admin, header), 403, "{header}");
    }
    for origin in ["null", "https://page.example", "http://127.0.0.1:9901"] {
        assert_eq!(drain_from("127.0.0.1", admin, &format!("Origin: {origin}\r\n")), 403, "{origin}");
    }
    assert_eq!(stage.sidecar.ask_admin("/readyz").status(), 200);
    assert_eq!(drain_from("127.0.0.1", admin, ""), 200);
    assert_eq!(stage.sidecar.ask_admin("/readyz").status(), 503);
    stage.end();
}

#[test]
fn drain_without_a_sidecar_fails() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(drain(nobody).code(), Some(69));
}
