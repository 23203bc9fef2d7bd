//! The audit record of an ordinary request, for those who measure what writing one costs.

use callgate::audit::{Record, RecordedDecision};

pub(crate) fn record() -> Record<'static> {
    Record {
        time: std::time::SystemTime::UNIX_EPOCH,
        event: "request",
        version: 1,
        request_id: "019b7c1e0f0a7c3e9d1a2b3c4d5e6f70",
        decision: RecordedDecision::Forward,
        reason: None,
        caller: Some("billing"),
        issuer: Some("https://auth.internal.example"),
        kid: Some("key-es256"),
        alg: Some("ES256"),
        jti: Some("0192f7"),
        claims: &[],
        claimed_caller: None,
        trace_id: None,
        method: "POST",
        path: "/send",
        status: 202,
        request_bytes: 12,
        response_bytes: 34,
        duration_us: 120,
        authentication_us: 60,
        upstream_us: Some(40),
        client: Some("127.0.0.1:5555"),
        forwarded_for: None,
    }
}
