//! Our own answers: the one place that turns a rejection into HTTP. Each is a problem document (RFC 9457) that names its
//! reason, with the challenge of RFC 6750 where the caller's credentials are at fault. No token is ever repeated.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header};
use pingora::http::ResponseHeader;
use pingora::protocols::http::date::get_cached_date;
use serde::Serialize;

use crate::rejection::{Challenge, Reason, Rejection};

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
        if reason == Reason::MethodRefused {
            head.insert_header(header::ALLOW, ALLOWED)?;
        }
        if reason.status() == 503 {
            head.insert_header(header::RETRY_AFTER, RETRY_AFTER_SECS)?;
        }
        Ok(Self { head, body })
    }

    /// The same refusal for a gRPC caller: `Trailers-Only`, with the status in the head, which is all there is. The other fields
    /// stay, for whoever looks at them.
    ///
    /// # Errors
    /// If a header's value cannot be made, which none of ours should be.
    pub fn for_grpc(mut self, rejection: &Rejection) -> pingora::Result<Self> {
        self.head.set_status(200)?;
        self.head.remove_header(&header::CONTENT_LENGTH);
        self.head.insert_header(header::CONTENT_TYPE, "application/grpc")?;
        self.head.insert_header("grpc-status", grpc_status(rejection.reason()))?;
        // A detail has only characters that need no escape here but this one.
        self.head.insert_header("grpc-message", rejection.to_string().replace('%', "%25"))?;
        Ok(Self { head: self.head, body: Bytes::new() })
    }

    /// The answer as HTTP/1.1 of a connection that is then closed.
    #[must_use]
    pub fn into_bytes(self, bodiless: bool) -> Bytes {
        let status = self.head.status;
        let mut bytes = BytesMut::with_capacity(512 + self.body.len());
        let line = format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
        bytes.extend_from_slice(line.as_bytes());
        let fixed = [(header::DATE, get_cached_date()), (header::CONNECTION, HeaderValue::from_static("close"))];
        let fields = self.head.headers.iter().chain(fixed.iter().map(|(name, value)| (name, value)));
        for (name, value) in fields {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"\r\n");
        if !bodiless {
            bytes.extend_from_slice(&self.body);
        }
        bytes.freeze()
    }
}

/// The code of gRPC for a reason: whose credentials are at fault, who may try again, and who should not.
const fn grpc_status(reason: Reason) -> u16 {
    match reason.status() {
        401 => 16,
        408 | 504 => 4,
        413 | 431 => 8,
        502 | 503 => 14,
        405 => 12,
        400 => 3,
        _ => 13,
    }
}

/// What is not refused, as far as it is registered (RFC 9110 §9.3, RFC 5789).
const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// When a caller should try again after a 503: about the time of a refresh with its first backoff.
const RETRY_AFTER_SECS: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_grpc_caller_gets_the_reason_as_a_status_and_a_message() {
        for (reason, status) in [
            (Reason::TokenExpired, "16"),
            (Reason::TokenMissing, "16"),
            (Reason::KeysUnavailable, "14"),
            (Reason::Overloaded, "14"),
            (Reason::UpstreamUnreachable, "14"),
            (Reason::UpstreamTimeout, "4"),
        ] {
            let rejection = Rejection::new(reason, "100% sure");
            let answer = Answer::refuse(&rejection, "email", "r1").unwrap().for_grpc(&rejection).unwrap();
            assert_eq!(answer.head.status, 200);
            assert_eq!(header(&answer, "content-type"), Some("application/grpc"));
            assert_eq!(header(&answer, "grpc-status"), Some(status));
            assert_eq!(header(&answer, "grpc-message"), Some(format!("{reason}: 100%25 sure").as_str()));
            assert!(answer.body.is_empty());
        }
    }

    #[test]
    fn an_answer_without_a_session_is_whole_and_says_that_it_is_the_last() {
        let refusal = || Answer::refuse(&Rejection::new(Reason::RequestMalformed, "twice"), "email", "r1").unwrap();
        let text = String::from_utf8(refusal().into_bytes(false).to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(
            head.contains("connection: close") && head.contains(&format!("content-length: {}", body.len())),
            "{head}"
        );
        assert!(refusal().into_bytes(true).ends_with(b"\r\n\r\n"));
    }
}
