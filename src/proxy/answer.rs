//! Our own answers: the one place that turns a rejection into HTTP. Each is a problem document (RFC 9457) that names its
//! reason, with the challenge of RFC 6750 where the caller's credentials are at fault. No token is ever repeated.

use bytes::Bytes;
use http::header;
use pingora::http::ResponseHeader;
use serde::Serialize;

use crate::rejection::{Challenge, Rejection};

/// An answer ready to be written.
pub struct Answer {
    pub head: ResponseHeader,
    pub body: Bytes,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    reason: &'a str,
    request_id: &'a str,
}

impl Answer {
    /// The answer to a refused request. `realm` names this service to its callers.
    ///
    /// # Errors
    /// If a header's value cannot be made, which none of ours should be.
    pub fn refuse(rejection: &Rejection, realm: &str, request_id: &str) -> pingora::Result<Self> {
        let reason = rejection.reason();
        let problem = Problem {
            r#type: format!("urn:callgate:reason:{reason}"),
            title: reason.title(),
            status: reason.status(),
            detail: rejection.detail(),
            reason: reason.as_str(),
            request_id,
        };
        // Strings and a number always serialize.
        let body = Bytes::from(serde_json::to_vec(&problem).unwrap_or_default());
        let mut head = ResponseHeader::build(reason.status(), Some(6))?;
        head.insert_header(header::CONTENT_TYPE, "application/problem+json")?;
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
        head.insert_header(header::CACHE_CONTROL, "no-store")?;
        match reason.challenge() {
            Challenge::Bare => head.insert_header(header::WWW_AUTHENTICATE, format!("Bearer realm=\"{realm}\""))?,
            Challenge::InvalidToken => {
                let detail = rejection.detail();
                let challenge = format!(
                    "Bearer realm=\"{realm}\", error=\"invalid_token\", error_description=\"{reason}: {detail}\""
                );
                head.insert_header(header::WWW_AUTHENTICATE, challenge)?;
            }
            Challenge::None => {}
        }
        if reason.status() == 503 {
            head.insert_header(header::RETRY_AFTER, RETRY_AFTER_SECS)?;
        }
        Ok(Self { head, body })
    }
}

/// When a caller should try again after a 503: about the time of a refresh with its first backoff.
const RETRY_AFTER_SECS: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::Reason;

    fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
        answer.head.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_missing_token_is_asked_for_without_an_error() {
        let answer = Answer::refuse(&Rejection::new(Reason::TokenMissing, "send one"), "email", "r1").unwrap();
        assert_eq!(answer.head.status, 401);
        assert_eq!(header(&answer, "www-authenticate"), Some("Bearer realm=\"email\""));
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        assert_eq!(header(&answer, "retry-after"), None);
    }

    #[test]
    fn a_failed_token_is_answered_with_its_reason_everywhere() {
        let answer = Answer::refuse(&Rejection::new(Reason::TokenExpired, "since 'long'"), "email", "r1").unwrap();
        assert_eq!(
            header(&answer, "www-authenticate"),
            Some("Bearer realm=\"email\", error=\"invalid_token\", error_description=\"token_expired: since 'long'\"")
        );
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            problem,
            serde_json::json!({
                "type": "urn:callgate:reason:token_expired",
                "title": "The token has expired",
                "status": 401,
                "detail": "since 'long'",
                "reason": "token_expired",
                "request_id": "r1",
            })
        );
    }

    #[test]
    fn missing_keys_are_our_fault_and_worth_another_try() {
        let answer = Answer::refuse(&Rejection::new(Reason::KeysUnavailable, "later"), "email", "r1").unwrap();
        assert_eq!(answer.head.status, 503);
        assert_eq!(header(&answer, "retry-after"), Some("2"));
        assert_eq!(header(&answer, "www-authenticate"), None);
    }
}
