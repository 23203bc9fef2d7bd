//! Who shows no token has a share of everything, and never the whole.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::samples::{sample, wait_for_sample};
use testkit::http::PATIENCE;
use testkit::refusal::assert_problem;
use testkit::request::Request;
use testkit::stage::Stage;

const PUBLIC: &str = "[[public]]\npath = \"/public\"\nmethods = [\"POST\"]";

/// A body of which one byte comes.
fn slow_body(path: &str) -> Vec<u8> {
    let head = Request::new("POST", path).header("Content-Length", "1000").head();
    [head.as_slice(), b"x"].concat()
}

#[test]
fn slow_bodies_without_a_caller_leave_half_of_the_places_to_proven_callers() {
    let reported = "[[report]]\npath = \"/reported\"\nmethods = [\"POST\"]";
    for (path, more) in [("/public", PUBLIC), ("/reported", reported)] {
        let stage = Stage::set_with(|setup| setup.with(&format!("[limits]\nrequests = 10\n{more}")));
        let mut slow: Vec<_> = (0..5).map(|_| stage.sidecar.connect()).collect();
        for connection in &mut slow {
            connection.send(slow_body(path)).unwrap();
        }
        wait_for_sample(&stage.sidecar, "callgate_requests_in_flight", &[], |value| value > 4.5);
        for _ in 0..5 {
            let answer = stage.ask(&Request::new("POST", path).body(b"more"));
            assert_eq!(answer.status(), 503, "{path}: {}", answer.text());
            assert_problem(&answer, "overloaded");
            assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202, "{path}");
        }
        drop(slow);
        wait_for_sample(&stage.sidecar, "callgate_requests_in_flight", &[], |value| value < 0.5);
        let again = stage.ask(&Request::new("POST", path).body(b"more"));
        assert_eq!(again.status(), 404, "{path}: it reaches the service, which has no such path");
        stage.end();
    }
}

#[test]
fn body_that_trickles_is_given_up_without_a_caller_and_taken_from_a_proven_one() {
    let stage = Stage::set_with(|setup| setup.with(&format!("[limits]\nread_timeout = \"500ms\"\n{PUBLIC}")));
    let began = Instant::now();
    let send = |head: Vec<u8>| {
        let mut connection = TcpStream::connect(stage.sidecar.listen()).unwrap();
        connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        connection.write_all(&head).unwrap();
        // 20 bytes a second, never silent for as long as `read_timeout`.
        let (mut answer, mut left) = ([0; 12], 40);
        loop {
            match connection.read(&mut answer) {
                Ok(_) => return String::from_utf8_lossy(&answer).into_owned(),
                Err(_) if left > 0 => {
                    left -= 1;
                    // An answer that has come is read even if no more is taken.
                    let _ = connection.write_all(b"x");
                }
                Err(_) => assert!(began.elapsed() < PATIENCE, "no answer"),
            }
        }
    };
    let head = |path: &str| Request::new("POST", path).header("Content-Length", "40");
    assert_eq!(send(head("/public").head()), "HTTP/1.1 408");
    assert_eq!(send(head("/send").bearer(&stage.token()).head()), "HTTP/1.1 202");
    stage.end();
}

#[test]
fn unfinished_heads_have_a_budget_and_complete_ones_are_answered_beside_them() {
    let stage = Stage::set_with(|setup| setup.with("[limits]\nhead_time = \"60s\""));
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n", "a".repeat(31_000));
    // 22 MiB: more than the budget of 8 MiB.
    let mut unfinished = Vec::new();
    for _ in 0..750 {
        let mut connection = TcpStream::connect(stage.sidecar.listen()).unwrap();
        // Those that are cut off may not take all of it.
        let _ = connection.write_all(head.as_bytes());
        unfinished.push(connection);
    }
    wait_for_sample(&stage.sidecar, "callgate_connections_evicted_total", &[], |evicted| evicted > 100.0);
    let long = Request::send().bearer(&stage.token()).header("X-More", &"b".repeat(20_000));
    for _ in 0..5 {
        assert_eq!(stage.ask(&long).status(), 202);
    }
    let open = sample(&stage.sidecar, "callgate_connections", &[]).unwrap();
    assert!(open * 31_000.0 < 9.0 * 1024.0 * 1024.0, "{open} are left");
    stage.end();
}
