//! An explanation as one JSON object, for machines. Its names are stable.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{CheckResult, Explanation, Outcome, Verdict, advice};
use crate::clock::UnixTime;

/// Writes an explanation.
///
/// # Errors
/// If it cannot be written.
pub fn write(explanation: &Explanation, out: &mut impl Write) -> io::Result<()> {
    let Explanation { at, checks, keys, times, verdict } = explanation;
    let (accepted, caller, reason) = match verdict {
        Verdict::Accepted { caller } => (true, Some(caller), None),
        Verdict::Refused(rejection) => (false, None, Some(rejection)),
    };
    let keys = keys.iter().map(|key| json!({"kid": key.kid, "kind": key.kind, "signature_holds": key.holds}));
    let object = json!({
        "version": 1,
        "accepted": accepted,
        "caller": caller,
        "reason": reason.map(|rejection| rejection.reason().as_str()),
        "status": reason.map(|rejection| rejection.reason().status()),
        "title": reason.map(|rejection| rejection.reason().title()),
        "detail": reason.map(crate::rejection::Rejection::detail),
        "advice": reason.map(|rejection| advice(rejection.reason())),
        "judged_at": at.to_string(),
        "times": {
            "issued_at": written(times.issued),
            "not_before": written(times.not_before),
            "expires_at": written(times.expires),
            "seconds_since_issue": times.issued.map(|issued| seconds(*at, issued)),
            "seconds_since_not_before": times.not_before.map(|start| seconds(*at, start)),
            "seconds_left": times.expires.map(|expires| seconds(expires, *at)),
            "issuer_ahead_seconds": times.issuer_ahead(*at).map(|ahead| ahead.as_secs()),
        },
        "keys_tried": keys.collect::<Vec<_>>(),
        "checks": checks.iter().map(check).collect::<Vec<_>>(),
    });
    writeln!(out, "{object:#}")
}

fn check(check: &CheckResult) -> Value {
    let (outcome, reason) = match check.outcome {
        Outcome::AlsoRefused(reason) => ("also_refused", Some(reason)),
        Outcome::Passed => ("passed", None),
        Outcome::Refused(reason) => ("refused", Some(reason)),
        Outcome::Unchecked => ("unchecked", None),
    };
    json!({
        "check": check.name,
        "outcome": outcome,
        "reason": reason.map(crate::rejection::Reason::as_str),
        "wanted": check.wanted,
        "found": check.found,
    })
}

fn written(time: Option<UnixTime>) -> Option<String> {
    time.map(|time| time.to_string())
}

/// From `earlier` to `later`, negative if they are in the other order.
fn seconds(later: UnixTime, earlier: UnixTime) -> i64 {
    let whole = |time: UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    whole(later) - whole(earlier)
}
