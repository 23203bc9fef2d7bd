//! Issuers that fail, and what serves meanwhile.

use super::*;

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
async fn an_issuer_that_is_down_at_the_start_is_tried_ever_more_rarely_and_serves_once_it_is_back() {
    let issuer = Issuer::with(&["a"]);
    issuer.fails(FetchError::ConnectionRefused);
    let bench = Bench::start(&issuer, FetchSettings::default()).await;
    let status = bench.status();
    assert!(!status.ready && status.kids.is_empty());
    assert_eq!(status.fault, Some(FetchError::ConnectionRefused));
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
    issuer.fails(FetchError::Status(500));
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
    issuer.fails(FetchError::Timeout);
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
    issuer.fails(FetchError::Timeout);
    sleep(Duration::from_secs(400)).await;
    assert!(!bench.has("a"));
    issuer.orders().answer = answer;
    let waiting = bench.refresher.fresher(bench.first(), Some("a"), Instant::now(), Duration::from_secs(31)).await;
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
        assert!(matches!(bench.status().fault, Some(FetchError::Document(_))), "{garbage}");
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
    assert_eq!(bench.status().fault, Some(FetchError::Timeout));
    assert_eq!(issuer.orders().forgotten, 1, "with everything that was kept of it");
    issuer.orders().latency = Duration::ZERO;
    sleep(Duration::from_secs(6)).await;
    assert!(bench.has("a"));
}

#[tokio::test(start_paused = true)]
async fn one_issuer_in_trouble_delays_no_other() {
    let (good, bad) = (Issuer::with(&["a"]), Issuer::with(&["b"]));
    bad.orders().latency = Duration::MAX;
    let mut bench = Bench::start(&good, FetchSettings::default()).await;
    let location = Location::Discovery(url("https://bad.example"));
    let origin = origin("https://bad.example", location, FetchSettings::default());
    let source = Source { origin, slot: Arc::default(), required: true };
    let refresher = &mut Arc::get_mut(&mut bench).expect("not shared yet").refresher;
    refresher.fetchers = bad.fetchers();
    refresher.begin(source);
    good.publishes(&["new"]);
    let asked = Instant::now();
    assert!(bench.passes("new").await);
    assert!(asked.elapsed() < Duration::from_millis(50));
    assert_eq!(bench.refresher.status().iter().map(|status| status.ready).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let settings = FetchSettings { timeout: Duration::from_millis(50), ..FetchSettings::default() };
    let origin = origin(ISSUER, Location::Url(url(&format!("http://{address}/"))), settings);
    let source = Source { origin, slot: Arc::default(), required: true };
    let refresher = JwksRefresher::start(vec![source], &Registry::new()).expect("a refresher");
    refresher.first_attempts(Duration::from_secs(10)).await;
    assert_eq!(refresher.status().remove(0).fault, Some(FetchError::Timeout));
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

    issuer.fails(FetchError::ConnectionRefused);
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
    issuer.fails(FetchError::ConnectionRefused);
    let bench = Bench::start(&issuer, settings).await;
    assert!(!bench.has("a") && !bench.status().ready);
}
