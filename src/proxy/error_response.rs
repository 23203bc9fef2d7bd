//! Our own responses: the one place that turns a rejection into HTTP, for both protocols, for what is refused, what has failed, and
//! what is no request. Each is a problem document (RFC 9457) that names its reason, with the challenge of RFC 6750 where the
//! caller's credentials are at fault. No token is ever repeated.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::v2::server::HttpSession;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::proxy::Session;
use pingora::{ErrorType, OrErr as _};
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;

use super::context::{DPOP_NONCE, RequestContext};
use super::policy::RefusalPolicy;
use super::record::{End, answered};
use super::request_summary::RequestSummary;
use crate::downstream::response_writer;
use crate::downstream::stream::ClientStream;
use crate::http1::head::Sketch;
use crate::protected_resource::ProtectedResource;
use crate::rejection::{Challenge, Disclosure, Reason, Rejection};

/// A response ready to be written, without what belongs to the connection.
pub struct ErrorResponse {
    /// The status and the fields that say what is wrong.
    pub head: ResponseHeader,
    /// Problem details (RFC 9457); empty for gRPC.
    pub body: Bytes,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    request_id: &'a str,
}

impl ErrorResponse {
    /// The response to a refused request, which tells as much as the policy allows. `is_of_workload` says whose proof it is about, if it
    /// is about one.
    ///
    /// # Errors
    /// If a value is none of a header, which none of ours should be.
    pub fn new(
        rejection: &Rejection,
        policy: &RefusalPolicy,
        request_id: &str,
        is_of_workload: bool,
    ) -> pingora::Result<Self> {
        let reason = rejection.reason();
        let word = (policy.disclosure != Disclosure::Bare).then(|| reason.as_str());
        let detail = (policy.disclosure == Disclosure::Full).then(|| rejection.detail());
        let problem = Problem {
            // Without a reason it says no more than the status, whose phrase is then the title (RFC 9457 §4.2.1).
            r#type: &word.map_or_else(|| "about:blank".to_owned(), |word| ["urn:callgate:reason:", word].concat()),
            title: if word.is_some() { reason.title() } else { phrase(reason.status()) },
            status: reason.status(),
            detail,
            reason: word,
            request_id,
        };
        let mut body = Vec::with_capacity(BODY_USUAL);
        // Strings and a number can always be written into memory.
        let _ = serde_json::to_writer(&mut body, &problem);
        // A terminal shows its prompt on a line of its own.
        body.push(b'\n');
        let mut head = ResponseHeader::build_no_case(reason.status(), Some(HEADERS))?;
        head.insert_header(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))?;
        head.insert_header(CONTENT_LENGTH, body.len())?;
        head.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
        // The errors of a bearer token, of one with proof, and of a workload's.
        let errors = match reason.challenge() {
            Challenge::None => None,
            Challenge::Bare => Some([None; 3]),
            Challenge::InvalidToken => Some([Some("invalid_token"); 3]),
            Challenge::InvalidProof if is_of_workload => Some([None, None, Some("invalid_proof")]),
            Challenge::InvalidProof => Some([None, Some("invalid_dpop_proof"), None]),
            Challenge::UseDpopNonce => Some([None, Some("use_dpop_nonce"), None]),
        };
        for (scheme, error) in
            [&policy.bearer, &policy.dpop, &policy.workload].into_iter().zip(errors.into_iter().flatten())
        {
            if let Some(scheme) = scheme {
                let challenge = match error {
                    Some(error) => value(&described(scheme, error, word, detail))?,
                    None => value(&[scheme])?,
                };
                // In fields of their own, which every client can take apart (RFC 9110 §11.6.1).
                head.append_header(WWW_AUTHENTICATE, challenge)?;
            }
        }
        if reason == Reason::MethodRefused {
            head.insert_header(ALLOW, HeaderValue::from_static(ALLOWED))?;
        }
        if reason.status() == 503 {
            head.insert_header(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECS))?;
        }
        Ok(Self { head, body: body.into() })
    }

    /// The same refusal for a gRPC caller: `Trailers-Only`, with the status in the head, which is all there is. The other fields
    /// stay, for whoever looks at them.
    ///
    /// # Errors
    /// Likewise.
    pub fn for_grpc(mut self, rejection: &Rejection, disclosure: Disclosure) -> pingora::Result<Self> {
        let head = &mut self.head;
        head.set_status(200)?;
        head.remove_header(&CONTENT_LENGTH);
        head.insert_header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))?;
        head.insert_header("grpc-status", HeaderValue::from_static(grpc_status(rejection.reason())))?;
        let message = match disclosure {
            // A detail has only characters that need no escape here but this one.
            Disclosure::Full => Some(rejection.to_string().replace('%', "%25")),
            Disclosure::Reason => Some(rejection.reason().to_string()),
            Disclosure::Bare => None,
        };
        if let Some(message) = message {
            head.insert_header("grpc-message", value(&[&message])?)?;
        }
        Ok(Self { head: self.head, body: Bytes::new() })
    }
}

/// A challenge with an error, which it describes as far as the caller is told.
fn described<'a>(scheme: &'a str, error: &'a str, word: Option<&'a str>, detail: Option<&'a str>) -> [&'a str; 8] {
    let [begin, separator, end] = match (word, detail) {
        (None, _) => ["\"", "", ""],
        (Some(_), None) => [DESCRIPTION, "", "\""],
        (Some(_), Some(_)) => [DESCRIPTION, ": ", "\""],
    };
    [scheme, ", error=\"", error, begin, word.unwrap_or_default(), separator, detail.unwrap_or_default(), end]
}

/// The phrase of a status (RFC 9110 §15).
fn phrase(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

fn value(parts: &[&str]) -> pingora::Result<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(parts.concat()))
        .or_err(ErrorType::InvalidHTTPHeader, "in a response of ours")
}

/// Responds to a request that is refused or has failed, unless a response has begun: then the cut connection says what happened. The
/// result is whether the client has a response.
pub async fn respond(session: &mut Session, rejection: &Rejection, ctx: &mut RequestContext) -> bool {
    // Nobody else has to wait for a client to take its response.
    (ctx.permit, ctx.share) = (None, None);
    if answered(session).is_some() {
        return true;
    }
    let request = session.req_header();
    let response =
        ErrorResponse::new(rejection, &ctx.policy.refusals, &ctx.record.request_id, ctx.record.is_of_workload());
    let response = if speaks_grpc(request) {
        response.and_then(|it| it.for_grpc(rejection, ctx.policy.refusals.disclosure))
    } else {
        response
    };
    let Ok(ErrorResponse { mut head, body }) = response else { return false };
    if rejection.reason().status() == 401
        && let Some(nonce) = ctx.proof_nonce()
        && head.insert_header(DPOP_NONCE, nonce).is_err()
    {
        return false;
    }
    write(session, head, body, ctx).await
}

/// Responds with the metadata of the protected resource. It depends on the configuration alone, and changes with it.
///
/// # Errors
/// If a value is none of a header, which none of ours should be.
pub async fn respond_with_metadata(
    session: &mut Session,
    resource: &ProtectedResource,
    ctx: &mut RequestContext,
) -> pingora::Result<bool> {
    let mut head = ResponseHeader::build_no_case(StatusCode::OK, Some(HEADERS))?;
    head.insert_header(CONTENT_TYPE, HeaderValue::from_static("application/json"))?;
    head.insert_header(CONTENT_LENGTH, resource.metadata().len())?;
    head.insert_header(CACHE_CONTROL, HeaderValue::from_static(METADATA_LIFETIME))?;
    let body = Bytes::copy_from_slice(resource.metadata().as_bytes());
    Ok(write(session, head, body, ctx).await)
}

/// Writes a response of ours. The result is whether the client has it.
async fn write(session: &mut Session, head: ResponseHeader, body: Bytes, ctx: &mut RequestContext) -> bool {
    let has_body = session.req_header().method != Method::HEAD && !body.is_empty();
    if let ServerSession::H2(stream) = &mut **session {
        return write_http2(stream, head, body, has_body, ctx).is_ok();
    }
    let mut tasks = vec![HttpTask::Header(Box::new(head), !has_body)];
    if has_body {
        tasks.push(HttpTask::Body(Some(body), true));
    }
    session.write_response_tasks(tasks).await.is_ok()
}

/// Writes to a stream of HTTP/2 without waiting for the client: the head is not subject to flow control, and what the client's window
/// does not take of the body is left to the connection.
fn write_http2(
    stream: &mut HttpSession,
    head: ResponseHeader,
    body: Bytes,
    has_body: bool,
    ctx: &mut RequestContext,
) -> pingora::Result<()> {
    stream.write_response_header(Box::new(head), !has_body)?;
    if !has_body {
        return Ok(());
    }
    let Some(mut writer) = stream.take_response_body_writer() else { return Ok(()) };
    let length = body.len();
    writer.reserve_capacity(length);
    let is_taken = writer.capacity() >= length;
    writer.send_data(body, true).or_err(ErrorType::WriteError, "the stream is closed")?;
    if is_taken {
        ctx.refusal_bytes = length as u64;
    } else if let Some(info) = &ctx.info {
        info.set_unread(writer);
    }
    Ok(())
}

/// Responds to what is no request of HTTP/1, and records it. Its connection is to be closed.
pub async fn respond_to_malformed(
    stream: &mut ClientStream,
    head: &[u8],
    rejection: &Rejection,
    mut ctx: RequestContext,
) {
    let Sketch { method, path } = Sketch::of(head);
    let summary = RequestSummary { method: &method, path: &path, ..RequestSummary::default() };
    ctx.record.describe(&summary, stream.connection().peer.client.clone());
    ctx.record.refuse(rejection);
    stream.connection().linger();
    let is_head = method == "HEAD";
    let mut response_bytes = 0;
    let encoded =
        ErrorResponse::new(rejection, &ctx.policy.refusals, &ctx.record.request_id, false).and_then(|response| {
            response_bytes = if is_head { 0 } else { response.body.len() as u64 };
            response_writer::last_response(response.head, response.body, is_head)
        });
    let mut end = End::default();
    if let Ok(encoded) = encoded
        && stream.write_all(&encoded).await.is_ok()
        && stream.flush().await.is_ok()
    {
        end = End { status: rejection.reason().status(), response_bytes, ..end };
    }
    ctx.record.finish(end).await;
}

/// gRPC is HTTP/2 with this type; its variants for browsers are read by their status.
fn speaks_grpc(head: &RequestHeader) -> bool {
    let mut types = head
        .headers
        .get_all(CONTENT_TYPE)
        .iter()
        .filter_map(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    head.version == Version::HTTP_2 && types.any(|rest| matches!(rest, [] | [b'+' | b';', ..]))
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

/// What is not refused, as far as it is registered (RFC 9110 §9.3, RFC 5789).
const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// When a caller should try again after a 503: about the time of a refresh with its first backoff.
const RETRY_AFTER_SECS: &str = "2";

/// How long a client need not ask again: as long as people wait for a change to be seen.
const METADATA_LIFETIME: &str = "max-age=300";

/// How many fields there are at most, with those of the connection.
const HEADERS: usize = 10;

const DESCRIPTION: &str = "\", error_description=\"";

/// Room for a usual body, in bytes; more is found when it is needed.
const BODY_USUAL: usize = 384;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::Algorithm;

    fn policy(disclosure: Disclosure) -> RefusalPolicy {
        RefusalPolicy::new("email", None, None, disclosure)
    }

    #[test]
    fn each_scheme_that_is_taken_has_a_challenge_with_its_own_errors() {
        let algorithms = [Algorithm::Es256, Algorithm::Ed25519];
        let both = policy(Disclosure::Reason).with_dpop(&algorithms, true);
        let alone = policy(Disclosure::Reason).with_dpop(&algorithms, false);
        let challenges = |reason, policy: &RefusalPolicy| {
            let answer = ErrorResponse::new(&Rejection::new(reason, "why"), policy, "r1", false).unwrap();
            let fields = answer.head.headers.get_all("www-authenticate").iter();
            fields.map(|field| field.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let bearer = "Bearer realm=\"email\"";
        let dpop = "DPoP realm=\"email\", algs=\"ES256 Ed25519 EdDSA\"";
        let with = |scheme: &str, error: &str, word: &str| {
            format!("{scheme}, error=\"{error}\", error_description=\"{word}\"")
        };
        assert_eq!(challenges(Reason::TokenMissing, &both), [bearer, dpop]);
        assert_eq!(challenges(Reason::TokenMissing, &alone), [dpop]);
        let expired = |scheme| with(scheme, "invalid_token", "token_expired");
        assert_eq!(challenges(Reason::TokenExpired, &both), [expired(bearer), expired(dpop)]);
        for (reason, error) in [
            (Reason::ProofMissing, "invalid_dpop_proof"),
            (Reason::ProofInvalid, "invalid_dpop_proof"),
            (Reason::ProofExpired, "invalid_dpop_proof"),
            (Reason::ProofReplayed, "invalid_dpop_proof"),
            (Reason::ProofNonceWanted, "use_dpop_nonce"),
        ] {
            let proof = with(dpop, error, reason.as_str());
            assert_eq!(challenges(reason, &both), [bearer, &proof]);
            assert_eq!(challenges(reason, &alone), [proof]);
        }
        assert!(challenges(Reason::ProofUncheckable, &both).is_empty(), "that is no fault of the caller's");
    }

    fn header(answer: &ErrorResponse, name: &str) -> Option<String> {
        let head = &answer.head;
        assert!(head.headers.get_all(name).iter().count() < 2, "{name}");
        head.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_missing_token_is_asked_for_without_an_error() {
        let answer = ErrorResponse::new(
            &Rejection::new(Reason::TokenMissing, "send one"),
            &policy(Disclosure::Full),
            "r1",
            false,
        )
        .unwrap();
        assert_eq!(answer.head.status, 401);
        assert_eq!(header(&answer, "www-authenticate").as_deref(), Some("Bearer realm=\"email\""));
        assert_eq!(header(&answer, "cache-control").as_deref(), Some("no-store"));
        assert_eq!(header(&answer, "retry-after"), None);
    }

    #[test]
    fn a_failed_token_is_answered_with_its_reason_everywhere() {
        let answer = ErrorResponse::new(
            &Rejection::new(Reason::TokenExpired, "since 'long'"),
            &policy(Disclosure::Full),
            "r1",
            false,
        )
        .unwrap();
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
    fn a_challenge_names_the_field_if_it_is_not_authorization() {
        let other = RefusalPolicy::new("email", Some("Txn-Token"), None, Disclosure::Full);
        for (reason, wanted) in [
            (Reason::TokenMissing, "Bearer realm=\"email\", header=\"Txn-Token\""),
            (
                Reason::TokenExpired,
                "Bearer realm=\"email\", header=\"Txn-Token\", error=\"invalid_token\", \
                 error_description=\"token_expired: why\"",
            ),
        ] {
            let answer = ErrorResponse::new(&Rejection::new(reason, "why"), &other, "r1", false).unwrap();
            assert_eq!(header(&answer, "www-authenticate").as_deref(), Some(wanted));
        }
    }

    #[test]
    fn a_challenge_names_the_metadata_of_the_resource_if_there_is_one() {
        let url = "https://mail.example/.well-known/oauth-protected-resource";
        let told = RefusalPolicy::new("em\"ai\\l", None, Some(url), Disclosure::Bare);
        let challenge = format!("Bearer realm=\"email\", resource_metadata=\"{url}\"");
        for (reason, wanted) in [
            (Reason::TokenMissing, Some(challenge.clone())),
            (Reason::TokenExpired, Some(format!("{challenge}, error=\"invalid_token\""))),
            (Reason::KeysUnavailable, None),
        ] {
            let answer = ErrorResponse::new(&Rejection::new(reason, "why"), &told, "r1", false).unwrap();
            assert_eq!(header(&answer, "www-authenticate"), wanted);
        }
    }

    #[test]
    fn missing_keys_are_our_fault_and_worth_another_try() {
        let answer = ErrorResponse::new(
            &Rejection::new(Reason::KeysUnavailable, "later"),
            &policy(Disclosure::Full),
            "r1",
            false,
        )
        .unwrap();
        assert_eq!(answer.head.status, 503);
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
            let answer = ErrorResponse::new(&rejection, &policy(Disclosure::Full), "r1", false)
                .unwrap()
                .for_grpc(&rejection, Disclosure::Full)
                .unwrap();
            assert_eq!(answer.head.status, 200);
            assert_eq!(header(&answer, "content-type").as_deref(), Some("application/grpc"));
            assert_eq!(header(&answer, "grpc-status").as_deref(), Some(status));
            assert_eq!(header(&answer, "grpc-message").as_deref(), Some(format!("{reason}: 100%25 sure").as_str()));
            assert!(answer.body.is_empty());
        }
    }

    #[test]
    fn a_response_tells_as_much_as_it_may_and_always_the_status_and_the_request() {
        let rejection = Rejection::new(Reason::TokenExpired, "since 'long'");
        let refused = |disclosure| ErrorResponse::new(&rejection, &policy(disclosure), "r1", false).unwrap();
        for (disclosure, challenge, message, wanted) in [
            (
                Disclosure::Reason,
                "Bearer realm=\"email\", error=\"invalid_token\", error_description=\"token_expired\"",
                Some("token_expired"),
                serde_json::json!({
                    "type": "urn:callgate:reason:token_expired",
                    "title": "The token has expired",
                    "status": 401,
                    "reason": "token_expired",
                    "request_id": "r1",
                }),
            ),
            (
                Disclosure::Bare,
                "Bearer realm=\"email\", error=\"invalid_token\"",
                None,
                serde_json::json!({"type": "about:blank", "title": "Unauthorized", "status": 401, "request_id": "r1"}),
            ),
        ] {
            let response = refused(disclosure);
            assert_eq!(header(&response, "www-authenticate").as_deref(), Some(challenge));
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&response.body).unwrap(), wanted);
            let grpc = refused(disclosure).for_grpc(&rejection, disclosure).unwrap();
            assert_eq!(header(&grpc, "grpc-message").as_deref(), message);
            assert_eq!(header(&grpc, "grpc-status").as_deref(), Some("16"));
        }
    }
}
