//! What is asked of every request before its token is looked at: that there is room for it, and that its head is sound. A head of
//! HTTP/1 was read strictly by `http1`; here the same rules hold for HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, UPGRADE};
use http::{HeaderName, Method, Version};
use pingora::http::RequestHeader;

use crate::http1::fields::{disguise, elements};
use crate::http1::head::{is_refused_method, method_refused};
use crate::http1::target;
use crate::limits::Limits;
use crate::rejection::{Reason, Rejection};

/// The requests in progress.
#[derive(Clone, Default)]
pub(super) struct InFlightLimit(Arc<AtomicUsize>);

/// One of them, for as long as it lives.
pub struct InFlight(Arc<AtomicUsize>);

impl InFlightLimit {
    /// A place for one more request, if there are fewer than that.
    ///
    /// # Errors
    /// `overloaded`.
    pub(super) fn enter(&self, limit: usize) -> Result<InFlight, Rejection> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        let permit = InFlight(Arc::clone(&self.0));
        if before < limit {
            return Ok(permit);
        }
        Err(Rejection::new(Reason::Overloaded, "as many requests as this proxy takes are in progress; try again"))
    }
}

/// How many of the requests in progress may be without a proven caller: those of public routes, and those that are only reported.
/// Half, so that they never keep out who shows a token.
pub(super) const fn share_without_caller(limits: &Limits) -> usize {
    limits.requests.div_ceil(2)
}

/// Whether a body comes slower than a request without a proven caller may send it: `grace` for its beginning, and [`BODY_RATE`] from
/// then on. It would keep its place for as long as it likes otherwise.
pub(super) const fn is_body_too_slow(received: u64, since: Duration, grace: Duration) -> bool {
    since.saturating_sub(grace).as_millis() * BODY_RATE > received as u128 * 1000
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The lowest rate of a body, in bytes per second on average.
const BODY_RATE: u128 = 500;

/// Checks the head of a request of HTTP/2, which was never on the wire as text. One that had too many fields has lost them.
///
/// # Errors
/// `method_refused`, `request_malformed` or `head_too_large`.
pub(super) fn check_http2(head: &RequestHeader, has_too_many_fields: bool, limits: &Limits) -> Result<(), Rejection> {
    let malformed = |detail| Err(Rejection::new(Reason::RequestMalformed, detail));
    if head.version != Version::HTTP_2 {
        return Ok(());
    }
    if is_refused_method(head.method.as_str().as_bytes()) {
        return Err(method_refused());
    }
    if has_too_many_fields || head.headers.len() > limits.header_count {
        let detail = format!("the request has more than {} header fields", limits.header_count);
        return Err(Rejection::new(Reason::HeadTooLarge, detail));
    }
    if head.headers.keys().any(|name| disguise(name.as_str().as_bytes()).is_some()) {
        return malformed("a header name could be read as one that frames or addresses the request, and is not it");
    }
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = head.headers.get(HOST).map(http::HeaderValue::as_bytes);
    if !authority.or(host).is_some_and(target::is_host) {
        return malformed("there is no authority, or it is not one host and port");
    }
    let lengths = head.headers.get_all(CONTENT_LENGTH).iter().count();
    if lengths > 1 {
        return malformed("content-length is sent more than once");
    }
    let expects = head.headers.get_all(EXPECT).iter();
    if !expects.map(http::HeaderValue::as_bytes).all(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        return malformed("Expect is not 100-continue");
    }
    let target = head.raw_path();
    let is_path = target.starts_with(b"/") || target == b"*";
    if !is_path || !target::is_sound(target, head.method.as_str().as_bytes()) {
        return malformed("the target is no path, or has bytes that are no part of one");
    }
    Ok(())
}

/// Whether a request asks for a WebSocket, and does so in every way that it must (RFC 6455 §4.1).
pub(super) fn asks_for_websocket(head: &RequestHeader) -> bool {
    let listed = |value: &http::HeaderValue| elements(value.as_bytes()).any(|it| it.eq_ignore_ascii_case(b"upgrade"));
    head.version == Version::HTTP_11
        && head.method == Method::GET
        && head.headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && head.headers.get_all(CONNECTION).iter().any(listed)
}

/// Takes away a wish to change the protocol: the server may ignore it (RFC 9110 §7.8), and then nobody else may see it.
pub(super) fn ignore_upgrade(head: &mut RequestHeader) {
    head.remove_header(&UPGRADE);
    head.remove_header::<HeaderName>(&HeaderName::from_static("http2-settings"));
}

/// Checks the length that a head says its body has.
///
/// # Errors
/// `body_too_large`.
pub(super) fn check_length(head: &RequestHeader, limits: &Limits) -> Result<(), Rejection> {
    let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.body_size) { Err(body_too_large(limits)) } else { Ok(()) }
}

/// The refusal of a body, however its size is known.
pub(super) fn body_too_large(limits: &Limits) -> Rejection {
    Rejection::new(Reason::BodyTooLarge, format!("the request's body has more than {} bytes", limits.body_size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_again_when_one_has_ended() {
        let limit = InFlightLimit::default();
        let first = limit.enter(2).unwrap();
        let _second = limit.enter(2).unwrap();
        assert_eq!(limit.enter(2).err().map(|refused| refused.reason()), Some(Reason::Overloaded));
        drop(first);
        assert!(limit.enter(2).is_ok());
    }

    #[test]
    fn a_body_may_begin_within_its_time_and_must_then_come_at_its_rate() {
        for (received, seconds, is_too_slow) in [
            (0, 30, false),
            (0, 31, true),
            (500, 31, false),
            (499, 31, true),
            (35_000, 100, false),
            (34_999, 100, true),
        ] {
            let (since, grace) = (Duration::from_secs(seconds), Duration::from_secs(30));
            assert_eq!(is_body_too_slow(received, since, grace), is_too_slow, "{received} {seconds}");
        }
    }
}
