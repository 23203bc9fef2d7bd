//! Many clients that send a head byte by byte, or nothing at all: they are held within the limits, and a good client hardly
//! notices. `make slow-clients` plays 5,000 of them; here it is a scaled-down version.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::http::PATIENCE;
use testkit::request::Request;
use testkit::stage::Stage;

#[test]
fn slow_and_idle_clients_are_held_and_a_good_one_is_served_beside_them() {
    play(400, 300);
}

#[test]
#[ignore = "needs 10,000 file descriptors and a machine for itself; make slow-clients"]
fn five_thousand_slow_and_idle_clients_beside_a_good_one() {
    let Times { quiet, busy } = play(5000, 5000);
    eprintln!("p99 of a good client: {quiet:?} alone, {busy:?} beside 5,000 slow and idle ones");
}

/// The 99th percentile of a good client's times.
struct Times {
    quiet: Duration,
    busy: Duration,
}

fn play(clients: usize, requests: usize) -> Times {
    let limits = "[limits]\nhead_time = \"30s\"\nidle_time = \"30s\"\nconnections = 6000";
    let stage = Stage::set_with(|setup| setup.with(limits));
    let quiet = p99(&stage, requests);

    let open = |n: usize| {
        let mut stream = TcpStream::connect(stage.sidecar.listen()).expect("there is room");
        // Every other one says nothing at all.
        if n.is_multiple_of(2) {
            stream.write_all(b"POST /send HTTP/1.1\r\nHost: h\r\nX: ").expect("it is sent");
        }
        stream
    };
    let streams: Vec<_> = (0..clients).map(open).collect();
    let over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&over);
    let trickling = std::thread::spawn(move || {
        let mut streams = streams;
        while !stop.load(Ordering::Relaxed) {
            for stream in streams.iter_mut().step_by(2) {
                // One that was closed in the meantime is no loss.
                let _closed = stream.write_all(b"x");
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    let busy = p99(&stage, requests);
    let end = Instant::now() + PATIENCE;
    while connections(&stage) < clients {
        assert!(Instant::now() < end, "they are all held: {} of {clients}", connections(&stage));
    }
    over.store(true, Ordering::Relaxed);
    trickling.join().unwrap();
    stage.end();
    Times { quiet, busy }
}

fn p99(stage: &Stage, requests: usize) -> Duration {
    let request = Request::send().bearer(&stage.token()).bytes();
    let mut connection = stage.sidecar.connect();
    let mut times: Vec<_> = (0..requests)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(connection.exchange(&request).unwrap().status(), 202);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[requests * 99 / 100]
}

fn connections(stage: &Stage) -> usize {
    let metrics = stage.sidecar.ask_admin("/metrics").text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("callgate_connections "));
    line.and_then(|count| count.parse().ok()).unwrap_or(0)
}
