//! The sidecar of a world: what the server assembles from a configuration, with its key tasks, deny-list and reload, and without
//! its sockets. A request is decided as the proxy does it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, sleep};

use super::faults::{Deaf, Fault};
use super::model::{Answer, Configuration, LEEWAY, Token};
use super::network::{address, fetchers};
use super::stage::Stage;
use crate::authenticator::Decision;
use crate::config;
use crate::jwks_refresh::{Freshness, JwksRefresher};
use crate::metrics::Metrics;
use crate::proof::ProofState;
use crate::proxy::authenticate::look;
use crate::proxy::policy::Policy;
use crate::request::{RequestHead, SingletonField};
use crate::server::FIRST_KEYS;
use crate::server::assembly::Assembly;
use crate::server::in_force::in_force;
use crate::server::log::LevelHandle;
use crate::server::reload::{Reloader, Told};
use crate::status::{Board, Refusals};

/// A process that runs.
pub(super) struct Sidecar {
    reloader: Arc<Reloader>,
    policy: Arc<ArcSwap<Policy>>,
}

/// The files of a sidecar, which outlive it.
pub(super) struct Files {
    folder: PathBuf,
    pub has_snapshots: bool,
    pub has_deny_list: bool,
}

impl Files {
    pub(super) fn new(folder: &Path, has_snapshots: bool, has_deny_list: bool) -> Self {
        Self { folder: folder.to_owned(), has_snapshots, has_deny_list }
    }

    fn sidecar_toml(&self) -> PathBuf {
        self.folder.join("sidecar.toml")
    }

    /// Writes the deny-list in one step; without a text there is none.
    pub(super) fn write_deny_list(&self, text: Option<&str>) {
        let path = self.folder.join("revoked.jsonl");
        match text {
            Some(text) => {
                let unfinished = self.folder.join("unfinished");
                std::fs::write(&unfinished, text).expect("a file");
                std::fs::rename(unfinished, path).expect("a file");
            }
            None => drop(std::fs::remove_file(path)),
        }
    }

    pub(super) fn write(&self, configuration: &Configuration) {
        let Configuration { issuers, key_wait, any, cache } = configuration;
        let mut text = format!(
            "readiness = \"{}\"\n[listen]\naddress = \"127.0.0.1:1\"\n[upstream]\naddress = \"127.0.0.1:2\"\n\
             [admin]\naddress = \"127.0.0.1:3\"\n[limits]\nkey_wait = \"{key_wait}ms\"\n[cache]\nsize = \"{}\"\n",
            if *any { "any" } else { "all" },
            if *cache { "64KiB" } else { "0B" },
        );
        if self.has_snapshots {
            text += "[keys]\nsnapshot_dir = \"snapshots\"\n";
        }
        if self.has_deny_list {
            text += "[revocation]\nfile = \"revoked.jsonl\"\n";
        }
        for issuer in issuers {
            let terms = issuer.terms;
            let _ = writeln!(
                text,
                "[[issuers]]\nissuer = \"{}\"\naudiences = [\"mail\"]\nalgorithms = [\"Ed25519\"]\nleeway = \"{LEEWAY}s\"\n\
                 required = {}\nkeys = {{ url = \"{}\", refresh = \"{}ms\", stale_limit = \"{}ms\", \
                 unknown_key_cooldown = \"{}ms\", timeout = \"{}ms\" }}",
                issuer.name,
                issuer.required,
                address(issuer.server),
                terms.refresh,
                terms.stale_limit,
                terms.cooldown,
                terms.timeout,
            );
        }
        std::fs::write(self.sidecar_toml(), text).expect("a file");
    }
}

impl Sidecar {
    /// Starts a process with the configuration that is written, which the model was proposed.
    pub(super) async fn start(stage: &Arc<Stage>, files: &Files) -> Self {
        let path = files.sidecar_toml();
        let config = config::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let proofs = Arc::new(ProofState::new(&[0; 32]));
        let none = JwksRefresher::with(metrics.registry(), stage.clock(), fetchers(stage)).expect("metrics");
        let assembly = Assembly::new(&config, &none, &proofs).await.expect("an assembly");
        let (policy, deny_list) = assembly.activate(&config, &metrics, None);
        stage.set_policy(stage.model().swap(stage.now()));
        let policy = Arc::new(ArcSwap::new(policy));
        let board = Arc::new(Board::new(in_force(&path, &config, String::new()), Refusals::none()));
        let told = Told { metrics, board, listen: String::new() };
        let level = LevelHandle::of_no_log();
        let reloader = Reloader::new(path, config, Arc::clone(&policy), proofs, told, level, deny_list);
        policy.load_full().refresher.first_attempts(FIRST_KEYS).await;
        Self { reloader: Arc::new(reloader), policy }
    }

    /// Reloads the configuration that is written, which the model was proposed. Returns whether it is in force.
    pub(super) async fn reload(&self, stage: &Stage) -> bool {
        let begun = stage.now();
        let outcome = self.reloader.attempt().await;
        let now = stage.now();
        let mut model = stage.model();
        model.reload_ends(now, now - begun, outcome.is_ok());
        if outcome.is_ok() {
            let policy = model.swap(now);
            stage.set_policy(policy);
        }
        drop(model);
        stage.note(|| match &outcome {
            Ok(_) => "the configuration is in force".to_owned(),
            Err(error) => format!("the configuration is not in force: {error}"),
        });
        outcome.is_ok()
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Lets the model hear what the instance says of itself.
    pub(super) fn tell(&self, stage: &Stage) {
        let refresher = &self.policy.load().refresher;
        let issuers: Vec<_> =
            refresher.status().iter().map(|status| (status.ready, u64::from(status.failures))).collect();
        let is_ready = refresher.is_ready() || stage.strikes(Fault::AlwaysReady);
        stage.model().says(stage.now(), is_ready, &issuers);
    }
}

/// A request, from its arrival to its answer.
pub(super) async fn request(stage: Arc<Stage>, policy: Arc<Policy>, number: usize, token: Token, field: String) {
    let arrival = stage.model().arrives(stage.now(), number, &token);
    let answer = decide(&stage, &policy, &field).await;
    let answer = distorted(&stage, answer, &field);
    let now = stage.now();
    stage.note(|| format!("a token of {} by {:?}: {answer:?}", token.issuer, token.signed));
    stage.model().answers(now, &arrival, &token, &answer);
}

/// As `proxy::authenticate`, without a connection.
async fn decide(stage: &Stage, policy: &Policy, field: &str) -> Answer {
    let head = RequestHead {
        method: "POST",
        path: Some("/send"),
        authorization: SingletonField::One(field.as_bytes()),
        proof: SingletonField::Absent,
        certificate: None,
        fields: None,
    };
    if stage.fault == Some(Fault::OneQueue) {
        drop(stage.queue.lock().await);
    }
    let latest = Instant::now() + policy.limits.key_wait;
    let decision = loop {
        let missing = match look(&head, policy, stage.unix_time()) {
            Ok((decision, _)) => break decision,
            Err(missing) => missing,
        };
        let _head_of_the_queue = if stage.strikes(Fault::OneQueue) { stage.queue.try_lock().ok() } else { None };
        let waiting = missing.wait(policy, latest);
        let freshness = match stage.strikes(Fault::LostWakeUp) {
            true => Deaf::new(waiting).await,
            false => waiting.await,
        };
        let is_forgotten = freshness == Freshness::Changed && stage.strikes(Fault::NoSecondLook);
        let freshness = if is_forgotten { Freshness::Unchanged } else { freshness };
        if let Some((decision, _)) = missing.settle(policy, freshness) {
            break decision;
        }
        // The next decision comes after the change, also on a clock that stands still.
        sleep(MOMENT).await;
    };
    match decision {
        Decision::Forward(..) => Answer::Passed,
        Decision::Pass | Decision::Claim(_) => panic!("there are no public routes and no store"),
        Decision::Reject(refused) => Answer::Refused(refused.rejection.reason().as_str()),
    }
}

/// The answer as a faulty memory would make it.
fn distorted(stage: &Stage, answer: Answer, field: &str) -> Answer {
    let forgives = match stage.fault {
        Some(Fault::CacheOutlivesKey) => &["key_unknown", "keys_unavailable", "signature_invalid"][..],
        Some(Fault::CacheOutlivesConfiguration) => &["issuer_untrusted"][..],
        Some(Fault::DenyListForgotten) => &["token_revoked"][..],
        _ => return answer,
    };
    let mut remembered = stage.remembered.lock().expect("a memory");
    match answer {
        Answer::Passed => {
            remembered.insert(field.to_owned());
            Answer::Passed
        }
        Answer::Refused(reason)
            if forgives.contains(&reason)
                && remembered.contains(field)
                && stage.fault.is_some_and(|fault| stage.strikes(fault)) =>
        {
            Answer::Passed
        }
        refused => refused,
    }
}

/// The shortest time that passes.
pub(super) const MOMENT: Duration = Duration::from_millis(1);
