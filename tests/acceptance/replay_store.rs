//! Proofs that count once across instances: two real processes and a real store (Redis), which is stopped, frozen, slow, full, locked
//! and moved. Without `redis-server` these tests are skipped, and say so.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use testkit::dpop::Client;
use testkit::email_service::EmailService;
use testkit::http::{Answer, PATIENCE};
use testkit::issuer::Issuer;
use testkit::redis::Redis;
use testkit::refusal::assert_problem;
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

/// What the service is called outside.
const URL: &str = "https://mail.example/send";

/// Two instances before one service.
struct Instances {
    issuer: Issuer,
    email: EmailService,
    sidecars: Vec<Sidecar>,
    client: Client,
    token: String,
}

impl Instances {
    /// With these lines in `[replay]`, for each instance its own.
    fn start(replay: [&str; 2]) -> Self {
        let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
        let sidecars = replay.iter().map(|replay| start_ready(&setup(&issuer, &email, replay))).collect();
        let client = Client::new("ES256");
        let mut claims = issuer.claims("billing", AUDIENCE);
        claims["cnf"] = client.confirmation();
        let token = issuer.mint(&claims);
        Self { issuer, email, sidecars, client, token }
    }

    /// Both with this store, which may take long to answer.
    fn sharing(store: &str) -> Self {
        let lines = format!("store = \"{store}\"\ntimeout = \"5s\"");
        Self::start([&lines, &lines])
    }

    fn proof(&self) -> String {
        self.client.proof("POST", URL, &self.token)
    }

    /// Shows a proof to one of the instances.
    fn show(&self, instance: usize, proof: &str) -> Answer {
        let request = with(&self.token, proof);
        self.sidecars[instance].connect().exchange(request.bytes()).expect("callgate answers")
    }

    /// Shows new proofs to an instance until one passes. Until then each is refused as one of which nobody knows.
    fn wait_until_passes(&self, instance: usize) {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.show(instance, &self.proof());
            if answer.status() == 202 {
                return;
            }
            assert_uncheckable(&answer);
            assert!(Instant::now() < end, "{}", self.sidecars[instance].log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Shows new proofs until one is refused for the store. What the upstream saw meanwhile is returned.
    fn wait_until_uncheckable(&self, instance: usize) -> usize {
        let end = Instant::now() + PATIENCE;
        while self.show(instance, &self.proof()).status() != 503 {
            assert!(Instant::now() < end, "{}", self.sidecars[instance].log());
        }
        self.email.received().len()
    }

    /// A bearer token of the same issuer.
    fn bearer(&self, instance: usize) -> Answer {
        let token = self.issuer.mint(&self.issuer.claims("billing", AUDIENCE));
        let request = Request::send().bearer(&token);
        self.sidecars[instance].connect().exchange(request.bytes()).expect("callgate answers")
    }

    /// The value of a metric of an instance, with its labels as they are written.
    fn metric(&self, instance: usize, name: &str) -> Option<f64> {
        let text = self.sidecars[instance].ask_admin("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        line.map(|value| value.parse().expect("a number"))
    }

    /// How many claims of all instances ended so.
    fn claims(&self, result: &str) -> f64 {
        let name = format!("callgate_replay_store_claims_total{{result=\"{result}\"}}");
        (0..self.sidecars.len()).map(|instance| self.metric(instance, &name).expect("it is there from the start")).sum()
    }

    /// The status of the store, once it says this of it.
    fn wait_for_status(&self, instance: usize, answers: bool) -> serde_json::Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.sidecars[instance].ask_admin("/status").json()["replay_store"].clone();
            if status["answers"] == answers {
                return status;
            }
            assert!(Instant::now() < end, "{status:#}\n{}", self.sidecars[instance].log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(self) {
        for sidecar in self.sidecars {
            let ended = sidecar.stop();
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            let said = ended.stderr + &ended.stdout;
            assert!(!said.contains(&self.token) && !said.contains("\"proof-") && !said.contains("eyJ"), "{said}");
        }
    }
}

fn setup(issuer: &Issuer, email: &EmailService, replay: &str) -> Setup {
    let lines = format!("keys = {{ url = \"{}\" }}\nbinding = [\"dpop\"]", issuer.jwks_url());
    let tables = format!("[forwarding]\nexternal_urls = [\"https://mail.example\"]\n[replay]\n{replay}");
    Setup::before(email.address()).trusting_with(issuer, &lines).with(&tables)
}

fn with(token: &str, proof: &str) -> Request {
    Request::send().header("Authorization", &format!("DPoP {token}")).header("DPoP", proof)
}

fn assert_uncheckable(answer: &Answer) {
    assert_eq!((answer.status(), answer.header("retry-after")), (503, Some("2")), "{}", answer.text());
    assert_problem(answer, "proof_uncheckable");
    assert_eq!(answer.head.all("www-authenticate").len(), 0, "it is not about the credentials");
}

#[test]
fn a_proof_that_is_shown_a_hundred_times_at_once_to_two_instances_passes_once() {
    let Some(redis) = Redis::start("proofs across instances") else { return };
    let instances = Instances::sharing(&redis.url());
    (0..2).for_each(|instance| drop(instances.wait_for_status(instance, true)));
    let proof = instances.proof();
    let barrier = Barrier::new(100);
    let statuses: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|n| {
                let (instances, barrier, proof) = (&instances, &barrier, &proof);
                scope.spawn(move || {
                    let mut connection = instances.sidecars[n % 2].connect();
                    barrier.wait();
                    connection.exchange(with(&instances.token, proof).bytes()).unwrap().status()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 99, "{statuses:?}");
    let received = instances.email.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].callers(), ["billing"]);
    // Each instance has asked for the first one that it saw, and known all others by itself.
    assert_eq!((instances.claims("granted"), instances.claims("replayed")), (1.0, 1.0));
    let claims = redis.claims();
    assert_eq!(claims.len(), 1, "{claims:?}");
    assert_eq!(
        claims[0].len(),
        "callgate:replay:".len() + 43,
        "a hash, and nothing that anybody could read: {claims:?}"
    );
    assert_eq!(redis.ask(&["GET", &claims[0]]), "1");
    let left: u64 = redis.ask(&["PTTL", &claims[0]]).parse().unwrap();
    assert!((1..=80_000).contains(&left), "as long as the proof could be good, and 20 seconds: {left}");
    let mut decisions = Vec::new();
    for sidecar in &instances.sidecars {
        for n in 0..50 {
            let record = sidecar.audit(n).expect("each request is recorded");
            decisions.push(format!("{} {}", record["decision"], record["reason"]));
        }
    }
    assert_eq!(decisions.iter().filter(|decision| *decision == "\"forward\" null").count(), 1, "{decisions:?}");
    assert_eq!(decisions.iter().filter(|decision| *decision == "\"reject\" \"proof_replayed\"").count(), 99);
    // Another one passes, at either.
    for instance in 0..2 {
        assert_eq!(instances.show(instance, &instances.proof()).status(), 202);
    }
    instances.end();
}

#[test]
fn without_a_store_a_proof_passes_once_at_each_instance() {
    let instances = Instances::start(["", ""]);
    let proof = instances.proof();
    for status in [202, 401] {
        for instance in 0..2 {
            assert_eq!(instances.show(instance, &proof).status(), status);
        }
    }
    assert_eq!(instances.email.received().len(), 2);
    assert_eq!(instances.sidecars[0].ask_admin("/status").json()["replay_store"], json!(null));
    instances.end();
}

#[test]
fn a_store_that_is_frozen_slow_or_gone_lets_no_proof_pass_and_stops_nobody_else() {
    let Some(mut redis) = Redis::start("a replay store that fails") else { return };
    let lines = format!("store = \"{}\"\ntimeout = \"500ms\"", redis.url());
    let instances = Instances::start([&lines, &lines]);
    for fault in ["frozen", "slow", "gone"] {
        (0..2).for_each(|instance| instances.wait_until_passes(instance));
        match fault {
            "frozen" => redis.freeze(),
            "slow" => assert_eq!(redis.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]), "OK"),
            _ => redis.stop(),
        }
        let before = instances.email.received().len();
        for instance in 0..2 {
            let (proof, began) = (instances.proof(), Instant::now());
            let refused = instances.show(instance, &proof);
            assert!(began.elapsed() < Duration::from_secs(5), "{fault}: within its bound: {:?}", began.elapsed());
            assert_uncheckable(&refused);
            let record = instances.sidecars[instance].audit_where(|record| record["reason"] == "proof_uncheckable");
            assert_eq!(record.expect("it is recorded")["decision"], "reject");
            // Nobody knows whether it counts, so it counts as shown.
            let again = instances.show(instance, &proof);
            assert_eq!(again.status(), 401, "{fault}");
            assert_problem(&again, "proof_replayed");
        }
        assert_eq!(instances.email.received().len(), before, "{fault}: nothing went on");
        for instance in 0..2 {
            assert_eq!(instances.bearer(instance).status(), 202, "{fault}: it concerns proofs alone");
            assert_eq!(instances.sidecars[instance].ask_admin("/readyz").status(), 200, "{fault}");
        }
        let status = instances.wait_for_status(0, false);
        assert_eq!(status["address"], redis.url());
        assert!(status["detail"].is_string(), "{status:#}");
        let up = format!("callgate_replay_store_up{{store=\"{}\"}}", redis.url());
        assert_eq!(instances.metric(0, &up), Some(0.0), "{fault}");
        assert_uncheckable(&instances.show(0, &instances.proof()));
        match fault {
            "frozen" => redis.thaw(),
            "slow" => assert_eq!(redis.ask(&["CLIENT", "UNPAUSE"]), "OK"),
            _ => redis.restart(),
        }
        (0..2).for_each(|instance| instances.wait_until_passes(instance));
        instances.wait_for_status(0, true);
    }
    assert!(instances.claims("timed_out") >= 2.0 && instances.claims("unavailable") >= 1.0);
    let log = instances.sidecars[0].log();
    let lines = log.matches("The replay store does not answer").count();
    assert!((1..=4).contains(&lines), "an outage is one line, and one more in ten seconds: {log}");
    instances.end();
}

#[test]
fn the_store_is_asked_for_proofs_alone_that_passed_everything_else() {
    let Some(redis) = Redis::start("what a replay store is asked") else { return };
    let instances = Instances::sharing(&redis.url());
    let monitor = redis.monitor();
    let good = instances.proof();
    assert_eq!(instances.show(0, &good).status(), 202);
    let wrong = |name: &str, value: serde_json::Value| {
        let mut claims = instances.client.claims("POST", URL, &instances.token);
        claims[name] = value;
        instances.client.sign(&claims)
    };
    let thief = Client::new("ES256");
    for (proof, reason) in [
        (good.clone(), "proof_replayed"),
        ("a.b.c".to_owned(), "proof_invalid"),
        (wrong("htm", json!("GET")), "proof_invalid"),
        (wrong("htu", json!("https://mail.example/other")), "proof_invalid"),
        (wrong("ath", json!("AAAA")), "proof_invalid"),
        (wrong("iat", json!(1_000_000_000)), "proof_expired"),
        (thief.proof("POST", URL, &instances.token), "proof_invalid"),
    ] {
        let refused = instances.show(0, &proof);
        assert_eq!(refused.status(), 401, "{reason}");
        assert_problem(&refused, reason);
    }
    let forged = format!("{}AAAA", &instances.token[..instances.token.len() - 4]);
    let request = with(&forged, &instances.client.proof("POST", URL, &forged));
    assert_eq!(instances.sidecars[0].connect().exchange(request.bytes()).unwrap().status(), 401);
    assert_eq!(instances.bearer(0).status(), 202);
    // The last one is heard after all others.
    assert_eq!(instances.show(1, &good).status(), 401);
    assert_eq!(instances.show(1, &instances.proof()).status(), 202);
    let end = Instant::now() + PATIENCE;
    while monitor.claims().len() < 3 && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    let claims = monitor.claims();
    assert_eq!(claims.len(), 3, "one of each instance for the good one, and the last: {claims:#?}");
    for claim in &claims {
        assert!(claim.contains("\"SET\"") && claim.ends_with("\"1\" \"NX\" \"PX\" \"80000\""), "{claim}");
    }
    let all = monitor.lines().join("\n");
    assert!(!all.contains("proof-") && !all.contains("eyJ"), "no jti and no token: {all}");
    assert_eq!(instances.email.received().len(), 3);
    instances.end();
}

#[test]
fn a_store_that_takes_no_writes_lets_nothing_pass_until_it_does() {
    let Some(redis) = Redis::start("a replay store that takes no writes") else { return };
    let instances = Instances::sharing(&redis.url());
    instances.wait_until_passes(0);
    let faults: [(&[&str], &[&str], &str); 2] = [
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "READONLY"),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], "OOM"),
    ];
    for (break_it, mend_it, code) in faults {
        assert_eq!(redis.ask(break_it), "OK");
        let received = instances.wait_until_uncheckable(0);
        assert_uncheckable(&instances.show(0, &instances.proof()));
        assert_eq!(instances.email.received().len(), received);
        let status = instances.wait_for_status(0, false);
        assert!(status["detail"].as_str().unwrap().contains(code), "{status:#}");
        assert_eq!(redis.ask(mend_it), "OK");
        instances.wait_until_passes(0);
    }
    assert!(instances.claims("error") >= 1.0);
    instances.end();
}

#[test]
fn a_user_that_may_do_nothing_else_is_enough_and_a_password_may_change() {
    let user = ["--user", "callgate", "on", ">first", ">second", "resetkeys", "~callgate:replay:*", "-@all", "+set"];
    let Some(redis) = Redis::start_with("a replay store with a password", &user) else { return };
    let file = redis.file("password");
    fs::write(&file, "wrong\n").unwrap();
    let lines = |file: &Path| {
        let store = format!("redis://callgate@127.0.0.1:{}", redis.port());
        format!("store = \"{store}\"\npassword_file = \"{}\"\ntimeout = \"5s\"", file.display())
    };
    let instances = Instances::start([&lines(&file), &lines(&file)]);
    let status = instances.wait_for_status(0, false);
    let end = Instant::now() + PATIENCE;
    while !instances.wait_for_status(0, false)["detail"].as_str().unwrap().contains("WRONGPASS") {
        assert!(Instant::now() < end, "{status:#}");
        thread::sleep(Duration::from_millis(20));
    }
    assert_uncheckable(&instances.show(0, &instances.proof()));
    fs::write(&file, "first\n").unwrap();
    (0..2).for_each(|instance| instances.wait_until_passes(instance));
    // The old one goes, and with it the connections; the new one is there already.
    fs::write(&file, "second\n").unwrap();
    assert_eq!(redis.ask(&["ACL", "SETUSER", "callgate", "<first"]), "OK");
    redis.ask(&["CLIENT", "KILL", "USER", "callgate"]);
    let proof = instances.proof();
    (0..2).for_each(|instance| instances.wait_until_passes(instance));
    assert_eq!(instances.show(0, &proof).status(), 202);
    assert_eq!(instances.show(1, &proof).status(), 401);
    for sidecar in &instances.sidecars {
        let log = sidecar.log();
        assert!(["wrong", "first", "second"].iter().all(|word| !log.contains(&format!(">{word}"))), "{log}");
    }
    instances.end();
}

#[test]
fn a_store_is_reached_over_tls_and_by_a_socket() {
    let port = testkit::redis::free_port().to_string();
    let more = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        "DIR/server.pem",
        "--tls-key-file",
        "DIR/server.key",
        "--tls-auth-clients",
        "no",
        "--unixsocket",
        "DIR/redis.sock",
    ];
    let Some(redis) = Redis::start_with("a replay store behind TLS", &more) else { return };
    let authority = redis.file("ca.pem");
    let tls = |host: &str, file: &Path| {
        format!("store = \"rediss://{host}:{port}/\"\nca_file = \"{}\"\ntimeout = \"5s\"", file.display())
    };
    let socket = format!("store = \"unix:{}\"\ntimeout = \"5s\"", redis.file("redis.sock").display());
    let instances = Instances::start([&tls("localhost", &authority), &socket]);
    let proof = instances.proof();
    assert_eq!(instances.show(0, &proof).status(), 202);
    assert_eq!(instances.show(1, &proof).status(), 401);
    assert_eq!(instances.show(1, &instances.proof()).status(), 202);
    instances.end();
    // Another authority, or another name than the certificate's.
    let other = redis.file("other.pem");
    fs::copy(redis.file("server.pem"), &other).unwrap();
    let instances = Instances::start([&tls("localhost", &other), &tls("127.0.0.1", &authority)]);
    for instance in 0..2 {
        assert_uncheckable(&instances.show(instance, &instances.proof()));
        let status = instances.wait_for_status(instance, false);
        assert!(status["detail"].as_str().unwrap().contains("certificate"), "{status:#}");
    }
    assert_eq!(instances.email.received().len(), 0);
    instances.end();
}

#[test]
fn a_reload_moves_to_another_store_and_keeps_one_that_stays() {
    let (Some(first), Some(second)) =
        (Redis::start("a replay store that moves"), Redis::start("a replay store that moves"))
    else {
        return;
    };
    let instances = Instances::sharing(&first.url());
    let shown = instances.proof();
    assert_eq!(instances.show(0, &shown).status(), 202);
    let connections = || first.ask(&["INFO", "stats"]);
    let made =
        |info: &str| info.lines().find_map(|line| line.strip_prefix("total_connections_received:")?.parse().ok());
    let sidecar = &instances.sidecars[0];
    let reload = |replay: &str, wanted: &str| {
        fs::write(sidecar.config(), setup(&instances.issuer, &instances.email, replay).toml()).unwrap();
        let end = Instant::now() + PATIENCE;
        while sidecar.ask_admin("/status").json()["configuration"]["last_reload"]["time"].is_null()
            || sidecar.ask_admin("/status").json()["replay_store"]["address"] != wanted
        {
            assert!(Instant::now() < end, "{}", sidecar.log());
            thread::sleep(Duration::from_millis(20));
        }
    };
    let before: Option<u64> = made(&connections());
    reload(&format!("store = \"{}\"\ntimeout = \"5s\"\n[limits]\nrequests = 999", first.url()), &first.url());
    let after: Option<u64> = made(&connections());
    assert_eq!(after, before.map(|before| before + 1), "but for the question itself nobody has connected");
    reload(&format!("store = \"{}\"\ntimeout = \"5s\"", second.url()), &second.url());
    assert_eq!(instances.show(0, &shown).status(), 401, "what this instance has seen it knows");
    assert_eq!(instances.show(0, &instances.proof()).status(), 202);
    assert_eq!((first.claims().len(), second.claims().len()), (1, 1));
    let up = |store: &Redis| format!("callgate_replay_store_up{{store=\"{}\"}}", store.url());
    assert_eq!(instances.metric(0, &up(&second)), Some(1.0));
    let end = Instant::now() + PATIENCE;
    while instances.metric(0, &up(&first)).is_some() && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(instances.metric(0, &up(&first)), None, "nobody asks it any more");
    instances.end();
}
