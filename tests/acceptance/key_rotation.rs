//! Keys that change while requests come: no good token is refused, whoever else is sending what.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use testkit::email_service::EmailService;
use testkit::issuer::Issuer;
use testkit::keys::Key;
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

/// A sidecar with an issuer whose keys change.
struct Rotating {
    issuer: Issuer,
    sidecar: Sidecar,
    _email: EmailService,
}

impl Rotating {
    /// With these lines for the keys, after their URL.
    fn start(keys: &str, more: &str) -> Arc<Self> {
        let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
        let keys = format!("keys = {{ url = \"{}\"{keys} }}", issuer.jwks_url());
        let sidecar = start_ready(&Setup::before(email.address()).trusting_with(&issuer, &keys).with(more));
        Arc::new(Self { issuer, sidecar, _email: email })
    }

    fn token(&self) -> String {
        self.issuer.mint(&self.issuer.claims("billing", AUDIENCE))
    }

    /// A token that its own key signed, which the issuer never published.
    fn forged(&self, key: &Key, kid: &str) -> String {
        let header = json!({"alg": "ES256", "kid": kid, "typ": "JWT"});
        key.mint_as(&header, &self.issuer.claims("billing", AUDIENCE))
    }

    /// The status for a request on a connection of its own, and how long it took.
    fn ask(&self, token: &str) -> (u16, Duration) {
        let request = Request::send().bearer(token).bytes();
        let begun = Instant::now();
        let status = self.sidecar.connect().exchange(request).expect("callgate answers").status();
        (status, begun.elapsed())
    }

    /// Asks again and again on one connection, with the token that `next` gives, until it gives none. Returns the answers
    /// that were not `202`.
    fn load(
        self: &Arc<Self>,
        next: impl Fn() -> Option<String> + Send + 'static,
    ) -> thread::JoinHandle<(usize, usize)> {
        let this = Arc::clone(self);
        thread::spawn(move || {
            let (mut sent, mut refused) = (0, 0);
            let mut connection = this.sidecar.connect();
            while let Some(token) = next() {
                let answer = connection.exchange(Request::send().bearer(&token).bytes()).expect("callgate answers");
                sent += 1;
                refused += usize::from(answer.status() != 202);
            }
            (sent, refused)
        })
    }
}

#[test]
fn twenty_rotations_under_load_refuse_no_good_token() {
    let rotating = Rotating::start("", "");
    let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = Vec::new();
    for _ in 0..4 {
        let unless_over = |token: Box<dyn Fn() -> String + Send>| {
            let (over, sent) = (Arc::clone(&over), Arc::clone(&sent));
            move || {
                sent.fetch_add(1, Ordering::SeqCst);
                (!over.load(Ordering::SeqCst)).then(&token)
            }
        };
        // Old tokens run on; others are minted for each request, with the newest key.
        let (old, issuer) = (rotating.token(), Arc::clone(&rotating));
        clients.push(rotating.load(unless_over(Box::new(move || old.clone()))));
        clients.push(rotating.load(unless_over(Box::new(move || issuer.token()))));
    }
    for n in 0..20 {
        // At moments that nobody is told of, also shortly after one another, and always under load.
        let enough = sent.load(Ordering::SeqCst) + 16;
        thread::sleep(Duration::from_millis(17 * (n % 7)));
        while sent.load(Ordering::SeqCst) < enough {
            thread::sleep(Duration::from_millis(1));
        }
        rotating.issuer.add_key(&format!("rotation-{n}"));
    }
    thread::sleep(Duration::from_millis(200));
    over.store(true, Ordering::SeqCst);
    let (sent, refused) = clients
        .into_iter()
        .map(|client| client.join().expect("a client"))
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!(refused, 0, "of {sent} good tokens\n{}", rotating.sidecar.log());
    assert!(sent > 200, "there was load: {sent}");
}

#[test]
fn ten_thousand_random_kids_cost_one_fetch_per_cooldown_and_starve_no_good_token() {
    let rotating = Rotating::start(", unknown_key_cooldown = \"500ms\"", "[limits]\nkey_wait = \"10s\"");
    let key = Arc::new(Key::generate("ES256", "forger"));
    let (before, begun, count) = (rotating.issuer.fetches(), Instant::now(), Arc::new(AtomicUsize::new(0)));
    let attackers: Vec<_> = (0..400)
        .map(|_| {
            let (forger, key, count) = (Arc::clone(&rotating), Arc::clone(&key), Arc::clone(&count));
            rotating.load(move || {
                let n = count.fetch_add(1, Ordering::SeqCst);
                (n < 10_000).then(|| forger.forged(&key, &format!("random-{n}")))
            })
        })
        .collect();
    let mut rotations = 0;
    while count.load(Ordering::SeqCst) < 10_000 {
        thread::sleep(Duration::from_millis(300));
        rotating.issuer.rotate(&format!("brand-new-{rotations}"));
        let (status, took) = rotating.ask(&rotating.token());
        assert_eq!(status, 202, "after {took:?}\n{}", rotating.sidecar.log());
        rotations += 1;
    }
    let (sent, refused) = attackers
        .into_iter()
        .map(|attacker| attacker.join().expect("an attacker"))
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!((sent, refused), (10_000, 10_000), "none of them passed");
    let cooldowns = begun.elapsed().as_millis() / 500 + 1;
    let fetches = rotating.issuer.fetches() - before;
    assert!(fetches as u128 <= cooldowns, "{fetches} fetches in {cooldowns} cooldowns");
    assert!(rotations > 2, "good tokens were among them: {rotations}");
}

#[test]
fn a_key_that_is_replaced_under_its_name_is_found() {
    let rotating = Rotating::start("", "");
    let old = rotating.token();
    for _ in 0..3 {
        assert_eq!(rotating.ask(&rotating.token()).0, 202);
        rotating.issuer.rotate("key-1");
        assert_eq!(rotating.ask(&rotating.token()).0, 202);
    }
    assert_eq!(rotating.ask(&old).0, 401, "a key that was replaced no longer serves");
}

#[test]
fn a_client_that_goes_on_with_a_wrong_kid_learns_it_once_and_then_at_once() {
    let rotating = Rotating::start(", unknown_key_cooldown = \"1s\"", "[limits]\nkey_wait = \"3s\"");
    let wrong = rotating.forged(&Key::generate("ES256", "staging"), "staging");
    assert_eq!(rotating.ask(&wrong).0, 401);
    let fetches = rotating.issuer.fetches();
    assert_eq!(rotating.ask(&wrong).0, 401);
    assert_eq!(rotating.issuer.fetches(), fetches, "it was looked for already");
    assert_eq!(rotating.ask(&rotating.token()).0, 202);
}

#[test]
fn tokens_without_kid_are_tried_with_the_keys_that_fit_also_after_a_rotation() {
    let rotating = Rotating::start("", "");
    let nameless = |rotating: &Rotating| {
        let header = json!({"alg": "ES256", "typ": "JWT"});
        rotating.issuer.key().mint_as(&header, &rotating.issuer.claims("billing", AUDIENCE))
    };
    assert_eq!(rotating.ask(&nameless(&rotating)).0, 202);
    rotating.issuer.rotate("other");
    assert_eq!(rotating.ask(&nameless(&rotating)).0, 202);
    let header = json!({"alg": "ES256", "typ": "JWT"});
    let forged = Key::generate("ES256", "x").mint_as(&header, &rotating.issuer.claims("billing", AUDIENCE));
    assert_eq!(rotating.ask(&forged).0, 401);
}

#[test]
fn rotations_and_odd_keys_are_logged_once() {
    let rotating = Rotating::start(", refresh = \"100ms\"", "");
    rotating.issuer.publish_also(json!({"kty": "LMS", "alg": "HSS-LMS", "kid": "hash-based", "pub": "AAAA"}));
    rotating.issuer.add_key("second");
    assert_eq!(rotating.ask(&rotating.token()).0, 202);
    // Several more refreshes, which bring nothing new.
    let fetches = rotating.issuer.fetches();
    while rotating.issuer.fetches() < fetches + 3 {
        thread::sleep(Duration::from_millis(10));
    }
    let log = rotating.sidecar.log();
    let odd: Vec<_> = log.lines().filter(|line| line.contains("A key of an issuer is left out.")).collect();
    assert_eq!(odd.len(), 1, "{log}");
    assert!(odd[0].contains("'hash-based'") && odd[0].contains("kty is not supported"), "{log}");
    let changes: Vec<_> = log.lines().filter(|line| line.contains("The keys of an issuer changed.")).collect();
    assert_eq!(changes.len(), 2, "{log}");
    assert!(changes[0].contains("'key-1'") && !changes[0].contains("'second'"), "{log}");
    assert!(changes[1].contains("\"came\":\"'second'\"") && changes[1].contains("\"went\":\"\""), "{log}");
}

#[test]
fn many_odd_keys_are_ten_lines_of_the_log_and_a_number() {
    let rotating = Rotating::start(", refresh = \"100ms\"", "");
    for number in 0..60 {
        rotating.issuer.publish_also(json!({"kty": "LMS", "kid": format!("odd-{number}")}));
    }
    assert_eq!(rotating.ask(&rotating.token()).0, 202);
    let fetches = rotating.issuer.fetches();
    while rotating.issuer.fetches() < fetches + 3 {
        thread::sleep(Duration::from_millis(10));
    }
    let said = |words: &str| -> Vec<String> {
        rotating.sidecar.log().lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
    };
    let more = said("More keys of an issuer are left out.");
    let one_by_one = said("A key of an issuer is left out.");
    let told: u64 = more.iter().filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["more"].as_u64()).sum();
    assert!(one_by_one.len() >= 10 && one_by_one.len() <= 10 * (more.len() + 1), "{one_by_one:#?}");
    assert_eq!(one_by_one.len() as u64 + told, 60, "{}", rotating.sidecar.log());
}
