//! Connections that say nothing: they take places only as long as nobody else wants them.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::samples::{sample, wait_for_sample};
use testkit::http::{Connection, PATIENCE};
use testkit::request::Request;
use testkit::stage::Stage;

fn silent(address: std::net::SocketAddr, count: usize) -> Vec<TcpStream> {
    let open = || TcpStream::connect(address).expect("the kernel takes it");
    (0..count).map(|_| open()).collect()
}

fn is_closed(stream: &TcpStream) -> bool {
    let mut stream = stream;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    matches!(stream.read(&mut [0]), Ok(0))
}

#[test]
fn silent_connections_make_room_for_callers_and_proven_callers_keep_their_connections() {
    let stage = Stage::set_with(|setup| setup.with("[limits]\nconnections = 20"));
    let (token, request) = (stage.token(), |token: &str| Request::send().bearer(token).bytes());
    let mut kept = stage.sidecar.connect();
    assert_eq!(kept.exchange(request(&token)).unwrap().status(), 202);
    let silent = silent(stage.sidecar.listen(), 60);
    for _ in 0..10 {
        let answer = stage.sidecar.connect().exchange(request(&token));
        assert_eq!(answer.expect("there is room").status(), 202);
    }
    assert!(is_closed(&silent[0]), "the one that has waited longest goes first");
    assert_eq!(kept.exchange(request(&token)).expect("it is still open").status(), 202);
    assert!(sample(&stage.sidecar, "callgate_connections_evicted_total", &[]).is_some_and(|evicted| evicted > 39.5));
    drop(silent);
    stage.end();
}

#[test]
fn requests_in_progress_are_not_closed_to_make_room() {
    let stage = Stage::set_with(|setup| setup.with("[limits]\nconnections = 2"));
    let request = Request::new("POST", "/send").bearer(&stage.token()).body(b"0123456789").bytes();
    let (head, body) = request.split_at(request.len() - 10);
    let mut begun: Vec<_> = (0..2).map(|_| stage.sidecar.connect()).collect();
    for connection in &mut begun {
        connection.send(head).unwrap();
    }
    wait_for_sample(&stage.sidecar, "callgate_requests_in_flight", &[], |value| value > 1.5);
    let mut newcomer = stage.sidecar.connect();
    newcomer.send(&request).unwrap();
    for connection in &mut begun {
        connection.send(body).unwrap();
        assert_eq!(connection.read_answer("POST").unwrap().status(), 202);
    }
    assert_eq!(newcomer.read_answer("POST").expect("its turn comes").status(), 202);
    stage.end();
}

#[test]
fn new_connection_that_says_nothing_is_closed_after_head_time() {
    let stage = Stage::set_with(|setup| setup.with("[limits]\nhead_time = \"300ms\"\nidle_time = \"1h\""));
    let began = Instant::now();
    assert!(is_closed(&silent(stage.sidecar.listen(), 1)[0]));
    assert!(began.elapsed() < PATIENCE / 2, "it took {:?}", began.elapsed());
    let mut kept = stage.sidecar.connect();
    assert_eq!(kept.exchange(Request::send().bearer(&stage.token()).bytes()).unwrap().status(), 202);
    std::thread::sleep(Duration::from_millis(600));
    let again = kept.exchange(Request::send().bearer(&stage.token()).bytes());
    assert_eq!(again.expect("between requests idle_time counts").status(), 202);
    stage.end();
}

#[test]
fn silent_admin_connections_do_not_take_livez_away() {
    let stage = Stage::set();
    let silent = silent(stage.sidecar.admin(), 200);
    for _ in 0..5 {
        let asked = Instant::now();
        assert_eq!(stage.sidecar.ask_admin("/livez").status(), 200);
        assert!(asked.elapsed() < Duration::from_secs(5), "before their own time is over");
    }
    drop(silent);
    stage.end();
}

#[test]
fn admin_port_keeps_a_scraper_s_connection_and_refuses_what_is_ambiguous() {
    let stage = Stage::set();
    let mut scraper = Connection::open(stage.sidecar.admin()).unwrap();
    for path in ["/metrics", "/livez", "/readyz?verbose", "/nowhere"] {
        let answer = scraper.exchange(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).unwrap();
        assert_eq!(answer.status(), if path == "/nowhere" { 404 } else { 200 }, "{path}");
    }
    for (request, status) in [
        ("GET /livez HTTP/1.1\nHost: h\n\n".to_owned(), 400),
        ("GET /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 400),
        (format!("GET /livez HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(9000)), 431),
        ("DELETE /livez HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 405),
    ] {
        let mut connection = Connection::open(stage.sidecar.admin()).unwrap();
        connection.send(&request).unwrap();
        assert_eq!(connection.read_answer("GET").unwrap().status(), status, "{request}");
    }
    stage.end();
}

#[test]
fn tasks_end_with_the_connections_that_they_served() {
    let stage = Stage::set();
    let tasks = || sample(&stage.sidecar, "callgate_tasks", &[]).expect("it is a metric");
    let before = tasks();
    // More than are waited for: what was counted before may include connections that were about to end.
    let silent = silent(stage.sidecar.listen(), 40);
    wait_for_sample(&stage.sidecar, "callgate_tasks", &[], |tasks| tasks > before + 29.5);
    drop(silent);
    wait_for_sample(&stage.sidecar, "callgate_tasks", &[], |tasks| tasks < before + 0.5);
    stage.end();
}
