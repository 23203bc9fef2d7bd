//! Everything that runs: the issuers, the services, one instance of the program before each service, and the time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::issuer::Issuer;
use testkit::keys::Key;
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;

use crate::audit::Audit;
use crate::ledger::{Expected, Ledger};
use crate::service::{self, Arrivals};

/// A caller that the deny-list names.
pub(crate) const REVOKED: &str = "revoked";

/// Longer than an unused connection to a service is kept (`upstream.idle_timeout`).
const REST: Duration = Duration::from_secs(6);

/// One running instance of the program.
pub(crate) struct Instance {
    pub(crate) name: &'static str,
    pub(crate) sidecar: Sidecar,
    pub(crate) audit: Audit,
    /// Its configuration, but for the table that reloads change.
    pub(crate) config: String,
}

/// Everything that runs.
pub(crate) struct World {
    pub(crate) binary: PathBuf,
    pub(crate) began: Instant,
    /// Its keys rotate.
    pub(crate) steady: Issuer,
    /// It is down, or answers nonsense, from time to time.
    pub(crate) troubled: Issuer,
    /// What its state means for good tokens of its.
    trouble: Mutex<(Trouble, u64)>,
    /// A key of the steady issuer that everybody knows to be withdrawn.
    pub(crate) withdrawn: Mutex<Option<Arc<Key>>>,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) ledger: Ledger,
    pub(crate) instances: Vec<Instance>,
    traffic_has_ended: AtomicBool,
    operation_has_ended: AtomicBool,
    marks: AtomicU64,
    _service: Server,
    _directory: TempDir,
}

/// What is expected of good tokens of the troubled issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// They pass: its keys are not stale.
    Passes,
    /// They are answered with `keys_unavailable`.
    Unavailable,
    /// Either.
    Open,
}

/// The tables of the configuration that reloads change.
pub(crate) fn limits(key_wait: &str) -> String {
    format!(
        "[limits]\nhead_time = \"2s\"\nbody_size = \"1MiB\"\nrequests_per_connection = 500\nkey_wait = \"{key_wait}\"\n"
    )
}

impl World {
    /// Starts everything.
    pub(crate) fn set(binary: &Path) -> Self {
        let arrivals = Arc::<Arrivals>::default();
        let service = service::start(&arrivals);
        let grpc = service::start_grpc(&arrivals);
        let steady = Issuer::start("https://steady.internal.example");
        let troubled = Issuer::start("https://troubled.internal.example");
        let directory = tempfile::tempdir().expect("a directory");
        let deny_list = directory.path().join("revoked.jsonl");
        std::fs::write(&deny_list, format!("{}\n", json!({"sub": REVOKED}))).expect("it can be written");
        let instance = |name: &'static str, setup: Setup| {
            let audit = directory.path().join(format!("{name}.jsonl"));
            let keys = |issuer: &Issuer, more: &str| {
                format!("leeway = \"0s\"\n{more}keys = {{ url = \"{}\", ", issuer.jwks_url())
            };
            let mut config = setup
                .trusting_with(&steady, &format!("{}refresh = \"5s\" }}", keys(&steady, "")))
                .trusting_with(
                    &troubled,
                    &format!(
                        "{}refresh = \"2s\", stale_limit = \"8s\", timeout = \"1s\" }}",
                        keys(&troubled, "required = false\n")
                    ),
                )
                .with("[[public]]\npath = \"/public/*\"\nmethods = [\"GET\"]")
                .with("[[report]]\npath = \"/reported\"\nmethods = [\"GET\"]")
                .with("[cache]\nsize = \"1MiB\"")
                .toml();
            write!(config, "[revocation]\nfile = {deny_list:?}\n[audit]\nfile = {audit:?}\n").expect("text");
            let sidecar = Sidecar::start(binary, &format!("{config}{}", limits("2s")));
            let sidecar = sidecar.unwrap_or_else(|error| panic!("{error}"));
            sidecar.wait_for_readiness(200).expect("it is ready");
            Instance { name, sidecar, audit: Audit::at(audit), config }
        };
        let instances = vec![
            instance("http", Setup::before(service.address())),
            instance("grpc", Setup::before_address(&grpc.to_string()).upstream("protocol = \"h2c\"")),
        ];
        let ledger = Ledger::default();
        // What a program does once, with its first request, is no leak.
        let token = steady.mint(&steady.claims("first", AUDIENCE));
        for instance in &instances {
            let request = Request::new("GET", "/first/echo").header("Connection", "close").bearer(&token);
            let answer = instance.sidecar.connect().exchange(request.bytes()).expect("an answer");
            ledger.expect_record("first", "forward", "", answer.status());
        }
        thread::sleep(REST);
        Self {
            binary: binary.to_owned(),
            began: Instant::now(),
            steady,
            troubled,
            trouble: Mutex::new((Trouble::Passes, 0)),
            withdrawn: Mutex::default(),
            arrivals,
            ledger,
            instances,
            traffic_has_ended: AtomicBool::default(),
            operation_has_ended: AtomicBool::default(),
            marks: AtomicU64::default(),
            _service: service,
            _directory: directory,
        }
    }

    /// The instance before the service of HTTP/1.
    pub(crate) fn http(&self) -> &Sidecar {
        &self.instances[0].sidecar
    }

    /// The instance before the service of gRPC.
    pub(crate) fn grpc(&self) -> &Sidecar {
        &self.instances[1].sidecar
    }

    /// A name for a request, which no other has.
    pub(crate) fn mark(&self, begin: &str) -> String {
        format!("{begin}-{}", self.marks.fetch_add(1, Ordering::SeqCst))
    }

    /// A good token of the steady issuer, but for what `change` does to its claims.
    pub(crate) fn token_but(&self, caller: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.steady.claims(caller, AUDIENCE);
        change(&mut claims);
        self.steady.mint(&claims)
    }

    /// Lets time pass, in steps, while traffic goes on.
    pub(crate) fn let_pass(&self, time: Duration) {
        self.sleep_until(Instant::now() + time, &self.traffic_has_ended);
    }

    /// Lets time pass for an operator; false once the operation has ended.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        self.sleep_until(Instant::now() + time, &self.operation_has_ended);
        !self.operation_has_ended.load(Ordering::SeqCst)
    }

    /// Whether callers go on.
    pub(crate) fn goes_on(&self) -> bool {
        !self.traffic_has_ended.load(Ordering::SeqCst)
    }

    pub(crate) fn end_traffic(&self) {
        self.traffic_has_ended.store(true, Ordering::SeqCst);
    }

    pub(crate) fn end_operation(&self) {
        self.operation_has_ended.store(true, Ordering::SeqCst);
    }

    /// Says what is expected of the troubled issuer's tokens from now on.
    pub(crate) fn expect_trouble(&self, trouble: Trouble) {
        let mut state = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *state = (trouble, state.1 + 1);
    }

    /// What is expected now, and the number of that state.
    pub(crate) fn trouble(&self) -> (Trouble, u64) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What must come of a good token of the troubled issuer that was shown between these two moments.
    pub(crate) fn expected_of_troubled(&self, caller: &str, before: (Trouble, u64), after: (Trouble, u64)) -> Expected {
        let passes = Expected::Forwarded { caller: caller.to_owned(), status: 200 };
        let unavailable = Expected::Refused { status: 503, reason: "keys_unavailable" };
        match before.0 {
            Trouble::Passes if before == after => passes,
            Trouble::Unavailable if before == after => unavailable,
            _ => Expected::Either(Box::new((passes, unavailable))),
        }
    }

    fn sleep_until(&self, end: Instant, over: &AtomicBool) {
        while !over.load(Ordering::SeqCst) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(Duration::from_millis(100)));
        }
    }
}
