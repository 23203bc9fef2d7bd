//! One world: what its seed makes of it, and what happens there. Everything random comes from the seed.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::faults::Fault;
use super::model::{Broken, Configuration, Denied, Issuer, Model, Mood, Ms, NamedKey, Promise, Terms, Token};
use super::sidecar::{Files, MOMENT, Sidecar, request};
use super::stage::Stage;
use super::tokens::{STRANGER, caller, field, kid};
use crate::proxy::policy::Policy;

/// What became of a world.
pub(super) struct Outcome {
    pub broken: Option<Broken>,
    pub log: Vec<String>,
    pub tally: Tally,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub requests: u64,
    pub events: u64,
    pub virtual_time: Duration,
}

/// Plays the world of a seed, in time that passes only when everybody waits.
pub(super) fn play(seed: u64, fault: Option<Fault>, is_logged: bool) -> Outcome {
    // The jitter of the product comes from the seed too: all runs on this thread.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let mut world = World::new(seed, fault, is_logged).await;
        let steps = world.rng.usize(60..160);
        for _ in 0..steps {
            world.step().await;
            if world.stage.model().broken().is_some() {
                break;
            }
        }
        world.end().await
    })
}

/// A directory whose files cost no disk, if this machine has one.
fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory")
}

/// A token with the field that shows it.
#[derive(Clone)]
struct Held {
    token: Token,
    field: String,
}

struct World {
    rng: Rng,
    stage: Arc<Stage>,
    /// There is none while it is started again.
    sidecar: Option<Sidecar>,
    files: Files,
    _folder: tempfile::TempDir,
    configuration: Configuration,
    /// With what each server's issuer signs, which it may not publish.
    signing: Vec<NamedKey>,
    /// The tokens of all callers, the latest last.
    held: Vec<Held>,
    denied: Vec<Denied>,
    requests: Vec<JoinHandle<()>>,
    /// Policies that something keeps in memory after they were replaced.
    kept: Vec<(usize, Arc<Policy>)>,
    keys: usize,
    kids: usize,
    names: usize,
    skew: i64,
    /// Whether a crowd has come, or never will.
    has_crowded: bool,
    tally: Tally,
}

impl World {
    async fn new(seed: u64, fault: Option<Fault>, is_logged: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let folder = folder();
        let files = Files::new(folder.path(), rng.bool(), rng.u8(0..3) == 0);
        let mut model = Model::new(files.has_snapshots);
        let issuers = rng.usize(1..=3);
        let signing: Vec<_> = (0..issuers + 2).map(|number| NamedKey { key: number, kid: number }).collect();
        for key in &signing {
            model.add_server(vec![*key], Mood::Answers(rng.u64(5..300)));
        }
        let stage = Stage::new(model, fault, is_logged);
        let configuration = Configuration {
            issuers: (0..issuers)
                .map(|server| Issuer {
                    name: format!("https://i{server}.example"),
                    server,
                    terms: terms(&mut rng),
                    required: rng.u8(0..4) > 0,
                })
                .collect(),
            key_wait: key_wait(&mut rng),
            any: rng.bool(),
            cache: rng.u8(0..4) > 0,
        };
        stage.note(|| format!("{configuration:?}"));
        files.write(&configuration);
        if files.has_deny_list {
            files.write_deny_list(Some(""));
        }
        if rng.u8(0..8) == 0 {
            let (server, mood) = (rng.usize(0..issuers), bad_mood(&mut rng));
            stage.model().set_mood(0, server, mood);
        }
        stage.model().propose(&configuration);
        let sidecar = Some(Sidecar::start(&stage, &files).await);
        let is_spared = rng.u8(0..4) > 0;
        let (keys, kids) = (signing.len(), signing.len());
        let mut world = Self {
            rng,
            stage,
            sidecar,
            files,
            _folder: folder,
            configuration,
            signing,
            held: Vec::new(),
            denied: Vec::new(),
            requests: Vec::new(),
            kept: Vec::new(),
            keys,
            kids,
            names: issuers,
            skew: 0,
            has_crowded: is_spared,
            tally: Tally::default(),
        };
        for issuer in 0..issuers {
            world.mint(issuer);
        }
        world
    }

    async fn end(mut self) -> Outcome {
        sleep(Duration::from_millis(self.configuration.key_wait + 5_000)).await;
        self.sidecar().tell(&self.stage);
        let unanswered = self.requests.iter().filter(|request| !request.is_finished()).count();
        for request in self.requests.drain(..).filter(JoinHandle::is_finished) {
            request.await.expect("a request that does not panic");
        }
        let mut broken = self.stage.model().broken().cloned();
        if unanswered > 0 && broken.is_none() {
            let what = format!("{unanswered} requests were never answered");
            broken = Some(Broken { promise: Promise::Waiting, at: self.stage.now(), what });
        }
        self.tally.virtual_time = Duration::from_millis(self.stage.now());
        Outcome { broken, log: self.stage.log(), tally: self.tally }
    }

    fn sidecar(&self) -> &Sidecar {
        self.sidecar.as_ref().expect("a sidecar that runs")
    }

    /// One thing happens, after a while.
    async fn step(&mut self) {
        self.tally.events += 1;
        sleep(Duration::from_millis(pause(&mut self.rng))).await;
        match self.rng.u8(0..100) {
            0..26 => self.send_latest(),
            26..30 if self.files.has_deny_list => self.deny(),
            26..36 => self.send_any(),
            36..39 => self.burst(),
            39..40 => self.crowd(),
            40..45 => self.forge(),
            45..52 => self.renew_tokens(),
            52..58 => self.publish_another(),
            58..64 => self.sign_with_another(),
            64..69 => self.withdraw(),
            69..72 => self.replace_at_once(),
            72..74 => self.reuse_a_name(),
            74..75 => self.rename(),
            75..77 => self.sign_before_publishing(),
            77..80 => self.split(),
            80..84 => self.mood(bad_mood),
            84..90 => self.mood(|rng| Mood::Answers(rng.u64(5..300))),
            90..91 => self.mood(|rng| Mood::Answers(rng.u64(300..6000))),
            91..92 => self.fresh_for(),
            92..94 => self.clock(),
            94..97 => self.reload().await,
            97..98 => self.restart().await,
            98..99 => self.show_to_a_kept_policy(),
            _ => self.deny(),
        }
        // What a server or a clock does is seen by what comes after it.
        sleep(MOMENT).await;
        self.requests.retain(|request| !request.is_finished());
        self.sidecar().tell(&self.stage);
    }
}

/// Callers.
impl World {
    /// A token of a configured issuer's server, signed by this key.
    fn token(&mut self, issuer: usize, signed: NamedKey) -> Held {
        let Issuer { name, server, .. } = &self.configuration.issuers[issuer];
        let issued = Model::true_time(self.stage.now());
        let life = [30, 120, 600, 3600][self.rng.usize(0..4)];
        let token = Token {
            issuer: name.clone(),
            server: *server,
            signed,
            jti: self.held.len(),
            sub: self.rng.usize(0..4),
            issued,
            expires: issued + life,
        };
        Held { field: field(&token), token }
    }

    fn mint(&mut self, issuer: usize) {
        let signed = self.signing[self.configuration.issuers[issuer].server];
        let held = self.token(issuer, signed);
        self.held.push(held);
    }

    fn send(&mut self, held: Held) {
        self.tally.requests += 1;
        let number = self.stage.policy();
        let request = request(Arc::clone(&self.stage), self.sidecar().policy(), number, held.token, held.field);
        self.requests.push(tokio::spawn(request));
    }

    fn any_issuer(&mut self) -> usize {
        self.rng.usize(0..self.configuration.issuers.len())
    }

    /// The latest token that names an issuer of the configuration.
    fn latest(&mut self) -> Held {
        let issuer = self.any_issuer();
        let name = self.configuration.issuers[issuer].name.clone();
        let now = Model::true_time(self.stage.now());
        let latest = self.held.iter().rev().find(|held| held.token.issuer == name && held.token.expires > now + 5);
        if let Some(held) = latest {
            return held.clone();
        }
        self.mint(issuer);
        self.held[self.held.len() - 1].clone()
    }

    fn send_latest(&mut self) {
        let held = self.latest();
        for _ in 0..self.rng.u8(1..4) {
            self.send(held.clone());
        }
    }

    fn send_any(&mut self) {
        let held = self.held[self.rng.usize(0..self.held.len())].clone();
        self.send(held);
    }

    fn renew_tokens(&mut self) {
        for issuer in 0..self.configuration.issuers.len() {
            self.mint(issuer);
        }
        self.send_latest();
    }

    /// Many at once, good ones among invented names.
    fn burst(&mut self) {
        self.stage.note(|| "a burst".to_owned());
        let good = self.latest();
        for _ in 0..self.rng.usize(3..20) {
            self.kids += 1;
            let (issuer, signed) = (self.any_issuer(), NamedKey { key: STRANGER, kid: self.kids });
            let invented = self.token(issuer, signed);
            self.send(invented);
            self.send(good.clone());
        }
    }

    /// More than may wait for one issuer, which hangs.
    fn crowd(&mut self) {
        let issuer = self.any_issuer();
        let server = self.configuration.issuers[issuer].server;
        if self.has_crowded || self.configuration.issuers.len() < 2 {
            return;
        }
        self.has_crowded = true;
        self.stage.note(|| format!("s{server} hangs, and a crowd comes"));
        self.stage.model().set_mood(self.stage.now(), server, Mood::Hangs);
        let invented = self.token(issuer, NamedKey { key: STRANGER, kid: usize::MAX });
        for _ in 0..600 {
            self.send(invented.clone());
        }
        for _ in 0..5 {
            let held = self.latest();
            self.send(held);
        }
    }

    fn forge(&mut self) {
        let issuer = self.any_issuer();
        let server = self.configuration.issuers[issuer].server;
        let other = self.signing[self.rng.usize(0..self.signing.len())];
        let signed = match self.rng.u8(0..4) {
            0 => NamedKey { key: STRANGER, kid: self.signing[server].kid },
            // The name of the next key, which is no secret.
            1 => NamedKey { key: STRANGER, kid: self.kids + 1 },
            2 => other,
            _ => NamedKey { key: other.key, kid: self.signing[server].kid },
        };
        let held = self.token(issuer, signed);
        self.stage.note(|| format!("a forged token of {}", held.token.issuer));
        self.send(held);
    }

    fn show_to_a_kept_policy(&mut self) {
        if self.kept.is_empty() {
            return;
        }
        let (number, policy) = self.kept[self.rng.usize(0..self.kept.len())].clone();
        let held = self.held[self.rng.usize(0..self.held.len())].clone();
        self.tally.requests += 1;
        self.stage.note(|| format!("a request is judged under the replaced policy {number}"));
        self.requests.push(tokio::spawn(request(Arc::clone(&self.stage), policy, number, held.token, held.field)));
    }
}

/// Issuers.
impl World {
    fn any_server(&mut self) -> usize {
        // Mostly one that is configured.
        match self.rng.u8(0..8) {
            0 => self.rng.usize(0..self.signing.len()),
            _ => {
                let issuer = self.any_issuer();
                self.configuration.issuers[issuer].server
            }
        }
    }

    fn new_key(&mut self) -> Option<NamedKey> {
        if self.keys + 1 >= STRANGER {
            return None;
        }
        (self.keys, self.kids) = (self.keys + 1, self.kids + 1);
        Some(NamedKey { key: self.keys, kid: self.kids })
    }

    fn publish(&mut self, server: usize, replicas: &[usize], keys: &[NamedKey]) {
        self.stage.note(|| format!("s{server}{replicas:?} publishes {keys:?}"));
        self.stage.model().publish(self.stage.now(), server, replicas, keys);
    }

    fn keys_of(&self, server: usize) -> Vec<NamedKey> {
        self.stage.model().keys(server, 0)
    }

    fn publish_another(&mut self) {
        let server = self.any_server();
        let Some(key) = self.new_key() else { return };
        let mut keys = self.keys_of(server);
        keys.push(key);
        self.publish(server, &[0, 1], &keys);
    }

    fn sign_with_another(&mut self) {
        let server = self.any_server();
        if let Some(last) = self.keys_of(server).last() {
            self.signing[server] = *last;
        }
        self.renew_tokens();
    }

    /// All but the one that signs, or the one that signed last too.
    fn withdraw(&mut self) {
        let server = self.any_server();
        let signing = self.signing[server];
        let keys: Vec<_> = self.keys_of(server).into_iter().filter(|key| *key == signing).collect();
        if !keys.is_empty() {
            self.publish(server, &[0, 1], &keys);
        }
    }

    fn replace_at_once(&mut self) {
        let server = self.any_server();
        let Some(key) = self.new_key() else { return };
        self.signing[server] = key;
        self.publish(server, &[0, 1], &[key]);
        self.renew_tokens_of(server);
    }

    fn renew_tokens_of(&mut self, server: usize) {
        for issuer in 0..self.configuration.issuers.len() {
            if self.configuration.issuers[issuer].server == server {
                self.mint(issuer);
            }
        }
    }

    fn reuse_a_name(&mut self) {
        let server = self.any_server();
        let Some(key) = self.new_key() else { return };
        let key = NamedKey { kid: self.signing[server].kid, ..key };
        self.signing[server] = key;
        self.publish(server, &[0, 1], &[key]);
        self.renew_tokens_of(server);
    }

    fn rename(&mut self) {
        let server = self.any_server();
        self.kids += 1;
        let key = NamedKey { kid: self.kids, ..self.signing[server] };
        self.signing[server] = key;
        self.publish(server, &[0, 1], &[key]);
        self.renew_tokens_of(server);
    }

    fn sign_before_publishing(&mut self) {
        let server = self.any_server();
        let Some(key) = self.new_key() else { return };
        self.stage.note(|| format!("s{server} signs with {key:?} and does not publish it"));
        self.signing[server] = key;
        self.renew_tokens_of(server);
        self.send_latest();
    }

    /// One replica is behind, or both are one again. A key that signs is published at last.
    fn split(&mut self) {
        let server = self.any_server();
        let [first, second] = [0, 1].map(|replica| self.stage.model().keys(server, replica));
        let signing = self.signing[server];
        if first != second || !first.contains(&signing) {
            let keys = if first.contains(&signing) { first } else { vec![signing] };
            return self.publish(server, &[0, 1], &keys);
        }
        let Some(key) = self.new_key() else { return };
        self.publish(server, &[0], &[signing, key]);
        if self.rng.bool() {
            self.signing[server] = key;
            self.renew_tokens_of(server);
        }
    }

    fn mood(&mut self, mood: impl Fn(&mut Rng) -> Mood) {
        let (server, mood) = (self.any_server(), mood(&mut self.rng));
        self.stage.note(|| format!("s{server}: {mood:?}"));
        self.stage.model().set_mood(self.stage.now(), server, mood);
    }

    fn fresh_for(&mut self) {
        let (server, time) = (self.any_server(), [None, Some(0), Some(1_000), Some(20_000)][self.rng.usize(0..4)]);
        self.stage.note(|| format!("s{server} says that its document is fresh for {time:?} ms"));
        self.stage.model().set_fresh_for(server, time);
    }
}

/// Operators.
impl World {
    fn clock(&mut self) {
        let step = [1, 30, 90, 400, 4_000][self.rng.usize(0..5)];
        self.skew = match self.rng.u8(0..3) {
            0 => 0,
            1 => self.skew + step,
            _ => self.skew - step,
        };
        let skew = self.skew;
        self.stage.note(|| format!("the clock is wrong by {skew} s"));
        self.stage.model().set_clock(skew);
    }

    fn deny(&mut self) {
        if !self.files.has_deny_list {
            return;
        }
        let latest = self.latest();
        match self.rng.u8(0..8) {
            0 => return self.spoil_the_deny_list(),
            1 => self.denied.clear(),
            2 if !self.denied.is_empty() => drop(self.denied.remove(0)),
            3 => self.denied.push(Denied::Kid(latest.token.signed.kid)),
            4 => self.denied.push(Denied::Sub(latest.token.sub)),
            _ => self.denied.push(Denied::Jti(latest.token.jti)),
        }
        self.write_deny_list();
    }

    fn write_deny_list(&mut self) {
        let line = |denied: &Denied| match denied {
            Denied::Jti(jti) => format!("{{\"jti\":\"j{jti}\"}}\n"),
            Denied::Kid(number) => format!("{{\"kid\":\"{}\"}}\n", kid(*number)),
            Denied::Sub(number) => format!("{{\"sub\":\"{}\"}}\n", caller(*number)),
        };
        let text: String = self.denied.iter().map(line).collect();
        self.stage.note(|| format!("the deny-list names {:?}", self.denied));
        self.stage.model().write_deny_list(self.stage.now(), Some(&self.denied));
        self.files.write_deny_list(Some(&text));
    }

    fn spoil_the_deny_list(&mut self) {
        let text = [Some("{\"jti\":\"j1\"}\n{\"jti\":"), None][self.rng.usize(0..2)];
        self.stage.note(|| "the deny-list is no list".to_owned());
        self.stage.model().write_deny_list(self.stage.now(), None);
        self.files.write_deny_list(text);
    }

    /// Another configuration is written and loaded, while requests come.
    async fn reload(&mut self) {
        let before = self.configuration.clone();
        self.change_configuration();
        self.files.write(&self.configuration);
        self.stage.note(|| format!("reload: {:?}", self.configuration));
        self.stage.model().propose(&self.configuration);
        let number = self.stage.policy();
        let policy = self.sidecar().policy();
        let held: Vec<_> = (0..3).map(|_| self.held[self.rng.usize(0..self.held.len())].clone()).collect();
        let pause = Duration::from_millis(self.rng.u64(1..200));
        let (stage, sidecar) = (&self.stage, self.sidecar());
        let meanwhile = async {
            let mut requests = Vec::new();
            for held in held {
                sleep(pause).await;
                let request = request(Arc::clone(stage), sidecar.policy(), stage.policy(), held.token, held.field);
                requests.push(tokio::spawn(request));
            }
            requests
        };
        let (in_force, requests) = tokio::join!(sidecar.reload(stage), meanwhile);
        self.requests.extend(requests);
        self.tally.requests += 3;
        if in_force {
            self.kept.push((number, policy));
        } else {
            self.configuration = before;
            self.files.write(&self.configuration);
        }
    }

    fn change_configuration(&mut self) {
        let issuer = self.any_issuer();
        let free: Vec<_> = (0..self.signing.len())
            .filter(|server| self.configuration.issuers.iter().all(|issuer| issuer.server != *server))
            .collect();
        let server = free[self.rng.usize(0..free.len())];
        self.names += 1;
        let name = format!("https://i{}.example", self.names);
        let issuers = &mut self.configuration.issuers;
        match self.rng.u8(0..8) {
            0 => issuers[issuer].terms = terms(&mut self.rng),
            1 => issuers[issuer].name = name,
            2 => issuers[issuer].server = server,
            3 if issuers.len() > 1 => drop(issuers.remove(issuer)),
            4 if free.len() > 1 => {
                let (terms, required) = (terms(&mut self.rng), self.rng.bool());
                issuers.push(Issuer { name, server, terms, required });
            }
            5 => self.configuration.key_wait = key_wait(&mut self.rng),
            6 => self.configuration.cache ^= true,
            _ => {}
        }
    }

    /// The process dies, and another one starts with the same files.
    async fn restart(&mut self) {
        if self.files.has_deny_list && !self.stage.model().deny_list_is_valid() {
            self.write_deny_list();
        }
        self.stage.note(|| "the process dies".to_owned());
        for request in self.requests.drain(..) {
            request.abort();
        }
        self.kept.clear();
        self.stage.remembered.lock().expect("a memory").clear();
        self.stage.model().process_ends(self.stage.now());
        // The other process begins after the end of this one, whose last writes go on for a moment.
        self.files.write(&self.configuration);
        self.stage.model().propose(&self.configuration);
        drop(self.sidecar.take());
        sleep(MOMENT).await;
        self.sidecar = Some(Sidecar::start(&self.stage, &self.files).await);
    }
}

/// How long nothing happens: mostly a moment, sometimes until keys are stale.
fn pause(rng: &mut Rng) -> Ms {
    match rng.u8(0..100) {
        0..45 => rng.u64(1..300),
        45..75 => rng.u64(300..5_000),
        75..93 => rng.u64(5_000..60_000),
        _ => rng.u64(60_000..400_000),
    }
}

fn terms(rng: &mut Rng) -> Terms {
    let refresh = [10_000, 30_000, 60_000, 300_000][rng.usize(0..4)];
    Terms {
        refresh,
        stale_limit: [60_000, 120_000, 300_000, 3_600_000][rng.usize(0..4)].max(refresh),
        cooldown: [100, 500, 1_000, 5_000][rng.usize(0..4)],
        timeout: [1_000, 2_000, 5_000][rng.usize(0..3)],
    }
}

fn key_wait(rng: &mut Rng) -> Ms {
    [500, 1_000, 3_000][rng.usize(0..3)]
}

fn bad_mood(rng: &mut Rng) -> Mood {
    match rng.bool() {
        true => Mood::Hangs,
        false => Mood::Fails(rng.u64(5..300)),
    }
}
