//! A Node.js server closes connections that were idle for five seconds. Whatever the gaps between requests, nobody gets a 502.
//! `make idle-gaps` plays the full length; here it is scaled down: the server closes after 500 ms, and ours after 400.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use testkit::issuer::Issuer;
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::start_ready;
use testkit::tools;

/// As many services are written: nothing is set but, here, the time.
const SERVER: &str = "const server = require('http').createServer((request, answer) => { \
     request.resume(); request.on('end', () => { answer.statusCode = 202; answer.end('{}'); }); }); \
     if (process.argv[1]) server.keepAliveTimeout = Number(process.argv[1]); \
     server.listen(0, '127.0.0.1', () => console.log(server.address().port));";

struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

#[test]
fn gaps_around_the_servers_patience_cost_nobody_an_answer() {
    play(500, "400ms", 16, 60);
}

#[test]
#[ignore = "takes about half an hour: 100,000 requests around Node's own five seconds; make idle-gaps"]
fn gaps_around_five_seconds_cost_nobody_one_of_100_000_answers() {
    play(5000, "4s", 400, 250);
}

/// So many clients send so many requests each, with gaps of 60 to 120 % of the server's patience.
fn play(patience: u64, idle_timeout: &str, clients: usize, requests: usize) {
    let Some(node) = tools::find("node") else {
        return tools::skip("the test of gaps between requests", "Node.js is missing");
    };
    let node = Command::new(node).args(["-e", SERVER, &patience.to_string()]).stdout(Stdio::piped()).spawn();
    let mut node = Node(node.unwrap());
    let mut port = String::new();
    BufReader::new(node.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let setup = Setup::before_address(&format!("127.0.0.1:{}", port.trim()));
    let setup = setup.upstream(&format!("idle_timeout = \"{idle_timeout}\"")).trusting(&issuer);
    let sidecar = Arc::new(start_ready(&setup));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let wrong = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            let (sidecar, wrong) = (Arc::clone(&sidecar), Arc::clone(&wrong));
            let request = Request::send().bearer(&token).bytes();
            std::thread::spawn(move || {
                let mut connection = sidecar.connect();
                for n in 0..requests {
                    let status = connection.exchange(&request).map_or(0, |answer| answer.status());
                    if status != 202 {
                        wrong.fetch_add(1, Ordering::Relaxed);
                        connection = sidecar.connect();
                    }
                    // Spread evenly, and differently for each client.
                    let share = 60 + (n * 7 + client * 13) as u64 % 61;
                    std::thread::sleep(Duration::from_millis(patience * share / 100));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(wrong.load(Ordering::Relaxed), 0, "of {}", clients * requests);
}
