//! Another configuration: what goes on, what begins with keys, and what has no say any more.

use super::*;
use crate::keys::source::JwksHost;

/// The bench's source with other settings, and a slot of its own.
fn source(settings: FetchSettings) -> Source {
    let location = Location::Url(url("https://auth.example/keys"));
    Source { origin: origin(ISSUER, location, settings), slot: Arc::default(), required: true }
}

/// A refresher of one source that is kept from this issuer.
fn refresher(bench: &Bench, source: Source, issuer: &Issuer) -> JwksRefresher {
    let none = JwksRefresher::with(&Registry::new(), Arc::clone(&bench.clock), issuer.fetchers()).expect("metrics");
    none.reconfigured(vec![source])
}

fn elsewhere() -> FetchSettings {
    FetchSettings { jwks_host: JwksHost::parse("elsewhere.example").ok(), ..FetchSettings::default() }
}

/// After a reload that changed `jwks_host`, 42 of 69 tokens of the old host passed while an old stream was open.
#[tokio::test(start_paused = true)]
async fn a_withdrawn_source_has_no_say_however_long_its_configuration_is_kept() {
    let (old, new) = (Issuer::with(&["old"]), Issuer::with(&["new"]));
    let bench = Bench::start(&old, FetchSettings::default()).await;
    let next = refresher(&bench, source(elsewhere()), &new);
    next.first_attempts(BOUND).await;
    // A request of the old configuration waits for a key, and the old source is about to publish it.
    old.publishes(&["newer"]);
    old.orders().latency = Duration::from_millis(500);
    let waiting = bench.request("newer");
    sleep(Duration::from_millis(100)).await;
    bench.refresher.retire(&next);
    let ended = Instant::now();
    assert!(!waiting.await.expect("a request"), "it ends without the key");
    assert_eq!(ended.elapsed(), Duration::ZERO, "and at once");
    sleep(Duration::from_secs(3600)).await;
    assert!(!bench.has("old") && !bench.has("newer"));
    assert_eq!(old.fetches(), 2, "nobody asks it any more");
    let late = Published { keys: Arc::clone(&next_keys(&next)), confirmed: MIDNIGHT, stale: UnixTime::MAX };
    bench.slot.publish(late);
    assert!(bench.slot.latest().is_none(), "a publication that was under way is not seen either");
    assert!(next.status()[0].ready);
}

fn next_keys(refresher: &JwksRefresher) -> Arc<crate::keys::jwks::KeySet> {
    refresher
        .issuers
        .iter()
        .next()
        .expect("an issuer")
        .slot
        .latest()
        .as_ref()
        .map(|published| Arc::clone(&published.keys))
        .expect("keys")
}

#[tokio::test(start_paused = true)]
async fn another_rhythm_keeps_the_keys_and_another_trust_begins_without() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    let begin = |settings| {
        let source = source(settings);
        let slot = Arc::clone(&source.slot);
        assert!(bench.refresher.slot_for(&source.origin).is_none(), "it shares no task");
        (bench.refresher.reconfigured(vec![source]), slot)
    };
    let stale_limit = Duration::from_secs(60);
    let (next, slot) = begin(FetchSettings { stale_limit, ..FetchSettings::default() });
    let stale = slot.latest().as_ref().map(|published| (published.confirmed, published.stale));
    assert!(stale.is_some_and(|(confirmed, stale)| stale == confirmed.plus(stale_limit)), "by the new limit");
    assert!(next.status()[0].ready && next.status()[0].last_success.is_some());
    bench.refresher.retire(&next);
    assert!(bench.has("a"), "requests of the old configuration are still decided");

    let mut others = vec![elsewhere()];
    others.push(FetchSettings { ca_file: Some("/ca.pem".into()), ..FetchSettings::default() });
    others.push(FetchSettings { allow_http: true, ..FetchSettings::default() });
    for settings in others {
        let (next, slot) = begin(settings);
        assert!(slot.latest().is_none() && !next.status()[0].ready);
    }
}

#[tokio::test(start_paused = true)]
async fn what_stays_as_it_is_goes_on_with_its_task() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    let mut same = source(FetchSettings::default());
    same.slot = bench.refresher.slot_for(&same.origin).expect("the same source");
    let next = bench.refresher.reconfigured(vec![same]);
    bench.refresher.retire(&next);
    issuer.publishes(&["b"]);
    sleep(Duration::from_secs(301)).await;
    assert!(bench.has("b"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_a_withdrawn_source_is_not_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let with_snapshots = |settings| FetchSettings { snapshot_dir: Some(directory.path().to_owned()), ..settings };
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, with_snapshots(FetchSettings::default())).await;
    sleep(Duration::from_secs(1)).await;
    issuer.fails(FetchError::ConnectionRefused);
    let same = Bench::start(&issuer, with_snapshots(FetchSettings::default())).await;
    assert!(same.has("a"));
    let other = Bench::start(&issuer, with_snapshots(elsewhere())).await;
    assert!(!other.has("a"));
    drop(bench);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_over_the_stale_limit_makes_it_fetch_at_once() {
    let issuer = Issuer::with(&["a"]);
    let settings = FetchSettings { stale_limit: Duration::from_secs(3600), ..FetchSettings::default() };
    let bench = Bench::start(&issuer, settings).await;
    bench.skew.store(3599, Ordering::SeqCst);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(issuer.fetches(), 1, "the keys are still good");
    bench.skew.store(7200, Ordering::SeqCst);
    assert!(!bench.status().ready);
    sleep(Duration::from_millis(1100)).await;
    assert!(bench.status().ready && bench.has("a"));
    assert_eq!(issuer.fetches(), 2);

    // An issuer that is down is tried again at the pace of failures.
    issuer.fails(FetchError::ConnectionRefused);
    bench.skew.store(20_000, Ordering::SeqCst);
    sleep(Duration::from_secs(60)).await;
    assert!(!bench.status().ready);
    assert!((4..20).contains(&issuer.fetches()), "{} fetches", issuer.fetches());
}
