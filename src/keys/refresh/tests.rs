//! The refresh as requests and operators see it, with an issuer in memory and time that passes only when everybody waits.

use std::sync::{Mutex, MutexGuard};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::{advance, sleep};

use super::fault::FileFlaw;
use super::fetch::{Answer, Known, Occasion};
use super::*;
use crate::algorithm::Algorithm;
use crate::keys::jwks::KeyUse;

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
    forgotten: usize,
}

impl Issuer {
    fn with(kids: &[&str]) -> Self {
        Self(Arc::new(Mutex::new(Orders {
            answer: Ok(document(kids)),
            latency: Duration::from_millis(20),
            fetches: Vec::new(),
            forgotten: 0,
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

    fn forget(&mut self) {
        self.orders().forgotten += 1;
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
            usage: KeyUse::Signature,
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
    issuer.publishes(&["b"]);
    sleep(Duration::from_secs(301)).await;
    assert_eq!(bench.keeper.fresher(0, Some("b"), since, BOUND).await, Freshness::Changed);
    assert_eq!(issuer.fetches(), 2, "the scheduled one has brought it");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_replaced_under_its_name_is_found_and_forged_tokens_of_that_name_cost_little() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    issuer.publishes(&["a"]);
    assert_eq!(bench.fresher("a").await, Freshness::Changed);
    advance(Duration::from_millis(1)).await;
    for _ in 0..600 {
        assert_eq!(bench.fresher("a").await, Freshness::Unchanged);
        sleep(Duration::from_millis(100)).await;
    }
    assert!(issuer.fetches() < 12, "{} fetches in a minute", issuer.fetches());
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
async fn a_request_that_comes_during_a_fetch_waits_for_it_and_wants_no_other_if_it_helped() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, cooldown(Duration::from_secs(10))).await;
    issuer.publishes(&["b"]);
    let first = bench.request("b");
    sleep(Duration::from_millis(10)).await;
    let second = bench.request("b");
    assert!(first.await.expect("a request") && second.await.expect("a request"));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn where_keys_have_no_names_a_name_that_fits_none_is_looked_for_again_and_again() {
    let nameless =
        |document: Vec<u8>| String::from_utf8(document).expect("text").replace("\"kid\":\"x\",", "").into_bytes();
    let issuer = Issuer::with(&[]);
    issuer.orders().answer = Ok(nameless(document(&["x"])));
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    assert_eq!(bench.fresher("any").await, Freshness::Unchanged);
    advance(Duration::from_millis(1)).await;
    // The new key has no name either, so the name of the token says nothing about it.
    issuer.orders().answer = Ok(nameless(document(&["x"])));
    assert_eq!(bench.fresher("any").await, Freshness::Changed);
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
    assert_eq!(issuer.orders().forgotten, 1, "with everything that was kept of it");
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
        usage: KeyUse::Signature,
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
        usage: KeyUse::Signature,
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

/// A key file in the volume of a pod: `keys.json` leads to `..data/keys.json`, and `..data` to the directory of a version.
struct Volume(tempfile::TempDir);

impl Volume {
    fn new(document: &[u8]) -> Self {
        let volume = Self(tempfile::tempdir().expect("a directory"));
        volume.swap("v1", document);
        std::os::unix::fs::symlink("..data/keys.json", volume.path()).expect("a link");
        volume
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("keys.json")
    }

    /// As the kubelet does it: a new directory, a new link to it, renamed over the old one.
    fn swap(&self, version: &str, document: &[u8]) {
        let directory = self.0.path().join(version);
        std::fs::create_dir(&directory).expect("a directory");
        std::fs::write(directory.join("keys.json"), document).expect("a file");
        let link = self.0.path().join("..data_tmp");
        std::os::unix::fs::symlink(version, &link).expect("a link");
        std::fs::rename(link, self.0.path().join("..data")).expect("a rename");
    }
}

struct Watched {
    keeper: KeyKeeper,
    slot: Arc<KeySlot>,
}

impl Watched {
    async fn start(path: std::path::PathBuf) -> Self {
        let slot = Arc::new(KeySlot::default());
        let source = Source {
            issuer: ISSUER.to_owned(),
            algorithms: vec![Algorithm::Es256],
            usage: KeyUse::Signature,
            location: Location::File(path),
            slot: Arc::clone(&slot),
            settings: FetchSettings { stale_limit: Duration::from_secs(1), ..FetchSettings::default() },
        };
        let keeper = KeyKeeper::start(vec![source], &Registry::new()).expect("a keeper");
        keeper.first_attempts(Duration::from_secs(10)).await;
        Self { keeper, slot }
    }

    fn kids(&self) -> Vec<String> {
        let published = self.slot.latest();
        let keys = published.as_ref().and_then(|published| published.usable(SystemTime::now().into()));
        keys.map(|keys| keys.keys().iter().filter_map(|key| key.kid().map(str::to_owned)).collect()).unwrap_or_default()
    }

    fn fault(&self) -> Option<Fault> {
        self.keeper.status().remove(0).fault
    }
}

const A_LOOK: Duration = Duration::from_millis(1100);

#[tokio::test(start_paused = true)]
async fn a_file_is_noticed_when_it_changes_however_it_changes() {
    let volume = Volume::new(&document(&["a"]));
    let watched = Watched::start(volume.path()).await;
    assert_eq!(watched.kids(), ["a"]);
    let stale = watched.slot.latest().as_ref().map(|published| published.stale);
    assert_eq!(stale, Some(UnixTime::MAX), "a file never goes stale");

    volume.swap("v2", &document(&["b"]));
    sleep(A_LOOK).await;
    assert_eq!(watched.kids(), ["b"]);

    std::fs::write(volume.path(), document(&["c"])).expect("a write in place");
    sleep(A_LOOK).await;
    assert_eq!(watched.kids(), ["c"]);

    let beside = volume.0.path().join("beside");
    std::fs::write(&beside, document(&["d"])).expect("a file");
    std::fs::rename(beside, volume.path()).expect("a rename");
    sleep(A_LOOK).await;
    assert_eq!(watched.kids(), ["d"]);
}

#[tokio::test(start_paused = true)]
async fn a_bad_or_half_written_file_keeps_the_old_keys_until_it_is_whole() {
    let volume = Volume::new(&document(&["a"]));
    let watched = Watched::start(volume.path()).await;
    let whole = document(&["b"]);
    for bad in [&whole[..whole.len() / 2], b"", br#"{"keys":[]}"#, b"\x7fELF"] {
        std::fs::write(volume.path(), bad).expect("a write");
        sleep(A_LOOK).await;
        assert_eq!(watched.kids(), ["a"]);
        assert!(matches!(watched.fault(), Some(Fault::Document(_))));
    }
    std::fs::remove_file(volume.path()).expect("a removal");
    sleep(A_LOOK).await;
    assert_eq!(watched.kids(), ["a"]);
    assert_eq!(watched.fault(), Some(Fault::File { what: "the key file", why: FileFlaw::Missing }));

    std::fs::write(volume.path(), whole).expect("a write");
    sleep(A_LOOK).await;
    assert_eq!((watched.kids(), watched.fault()), (vec!["b".to_owned()], None));
}

#[tokio::test(start_paused = true)]
async fn a_request_for_a_new_key_in_a_file_does_not_wait_for_the_next_look() {
    let volume = Volume::new(&document(&["a"]));
    let watched = Watched::start(volume.path()).await;
    advance(Duration::from_millis(1)).await;
    volume.swap("v2", &document(&["b"]));
    let asked = Instant::now();
    assert_eq!(watched.keeper.fresher(0, Some("b"), asked, BOUND).await, Freshness::Changed);
    assert!(asked.elapsed() < Duration::from_millis(300));
}

#[tokio::test]
async fn what_is_no_regular_file_of_bearable_size_is_not_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let large = directory.path().join("large");
    std::fs::write(&large, vec![b' '; 1024 * 1024 + 1]).expect("a file");
    let cases = [
        (directory.path().to_owned(), FileFlaw::NotAFile),
        ("/dev/zero".into(), FileFlaw::NotAFile),
        (directory.path().join("missing"), FileFlaw::Missing),
        (large, FileFlaw::TooLarge),
    ];
    for (path, why) in cases {
        let watched = Watched::start(path).await;
        assert_eq!(watched.fault(), Some(Fault::File { what: "the key file", why }));
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let source = Source {
        issuer: ISSUER.to_owned(),
        algorithms: vec![Algorithm::Es256],
        usage: KeyUse::Signature,
        location: Location::Url(format!("http://{address}/")),
        slot: Arc::default(),
        settings: FetchSettings { timeout: Duration::from_millis(50), ..FetchSettings::default() },
    };
    let keeper = KeyKeeper::start(vec![source], &Registry::new()).expect("a keeper");
    keeper.first_attempts(Duration::from_secs(10)).await;
    assert_eq!(keeper.status().remove(0).fault, Some(Fault::Timeout));
}

#[tokio::test(start_paused = true)]
async fn a_restart_while_the_issuer_is_down_serves_the_snapshot_with_the_age_it_had() {
    let directory = tempfile::tempdir().expect("a directory");
    let settings = FetchSettings {
        snapshot_dir: Some(directory.path().to_owned()),
        stale_limit: Duration::from_secs(3600),
        ..FetchSettings::default()
    };
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, settings.clone()).await;
    sleep(Duration::from_secs(1)).await;
    drop(bench);

    issuer.fails(Fault::ConnectionRefused);
    let bench = Bench::start(&issuer, settings.clone()).await;
    assert!(bench.has("a") && bench.status().ready, "the keys are there before any fetch succeeded");
    sleep(Duration::from_secs(3000)).await;
    assert!(bench.has("a"));
    sleep(Duration::from_secs(700)).await;
    assert!(!bench.has("a"), "a restart makes no keys younger");

    issuer.publishes(&["b"]);
    sleep(Duration::from_secs(31)).await;
    assert!(bench.has("b") && !bench.has("a"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_holds_no_key_set_is_not_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let settings = FetchSettings { snapshot_dir: Some(directory.path().to_owned()), ..FetchSettings::default() };
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, settings.clone()).await;
    // Paused time passes only once nothing is being written.
    sleep(Duration::from_secs(1)).await;
    drop(bench);
    let entry = std::fs::read_dir(directory.path()).expect("a directory").next().expect("a file").expect("an entry");
    let content = std::fs::read_to_string(entry.path()).expect("a snapshot");
    std::fs::write(entry.path(), content.replace("P-256", "P-25x")).expect("a write");
    issuer.fails(Fault::ConnectionRefused);
    let bench = Bench::start(&issuer, settings).await;
    assert!(!bench.has("a") && !bench.status().ready);
}
