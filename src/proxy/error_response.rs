//! Our own answers: the one place that turns a rejection into HTTP. Each is a problem document (RFC 9457) that names its
//! reason, with the challenge of RFC 6750 where the caller's credentials are at fault. No token is ever repeated.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use pingora::http::ResponseHeader;
use pingora::protocols::http::date::get_cached_date;
use serde::Serialize;

use crate::rejection::{Challenge, Reason, Rejection};

/// An answer ready to be written.
pub struct Answer {
    status: u16,
    /// Without those that belong to the connection.
    fields: Vec<(&'static str, Cow<'static, str>)>,
    pub body: Bytes,
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It serves the next request.
    Keep,
    Close,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    reason: &'a str,
    request_id: &'a str,
}

impl Answer {
    /// The answer to a refused request. `realm` names this service to its callers.
    #[must_use]
    pub fn refuse(rejection: &Rejection, realm: &str, request_id: &str) -> Self {
        let (reason, detail) = (rejection.reason(), rejection.detail());
        let problem = Problem {
            r#type: &["urn:callgate:reason:", reason.as_str()].concat(),
            title: reason.title(),
            status: reason.status(),
            detail,
            reason: reason.as_str(),
            request_id,
        };
        let mut body = Vec::with_capacity(BODY_USUAL);
        // Strings and a number can always be written into memory.
        let _ = serde_json::to_writer(&mut body, &problem);
        // A terminal shows its prompt on a line of its own.
        body.push(b'\n');
        let mut fields = Vec::with_capacity(5);
        fields.push(("content-type", Cow::Borrowed("application/problem+json")));
        fields.push(("content-length", body.len().to_string().into()));
        fields.push(("cache-control", "no-store".into()));
        match reason.challenge() {
            Challenge::Bare => fields.push((CHALLENGE, ["Bearer realm=\"", realm, "\""].concat().into())),
            Challenge::InvalidToken => {
                let said = [
                    "Bearer realm=\"",
                    realm,
                    "\", error=\"invalid_token\", error_description=\"",
                    reason.as_str(),
                    ": ",
                    detail,
                    "\"",
                ];
                fields.push((CHALLENGE, said.concat().into()));
            }
            Challenge::None => {}
        }
        if reason == Reason::MethodRefused {
            fields.push(("allow", ALLOWED.into()));
        }
        if reason.status() == 503 {
            fields.push(("retry-after", RETRY_AFTER_SECS.into()));
        }
        Self { status: reason.status(), fields, body: body.into() }
    }

    /// The same refusal for a gRPC caller: `Trailers-Only`, with the status in the head, which is all there is. The other fields
    /// stay, for whoever looks at them.
    #[must_use]
    pub fn for_grpc(mut self, rejection: &Rejection) -> Self {
        self.fields.retain(|(name, _)| !matches!(*name, "content-length" | "content-type"));
        self.fields.push(("content-type", "application/grpc".into()));
        self.fields.push(("grpc-status", grpc_status(rejection.reason()).into()));
        // A detail has only characters that need no escape here but this one.
        self.fields.push(("grpc-message", rejection.to_string().replace('%', "%25").into()));
        Self { status: 200, fields: self.fields, body: Bytes::new() }
    }

    /// The head for a session of Pingora's, which adds what belongs to the connection.
    ///
    /// # Errors
    /// If a value is none of a header, which none of ours should be.
    pub fn head(&self) -> pingora::Result<ResponseHeader> {
        let mut head = ResponseHeader::build(self.status, Some(self.fields.len()))?;
        for (name, value) in &self.fields {
            head.append_header(*name, value.as_ref())?;
        }
        Ok(head)
    }

    /// The answer as HTTP/1.1 (RFC 9112 §4).
    #[must_use]
    pub fn into_bytes(self, after: After, bodiless: bool) -> Vec<u8> {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        let date = get_cached_date();
        let connection = match after {
            After::Keep => "keep-alive",
            After::Close => "close",
        };
        let mut bytes = Vec::with_capacity(HEAD_USUAL + self.body.len());
        let mut write = |parts: &[&[u8]]| parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let reason = status.canonical_reason().unwrap_or_default();
        write(&[b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", reason.as_bytes(), b"\r\n"]);
        for (name, value) in &self.fields {
            write(&[name.as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
        write(&[b"date: ", date.as_bytes(), b"\r\nconnection: ", connection.as_bytes(), b"\r\n\r\n"]);
        if !bodiless {
            write(&[&self.body]);
        }
        bytes
    }
}

/// The code of gRPC for a reason: whose credentials are at fault, who may try again, and who should not.
const fn grpc_status(reason: Reason) -> &'static str {
    match reason.status() {
        401 => "16",
        408 | 504 => "4",
        413 | 431 => "8",
        502 | 503 => "14",
        405 => "12",
        400 => "3",
        _ => "13",
    }
}

const CHALLENGE: &str = "www-authenticate";

/// What is not refused, as far as it is registered (RFC 9110 §9.3, RFC 5789).
const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// When a caller should try again after a 503: about the time of a refresh with its first backoff.
const RETRY_AFTER_SECS: &str = "2";

/// Room for what is usual, in bytes; more is found when it is needed.
const HEAD_USUAL: usize = 512;
const BODY_USUAL: usize = 384;

#[cfg(test)]
mod tests {
    use super::*;

    fn header(answer: &Answer, name: &str) -> Option<String> {
        let head = answer.head().unwrap();
        assert!(head.headers.get_all(name).iter().count() < 2, "{name}");
        head.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_missing_token_is_asked_for_without_an_error() {
        let answer = Answer::refuse(&Rejection::new(Reason::TokenMissing, "send one"), "email", "r1");
        assert_eq!(answer.status, 401);
        assert_eq!(header(&answer, "www-authenticate").as_deref(), Some("Bearer realm=\"email\""));
        assert_eq!(header(&answer, "cache-control").as_deref(), Some("no-store"));
        assert_eq!(header(&answer, "retry-after"), None);
    }

    #[test]
    fn a_failed_token_is_answered_with_its_reason_everywhere() {
        let answer = Answer::refuse(&Rejection::new(Reason::TokenExpired, "since 'long'"), "email", "r1");
        assert_eq!(
            header(&answer, "www-authenticate").as_deref(),
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
        let answer = Answer::refuse(&Rejection::new(Reason::KeysUnavailable, "later"), "email", "r1");
        assert_eq!(answer.status, 503);
        assert_eq!(header(&answer, "retry-after").as_deref(), Some("2"));
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
            let answer = Answer::refuse(&rejection, "email", "r1").for_grpc(&rejection);
            assert_eq!(answer.status, 200);
            assert_eq!(header(&answer, "content-type").as_deref(), Some("application/grpc"));
            assert_eq!(header(&answer, "grpc-status").as_deref(), Some(status));
            assert_eq!(header(&answer, "grpc-message").as_deref(), Some(format!("{reason}: 100%25 sure").as_str()));
            assert!(answer.body.is_empty());
        }
    }

    #[test]
    fn an_answer_without_a_session_is_whole_and_says_whether_it_is_the_last() {
        let refusal = || Answer::refuse(&Rejection::new(Reason::RequestMalformed, "twice"), "email", "r1");
        for (after, connection) in [(After::Close, "close"), (After::Keep, "keep-alive")] {
            let text = String::from_utf8(refusal().into_bytes(after, false)).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with("HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"),
                "{head}"
            );
            assert!(head.ends_with(&format!("\r\nconnection: {connection}")), "{head}");
            assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
        }
        assert!(refusal().into_bytes(After::Close, true).ends_with(b"\r\n\r\n"));
    }
}
