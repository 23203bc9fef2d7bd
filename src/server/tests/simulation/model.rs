//! What docs/keys.md promises, as a model. It is told what the issuers really publish and how they answer, what the sidecar asks
//! them and what it answers to callers, and it says which promise is broken. It holds no code of the product, and is meant to be
//! read beside that page: each rule has its number there.

use std::collections::HashMap;
use std::fmt;

/// Milliseconds since the world began. No clock that is set changes them.
pub(super) type Ms = u64;

/// Seconds by the sidecar's clock.
pub(super) type Seconds = u64;

/// What must hold at each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// Nothing passes whose key was withdrawn longer ago than the bound.
    WithdrawnKeys,
    /// No good token is refused while its issuer can be asked within the bound.
    GoodTokens,
    /// No issuer's trouble reaches the callers of another.
    OthersTrouble,
    /// Fetches keep their rhythm and their budget.
    FetchBudget,
    /// Readiness tells the truth.
    Readiness,
    /// Nothing waits longer than its bound.
    Waiting,
    /// What is on the deny-list, and what another configuration withdrew, has no say.
    NoSay,
}

/// A promise that did not hold.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub promise: Promise,
    pub at: Ms,
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is broken at {} ms: {}", self.promise, self.at, self.what)
    }
}

/// A key, and the name under which it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NamedKey {
    pub key: usize,
    pub kid: usize,
}

/// How a key server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// With its key set, after this time.
    Answers(Ms),
    /// With something that is no key set.
    Fails(Ms),
    /// Not at all.
    Hangs,
}

/// The keys of `sidecar.toml` that say how one issuer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub refresh: Ms,
    pub stale_limit: Ms,
    pub cooldown: Ms,
    pub timeout: Ms,
}

/// An issuer in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issuer {
    pub name: String,
    pub server: usize,
    pub terms: Terms,
    pub required: bool,
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    pub issuers: Vec<Issuer>,
    pub key_wait: Ms,
    /// One required issuer with keys is enough to be ready.
    pub any: bool,
    pub cache: bool,
}

/// A token as its maker knows it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub issuer: String,
    pub server: usize,
    /// The key that signed it, and the `kid` that it shows.
    pub signed: NamedKey,
    pub jti: usize,
    pub sub: usize,
    pub issued: Seconds,
    pub expires: Seconds,
}

/// What a caller is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Passed,
    Refused(&'static str),
}

/// An entry of the deny-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    Jti(usize),
    Kid(usize),
    Sub(usize),
}

/// What a refresh is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Request,
    Schedule,
}

/// What a key server will do about a fetch that begins now.
pub(super) struct Reply {
    /// When its answer is complete; never without.
    pub after: Option<Ms>,
    /// The key set; anything else without.
    pub keys: Option<Vec<NamedKey>>,
    pub fresh_for: Option<Ms>,
}

/// A request when it comes.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    at: Ms,
    policy: usize,
    /// Whether its key is at hand: it waits for nothing.
    at_hand: bool,
    /// By when it must pass if nothing changes meanwhile.
    passes_by: Option<Ms>,
    /// What has changed so far, in its server and elsewhere.
    changes: (u64, u64),
    /// That of the clock when it came.
    skew: i64,
}

/// A key server as it really is. It has two replicas, which are asked in turn.
struct Server {
    replicas: [Vec<NamedKey>; 2],
    turn: usize,
    history: HashMap<NamedKey, History>,
    mood: Mood,
    /// Since when it answers properly and quickly.
    good_since: Option<Ms>,
    fresh_for: Option<Ms>,
    changes: u64,
}

#[derive(Clone, Copy, Default)]
struct History {
    /// Since when every replica has the key.
    everywhere: Option<Ms>,
    /// When the last replica lost it.
    withdrawn: Option<Ms>,
}

/// What the sidecar does for the keys of one source.
struct Task {
    issuer: Issuer,
    begun: Ms,
    /// The keys that must be in use, if they are not stale.
    known: Option<Known>,
    in_flight: Option<Flight>,
    latest: Option<Ended>,
    failures: u64,
    /// When the latest fetch for a request was begun.
    for_request: Option<Ms>,
    /// When a request last lacked a key, and how many such have no answer yet.
    lacked: Option<Ms>,
    waiting: usize,
    /// When a key of this name was last looked for in vain.
    looked: HashMap<usize, Ms>,
    retired: Option<Ms>,
    withdrawn: bool,
}

#[derive(Clone)]
struct Known {
    keys: Vec<NamedKey>,
    confirmed: Seconds,
}

struct Flight {
    begun: Ms,
    ends: Option<Ms>,
    keys: Option<Vec<NamedKey>>,
    fresh_for: Option<Ms>,
}

struct Ended {
    begun: Ms,
    at: Ms,
    fresh_for: Option<Ms>,
    /// Whether there were usable keys then.
    usable: bool,
}

/// A configuration that is or was in force, with the task of each issuer.
struct Policy {
    configuration: Configuration,
    tasks: Vec<usize>,
    replaced: Option<Ms>,
}

/// The deny-list's file.
#[derive(Default)]
struct DenyFile {
    /// What it holds, or held when it was last a list, and since when.
    entries: Vec<(Denied, Ms)>,
    /// What may be in force although it does not hold it any more, or not for long.
    doubtful: Vec<Denied>,
    invalid: bool,
    /// When it was last written, or another configuration read it.
    touched: Ms,
}

/// The whole.
pub(super) struct Model {
    servers: Vec<Server>,
    tasks: Vec<Task>,
    policies: Vec<Policy>,
    current: Option<usize>,
    proposed: Option<(Configuration, Vec<Option<usize>>)>,
    deny: DenyFile,
    /// What the snapshots hold by issuer and server, if there are any.
    snapshots: Option<HashMap<(String, usize), Known>>,
    /// By how many seconds the sidecar's clock is wrong.
    skew: i64,
    changes: u64,
    broken: Option<Broken>,
}

impl Model {
    pub(super) fn new(snapshots: bool) -> Self {
        Self {
            servers: Vec::new(),
            tasks: Vec::new(),
            policies: Vec::new(),
            current: None,
            proposed: None,
            deny: DenyFile::default(),
            snapshots: snapshots.then(HashMap::new),
            skew: 0,
            changes: 0,
            broken: None,
        }
    }

    /// The first promise that did not hold.
    pub(super) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    fn breaks(&mut self, promise: Promise, at: Ms, what: impl Into<String>) {
        self.broken.get_or_insert_with(|| Broken { promise, at, what: what.into() });
    }
}

/// The world: clocks, servers, keys, the deny-list's file.
impl Model {
    /// The time by a clock that is right.
    pub(super) fn true_time(now: Ms) -> Seconds {
        MIDNIGHT + now / 1000
    }

    /// The time by the sidecar's clock.
    pub(super) fn clock(&self, now: Ms) -> Seconds {
        Self::true_time(now).saturating_add_signed(self.skew)
    }

    pub(super) fn set_clock(&mut self, skew: i64) {
        self.skew = skew;
        self.changes += 1;
    }

    pub(super) fn add_server(&mut self, keys: Vec<NamedKey>, mood: Mood) -> usize {
        self.servers.push(Server {
            replicas: [Vec::new(), Vec::new()],
            turn: 0,
            history: HashMap::new(),
            mood,
            good_since: None,
            fresh_for: None,
            changes: 0,
        });
        let server = self.servers.len() - 1;
        self.set_mood(0, server, mood);
        self.publish(0, server, &[0, 1], &keys);
        server
    }

    pub(super) fn set_mood(&mut self, now: Ms, server: usize, mood: Mood) {
        let server = &mut self.servers[server];
        server.good_since = match mood {
            Mood::Answers(after) if after <= QUICK => server.good_since.or(Some(now)),
            _ => None,
        };
        (server.mood, server.changes) = (mood, server.changes + 1);
    }

    /// For how long the server says that its document is fresh.
    pub(super) fn set_fresh_for(&mut self, server: usize, fresh_for: Option<Ms>) {
        self.servers[server].fresh_for = fresh_for;
    }

    pub(super) fn keys(&self, server: usize, replica: usize) -> Vec<NamedKey> {
        self.servers[server].replicas[replica].clone()
    }

    /// These replicas of a server have these keys from now on.
    pub(super) fn publish(&mut self, now: Ms, server: usize, replicas: &[usize], keys: &[NamedKey]) {
        let server = &mut self.servers[server];
        server.changes += 1;
        for replica in replicas {
            server.replicas[*replica] = keys.to_vec();
        }
        for key in keys {
            server.history.entry(*key).or_default();
        }
        let [first, second] = &server.replicas;
        for (key, history) in &mut server.history {
            match (first.contains(key), second.contains(key)) {
                (true, true) => *history = History { everywhere: history.everywhere.or(Some(now)), withdrawn: None },
                (false, false) => {
                    *history = History { everywhere: None, withdrawn: history.withdrawn.or(Some(now)) };
                }
                _ => *history = History::default(),
            }
        }
    }

    /// The deny-list's file holds these entries; without, it is no list, or gone.
    pub(super) fn write_deny_list(&mut self, now: Ms, entries: Option<&[Denied]>) {
        self.changes += 1;
        let file = &mut self.deny;
        file.settle(now);
        file.touched = now;
        file.invalid = entries.is_none();
        // What was there too briefly to be seen for sure, and what is not there any more.
        let (kept, doubtful): (Vec<_>, Vec<_>) = file.entries.iter().copied().partition(|(entry, since)| {
            entries.map_or(now >= since + DENIED_WITHIN, |entries| entries.contains(entry))
        });
        file.doubtful.extend(doubtful.iter().map(|(entry, _)| *entry));
        file.entries = kept;
        for entry in entries.unwrap_or_default() {
            if !file.entries.iter().any(|(known, _)| known == entry) {
                file.entries.push((*entry, now));
            }
        }
    }

    pub(super) fn deny_list_is_valid(&self) -> bool {
        !self.deny.invalid
    }
}

impl DenyFile {
    /// A list that stayed as it is for two looks is in force.
    fn settle(&mut self, now: Ms) {
        if !self.invalid && now >= self.touched + SETTLED_WITHIN {
            self.doubtful.clear();
        }
    }

    fn surely_denies(&self, token: &Token, now: Ms) -> bool {
        self.entries.iter().any(|(entry, since)| entry.names(token) && now >= since + DENIED_WITHIN)
    }

    fn may_deny(&mut self, token: &Token, now: Ms) -> bool {
        self.settle(now);
        self.entries.iter().map(|(entry, _)| entry).chain(&self.doubtful).any(|entry| entry.names(token))
    }
}

impl Denied {
    fn names(self, token: &Token) -> bool {
        match self {
            Self::Jti(jti) => jti == token.jti,
            Self::Kid(kid) => kid == token.signed.kid,
            Self::Sub(sub) => sub == token.sub,
        }
    }
}

/// Starts, reloads, ends.
impl Model {
    /// A configuration is assembled. Issuers that stay as they are keep their task.
    pub(super) fn propose(&mut self, configuration: &Configuration) {
        let running = self.current.map(|current| self.policies[current].tasks.clone()).unwrap_or_default();
        let shared = |issuer: &Issuer| {
            running.iter().copied().find(|task| {
                let Issuer { name, server, terms, .. } = &self.tasks[*task].issuer;
                (name, server, terms) == (&issuer.name, &issuer.server, &issuer.terms)
            })
        };
        let tasks = configuration.issuers.iter().map(shared).collect();
        self.proposed = Some((configuration.clone(), tasks));
    }

    /// The task of a proposed issuer begins. It has the keys of the same source, or those of its snapshot.
    pub(super) fn begin(&mut self, now: Ms, name: &str) -> usize {
        let (configuration, mut tasks) = self.proposed.take().expect("a proposal");
        let index = configuration.issuers.iter().position(|issuer| issuer.name == name).expect("a proposed issuer");
        let issuer = configuration.issuers[index].clone();
        if tasks[index].is_some() {
            self.breaks(Promise::FetchBudget, now, format!("{name} stayed as it is, and is fetched anew"));
        }
        let running = self.current.map(|current| self.policies[current].tasks.as_slice()).unwrap_or_default();
        let same = running.iter().map(|task| &self.tasks[*task]).find(|task| task.issuer.has_keys_of(&issuer));
        let known = same.and_then(|task| task.known.clone()).or_else(|| self.snapshot(now, &issuer));
        self.tasks.push(Task {
            issuer,
            begun: now,
            known,
            in_flight: None,
            latest: None,
            failures: 0,
            for_request: None,
            lacked: None,
            waiting: 0,
            looked: HashMap::new(),
            retired: None,
            withdrawn: false,
        });
        let task = self.tasks.len() - 1;
        tasks[index] = Some(task);
        self.proposed = Some((configuration, tasks));
        task
    }

    /// The keys of an issuer's snapshot, if they are not too old, nor from a future that no small step of the clock explains.
    fn snapshot(&self, now: Ms, issuer: &Issuer) -> Option<Known> {
        let known = self.snapshots.as_ref()?.get(&(issuer.name.clone(), issuer.server))?;
        let clock = self.clock(now);
        let is_fit = clock < known.confirmed + issuer.terms.stale_limit / 1000 && known.confirmed <= clock + 60;
        is_fit.then(|| known.clone())
    }

    /// What was proposed is in force. Rule 7: sources that it does not have lose their say.
    pub(super) fn swap(&mut self, now: Ms) -> usize {
        self.changes += 1;
        let (configuration, tasks) = self.proposed.take().expect("a proposal");
        let tasks: Vec<_> = tasks.into_iter().flatten().collect();
        assert_eq!(tasks.len(), configuration.issuers.len(), "each issuer has a task");
        if let Some(current) = self.current.replace(self.policies.len()) {
            self.policies[current].replaced = Some(now);
            for task in self.policies[current].tasks.clone() {
                let stays = tasks.iter().any(|other| self.tasks[*other].issuer.has_keys_of(&self.tasks[task].issuer));
                if !tasks.contains(&task) {
                    self.tasks[task].retired.get_or_insert(now);
                    self.tasks[task].withdrawn |= !stays;
                }
            }
        }
        self.policies.push(Policy { configuration, tasks, replaced: None });
        self.deny.touched = now;
        self.policies.len() - 1
    }

    /// A reload ended, after so long. It comes into force only with the keys of each new required issuer, and always with them.
    pub(super) fn reload_ends(&mut self, now: Ms, took: Ms, in_force: bool) {
        if took > RELOAD_WITHIN {
            self.breaks(Promise::Waiting, now, format!("a reload took {took} ms"));
        }
        let (configuration, tasks) = self.proposed.as_ref().expect("a proposal");
        let running = self.current.map(|current| self.policies[current].tasks.as_slice()).unwrap_or_default();
        let begun: Vec<_> = tasks.iter().flatten().copied().filter(|task| !running.contains(task)).collect();
        let is_required = |task: &&usize| {
            let same = |issuer: &Issuer| *issuer == self.tasks[**task].issuer;
            configuration.issuers.iter().any(|issuer| same(issuer) && issuer.required)
        };
        let all_usable = begun.iter().filter(is_required).all(|task| self.usable(*task, now));
        match in_force {
            true if !all_usable => {
                self.breaks(Promise::Readiness, now, "a configuration is in force without the keys of a new issuer");
            }
            false if all_usable && self.deny_list_is_valid() => {
                self.breaks(
                    Promise::GoodTokens,
                    now,
                    "a configuration whose issuers all have keys did not come into force",
                );
            }
            _ => {}
        }
        if !in_force {
            for task in begun {
                self.tasks[task].retired = Some(now);
            }
            self.proposed = None;
        }
    }

    /// The process dies.
    pub(super) fn process_ends(&mut self, now: Ms) {
        self.changes += 1;
        self.current = None;
        for task in &mut self.tasks {
            task.retired.get_or_insert(now);
            task.in_flight = None;
        }
    }
}

impl Issuer {
    fn has_keys_of(&self, other: &Self) -> bool {
        (&self.name, self.server) == (&other.name, other.server)
    }
}

/// Rule 4: fetches.
impl Model {
    fn usable(&self, task: usize, now: Ms) -> bool {
        let Task { known, issuer, .. } = &self.tasks[task];
        known.as_ref().is_some_and(|known| self.clock(now) < known.confirmed + issuer.terms.stale_limit / 1000)
    }

    /// When the next fetch that needs no occasion begins, at the earliest and at the latest.
    fn due(&self, task: usize) -> (Ms, Ms) {
        let Task { latest, failures, issuer: Issuer { terms, .. }, begun, .. } = &self.tasks[task];
        let Some(latest) = latest else { return (*begun, *begun) };
        let (earliest, most) = match failures {
            0 => {
                let stated = latest.fresh_for.filter(|time| *time > 0).unwrap_or(terms.refresh);
                let wait = stated.clamp(REFRESH_MIN.min(terms.refresh), terms.refresh);
                (wait * 9 / 10, wait)
            }
            failures => {
                let wait = (BACKOFF_FIRST << (failures - 1).min(16)).min(BACKOFF_MAX).min(terms.refresh);
                (wait / 2, wait)
            }
        };
        (latest.at + earliest, latest.at + most)
    }

    /// A fetch begins. Says what the server does about it.
    pub(super) fn fetch_begins(&mut self, now: Ms, task: usize, cause: Cause) -> Reply {
        self.check_rhythm(now, task, cause);
        let server = &mut self.servers[self.tasks[task].issuer.server];
        server.turn += 1;
        let keys = server.replicas[server.turn % 2].clone();
        let reply = match server.mood {
            Mood::Answers(after) => Reply { after: Some(after), keys: Some(keys), fresh_for: server.fresh_for },
            Mood::Fails(after) => Reply { after: Some(after), keys: None, fresh_for: None },
            Mood::Hangs => Reply { after: None, keys: None, fresh_for: None },
        };
        let task = &mut self.tasks[task];
        if cause == Cause::Request {
            task.for_request = Some(now);
        }
        let ends = reply.after.map(|after| now + after).filter(|ends| *ends < now + task.issuer.terms.timeout);
        task.in_flight = Some(Flight {
            begun: now,
            ends,
            keys: reply.keys.clone().filter(|_| ends.is_some()),
            fresh_for: reply.fresh_for,
        });
        reply
    }

    fn check_rhythm(&mut self, now: Ms, task: usize, cause: Cause) {
        let (earliest, _) = self.due(task);
        let Task { issuer, in_flight, latest, failures, for_request, lacked, waiting, retired, .. } = &self.tasks[task];
        let name = issuer.name.clone();
        // What was woken in the moment of its end may still ask; nothing does after it.
        if retired.is_some_and(|end| end < now) {
            return self.breaks(Promise::NoSay, now, format!("{name} is asked for keys that nobody uses any more"));
        }
        if in_flight.is_some() {
            return self.breaks(Promise::FetchBudget, now, format!("{name} is asked while a fetch is under way"));
        }
        let is_due = now + 1 >= earliest;
        let excuse = match (cause, latest) {
            (_, None) => true,
            (Cause::Schedule, Some(latest)) => is_due || latest.usable && !self.usable(task, now),
            (Cause::Request, Some(latest)) => {
                for_request.is_none_or(|before| now + 1 >= before + issuer.terms.cooldown)
                    && (*failures == 0 || is_due)
                    && (*waiting > 0 || lacked.is_some_and(|lacked| lacked >= latest.begun))
            }
        };
        if !excuse {
            self.breaks(
                Promise::FetchBudget,
                now,
                format!("{name} is asked too early ({cause:?}), due at {earliest} ms"),
            );
        }
        self.check_task(now, task);
    }

    /// A fetch ends, with a key set or without.
    pub(super) fn fetch_ends(&mut self, now: Ms, task: usize) {
        let clock = self.clock(now);
        let Some(flight) = self.tasks[task].in_flight.take() else { return };
        let is_success = flight.keys.is_some();
        if let Some(keys) = flight.keys {
            let known = Known { keys, confirmed: clock };
            let Task { issuer, retired, .. } = &self.tasks[task];
            if let (Some(snapshots), None) = (&mut self.snapshots, retired) {
                snapshots.insert((issuer.name.clone(), issuer.server), known.clone());
            }
            self.tasks[task].known = Some(known);
        }
        let usable = self.usable(task, now);
        let task = &mut self.tasks[task];
        task.failures = if is_success { 0 } else { task.failures + 1 };
        task.latest = Some(Ended { begun: flight.begun, at: now, fresh_for: flight.fresh_for, usable });
    }

    /// A fetch is dropped: its time is over, or its task has ended.
    pub(super) fn fetch_is_dropped(&mut self, now: Ms, task: usize) {
        let Task { issuer, in_flight, retired, .. } = &mut self.tasks[task];
        let Some(flight) = in_flight else { return };
        if retired.is_some() || now + 1 < flight.begun + issuer.terms.timeout {
            *in_flight = None;
            return;
        }
        flight.keys = None;
        self.fetch_ends(now, task);
    }

    /// No task sleeps too long, no fetch takes too long.
    fn check_task(&mut self, now: Ms, task: usize) {
        let (_, latest) = self.due(task);
        let Task { issuer, in_flight, .. } = &self.tasks[task];
        let name = issuer.name.clone();
        match in_flight {
            Some(flight) if now > flight.begun + issuer.terms.timeout + GRAIN => {
                self.breaks(Promise::Waiting, now, format!("a fetch from {name} goes on beyond its timeout"));
            }
            None if now > latest + GRAIN => {
                self.breaks(Promise::FetchBudget, now, format!("{name} was to be asked at {latest} ms at the latest"));
            }
            _ => {}
        }
    }
}

/// Rules 1, 2, 3, 6 and 7: requests.
impl Model {
    /// A request comes, and is judged under this policy.
    pub(super) fn arrives(&mut self, now: Ms, policy: usize, token: &Token) -> Arrival {
        let mut arrival =
            Arrival { at: now, policy, at_hand: false, passes_by: None, changes: (0, self.changes), skew: self.skew };
        let Some(task) = self.task_of(policy, token) else { return arrival };
        arrival.changes.0 = self.servers[token.server].changes;
        arrival.at_hand = self.is_at_hand(now, task, token);
        if !arrival.at_hand {
            self.tasks[task].lacked = Some(now);
            self.tasks[task].waiting += 1;
            arrival.passes_by = self.passes_by(now, policy, task, token);
        }
        arrival
    }

    /// The task for the issuer that a token names.
    fn task_of(&self, policy: usize, token: &Token) -> Option<usize> {
        let Policy { configuration, tasks, .. } = &self.policies[policy];
        let index = configuration.issuers.iter().position(|issuer| issuer.name == token.issuer)?;
        Some(tasks[index])
    }

    fn is_at_hand(&self, now: Ms, task: usize, token: &Token) -> bool {
        self.usable(task, now)
            && self.tasks[task].known.as_ref().is_some_and(|known| known.keys.contains(&token.signed))
    }

    /// Rule 2: by when a token whose key is not at hand passes, if its server stays as it is. Without, the server cannot be asked
    /// within the bound.
    fn passes_by(&self, now: Ms, policy: usize, task: usize, token: &Token) -> Option<Ms> {
        let Task {
            issuer: Issuer { terms, server, .. },
            in_flight,
            failures,
            for_request,
            looked,
            waiting,
            retired,
            ..
        } = &self.tasks[task];
        let server = &self.servers[*server];
        let Mood::Answers(latency) = server.mood else { return None };
        let configured = self.policies[policy].configuration.issuers.len();
        if *waiting > (WAITING_TOTAL / configured).max(WAITING_MIN) {
            return None;
        }
        let good_for = now.checked_sub(server.good_since?)?;
        let was_looked_for = looked.get(&token.signed.kid).is_some_and(|at| now <= at + LOOK_AGAIN);
        if retired.is_some() || was_looked_for || latency + GRAIN >= terms.timeout {
            return None;
        }
        // An issuer that is back is asked again by then.
        let recovered = good_for >= terms.timeout + BACKOFF_MAX.min(terms.refresh) + latency + GRAIN;
        if *failures > 0 {
            return recovered.then_some(now);
        }
        let in_time = |by: Ms| (by + GRAIN < now + self.policies[policy].configuration.key_wait).then_some(by);
        let free = match in_flight {
            Some(Flight { keys: Some(keys), ends: Some(ends), .. }) if keys.contains(&token.signed) => {
                return in_time(*ends);
            }
            Some(Flight { keys: Some(_), ends: Some(ends), .. }) => *ends,
            Some(_) => return None,
            None => now,
        };
        let cooled = for_request.map_or(0, |begun| begun + terms.cooldown);
        in_time(free.max(cooled) + latency)
    }

    /// A request is answered.
    pub(super) fn answers(&mut self, now: Ms, arrival: &Arrival, token: &Token, answer: &Answer) {
        let waited = now - arrival.at;
        let key_wait = self.policies[arrival.policy].configuration.key_wait;
        if waited > key_wait + GRAIN {
            self.breaks(Promise::Waiting, now, format!("a request waited {waited} ms for keys"));
        }
        if arrival.at_hand && waited > 0 {
            self.breaks(Promise::OthersTrouble, now, format!("a request whose key was at hand waited {waited} ms"));
        }
        let Some(task) = self.task_of(arrival.policy, token) else {
            if *answer == Answer::Passed {
                self.breaks(
                    Promise::NoSay,
                    now,
                    format!("a token of {} passes, which is not configured", token.issuer),
                );
            }
            return;
        };
        if !arrival.at_hand {
            // It may have asked for keys to its end. What it asked for comes, if not in time.
            self.tasks[task].waiting -= 1;
            self.tasks[task].lacked = Some(now);
        }
        match answer {
            Answer::Passed => self.check_passed(now, waited, task, token),
            Answer::Refused(reason) => self.check_refused(now, arrival, task, token, reason),
        }
        // A request that no fetch ended ends at its deadline, or with its configuration.
        let Task { latest, retired, .. } = &self.tasks[task];
        let woken = [latest.as_ref().map(|latest| latest.at), *retired, Some(arrival.at + key_wait)];
        if waited > 0 && !woken.iter().flatten().any(|occasion| now.abs_diff(*occasion) <= GRAIN) {
            self.breaks(Promise::Waiting, now, format!("a request was woken after {waited} ms without an occasion"));
        }
        if waited > GRAIN
            && *answer == Answer::Passed
            && self.tasks[task].latest.as_ref().is_none_or(|it| now > it.at + GRAIN)
        {
            self.breaks(
                Promise::Waiting,
                now,
                format!("a request waited on after its key had come, {waited} ms in all"),
            );
        }
    }

    fn check_passed(&mut self, now: Ms, waited: Ms, task: usize, token: &Token) {
        let clock = self.clock(now);
        let Task { issuer: Issuer { name, server, terms, .. }, known, withdrawn, retired, .. } = &self.tasks[task];
        let history = self.servers[*server].history.get(&token.signed);
        let (key, kid) = (token.signed.key, token.signed.kid);
        let broken = if *withdrawn {
            Some((Promise::NoSay, "its source was withdrawn by another configuration".to_owned()))
        } else if history.is_none() {
            Some((Promise::WithdrawnKeys, format!("its issuer never published the key {key} as {kid}")))
        } else if known.as_ref().is_none_or(|known| clock >= known.confirmed + terms.stale_limit / 1000) {
            Some((Promise::WithdrawnKeys, "its key was not confirmed for longer than stale_limit".to_owned()))
        } else if known.as_ref().is_some_and(|known| !known.keys.contains(&token.signed)) {
            Some((
                Promise::WithdrawnKeys,
                format!("the issuer's last good answer does not have its key {key} as {kid}"),
            ))
        } else if let Some(gone) = history.and_then(|history| history.withdrawn)
            && self.servers[*server].good_since.is_some_and(|good| good <= gone)
            && retired.is_none()
            && now > gone + terms.refresh + 2 * terms.timeout
        {
            Some((
                Promise::WithdrawnKeys,
                format!("its key was withdrawn {} ms ago, and its issuer answers", now - gone),
            ))
        } else if self.deny.surely_denies(token, now) {
            Some((Promise::NoSay, "the deny-list names it".to_owned()))
        } else if clock > token.expires + LEEWAY || token.issued > clock + LEEWAY + 1 {
            Some((Promise::NoSay, format!("it is not its time, {clock} of {} to {}", token.issued, token.expires)))
        } else {
            None
        };
        if let Some((promise, what)) = broken {
            let name = name.clone();
            self.breaks(promise, now, format!("a token of {name} passes after {waited} ms, though {what}"));
        }
    }

    fn check_refused(&mut self, now: Ms, arrival: &Arrival, task: usize, token: &Token, reason: &str) {
        let waited = now - arrival.at;
        let clock = self.clock(now);
        let is_in_time = token.issued < clock + LEEWAY && clock + 1 < token.expires + LEEWAY;
        let may_be_denied = self.deny.may_deny(token, now);
        let is_replaced = self.policies[arrival.policy].replaced.is_some();
        let server = &self.servers[token.server];
        let Task { issuer, looked, failures, .. } = &self.tasks[task];
        let everywhere = server.history.get(&token.signed).and_then(|history| history.everywhere);
        let is_good = issuer.server == token.server
            && everywhere.is_some_and(|since| since <= arrival.at)
            && is_in_time
            && !may_be_denied
            && !is_replaced;
        let is_undisturbed = arrival.changes == (server.changes, self.changes);
        let name = issuer.name.clone();
        let was_looked_for = looked.get(&token.signed.kid).is_some_and(|at| now <= at + LOOK_AGAIN);
        let told = format!("a good token of {name} is refused ({reason}) after {waited} ms");
        let failures = *failures;
        // Keys are not looked at again when a clock that is set back makes them fresh once more.
        if is_good && arrival.skew == self.skew && self.is_at_hand(now, task, token) {
            self.breaks(Promise::GoodTokens, now, format!("{told}, though its key is at hand"));
        } else if is_good
            && is_undisturbed
            && let Some(by) = arrival.passes_by
        {
            self.breaks(Promise::GoodTokens, now, format!("{told}, though it could pass by {by} ms"));
        } else if is_good && failures > 0 && reason == "key_unknown" && !was_looked_for && is_undisturbed {
            self.breaks(Promise::GoodTokens, now, format!("{told}, though its issuer could not be asked"));
        }
        if waited > 0 && matches!(reason, "key_unknown" | "signature_invalid") {
            self.tasks[task].looked.insert(token.signed.kid, now);
        }
    }
}

/// Rule 5.
impl Model {
    /// What the instance says of itself: whether it is ready, and for each issuer whether it is and how often it failed.
    pub(super) fn says(&mut self, now: Ms, is_ready: bool, issuers: &[(bool, u64)]) {
        let Some(current) = self.current else { return };
        for task in self.policies[current].tasks.clone() {
            self.check_task(now, task);
        }
        let Policy { configuration, tasks, .. } = &self.policies[current];
        let truth: Vec<_> = tasks.iter().map(|task| (self.usable(*task, now), self.tasks[*task].failures)).collect();
        let required: Vec<_> = configuration.issuers.iter().map(|issuer| issuer.required).collect();
        let mut relevant =
            truth.iter().zip(&required).filter(|(_, required)| **required).map(|((usable, _), _)| *usable);
        let wanted = match (required.contains(&true), configuration.any) {
            (false, _) => truth.iter().any(|(usable, _)| *usable),
            (true, true) => relevant.any(|usable| usable),
            (true, false) => relevant.all(|usable| usable),
        };
        if issuers != truth {
            self.breaks(Promise::Readiness, now, format!("it says {issuers:?} of its issuers, and {truth:?} is true"));
        }
        if is_ready != wanted {
            self.breaks(Promise::Readiness, now, format!("it says that it is ready: {is_ready}, with {truth:?}"));
        }
    }
}

/// When the world begins, by a clock that is right.
pub(super) const MIDNIGHT: Seconds = 1_800_000_000;

/// What the configurations of the world have as `leeway`, in seconds.
pub(super) const LEEWAY: Seconds = 5;

/// A server that answers within this time is good.
const QUICK: Ms = 400;

/// What two timers of one moment may differ by.
const GRAIN: Ms = 2;

/// The numbers of docs/keys.md.
const REFRESH_MIN: Ms = 10_000;
const BACKOFF_FIRST: Ms = 250;
const BACKOFF_MAX: Ms = 30_000;
const LOOK_AGAIN: Ms = 30_000;
const WAITING_TOTAL: usize = 1024;
const WAITING_MIN: usize = 64;
const RELOAD_WITHIN: Ms = 5_000 + 100;

/// An entry of the deny-list counts from the first look at its file on, one that is gone to the second.
const DENIED_WITHIN: Ms = 1_000 + GRAIN;
const SETTLED_WITHIN: Ms = 2_000 + 2 * GRAIN;
