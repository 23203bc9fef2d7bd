//! The refresh as requests and operators see it, with an issuer in memory and time that passes only when everybody waits.

use std::sync::{Mutex, MutexGuard};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::{advance, sleep};

use super::fetch::{Answer, Known, Occasion};
use super::*;
use crate::algorithm::Algorithm;

const ISSUER: &str = "https://auth.example";
const MIDNIGHT: UnixTime = UnixTime::from_secs(1_800_000_000);
const BOUND: Duration = Duration::from_secs(1);

/// A key document with one fresh key for each name.
fn document(kids: &[&str]) -> Vec<u8> {
    let keys = kids.iter().map(|kid| {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let point = key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        format!(r#"{{"kty":"EC","crv":"P-256","kid":"{kid}","x":"{x}","y":"{y}"}}"#)
    });
    format!(r#"{{"keys":[{}]}}"#, keys.collect::<Vec<_>>().join(",")).into_bytes()
}

/// An issuer that does as it is told.
#[derive(Clone)]
struct Issuer(Arc<Mutex<Orders>>);

struct Orders {
    answer: Result<Vec<u8>, Fault>,
    latency: Duration,
    fetches: Vec<Instant>,
}

impl Issuer {
    fn with(kids: &[&str]) -> Self {
        Self(Arc::new(Mutex::new(Orders {
            answer: Ok(document(kids)),
            latency: Duration::from_millis(20),
            fetches: Vec::new(),
        })))
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().expect("orders")
    }

    fn publishes(&self, kids: &[&str]) {
        self.orders().answer = Ok(document(kids));
    }

    fn fails(&self, fault: Fault) {
        self.orders().answer = Err(fault);
    }

    fn fetches(&self) -> usize {
        self.orders().fetches.len()
    }
}

impl Fetch for Issuer {
    async fn fetch(&mut self, _: Occasion, _: Option<Known<'_>>) -> Result<Answer, Fault> {
        let (answer, latency) = {
            let mut orders = self.orders();
            orders.fetches.push(Instant::now());
            (orders.answer.clone(), orders.latency)
        };
        sleep(latency).await;
        answer.map(|document| Answer::Document { document, validators: None, fresh_for: None })
    }
}

/// Keeps the keys of an issuer in memory.
struct Bench {
    keeper: KeyKeeper,
    slot: Arc<KeySlot>,
    registry: Registry,
    clock: Clock,
}

impl Bench {
    async fn start(issuer: &Issuer, settings: FetchSettings) -> Arc<Self> {
        let bench = Self::start_cold(issuer, settings);
        bench.keeper.first_attempts(Duration::from_secs(10)).await;
        // What follows comes after it, also on a clock that stands still.
        advance(Duration::from_millis(1)).await;
        bench
    }

    fn start_cold(issuer: &Issuer, settings: FetchSettings) -> Arc<Self> {
        let (slot, registry, begun) = (Arc::new(KeySlot::default()), Registry::new(), Instant::now());
        let source = Source {
            issuer: ISSUER.to_owned(),
            algorithms: vec![Algorithm::Es256],
            location: Location::Url("https://auth.example/keys".to_owned()),
            slot: Arc::clone(&slot),
            settings,
        };
        let clock: Clock = Arc::new(move || MIDNIGHT.plus(begun.elapsed()));
        let mut keeper =
            KeyKeeper::empty(std::slice::from_ref(&source), &registry, Arc::clone(&clock)).expect("metrics");
        keeper.keep(source, issuer.clone());
        Arc::new(Self { keeper, slot, registry, clock })
    }

    fn has(&self, kid: &str) -> bool {
        let published = self.slot.latest();
        let keys = published.as_ref().and_then(|published| published.usable((self.clock)()));
        keys.is_some_and(|keys| keys.named(kid).is_some())
    }

    async fn fresher(&self, kid: &str) -> Freshness {
        self.keeper.fresher(0, Some(kid), Instant::now(), BOUND).await
    }

    fn status(&self) -> IssuerStatus {
        self.keeper.status().remove(0)
    }

    /// Whether a request whose token was signed by this key passes, asking as a request would.
    async fn passes(&self, kid: &str) -> bool {
        self.has(kid) || {
            self.fresher(kid).await;
            self.has(kid)
        }
    }

    /// A request of its own.
    fn request(self: &Arc<Self>, kid: &str) -> tokio::task::JoinHandle<bool> {
        let (bench, kid) = (Arc::clone(self), kid.to_owned());
        tokio::spawn(async move { bench.passes(&kid).await })
    }

    fn counted(&self, line: &str) -> bool {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).expect("metrics");
        text.lines().any(|counted| counted == line)
    }
}

fn cooldown(cooldown: Duration) -> FetchSettings {
    FetchSettings { unknown_key_cooldown: cooldown, ..FetchSettings::default() }
}

#[tokio::test(start_paused = true)]
async fn keys_are_there_after_the_first_attempt_and_refreshed_before_their_time() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    assert!(bench.has("a"));
    issuer.publishes(&["a", "b"]);
    sleep(Duration::from_secs(301)).await;
    assert!(bench.has("b"));
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_found_by_the_request_that_needs_it_and_its_absence_is_told_after_one_look() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    issuer.publishes(&["a", "b"]);
    assert_eq!(bench.fresher("b").await, Freshness::Changed);
    assert!(bench.has("b"));
    advance(Duration::from_secs(1)).await;
    assert_eq!(bench.fresher("nobody's").await, Freshness::Unchanged);
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_came_between_the_decision_and_the_wish_needs_no_fetch() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    let since = Instant::now();
    assert_eq!(bench.keeper.fresher(0, Some("a"), since, BOUND).await, Freshness::Changed);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_for_a_new_key_make_one_fetch_and_all_pass() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    issuer.publishes(&["b"]);
    let requests: Vec<_> = (0..1000).map(|_| bench.request("b")).collect();
    for request in requests {
        assert!(request.await.expect("a request"));
    }
    sleep(Duration::from_secs(10)).await;
    assert_eq!(issuer.fetches(), 2, "the one at the start and one for all");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_random_names_make_one_fetch_per_cooldown_and_starve_no_good_token() {
    let issuer = Issuer::with(&["old"]);
    let bench = Bench::start(&issuer, cooldown(Duration::from_millis(500))).await;
    let begun = Instant::now();
    // Tokens with random names come all the time. Every second the issuer swaps its key, at a moment nobody is told of, and
    // a token signed with the new one comes at once.
    let (mut bad, mut good) = (Vec::new(), Vec::new());
    for n in 0..10_000 {
        bad.push(bench.request(&format!("random {n}")));
        if n % 500 == 137 {
            let kid = format!("key {n}");
            issuer.publishes(&[&kid]);
            good.push(bench.request(&kid));
        }
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(good.len(), 20);
    for request in good {
        assert!(request.await.expect("a request"), "a good token was refused");
    }
    for request in bad {
        assert!(!request.await.expect("a request"), "and no other passed");
    }
    let cooldowns = begun.elapsed().as_millis() / 500;
    let fetches = issuer.fetches();
    assert!(u128::try_from(fetches).expect("a number") <= cooldowns + 2, "{fetches} fetches in {cooldowns} cooldowns");
    assert!(fetches > 20, "the flood was not without effect");
}

#[tokio::test(start_paused = true)]
async fn no_request_waits_longer_than_its_bound_and_the_work_goes_on_without_it() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    issuer.publishes(&["b"]);
    issuer.orders().latency = Duration::from_secs(3);
    let asked = Instant::now();
    assert_eq!(bench.fresher("b").await, Freshness::TimedOut);
    assert_eq!(asked.elapsed(), BOUND);
    sleep(Duration::from_millis(2100)).await;
    assert!(bench.has("b"));
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_too_soon_learns_when_and_the_refresh_is_made_for_the_next() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, cooldown(Duration::from_secs(10))).await;
    assert_eq!(bench.fresher("x").await, Freshness::Unchanged);
    issuer.publishes(&["b"]);
    let asked = Instant::now();
    let Freshness::TooSoon { retry_after } = bench.fresher("b").await else { panic!("no refresh is allowed yet") };
    assert_eq!(asked.elapsed(), Duration::ZERO);
    sleep(retry_after + Duration::from_secs(1)).await;
    assert!(bench.has("b"));
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_with_a_wrong_name_neither_waits_nor_keeps_the_issuer_busy() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    assert_eq!(bench.fresher("staging").await, Freshness::Unchanged);
    let asked = Instant::now();
    assert_eq!(bench.fresher("staging").await, Freshness::Unchanged);
    assert_eq!(asked.elapsed(), Duration::ZERO);
    for _ in 0..600 {
        bench.fresher("staging").await;
        sleep(Duration::from_millis(100)).await;
    }
    assert!(issuer.fetches() < 10, "{} fetches in a minute", issuer.fetches());
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_at_the_start_is_tried_ever_more_rarely_and_serves_once_it_is_back() {
    let issuer = Issuer::with(&["a"]);
    issuer.fails(Fault::ConnectionRefused);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    let status = bench.status();
    assert!(!status.ready && status.kids.is_empty());
    assert_eq!(status.fault, Some(Fault::ConnectionRefused));
    // A hundred requests a second for five minutes.
    for _ in 0..3000 {
        for _ in 0..10 {
            bench.request("a");
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(issuer.fetches() < 30, "{} fetches", issuer.fetches());
    assert!(matches!(bench.fresher("a").await, Freshness::Failed { .. } | Freshness::TimedOut));
    issuer.publishes(&["a"]);
    sleep(Duration::from_secs(31)).await;
    assert!(bench.has("a"));
    let status = bench.status();
    assert!(status.ready && status.fault.is_none());
    assert_eq!(status.kids, [Some("a".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_request_outlasts_one_failure_if_the_next_attempt_comes_within_its_bound() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    issuer.fails(Fault::Status(500));
    let request = bench.request("b");
    sleep(Duration::from_millis(50)).await;
    issuer.publishes(&["b"]);
    assert!(request.await.expect("a request"));
}

#[tokio::test(start_paused = true)]
async fn old_keys_serve_on_up_to_the_limit_and_then_none_until_the_issuer_is_back() {
    let issuer = Issuer::with(&["a"]);
    let settings = FetchSettings { stale_limit: Duration::from_secs(3600), ..FetchSettings::default() };
    let bench = Bench::start(&issuer, settings).await;
    issuer.fails(Fault::Timeout);
    sleep(Duration::from_secs(3590)).await;
    assert!(bench.has("a") && bench.status().ready);
    assert!(bench.counted(r#"callgate_key_set_usable{issuer="https://auth.example"} 1"#));
    sleep(Duration::from_secs(11)).await;
    assert!(!bench.has("a") && !bench.status().ready);
    assert!(bench.counted(r#"callgate_key_set_usable{issuer="https://auth.example"} 0"#));
    issuer.publishes(&["a"]);
    sleep(Duration::from_secs(31)).await;
    assert!(bench.has("a") && bench.status().ready);
}

#[tokio::test(start_paused = true)]
async fn stale_keys_are_taken_back_when_the_issuer_confirms_them_and_a_waiting_request_learns_of_it() {
    let issuer = Issuer::with(&["a"]);
    let answer = issuer.orders().answer.clone();
    let settings = FetchSettings { stale_limit: Duration::from_secs(60), ..FetchSettings::default() };
    let bench = Bench::start(&issuer, settings).await;
    issuer.fails(Fault::Timeout);
    sleep(Duration::from_secs(400)).await;
    assert!(!bench.has("a"));
    issuer.orders().answer = answer;
    let waiting = bench.keeper.fresher(0, Some("a"), Instant::now(), Duration::from_secs(31)).await;
    assert_eq!(waiting, Freshness::Changed);
    assert!(bench.has("a"));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_key_set_never_replaces_one() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    for garbage in
        ["", "{", "[]", "<html>", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#, r#"{"keys":5}"#]
    {
        issuer.orders().answer = Ok(garbage.into());
        sleep(Duration::from_secs(301)).await;
        assert!(bench.has("a"), "{garbage}");
        assert!(matches!(bench.status().fault, Some(Fault::Document(_))), "{garbage}");
    }
    issuer.publishes(&["b"]);
    sleep(Duration::from_secs(31)).await;
    assert!(bench.has("b") && !bench.has("a"), "a real one does");
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_never_ends_is_given_up() {
    let issuer = Issuer::with(&["a"]);
    issuer.orders().latency = Duration::MAX;
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    assert_eq!(bench.status().fault, Some(Fault::Timeout));
    issuer.orders().latency = Duration::ZERO;
    sleep(Duration::from_secs(6)).await;
    assert!(bench.has("a"));
}

#[tokio::test(start_paused = true)]
async fn the_first_attempts_are_waited_for_but_not_for_ever() {
    let issuer = Issuer::with(&["a"]);
    issuer.orders().latency = Duration::MAX;
    let bench = Bench::start_cold(&issuer, FetchSettings::default());
    let begun = Instant::now();
    bench.keeper.first_attempts(Duration::from_secs(2)).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn one_issuer_in_trouble_delays_no_other() {
    let (good, bad) = (Issuer::with(&["a"]), Issuer::with(&["b"]));
    bad.orders().latency = Duration::MAX;
    let mut bench = Bench::start(&good, FetchSettings::default()).await;
    let source = Source {
        issuer: "https://bad.example".to_owned(),
        algorithms: vec![Algorithm::Es256],
        location: Location::Discovery,
        slot: Arc::default(),
        settings: FetchSettings::default(),
    };
    Arc::get_mut(&mut bench).expect("not shared yet").keeper.keep(source, bad);
    good.publishes(&["new"]);
    let asked = Instant::now();
    assert!(bench.passes("new").await);
    assert!(asked.elapsed() < Duration::from_millis(50));
    assert_eq!(bench.keeper.status().iter().map(|status| status.ready).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn results_are_counted() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    sleep(Duration::from_secs(301)).await;
    issuer.fails(Fault::Status(500));
    bench.fresher("b").await;
    for line in [
        r#"callgate_key_set_refreshes_total{issuer="https://auth.example",result="changed"} 1"#,
        r#"callgate_key_set_refreshes_total{issuer="https://auth.example",result="unchanged"} 1"#,
        r#"callgate_key_set_refreshes_total{issuer="https://auth.example",result="redirect"} 0"#,
        r#"callgate_key_set_keys{issuer="https://auth.example"} 1"#,
        r#"callgate_key_waits_total{issuer="https://auth.example",result="failed"} 1"#,
    ] {
        assert!(bench.counted(line), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_tasks_end_with_the_keeper() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    drop(bench);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn an_address_that_may_not_be_fetched_from_is_refused_at_the_start() {
    let source = |issuer: &str, location| Source {
        issuer: issuer.to_owned(),
        algorithms: vec![Algorithm::Es256],
        location,
        slot: Arc::default(),
        settings: FetchSettings::default(),
    };
    let refused = [
        source(ISSUER, Location::Url("http://auth.example/keys".to_owned())),
        source("an issuer that is no address", Location::Discovery),
    ];
    for source in refused {
        assert!(matches!(KeyKeeper::start(vec![source], &Registry::new()), Err(StartFault::Address { .. })));
    }
    let accepted = source(ISSUER, Location::File("/nonexistent".into()));
    assert!(KeyKeeper::start(vec![accepted], &Registry::new()).is_ok());
}
