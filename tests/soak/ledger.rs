//! What was asked, what had to come of it, and what came.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// What the audit must hold of a request. Requests with the same row are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    /// The first segment of its path: the kind of traffic.
    pub(crate) kind: String,
    pub(crate) decision: String,
    /// Empty if there is none.
    pub(crate) reason: String,
    pub(crate) status: u16,
}

/// How many requests there were of each row.
pub(crate) type Rows = BTreeMap<Row, u64>;

/// What must come of a request.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// It reaches the service with this caller, and its answer comes back.
    Forwarded { caller: String, status: u16 },
    /// It reaches the service without any caller: the route is public.
    Passed,
    /// It reaches the service without any caller, although this is wrong with it.
    Reported { reason: &'static str },
    /// It is refused, and the service never sees it.
    Refused { status: u16, reason: &'static str },
    /// One or the other: the issuer's state has changed meanwhile.
    Either(Box<(Expected, Expected)>),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    /// The word in a refusal.
    pub(crate) reason: String,
    /// What the service says that it has got.
    pub(crate) told: Option<Told>,
}

/// A request as the service saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Every value under a name that could be read as the caller's header.
    pub(crate) callers: Vec<String>,
    pub(crate) mark: String,
    /// Length and hash of the body.
    pub(crate) body: (u64, u64),
}

/// A request of which something is expected.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) kind: &'static str,
    pub(crate) mark: String,
    pub(crate) body: (u64, u64),
    pub(crate) expected: Expected,
}

/// Everything that was judged.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Judged>);

#[derive(Default)]
pub(crate) struct Judged {
    pub(crate) rows: Rows,
    pub(crate) times: BTreeMap<&'static str, Histogram>,
    /// What was wrong: the first hundred, and how many there were.
    pub(crate) faults: Vec<String>,
    pub(crate) fault_count: u64,
    /// What happened beside the requests, and how often.
    pub(crate) events: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// Judges a whole exchange.
    pub(crate) fn judge(&self, asked: &Asked, seen: &Seen, took: Duration) {
        let (kind, mark) = (asked.kind, &asked.mark);
        match accept(asked, &asked.expected, seen) {
            Ok((decision, reason)) => {
                self.expect_record(kind, decision, reason, seen.status);
                self.time(kind, took);
            }
            Err(why) => self.fault(&format!("{kind} {mark}: {why}; {seen:?} instead of {:?}", asked.expected)),
        }
    }

    /// Expects a record of this row in the audit.
    pub(crate) fn expect_record(&self, kind: &str, decision: &str, reason: &str, status: u16) {
        let row = Row { kind: kind.to_owned(), decision: decision.to_owned(), reason: reason.to_owned(), status };
        *self.lock().rows.entry(row).or_default() += 1;
    }

    /// Notes how long a request took.
    pub(crate) fn time(&self, kind: &'static str, took: Duration) {
        self.lock().times.entry(kind).or_default().add(took);
    }

    /// Notes that something was wrong.
    pub(crate) fn fault(&self, what: &str) {
        let mut judged = self.lock();
        judged.fault_count += 1;
        if judged.faults.len() < 100 {
            eprintln!("soak: wrong: {what}");
            judged.faults.push(what.to_owned());
        }
    }

    /// Counts something that happened.
    pub(crate) fn event(&self, what: &'static str) {
        *self.lock().events.entry(what).or_default() += 1;
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Judged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The decision and the reason that the audit must hold, if this is what had to come.
fn accept(asked: &Asked, expected: &Expected, seen: &Seen) -> Result<(&'static str, &'static str), String> {
    let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    let reached = |callers: &[String], status: u16| {
        check(seen.status == status, "another status")?;
        let told = seen.told.as_ref().ok_or("it did not reach the service")?;
        check(told.callers == callers, "another caller")?;
        check(told.mark == asked.mark, "the answer to another request")?;
        check(told.body == asked.body, "another body")
    };
    match expected {
        Expected::Forwarded { caller, status } => {
            reached(std::slice::from_ref(caller), *status).map(|()| ("forward", ""))
        }
        Expected::Passed => reached(&[], 200).map(|()| ("pass", "")),
        Expected::Reported { reason } => reached(&[], 200).map(|()| ("would_reject", *reason)),
        Expected::Refused { status, reason } => {
            check(seen.told.is_none(), "it reached the service")?;
            check(seen.status == *status && seen.reason == *reason, "another refusal")?;
            Ok(("reject", reason))
        }
        Expected::Either(both) => accept(asked, &both.0, seen).or_else(|_| accept(asked, &both.1, seen)),
    }
}

impl Told {
    /// Reads what the service has written into its answer.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let told: Value = serde_json::from_slice(body).ok()?;
        let callers = told["callers"].as_array()?.iter().filter_map(|caller| caller.as_str().map(str::to_owned));
        Some(Self {
            callers: callers.collect(),
            mark: told["mark"].as_str()?.to_owned(),
            body: (told["length"].as_u64()?, told["hash"].as_u64()?),
        })
    }
}

/// Durations, counted in eight buckets for each doubling of a microsecond.
#[derive(Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    pub(crate) longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; 8 * 32], longest: Duration::ZERO }
    }
}

impl Histogram {
    fn add(&mut self, took: Duration) {
        let place = (took.as_secs_f64() * 1e6).max(1.0).log2() * 8.0;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number that is not below 0"
        )]
        let place = (place as usize).min(self.buckets.len() - 1);
        self.buckets[place] += 1;
        self.longest = self.longest.max(took);
    }

    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The time within which this share of all ended, at most a tenth too long.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = self.count() as f64 * share;
        let mut sum = 0;
        for (place, count) in self.buckets.iter().enumerate() {
            sum += count;
            if sum as f64 >= wanted {
                return self.longest.min(Duration::from_secs_f64(2f64.powf((place + 1) as f64 / 8.0) / 1e6));
            }
        }
        self.longest
    }

    /// The share of all within each quarter of a doubling of a microsecond, up to 2^24 of them.
    pub(crate) fn shares(&self) -> Vec<f64> {
        let count = self.count().max(1) as f64;
        self.buckets[..8 * 24].chunks(2).map(|pair| pair.iter().sum::<u64>() as f64 / count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(expected: Expected) -> Asked {
        Asked { kind: "kept", mark: "good-1".to_owned(), body: (0, 7), expected }
    }

    fn forwarded() -> Asked {
        asked(Expected::Forwarded { caller: "billing".to_owned(), status: 200 })
    }

    fn refused() -> Asked {
        asked(Expected::Refused { status: 401, reason: "token_expired" })
    }

    fn told() -> Told {
        Told { callers: vec!["billing".to_owned()], mark: "good-1".to_owned(), body: (0, 7) }
    }

    fn seen(told: Told) -> Seen {
        Seen { status: 200, reason: String::new(), told: Some(told) }
    }

    fn refusal(status: u16, reason: &str) -> Seen {
        Seen { status, reason: reason.to_owned(), told: None }
    }

    /// The faults and the rows after one exchange.
    fn judged(asked: &Asked, seen: &Seen) -> (u64, Vec<Row>) {
        let ledger = Ledger::default();
        ledger.judge(asked, seen, Duration::from_millis(1));
        let judged = ledger.lock();
        (judged.fault_count, judged.rows.keys().cloned().collect())
    }

    #[test]
    fn an_answer_that_had_to_come_is_expected_in_the_audit() {
        let row = |decision: &str, reason: &str, status| Row {
            kind: "kept".to_owned(),
            decision: decision.to_owned(),
            reason: reason.to_owned(),
            status,
        };
        assert_eq!(judged(&forwarded(), &seen(told())), (0, vec![row("forward", "", 200)]));
        assert_eq!(judged(&refused(), &refusal(401, "token_expired")), (0, vec![row("reject", "token_expired", 401)]));
        let either = asked(Expected::Either(Box::new((forwarded().expected, refused().expected))));
        assert_eq!(judged(&either, &seen(told())).0, 0);
        assert_eq!(judged(&either, &refusal(401, "token_expired")).0, 0);
    }

    #[test]
    fn any_other_answer_is_wrong() {
        let callers = |callers: &[&str]| callers.iter().map(|&caller| caller.to_owned()).collect();
        let wrong = [
            (forwarded(), seen(Told { callers: callers(&["admin"]), ..told() })),
            (forwarded(), seen(Told { callers: callers(&["billing", "admin"]), ..told() })),
            (forwarded(), seen(Told { callers: callers(&[]), ..told() })),
            (forwarded(), seen(Told { mark: "good-2".to_owned(), ..told() })),
            (forwarded(), seen(Told { body: (1, 7), ..told() })),
            (forwarded(), Seen { status: 502, ..seen(told()) }),
            (forwarded(), refusal(401, "token_expired")),
            (asked(Expected::Passed), seen(told())),
            (refused(), seen(told())),
            (refused(), refusal(401, "token_missing")),
            (refused(), refusal(403, "token_expired")),
            (refused(), Seen { told: Some(told()), ..refusal(401, "token_expired") }),
        ];
        for (asked, seen) in wrong {
            assert_eq!(judged(&asked, &seen), (1, Vec::new()), "{seen:?}");
        }
    }

    #[test]
    fn a_share_of_the_times_is_told_at_most_a_tenth_too_long() {
        let mut times = Histogram::default();
        for milliseconds in 1..=1000 {
            times.add(Duration::from_millis(milliseconds));
        }
        for (share, exact) in [(0.5, 0.5), (0.9, 0.9), (0.99, 0.99)] {
            let told = times.quantile(share).as_secs_f64();
            assert!((exact..exact * 1.1).contains(&told), "{share}: {told}");
        }
        assert_eq!((times.count(), times.longest), (1000, Duration::from_secs(1)));
    }
}
