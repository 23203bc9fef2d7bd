//! What the status says about refusing, for people.

use std::fmt;

use crate::clock::UnixTime;
use crate::status::{Answer, BoundTokens, Enforcement, Status, UnboundCaller, WithoutToken, WouldReject};

/// What was learned of one instance.
pub(super) struct View {
    status: Status,
    /// Kinds of requests that were last seen before this are solved, and not in `enforcement`.
    since: Option<UnixTime>,
    enforcement: Enforcement,
}

impl View {
    /// Reads what is to be known. Kinds of requests that were last seen before `since` are solved.
    pub(super) fn new(status: Status, since: Option<UnixTime>) -> Self {
        let all = status.enforcement.clone();
        let enforcement = match since {
            Some(since) => all.since(since, status.requests.total.forward),
            None => all,
        };
        Self { status, since, enforcement }
    }

    /// What each issuer's tokens are bound to, and whether those may be refused that are bound to nothing.
    fn write_bound_tokens(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for issuer in &self.status.issuers {
            let Some(tokens) = issuer.bound_tokens.clone() else { continue };
            let BoundTokens { answer, bound, unbound, unbound_callers } = tokens.since(self.since.unwrap_or_default());
            write!(f, "Accepted tokens of {} (requests): ", issuer.issuer)?;
            for (binding, requests) in bound {
                write!(f, "{requests} bound by {binding}, ")?;
            }
            writeln!(f, "{unbound} bound to nothing.")?;
            if answer != Answer::Enforced {
                for UnboundCaller { caller, requests, last } in unbound_callers {
                    writeln!(f, "{requests:>9} × bound to nothing, caller: {caller}, last {last}")?;
                }
            }
            let meaning = match answer {
                Answer::Enforced => "it is set: tokens that are bound to nothing are refused.",
                Answer::NotYet => "not yet: these callers would be refused with token_unbound.",
                Answer::Unknown => "not known yet: no request with a bound token was seen.",
                Answer::Yes => "yes: nobody was seen with a token that is bound to nothing.",
            };
            writeln!(f, "'bearer = false' for {}: {meaning}", issuer.issuer)?;
        }
        Ok(())
    }

    /// The answer.
    pub(super) const fn answer(&self) -> Answer {
        self.enforcement.answer
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { callgate, started, time, requests, .. } = &self.status;
        let Enforcement { answer, reported, would_reject } = &self.enforcement;
        writeln!(f, "Callgate {callgate}, running since {started} ({} h).", time.since(*started).as_secs() / 3600)?;
        match reported.as_slice() {
            [] => writeln!(f, "Everything is enforced.")?,
            reported => writeln!(f, "Only reported: {}.", reported.join("; "))?,
        }
        let would: u64 = would_reject.iter().map(|kind| kind.requests).sum();
        writeln!(
            f,
            "Requests: {} with an accepted token, {} to public paths, {} refused, {would} that would be refused.",
            requests.total.forward, requests.total.pass, requests.total.reject
        )?;
        if let Some(since) = self.since {
            writeln!(f, "Requests that would be refused count if their kind was seen after {since}.")?;
        }
        for WouldReject { claimed_caller, reason, issuer, requests, first, last } in would_reject {
            writeln!(
                f,
                "{requests:>9} × {reason}, caller (unverified): {claimed_caller}, issuer: {issuer}, {first} to {last}"
            )?;
        }
        let since = self.since.unwrap_or_default();
        let without_token = self.status.without_token.iter().flatten().filter(|sender| sender.last >= since);
        for WithoutToken { client, method, path, requests, last } in without_token.take(SENDERS_SHOWN) {
            writeln!(f, "{requests:>9} × without a token from {client}: {method} {path}, last {last}")?;
        }
        self.write_bound_tokens(f)?;
        f.write_str(match answer {
            Answer::Enforced => "Nothing to do: requests that do not pass are already refused.",
            Answer::NotYet => {
                "Not yet: these callers would be refused. Each reason has a paragraph in docs/reasons.md."
            }
            Answer::Unknown => "Not known yet: no request with an accepted token was seen.",
            Answer::Yes => "Yes: nobody would have been refused. Other instances may have seen others; ask them too.",
        })
    }
}

/// How many senders of requests without a token are named.
const SENDERS_SHOWN: usize = 20;
