//! Requests that ask for a key that is not at hand.

use super::*;

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
    assert_eq!(bench.refresher.fresher(bench.first(), Some("b"), since, BOUND).await, Freshness::Changed);
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

/// A caller that signs with a key before its issuer publishes it made the first tokens after the publication fail: they waited for
/// the next fetch, and were refused when it began.
#[tokio::test(start_paused = true)]
async fn a_request_that_waits_is_not_refused_by_what_was_remembered_after_it_came() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    let early = bench.request("b");
    sleep(Duration::from_millis(5)).await;
    issuer.publishes(&["a", "b"]);
    sleep(Duration::from_millis(5)).await;
    let waiting = bench.request("b");
    assert!(!early.await.expect("a request"), "the fetch for it began before the key was published");
    assert!(waiting.await.expect("a request"), "the fetch after it came brings the key");
    assert_eq!(issuer.fetches(), 3);
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
async fn requests_beyond_the_places_are_told_at_once_and_whoever_leaves_makes_room() {
    let issuer = Issuer::with(&["a"]);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    issuer.orders().latency = Duration::MAX;
    let waiting: Vec<_> = (0..1024).map(|n| bench.request(&format!("unknown {n}"))).collect();
    sleep(Duration::from_millis(1)).await;
    let gauge = |waiting| bench.counted(&format!("callgate_key_waiting_requests{{issuer=\"{ISSUER}\"}} {waiting}"));
    assert!(gauge(1024));
    let asked = Instant::now();
    assert!(matches!(bench.fresher("b").await, Freshness::RoomFull { .. }));
    assert_eq!(asked.elapsed(), Duration::ZERO);
    for request in &waiting[..24] {
        request.abort();
    }
    sleep(Duration::from_millis(1)).await;
    assert!(gauge(1000));
    assert_eq!(bench.fresher("b").await, Freshness::TimedOut, "it has a place, and waits");
    assert!(gauge(0), "all waits have ended");
}
