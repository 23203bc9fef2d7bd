//! The document at `/status`, part by part.

#![allow(missing_docs, reason = "the schema publishes these docs, and leaves out those that would repeat a name")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::RecordedDecision;
use crate::clock::UnixTime;

/// The state of one instance at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Status of an instance of Callgate", extend("additionalProperties" = false))]
pub struct Status {
    /// The version of Callgate.
    pub callgate: String,
    /// The version of this schema. It grows when a field's meaning changes or a field goes; new fields do not change it.
    #[schemars(extend("const" = VERSION))]
    pub version: u8,
    /// When this was said.
    #[serde(with = "rfc_3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: UnixTime,
    /// When the process began to listen.
    #[serde(with = "rfc_3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: UnixTime,
    pub state: State,
    pub service: Service,
    pub enforcement: Enforcement,
    /// The trusted issuers, in the order of the configuration.
    pub issuers: Vec<Issuer>,
    /// The store in which instances tell each other of proofs (`replay.store`); `null` without.
    pub replay_store: Option<ReplayStore>,
    pub requests: Requests,
    /// The senders of requests without a token that are only reported, the most frequent first; `null` if `admin.page` is `false`.
    pub without_token: Option<Vec<WithoutToken>>,
    /// The latest refusals, the last one first; `null` if `admin.page` is `false`.
    pub refusals: Option<Vec<Refusal>>,
    /// What is bounded, and how full it is.
    pub limits: Vec<Limit>,
    pub configuration: Configuration,
}

/// Whether an instance takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The issuers' keys are there.
    Ready,
    /// Keys are missing that it needs to be ready.
    NotReady,
    /// It is on its way out, and serves the last requests.
    Stopping,
}

/// What is protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Where requests come in.
    pub listen: String,
    /// The service behind.
    pub upstream: String,
    /// The header that tells it who is calling.
    pub caller_header: String,
    /// The claim that names the caller.
    pub caller_claim: String,
    /// The methods and paths that need no token.
    pub public: Vec<String>,
}

/// Which requests are refused, and whether all may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Enforcement {
    pub answer: Answer,
    /// What is only reported and never refused, in words; empty if all is enforced.
    pub reported: Vec<String>,
    /// The kinds of requests that were forwarded and would be refused, the most frequent first.
    pub would_reject: Vec<WouldReject>,
}

/// May something be refused from now on?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is.
    Enforced,
    /// Somebody would be refused.
    NotYet,
    /// None of those was seen that would still be accepted.
    Unknown,
    Yes,
}

/// Requests that would be refused for the same reason and claim the same caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WouldReject {
    /// Who their tokens say is calling: unverified, anybody can write it. `none` without a name, `other` beyond a bound.
    pub claimed_caller: String,
    pub reason: String,
    /// The configured issuer that their tokens name, or `none`.
    pub issuer: String,
    pub requests: u64,
    #[serde(with = "rfc_3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub first: UnixTime,
    #[serde(with = "rfc_3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last: UnixTime,
}

/// Requests without a token from one client to one path. The first 100 such senders are told apart, all others are `other`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WithoutToken {
    /// The client's address: the first of `X-Forwarded-For` if the hops before us are declared, and the peer's otherwise.
    pub client: String,
    pub method: String,
    /// Without query, at most 200 characters.
    pub path: String,
    pub requests: u64,
    #[serde(with = "rfc_3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last: UnixTime,
}

/// One trusted issuer with its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Issuer {
    pub issuer: String,
    pub audiences: Vec<String>,
    pub algorithms: Vec<String>,
    /// Where its keys come from.
    pub keys_from: String,
    /// Whether the instance needs its keys to be ready.
    pub required: bool,
    /// Whether it has keys that are not stale.
    pub ready: bool,
    /// The names of its keys; `null` for a key without.
    pub keys: Vec<Option<String>>,
    /// How long ago the issuer last confirmed them.
    pub age_seconds: Option<u64>,
    /// In what time the next refresh comes at the latest; `null` while one is under way.
    pub next_refresh_seconds: Option<u64>,
    /// How many refreshes failed since the last success.
    pub failures: u32,
    /// Why the last one failed.
    pub detail: Option<String>,
    /// What its accepted tokens are bound to; `null` if `binding` lets no bound token pass.
    pub bound_tokens: Option<BoundTokens>,
}

/// What an issuer's accepted tokens are bound to, counted in requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoundTokens {
    /// May tokens be refused that are bound to nothing (`bearer = false`)?
    pub answer: Answer,
    /// Requests with a bound token, by what it is bound to, in the words of `binding`.
    pub bound: BTreeMap<String, u64>,
    /// Requests with a token that is bound to nothing.
    pub unbound: u64,
    /// Who sent these, the most frequent first.
    pub unbound_callers: Vec<UnboundCaller>,
}

/// A proven caller with tokens that are bound to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnboundCaller {
    /// The first 200 callers of each issuer are told apart, all others are `other`.
    pub caller: String,
    pub requests: u64,
    #[serde(with = "rfc_3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last: UnixTime,
}

/// The store in which instances tell each other of proofs that were shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayStore {
    pub address: String,
    /// Whether it takes claims. While it does not, requests with proofs are refused, and all others are not concerned.
    pub answers: bool,
    /// Why it does not.
    pub detail: Option<String>,
}

/// Requests by what was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// A token was accepted.
    pub forward: u64,
    /// The path is public.
    pub pass: u64,
    pub reject: u64,
    /// Forwarded without a caller's name, because it is only reported.
    pub would_reject: u64,
}

/// How many requests there were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requests {
    /// Since the start.
    pub total: Counts,
    /// The length of an interval.
    pub interval_seconds: u64,
    /// The latest intervals, the earliest first. The last one is under way.
    pub intervals: Vec<Counts>,
}

/// A request that was refused, or would have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    #[serde(with = "rfc_3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: UnixTime,
    /// The id that the answer's body and the audit record name.
    pub request_id: String,
    /// `reject` or `would_reject`.
    pub decision: RecordedDecision,
    /// `null` if the client left before anything was decided.
    pub reason: Option<Cow<'static, str>>,
    /// Who the token says is calling: unverified, anybody can write it.
    pub claimed_caller: Option<String>,
    /// The configured issuer that the token names.
    pub issuer: Option<String>,
    /// The token's `kid`, bounded. Anybody can have written it.
    pub kid: Option<String>,
    pub method: String,
    /// Without query, at most 200 characters.
    pub path: String,
    /// 0 if the client left before there was one.
    pub status: u16,
    /// The peer's address and port.
    pub client: Option<String>,
}

/// Something that is bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// What is counted, in words.
    pub name: Cow<'static, str>,
    /// The key that bounds it; `null` if it cannot be changed.
    pub key: Option<Cow<'static, str>>,
    pub used: u64,
    pub limit: u64,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    pub file: String,
    /// Since when it is in force.
    #[serde(with = "rfc_3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: UnixTime,
    /// What somebody should know about it, each with file, line and key.
    pub warnings: Vec<String>,
    /// The last time that the file was read again.
    pub last_reload: Option<Reload>,
}

/// An attempt to bring the file as it was then into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reload {
    #[serde(with = "rfc_3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: UnixTime,
    pub successful: bool,
    /// What is in force now, and why.
    pub detail: String,
}

impl Enforcement {
    /// What can be said of these parts, where `forwarded` requests had an accepted token.
    #[must_use]
    pub fn new(reported: Vec<String>, mut would_reject: Vec<WouldReject>, forwarded: u64) -> Self {
        would_reject.sort_by_key(|kind| std::cmp::Reverse(kind.requests));
        let answer = if reported.is_empty() {
            Answer::Enforced
        } else if !would_reject.is_empty() {
            Answer::NotYet
        } else if forwarded == 0 {
            Answer::Unknown
        } else {
            Answer::Yes
        };
        Self { answer, reported, would_reject }
    }

    /// The same where what was last seen before `since` is solved and does not count.
    #[must_use]
    pub fn since(mut self, since: UnixTime, forwarded: u64) -> Self {
        self.would_reject.retain(|kind| kind.last >= since);
        Self::new(self.reported, self.would_reject, forwarded)
    }
}

impl BoundTokens {
    /// Nothing is counted yet. `is_required` is whether tokens that are bound to nothing are refused.
    #[must_use]
    pub const fn new(is_required: bool) -> Self {
        let answer = if is_required { Answer::Enforced } else { Answer::Unknown };
        Self { answer, bound: BTreeMap::new(), unbound: 0, unbound_callers: Vec::new() }
    }

    /// With these counts.
    #[must_use]
    pub fn counted(self, bound: BTreeMap<String, u64>, unbound: u64, mut callers: Vec<UnboundCaller>) -> Self {
        callers.sort_by_key(|caller| std::cmp::Reverse(caller.requests));
        let answer = if self.answer == Answer::Enforced {
            Answer::Enforced
        } else if !callers.is_empty() {
            Answer::NotYet
        } else if bound.values().all(|requests| *requests == 0) {
            Answer::Unknown
        } else {
            Answer::Yes
        };
        Self { answer, bound, unbound, unbound_callers: callers }
    }

    /// The same where callers that were last seen before `since` are solved and do not count.
    #[must_use]
    pub fn since(mut self, since: UnixTime) -> Self {
        let mut callers = std::mem::take(&mut self.unbound_callers);
        callers.retain(|caller| caller.last >= since);
        let (bound, unbound) = (std::mem::take(&mut self.bound), self.unbound);
        self.counted(bound, unbound, callers)
    }
}

/// The JSON Schema of `/status`.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Status).to_value()
}

/// Times in JSON: RFC 3339 in UTC with seconds.
mod rfc_3339 {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use crate::clock::UnixTime;

    pub(super) fn serialize<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        UnixTime::parse(&text).ok_or_else(|| D::Error::custom("a time is not RFC 3339"))
    }
}

/// The version of the schema.
pub const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);

    fn kind(caller: &str, requests: u64, hours_ago: u64) -> WouldReject {
        let last = NOW.minus(Duration::from_secs(hours_ago * 3600));
        let (reason, issuer) = ("token_expired".to_owned(), "a".to_owned());
        WouldReject { claimed_caller: caller.to_owned(), reason, issuer, requests, first: last, last }
    }

    #[test]
    fn refusing_may_begin_when_tokens_pass_and_nobody_would_be_refused() {
        let all = || vec!["all requests".to_owned()];
        for (reported, would_reject, forwarded, answer) in [
            (vec![], vec![], 0, Answer::Enforced),
            (all(), vec![], 0, Answer::Unknown),
            (all(), vec![], 1, Answer::Yes),
            (all(), vec![kind("billing", 7, 1)], 1, Answer::NotYet),
        ] {
            assert_eq!(Enforcement::new(reported, would_reject, forwarded).answer, answer);
        }
    }

    fn caller(name: &str, requests: u64, hours_ago: u64) -> UnboundCaller {
        let last = NOW.minus(Duration::from_secs(hours_ago * 3600));
        UnboundCaller { caller: name.to_owned(), requests, last }
    }

    #[test]
    fn bound_tokens_may_be_required_when_they_are_seen_and_no_others_are() {
        let bound = |requests: u64| BTreeMap::from([("certificate".to_owned(), 0), ("dpop".to_owned(), requests)]);
        for (is_required, bound, callers, answer) in [
            (true, bound(0), vec![], Answer::Enforced),
            (true, bound(1), vec![caller("billing", 7, 1)], Answer::Enforced),
            (false, bound(0), vec![], Answer::Unknown),
            (false, bound(1), vec![], Answer::Yes),
            (false, bound(1), vec![caller("billing", 7, 1)], Answer::NotYet),
        ] {
            let unbound = callers.iter().map(|it| it.requests).sum();
            assert_eq!(BoundTokens::new(is_required).counted(bound, unbound, callers).answer, answer);
        }
        let callers = vec![caller("billing", 7, 10), caller("orders", 9, 1)];
        let tokens = BoundTokens::new(false).counted(bound(3), 16, callers);
        assert_eq!(tokens.unbound_callers[0].caller, "orders");
        let since = |hours: u64| tokens.clone().since(NOW.minus(Duration::from_secs(hours * 3600)));
        assert_eq!((since(0).answer, since(0).unbound), (Answer::Yes, 16));
        assert_eq!(since(6).unbound_callers, [caller("orders", 9, 1)]);
        assert_eq!((since(24).answer, since(24).unbound_callers.len()), (Answer::NotYet, 2));
    }

    #[test]
    fn what_was_last_seen_long_ago_is_solved_and_the_most_frequent_comes_first() {
        let kinds = vec![kind("billing", 7, 10), kind("orders", 9, 1)];
        let enforcement = Enforcement::new(vec!["all requests".to_owned()], kinds, 1);
        assert_eq!(enforcement.would_reject[0].claimed_caller, "orders");
        let since = |hours: u64| enforcement.clone().since(NOW.minus(Duration::from_secs(hours * 3600)), 1);
        assert_eq!(since(0).answer, Answer::Yes);
        assert_eq!(since(6).would_reject, [kind("orders", 9, 1)]);
        assert_eq!(since(24).would_reject.len(), 2);
    }
}
