//! The refresh as requests and operators see it, with an issuer in memory and time that passes only when everybody waits.

mod files;
mod outages;
mod reconfiguring;
mod requests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::{advance, sleep};

use super::fetch::{Cause, Fetched, Fetching, Validators};
use super::*;
use crate::algorithm::Algorithm;
use crate::file_watcher::FileError;
use crate::keys::jwks::KeyUse;
use crate::keys::source::{FetchSettings, FetchUrl};

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
    answer: Result<Vec<u8>, FetchError>,
    /// Says that nothing has changed, whatever the answer.
    not_modified: bool,
    fresh_for: Option<Duration>,
    latency: Duration,
    fetches: Vec<Instant>,
    forgotten: usize,
}

impl Issuer {
    fn with(kids: &[&str]) -> Self {
        Self(Arc::new(Mutex::new(Orders {
            answer: Ok(document(kids)),
            not_modified: false,
            fresh_for: None,
            latency: Duration::from_millis(20),
            fetches: Vec::new(),
            forgotten: 0,
        })))
    }

    fn fetchers(&self) -> Fetchers {
        let issuer = self.clone();
        Arc::new(move |_| Box::new(issuer.clone()))
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().expect("orders")
    }

    fn publishes(&self, kids: &[&str]) {
        self.orders().answer = Ok(document(kids));
    }

    fn fails(&self, fault: FetchError) {
        self.orders().answer = Err(fault);
    }

    fn fetches(&self) -> usize {
        self.orders().fetches.len()
    }
}

impl Fetch for Issuer {
    fn fetch<'f>(&'f mut self, _: Cause, _: Option<&'f Validators>) -> Fetching<'f> {
        let (answer, latency, not_modified, fresh_for) = {
            let mut orders = self.orders();
            orders.fetches.push(Instant::now());
            (orders.answer.clone(), orders.latency, orders.not_modified, orders.fresh_for)
        };
        Box::pin(async move {
            sleep(latency).await;
            match answer {
                Ok(_) if not_modified => Ok(Fetched::NotModified { fresh_for }),
                answer => answer.map(|document| Fetched::Document { document, validators: None, fresh_for }),
            }
        })
    }

    fn forget(&mut self) {
        self.orders().forgotten += 1;
    }
}

/// Keeps the keys of an issuer in memory.
struct Bench {
    refresher: JwksRefresher,
    slot: Arc<KeySlot>,
    registry: Registry,
    clock: Clock,
    /// By how many seconds the clock was set forward.
    skew: Arc<AtomicU64>,
}

impl Bench {
    async fn start(issuer: &Issuer, settings: FetchSettings) -> Arc<Self> {
        let bench = Self::start_cold(issuer, settings);
        bench.refresher.first_attempts(Duration::from_secs(10)).await;
        // What follows comes after it, also on a clock that stands still.
        advance(Duration::from_millis(1)).await;
        bench
    }

    fn start_cold(issuer: &Issuer, settings: FetchSettings) -> Arc<Self> {
        let (slot, registry, begun) = (Arc::new(KeySlot::default()), Registry::new(), Instant::now());
        let skew = Arc::new(AtomicU64::new(0));
        let origin = origin(ISSUER, Location::Url(url("https://auth.example/keys")), settings);
        let source = Source { origin, slot: Arc::clone(&slot), required: true };
        let set_forward = Arc::clone(&skew);
        let skewed = move || Duration::from_secs(set_forward.load(Ordering::SeqCst));
        let clock: Clock = Arc::new(move || MIDNIGHT.plus(begun.elapsed()).plus(skewed()));
        let none = JwksRefresher::with(&registry, Arc::clone(&clock), issuer.fetchers()).expect("metrics");
        let refresher = none.reconfigured(vec![source]);
        refresher.activate_metrics();
        Arc::new(Self { refresher, slot, registry, clock, skew })
    }

    fn first(&self) -> IssuerIndex {
        first(&self.refresher)
    }

    fn has(&self, kid: &str) -> bool {
        let published = self.slot.latest();
        let keys = published.as_ref().and_then(|published| published.usable((self.clock)()));
        keys.is_some_and(|keys| keys.named(kid).is_some())
    }

    async fn fresher(&self, kid: &str) -> Freshness {
        self.refresher.fresher(self.first(), Some(kid), Instant::now(), BOUND).await
    }

    fn status(&self) -> IssuerStatus {
        self.refresher.status().remove(0)
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

/// The first issuer of a refresher.
fn first(refresher: &JwksRefresher) -> IssuerIndex {
    refresher.issuers.find(|_| true).expect("an issuer")
}

fn url(text: &str) -> FetchUrl {
    FetchUrl::parse(text, false).expect("a URL")
}

fn origin(issuer: &str, location: Location, settings: FetchSettings) -> Origin {
    let algorithms = vec![Algorithm::Es256];
    Origin { issuer: issuer.to_owned(), algorithms, usage: KeyUse::Signature, location, settings }
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
async fn an_issuer_that_says_how_long_its_document_is_fresh_is_asked_again_by_then() {
    let issuer = Issuer::with(&["a"]);
    issuer.orders().fresh_for = Some(Duration::from_secs(60));
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    sleep(Duration::from_secs(61)).await;
    assert_eq!(issuer.fetches(), 2);
    assert!(bench.has("a"));
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_confirmed_without_being_sent_again_live_on() {
    let issuer = Issuer::with(&["a"]);
    let settings = FetchSettings { stale_limit: Duration::from_secs(600), ..FetchSettings::default() };
    let bench = Bench::start(&issuer, settings.clone()).await;
    issuer.orders().not_modified = true;
    sleep(Duration::from_secs(3600)).await;
    assert!(bench.has("a"));
    assert!(bench.status().age.is_some_and(|age| age <= Duration::from_secs(300)));

    // Nobody has asked this server whether anything changed.
    let bench = Bench::start(&issuer, settings).await;
    assert_eq!(bench.status().fault, Some(FetchError::Status(304)));
}

#[tokio::test(start_paused = true)]
async fn the_first_attempts_are_waited_for_but_not_for_ever() {
    let issuer = Issuer::with(&["a"]);
    issuer.orders().latency = Duration::MAX;
    let bench = Bench::start_cold(&issuer, FetchSettings::default());
    let begun = Instant::now();
    bench.refresher.first_attempts(Duration::from_secs(2)).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn results_are_counted() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    sleep(Duration::from_secs(301)).await;
    issuer.fails(FetchError::Status(500));
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
