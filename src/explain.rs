//! Why a token is accepted or refused, check by check, for a person or a machine. It walks the same functions as the decision,
//! also past the first refusal, and the verdict is the decision's own. It never holds the token or its signature.

use std::time::Duration;

mod advice;
pub mod machine;
mod possession;
pub mod terminal;
pub mod unverified;

pub use advice::advice;

use possession::Shown;

use crate::authenticator::{Authenticator, Decision, Issuer, keys_unavailable, verify_with_any};
use crate::clock::{UnixTime, brief};
use crate::json::Value;
use crate::jwt::claims::{Finding, Round, time};
use crate::jwt::parse::{Parts, Unverified};
use crate::jwt::verify::{allowed_algorithm, findings, verify};
use crate::keys::jwks::KeySet;
use crate::rejection::{Reason, Rejection, quoted};
use crate::request::RequestHead;
use crate::token::{Presented, Token, TokenType, presented};

/// What became of a token and why.
pub struct Explanation {
    /// The time for which it was judged.
    pub at: UnixTime,
    /// Every check in the order in which a token meets them.
    pub checks: Vec<CheckResult>,
    /// The keys that could have signed it, in the order in which they were tried.
    pub keys: Vec<TriedKey>,
    /// What its own times say, proven or not.
    pub times: Times,
    /// What all this comes to.
    pub verdict: Verdict,
}

/// One check.
pub struct CheckResult {
    /// What is checked, in words.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What the configuration asks for, in words.
    pub wanted: String,
    /// What the token has there, in words.
    pub found: String,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It would refuse the token too, but an earlier check did.
    AlsoRefused(Reason),
    /// The token fulfils it.
    Passed,
    /// It refuses the token: this is the reason of the answer.
    Refused(Reason),
    /// It cannot be made, because an earlier check left nothing to look at.
    Unchecked,
}

/// A key that was tried.
pub struct TriedKey {
    /// Its `kid` in the key set, if it has one.
    pub kid: Option<String>,
    /// What kind of key it is.
    pub kind: String,
    /// Whether it made the signature.
    pub holds: bool,
}

/// The times that a token states.
#[derive(Default)]
pub struct Times {
    /// `iat`.
    pub issued: Option<UnixTime>,
    /// `nbf`.
    pub not_before: Option<UnixTime>,
    /// `exp`.
    pub expires: Option<UnixTime>,
}

impl Times {
    /// By how much at least the issuer's clock goes ahead of the one that says `at`, if the token was issued in its future.
    #[must_use]
    pub fn issuer_ahead(&self, at: UnixTime) -> Option<Duration> {
        self.issued.filter(|issued| *issued > at).map(|issued| issued.since(at))
    }
}

/// What the proxy does with the token.
pub enum Verdict {
    /// It forwards the request with this caller's name.
    Accepted {
        /// As the upstream is told it.
        caller: String,
    },
    /// It answers with this refusal.
    Refused(Rejection),
}

/// Explains a request to a protected route, by its token and what the client shows beside it. `keys_fault` says why an issuer has no
/// keys, if it is known.
#[must_use]
pub fn explain(judge: &Authenticator, head: &RequestHead<'_>, at: UnixTime, keys_fault: Option<&str>) -> Explanation {
    let verdict = match judge.decide(head, at) {
        Decision::Forward(accepted, _) => Verdict::Accepted { caller: accepted.identity.caller().to_owned() },
        Decision::Pass => {
            Verdict::Refused(Rejection::new(Reason::InternalError, "a request to a public route needs no token"))
        }
        Decision::Reject(refused) => Verdict::Refused(refused.rejection),
        Decision::Claim(_) => Verdict::Refused(Rejection::new(Reason::InternalError, "an explanation asks no store")),
    };
    let mut explainer =
        Explainer { judge, head, at, keys_fault, checks: Vec::new(), keys: Vec::new(), times: Times::default() };
    explainer.token();
    let missing = NAMES.iter().skip_while(|name| explainer.checks.iter().any(|check| check.name == **name));
    let unchecked = |name: &&'static str| CheckResult {
        name,
        outcome: Outcome::Unchecked,
        wanted: String::new(),
        found: String::new(),
    };
    let rest: Vec<_> = missing.map(unchecked).collect();
    let Explainer { mut checks, keys, times, .. } = explainer;
    checks.extend(rest);
    Explanation { at, checks, keys, times, verdict }
}

/// The way of a token through the checks.
struct Explainer<'w> {
    judge: &'w Authenticator,
    head: &'w RequestHead<'w>,
    at: UnixTime,
    keys_fault: Option<&'w str>,
    checks: Vec<CheckResult>,
    keys: Vec<TriedKey>,
    times: Times,
}

impl Explainer<'_> {
    /// Adds a check with what it found, which after a refusal without own words is what the refusal says.
    fn add<T>(&mut self, name: &'static str, wanted: String, result: Result<(String, T), Rejection>) -> Option<T> {
        let (found, refused, value) = match result {
            Ok((found, value)) => (found, None, Some(value)),
            Err(rejection) => (rejection.detail().to_owned(), Some(rejection.reason()), None),
        };
        self.push(name, wanted, found, refused);
        value
    }

    fn push(&mut self, name: &'static str, wanted: String, found: String, refused: Option<Reason>) {
        let is_decided = self.checks.iter().any(|check| matches!(check.outcome, Outcome::Refused(_)));
        let outcome = match refused {
            None => Outcome::Passed,
            Some(reason) if is_decided => Outcome::AlsoRefused(reason),
            Some(reason) => Outcome::Refused(reason),
        };
        self.checks.push(CheckResult { name, outcome, wanted, found });
    }

    fn token(&mut self) {
        let limit = self.judge.token_limit();
        let field = self.judge.token_field();
        let place = if field.is_authorization() { String::new() } else { format!(" in {}", field.name()) };
        let wanted = format!("one token{place} of at most {limit} bytes: letters, digits, '-', '_' and '.'");
        let token = presented(self.head, field).and_then(|it| Token::read(it, field, limit).map(|token| (it, token)));
        let found = token.map(|token| (format!("{} bytes", token.1.as_str().len()), token));
        let Some((presented, token)) = self.add("token", wanted, found) else { return };

        let wanted = "header, payload and signature, each in base64url without padding".to_owned();
        let parts = Parts::decode(token.as_str()).map(|parts| ("three parts".to_owned(), parts));
        let Some(parts) = self.add("form", wanted, parts) else { return };

        let wanted = "JSON objects, no member twice, no crit, no encryption".to_owned();
        let unverified = Unverified::parse(&parts).map(|token| (header(&token), token));
        if let Some(unverified) = self.add("content", wanted, unverified) {
            self.content(&unverified, presented);
        }
    }

    fn content(&mut self, token: &Unverified<'_>, presented: Presented<'_>) {
        if presented.token_type == TokenType::Workload {
            let found = if token.is_workload_token() { "such a one" } else { "another one" };
            let refused = (!token.is_workload_token()).then_some(Reason::TypeRefused);
            self.push(
                "field",
                "for Workload-Identity-Token, a token with the typ wit+jwt".into(),
                found.into(),
                refused,
            );
        }
        let claims = token.unproven_claims();
        let stated = |name, round| time(claims, name, round).ok().flatten();
        self.times = Times {
            issued: stated("iat", Round::Up),
            not_before: stated("nbf", Round::Up),
            expires: stated("exp", Round::Down),
        };
        let trusted: Vec<_> = self.judge.issuers().iter().map(|issuer| quoted(issuer.requirement.issuer())).collect();
        let describe = |name: &str| claims.get(name).map_or_else(|| "missing".to_owned(), Value::describe);
        let by_domain = self.judge.issuers().iter().any(|issuer| issuer.requirement.trust_domain().is_some());
        let iss = match by_domain {
            true => format!("{}, with the sub {}", describe("iss"), describe("sub")),
            false => describe("iss"),
        };
        let issuer = match self.judge.match_issuer(token) {
            Ok(index) => self.judge.issuers().get(index),
            Err(rejection) => {
                self.push("issuer", trusted.join(" or "), iss, Some(rejection.reason()));
                return;
            }
        };
        self.push("issuer", trusted.join(" or "), iss, None);
        if let Some(issuer) = issuer {
            self.issuer(token, issuer, presented);
        }
    }

    fn issuer(&mut self, token: &Unverified<'_>, issuer: &Issuer, presented: Presented<'_>) {
        let asked = &issuer.requirement;
        let allowed: Vec<_> = asked.algorithms().iter().map(|algorithm| algorithm.name()).collect();
        let refused = allowed_algorithm(token, asked).err().map(|rejection| rejection.reason());
        self.push("algorithm", allowed.join(" or "), quoted(token.alg()), refused);

        let published = issuer.keys.latest();
        let keys = published.as_ref().and_then(|published| published.usable(self.at));
        let found = match (&published.as_ref(), keys) {
            (Some(published), Some(keys)) => Ok((key_set(keys, published.confirmed, self.at), keys)),
            _ => Err(match self.keys_fault {
                Some(fault) => Rejection::new(Reason::KeysUnavailable, format!("there are none: {fault}")),
                None => keys_unavailable(asked),
            }),
        };
        let keys = self.add("keys", "keys of this issuer that are not stale".to_owned(), found);
        let signer = self.signature(token, issuer, keys.map(AsRef::as_ref));

        // The issuer's name was looked at above.
        for finding in findings(token, asked, self.at).filter(|finding| finding.check != "iss") {
            self.push(finding.check, finding.wanted, finding.found, finding.refused);
        }

        let revoked =
            self.judge.refuse_revoked(token.unproven_claims(), [signer.as_deref(), token.kid()], asked, self.at);
        let wanted = "jti, kid and sub are not on the deny-list".to_owned();
        self.add("revocation", wanted, revoked.map(|()| ("not on it".to_owned(), ())));

        let rule = self.judge.caller_rule();
        let naming = issuer.naming.as_ref().unwrap_or(rule.naming());
        let wanted = format!("a name for {} in the claim {}", rule.header(), quoted(&naming.claim().to_string()));
        let claims = token.unproven_claims();
        let named = naming.name(claims).and_then(|caller| rule.forwarded(claims).map(|_| caller));
        self.add("caller", wanted, named.map(|caller| (quoted(&caller), ())));

        let is_workload_token = asked.binding().wimse && token.is_workload_token();
        let shown = Shown { head: self.head, presented, proofs: self.judge.proofs(), at: self.at };
        for Finding { check, wanted, found, refused } in shown.findings(claims, is_workload_token, asked.binding()) {
            self.push(check, wanted, found, refused);
        }
    }

    /// Returns the name of the key that made the signature.
    fn signature(&mut self, token: &Unverified<'_>, issuer: &Issuer, keys: Option<&KeySet>) -> Option<String> {
        let asked = &issuer.requirement;
        let Some(keys) = keys else {
            self.unchecked("signature");
            return None;
        };
        let Ok(algorithm) = allowed_algorithm(token, asked) else {
            self.unchecked("signature");
            return None;
        };
        let holds = |refused: Option<&Rejection>| refused.is_none_or(|refused| !is_about_keys(refused.reason()));
        let is_workload_token = token.is_workload_token();
        for key in keys.candidates(token.kid(), algorithm).filter(|key| key.signs(is_workload_token)) {
            let refused = verify(token, asked, key.public(), self.at).err();
            let (kid, kind) = (key.kid().map(str::to_owned), key.public().kind().to_string());
            self.keys.push(TriedKey { kid, kind, holds: holds(refused.as_ref()) });
        }
        let refused = verify_with_any(token, asked, keys, self.at).err().map(|stop| stop.rejection);
        let signer = self.keys.iter().find(|key| key.holds);
        let found = match (&refused, signer) {
            (_, Some(key)) => Ok(format!("made with {key}")),
            (Some(rejection), None) => Err(rejection.clone()),
            (None, None) => Err(Rejection::new(Reason::InternalError, "no key made the signature that was accepted")),
        };
        let kid = signer.and_then(|key| key.kid.clone());
        let wanted = format!("{algorithm}, made with a key of this issuer over this header and payload");
        self.add("signature", wanted, found.map(|found| (found, ())));
        kid
    }

    fn unchecked(&mut self, name: &'static str) {
        let (wanted, found) = (String::new(), String::new());
        self.checks.push(CheckResult { name, outcome: Outcome::Unchecked, wanted, found });
    }
}

impl Explanation {
    /// The check that refuses the token.
    #[must_use]
    pub fn refusing(&self) -> Option<&CheckResult> {
        self.checks.iter().find(|check| matches!(check.outcome, Outcome::Refused(_)))
    }
}

impl std::fmt::Display for TriedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "key {} ({})", quoted(kid), self.kind),
            None => write!(f, "a key without kid ({})", self.kind),
        }
    }
}

const fn is_about_keys(reason: Reason) -> bool {
    matches!(reason, Reason::AlgorithmRefused | Reason::SignatureInvalid)
}

fn header(token: &Unverified<'_>) -> String {
    let kid = token.kid().map_or_else(|| "no kid".to_owned(), |kid| format!("kid {}", quoted(kid)));
    format!("alg {}, {kid}", quoted(token.alg()))
}

fn key_set(keys: &KeySet, confirmed: UnixTime, at: UnixTime) -> String {
    let shown: Vec<_> =
        keys.keys().iter().take(KEYS_SHOWN).map(|key| key.kid().map_or("-".to_owned(), quoted)).collect();
    let more = if keys.keys().len() > KEYS_SHOWN { ", ..." } else { "" };
    let age = brief(at.since(confirmed));
    let plural = if keys.keys().len() == 1 { "" } else { "s" };
    format!("{} key{plural} ({}{more}), confirmed {age} ago", keys.keys().len(), shown.join(", "))
}

/// How many keys of a set are named.
const KEYS_SHOWN: usize = 8;

/// The checks in their order, to name those that could not be made.
const NAMES: [&str; 20] = [
    "token",
    "form",
    "content",
    "issuer",
    "algorithm",
    "keys",
    "signature",
    "typ",
    "aud",
    "exp",
    "nbf",
    "iat",
    "lifetime",
    "age",
    "sub",
    "jti",
    "required claims",
    "cnf",
    "revocation",
    "caller",
];
