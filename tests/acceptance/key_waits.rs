//! Requests that wait for keys: a bounded number per issuer, with places of their own, and only while somebody waits for the
//! answer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use h2::client::ResponseFuture;
use http::Method;
use tokio::net::TcpStream;

use testkit::email_service::EmailService;
use testkit::http::PATIENCE;
use testkit::issuer::{Behaviour, Issuer};
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::{start, start_ready};

fn token(by: &Issuer) -> String {
    by.mint(&by.claims("billing", AUDIENCE))
}

/// The value of a metric of this issuer.
fn metric(sidecar: &Sidecar, name: &str, labels: &str) -> f64 {
    let text = sidecar.ask_admin("/metrics").text();
    let line = text.lines().find(|line| line.starts_with(name) && line.contains(labels));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

fn wait_for(sidecar: &Sidecar, name: &str, labels: &str, wanted: impl Fn(f64) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !wanted(metric(sidecar, name, labels)) {
        assert!(Instant::now() < end, "{name}: {}\n{}", metric(sidecar, name, labels), sidecar.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

const WAITING: &str = "callgate_key_waiting_requests";
const WAITS: &str = "callgate_key_waits_total";

/// Unsigned tokens that name an issuer whose keys do not come took all places of `limits.requests`: 184 of 188 good requests of
/// another issuer were refused.
#[test]
fn issuer_that_hangs_takes_no_request_of_another() {
    let email = EmailService::start();
    let (good, hanging) = (Issuer::start("https://good.example"), Issuer::start("https://hanging.example"));
    hanging.behave(Behaviour::Slow(Duration::from_secs(60)));
    let setup = Setup::before(email.address()).trusting(&good).trusting(&hanging);
    let sidecar = start(&setup.with("[limits]\nrequests = 4\nkey_wait = \"20s\""));
    let mut waiting = Vec::new();
    for _ in 0..40 {
        let mut connection = sidecar.connect();
        connection.send(Request::send().bearer(&token(&hanging)).bytes()).unwrap();
        waiting.push(connection);
    }
    wait_for(&sidecar, WAITING, "hanging", |waiting| waiting > 39.5);
    for _ in 0..40 {
        let answer = sidecar.connect().exchange(Request::send().bearer(&token(&good)).bytes()).unwrap();
        assert_eq!(answer.status(), 202, "{}", answer.text());
    }
    assert_eq!(email.received().len(), 40);
    assert!(metric(&sidecar, WAITING, "hanging") > 39.5, "they still wait");
    assert_eq!(hanging.fetches(), 1, "for one fetch");
}

/// Sends requests with this token, each on a stream of its own.
async fn streams(sidecar: &Sidecar, token: &str, count: usize) -> Vec<ResponseFuture> {
    let stream = TcpStream::connect(sidecar.listen()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..count {
        client = client.ready().await.unwrap();
        let request = http::Request::builder().method(Method::POST).uri("http://email.internal.example/send");
        let request = request.header("authorization", format!("Bearer {token}")).body(()).unwrap();
        answers.push(client.send_request(request, true).unwrap().0);
    }
    answers
}

async fn answered(answer: ResponseFuture) -> (u16, String, bool) {
    let (head, mut body) = answer.await.unwrap().into_parts();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        text.extend_from_slice(&piece.unwrap());
    }
    let problem: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let retry_after = head.headers.contains_key("retry-after");
    (head.status.as_u16(), problem["reason"].as_str().unwrap().to_owned(), retry_after)
}

#[tokio::test(flavor = "multi_thread")]
async fn request_beyond_the_places_is_answered_at_once_with_the_truth() {
    let email = EmailService::start();
    let hanging = Issuer::start("https://hanging.example");
    hanging.behave(Behaviour::Slow(Duration::from_secs(60)));
    // Sixteen issuers and more have 64 places each.
    let others: Vec<_> = (0..15).map(|n| Issuer::start(&format!("https://other-{n}.example"))).collect();
    let setup = others.iter().fold(Setup::before(email.address()).trusting(&hanging), Setup::trusting);
    let sidecar = start(&setup.with("[limits]\nrequests = 1000\nkey_wait = \"30s\""));
    let mut waiting = streams(&sidecar, &token(&hanging), 64).await;
    wait_for(&sidecar, WAITING, "hanging", |waiting| waiting > 63.5);
    for answer in streams(&sidecar, &token(&hanging), 10).await {
        assert_eq!(answered(answer).await, (503, "keys_unavailable".to_owned(), true));
    }
    assert!(metric(&sidecar, WAITS, "room_full") > 9.5);
    assert!(metric(&sidecar, WAITING, "hanging") > 63.5, "nobody had to leave");
    // Who leaves makes room.
    waiting.truncate(63);
    wait_for(&sidecar, WAITING, "hanging", |waiting| waiting < 63.5);
    let answer = sidecar.connect().exchange(Request::send().bearer(&token(&others[0])).bytes()).unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(email.received().len(), 1);
    let refused = sidecar.audit_where(|record| record["reason"] == "keys_unavailable").expect("a record");
    assert_eq!(refused["status"], 503);
}

/// One connection that opened and reset streams with an unknown `kid` had 1,039 requests in progress: 20 of 50 good ones got 503.
#[tokio::test(flavor = "multi_thread")]
async fn stream_that_is_reset_waits_no_longer() {
    let email = EmailService::start();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(
        &Setup::before(email.address()).trusting(&issuer).with("[limits]\nrequests = 4\nkey_wait = \"30s\""),
    );
    let good = token(&issuer);
    let unknown = Issuer::with_keys(&issuer.name(), vec![testkit::keys::Key::generate("ES256", "unknown")]);
    issuer.behave(Behaviour::Slow(Duration::from_secs(60)));
    for _ in 0..5 {
        let waiting = streams(&sidecar, &token(&unknown), 50).await;
        wait_for(&sidecar, WAITING, "auth.internal", |waiting| waiting > 49.5);
        let answer = sidecar.connect().exchange(Request::send().bearer(&good).bytes()).unwrap();
        assert_eq!(answer.status(), 202, "{}", answer.text());
        drop(waiting);
        wait_for(&sidecar, WAITING, "auth.internal", |waiting| waiting < 0.5);
    }
    assert_eq!(email.received().len(), 5);
}

/// The body of its request, which nobody had asked for yet, was taken for its next request: it waited until `key_wait` was over.
#[test]
fn client_of_http1_that_leaves_waits_no_longer_and_is_recorded() {
    let email = EmailService::start();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(email.address()).trusting(&issuer).with("[limits]\nkey_wait = \"30s\""));
    let good = token(&issuer);
    let unknown = Issuer::with_keys(&issuer.name(), vec![testkit::keys::Key::generate("ES256", "unknown")]);
    issuer.behave(Behaviour::Slow(Duration::from_secs(60)));
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let mut connection = sidecar.connect();
        connection.send(Request::send().bearer(&token(&unknown)).bytes()).unwrap();
        waiting.push(connection);
    }
    wait_for(&sidecar, WAITING, "auth.internal", |waiting| waiting > 9.5);
    // One that closes within a second after its request may still want its answer, as `nc -N` does.
    std::thread::sleep(Duration::from_millis(1200));
    assert!(metric(&sidecar, WAITING, "auth.internal") > 9.5);
    drop(waiting);
    // Long before key_wait is over.
    wait_for(&sidecar, WAITING, "auth.internal", |waiting| waiting < 0.5);
    wait_for(&sidecar, "callgate_requests_in_flight", "", |requests| requests < 0.5);
    let left = sidecar.audit_where(|record| record["decision"] == "reject").expect("a record");
    assert_eq!((&left["reason"], &left["caller"]), (&"keys_unavailable".into(), &serde_json::Value::Null), "{left:#}");
    assert_eq!(sidecar.connect().exchange(Request::send().bearer(&good).bytes()).unwrap().status(), 202);
    assert_eq!(email.received().len(), 1);
}

/// Tokens without a signature that name an issuer which hangs, as many as a client can send: another issuer's callers go on.
#[test]
fn flood_of_tokens_that_name_a_hanging_issuer_refuses_nobody_elses_caller() {
    let email = EmailService::start();
    let (good, hanging) = (Issuer::start("https://good.example"), Issuer::start("https://hanging.example"));
    hanging.behave(Behaviour::Slow(Duration::from_secs(60)));
    let sidecar = start(&Setup::before(email.address()).trusting(&good).trusting(&hanging));
    let signed = token(&hanging);
    let unsigned = format!("{}.AAAA", signed.rsplit_once('.').unwrap().0);
    let over = AtomicBool::new(false);
    let sent = AtomicUsize::new(0);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // What it is answered, and whether at all, is nothing to this client: it leaves or is refused.
                    let mut connection = sidecar.connect();
                    let _sent = connection.send(Request::send().bearer(&unsigned).bytes());
                    sent.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
        let good_ones = (0..188).map(|before| {
            // Two of the others come before each.
            while sent.load(Ordering::Relaxed) < 2 * before {
                std::thread::sleep(Duration::from_millis(1));
            }
            let answer = sidecar.connect().exchange(Request::send().bearer(&token(&good)).bytes()).unwrap();
            answer.status()
        });
        let statuses = good_ones.collect();
        over.store(true, Ordering::Relaxed);
        statuses
    });
    assert_eq!(statuses, vec![202; 188], "beside {} others", sent.load(Ordering::Relaxed));
    assert_eq!(email.received().len(), 188);
    assert!(hanging.fetches() <= 10, "its waiting requests share a fetch: {}", hanging.fetches());
}
