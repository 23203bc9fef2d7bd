//! Authenticating a request: the core decides about its token, and what it cannot decide for want of keys waits for them a bounded
//! time. Here also stands what a refusal leads to, an answer or a report.

use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use tokio::time::Instant;

use super::admission::{InFlightLimit, share_without_caller};
use super::context::RequestContext;
use super::policy::Policy;
use crate::authenticator::{Decision, Refused, Unclaimed};
use crate::clock::UnixTime;
use crate::confirmation::CertificateHash;
use crate::http1::target::origin_path;
use crate::issuers::IssuerIndex;
use crate::jwks_refresh::Freshness;
use crate::mode::Mode;
use crate::proof::replay::SpendError;
use crate::rejection::Rejection;
use crate::request::{Fields, RequestHead, SingletonField};

/// Authenticates a request by its head, the very one that is forwarded. It has a place among those in progress, and
/// without a proven caller one among those that have none.
///
/// # Errors
/// Why it is refused.
pub(super) async fn authenticate(
    session: &mut Session,
    ctx: &mut RequestContext,
    in_flight: &InFlightLimit,
    without_caller: &InFlightLimit,
) -> Result<(), Rejection> {
    let requests = ctx.policy.limits.requests;
    ctx.permit = Some(in_flight.enter(requests)?);
    let latest = Instant::now() + ctx.policy.limits.key_wait;
    let (decision, took) = loop {
        let missing = match look(&request_head(session, ctx), &ctx.policy, SystemTime::now().into()) {
            Ok(decided) => break decided,
            Err(missing) => missing,
        };
        // A request that waits for keys has a place among those that do, and none among those in progress.
        ctx.permit = None;
        let freshness = tokio::select! {
            freshness = missing.wait(&ctx.policy, latest) => freshness,
            // Nobody waits for the response any more.
            () = client_left(session) => Freshness::TimedOut,
        };
        if let Some(decided) = missing.settle(&ctx.policy, freshness) {
            break decided;
        }
    };
    let decision = match decision {
        Decision::Claim(unclaimed) => {
            // Nor has one that waits for the store.
            ctx.permit = None;
            claim(*unclaimed, &ctx.policy).await
        }
        decision => decision,
    };
    ctx.record.decided();
    match decision {
        Decision::Forward(accepted, cache_status) => ctx.record.accept(accepted, cache_status, took),
        Decision::Pass => {
            ctx.share = Some(without_caller.enter(share_without_caller(&ctx.policy.limits))?);
            ctx.record.pass();
        }
        Decision::Reject(refused) => {
            let head = request_head(session, ctx);
            ctx.record.set_refused_token(refused.facts);
            if ctx.policy.modes.of(&head, ctx.record.refused_issuer()) == Mode::Enforce {
                return Err(refused.rejection);
            }
            ctx.share = Some(without_caller.enter(share_without_caller(&ctx.policy.limits))?);
            ctx.record.would_reject(refused.rejection.reason());
        }
        // It is settled above, and fails closed here.
        Decision::Claim(_) => return Err(SpendError::Unanswered.into()),
    }
    if ctx.permit.is_none() {
        ctx.permit = Some(in_flight.enter(requests)?);
    }
    Ok(())
}

/// Asks the store whether a request's proof was shown to another instance, within the store's bound.
async fn claim(unclaimed: Unclaimed, policy: &Policy) -> Decision {
    let answer = match &policy.replay_store {
        Some(store) => store.claim(unclaimed.claim()).await,
        None => Err(SpendError::Unanswered),
    };
    unclaimed.settle(answer)
}

/// Returns once the client has reset the stream of HTTP/2 that this request is, or left the connection of HTTP/1.
async fn client_left(session: &mut Session) {
    let session = session.as_downstream_mut();
    if !session.is_http2() {
        drop(session.read_body_or_idle(true).await);
    } else if let Some(closed) = session.watch_h2_stream_close() {
        drop(closed.await);
    }
}

/// What decides about a request: parts of its head, with the field that carries the token and the proof if one is asked for, and what
/// the client has shown when it opened the connection.
fn request_head<'s>(session: &'s Session, ctx: &RequestContext) -> RequestHead<'s> {
    let policy = &ctx.policy;
    let header = session.req_header();
    let lines = |name: &str| SingletonField::from_lines(header.headers.get_all(name).iter().map(HeaderValue::as_bytes));
    let hops = policy.certificate_hops.as_ref().filter(|hops| hops.include(ctx.peer_ip()));
    let certificate = match hops {
        // What such a proxy shows itself is not its client's.
        Some(hops) => hops.certificate(lines(hops.field_name())),
        None => shown_certificate(session),
    };
    let field = policy.authenticator.token_field();
    let proof = if field.takes_dpop() { lines(PROOF.as_str()) } else { SingletonField::Absent };
    let fields = field.takes_workload().then_some(header as &dyn Fields);
    RequestHead { certificate, proof, fields, ..head_parts(header, &policy.token_header) }
}

impl Fields for RequestHeader {
    fn field(&self, name: &str) -> SingletonField<'_> {
        SingletonField::from_lines(self.headers.get_all(name).iter().map(HeaderValue::as_bytes))
    }
}

/// The certificate that the peer showed when it opened the connection. Pingora gives its SHA-256, and nothing if there is none. A
/// resumed session has it from the first one.
fn shown_certificate(session: &Session) -> Option<CertificateHash> {
    let tls = session.digest()?.ssl_digest.as_ref()?;
    tls.cert_digest.as_slice().try_into().ok().map(CertificateHash)
}

fn head_parts<'h>(header: &'h RequestHeader, token: &HeaderName) -> RequestHead<'h> {
    let lines = header.headers.get_all(token).iter().map(HeaderValue::as_bytes);
    RequestHead {
        method: header.method.as_str(),
        path: origin_path(header.raw_path()),
        authorization: SingletonField::from_lines(lines),
        proof: SingletonField::Absent,
        certificate: None,
        fields: None,
    }
}

/// The field that carries a proof (RFC 9449 §4).
pub(super) const PROOF: HeaderName = HeaderName::from_static("dpop");

/// A decision that fresher keys could change.
pub(crate) struct MissingKey {
    issuer: IssuerIndex,
    refused: Refused,
    /// When the decision was begun, and how long it took.
    since: Instant,
    took: Duration,
}

/// Decides about a request with the keys that are there. It also says how long that took.
pub(crate) fn look(
    head: &RequestHead<'_>,
    policy: &Policy,
    now: UnixTime,
) -> Result<(Decision, Duration), Box<MissingKey>> {
    let since = Instant::now();
    let decision = policy.authenticator.decide(head, now);
    let took = since.elapsed();
    match decision {
        Decision::Reject(refused) => match refused.keys_wanted {
            Some(issuer) => Err(Box::new(MissingKey { issuer, refused, since, took })),
            None => Ok((Decision::Reject(refused), took)),
        },
        decision => Ok((decision, took)),
    }
}

impl MissingKey {
    /// Waits for fresher keys within the time that a request may wait for them.
    pub(crate) async fn wait(&self, policy: &Policy, latest: Instant) -> Freshness {
        let left = latest.saturating_duration_since(Instant::now());
        policy.refresher.fresher(self.issuer, self.refused.facts.kid.as_deref(), self.since, left).await
    }

    /// What is decided after the wait; `None` if it must be decided again.
    pub(crate) fn settle(self, policy: &Policy, freshness: Freshness) -> Option<(Decision, Duration)> {
        let refused = match freshness {
            Freshness::Changed => return None,
            Freshness::Failed { .. } | Freshness::RoomFull { .. } | Freshness::TimedOut => {
                policy.authenticator.unsettled(self.refused)
            }
            Freshness::TooSoon { .. } | Freshness::Unchanged => self.refused,
        };
        Some((Decision::Reject(refused), self.took))
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn a_second_authorization_field_is_noticed() {
        let mut header = RequestHeader::build_no_case("GET", b"/", None).unwrap();
        assert!(matches!(head_parts(&header, &AUTHORIZATION).authorization, SingletonField::Absent));
        header.append_header("Authorization", "Bearer a").unwrap();
        assert!(matches!(head_parts(&header, &AUTHORIZATION).authorization, SingletonField::One(b"Bearer a")));
        header.append_header("authorization", "Bearer b").unwrap();
        assert!(matches!(head_parts(&header, &AUTHORIZATION).authorization, SingletonField::Several));
    }

    #[test]
    fn no_other_field_is_read_than_the_one_that_carries_the_token() {
        let other = HeaderName::from_static("x-service-authorization");
        let mut header = RequestHeader::build_no_case("GET", b"/", None).unwrap();
        header.append_header("Authorization", "Bearer user").unwrap();
        header.append_header("X_Service_Authorization", "Bearer disguise").unwrap();
        assert!(matches!(head_parts(&header, &other).authorization, SingletonField::Absent));
        header.append_header("X-Service-AUTHORIZATION", "Bearer a").unwrap();
        assert!(matches!(head_parts(&header, &other).authorization, SingletonField::One(b"Bearer a")));
        header.append_header("x-service-authorization", "Bearer b").unwrap();
        assert!(matches!(head_parts(&header, &other).authorization, SingletonField::Several));
    }

    #[test]
    fn only_a_target_in_origin_form_has_a_path_that_a_rule_may_name() {
        for (target, path) in
            [("/a?b", Some("/a")), ("http://h/a?b", None), ("http://h", None), ("*", None), ("//a", Some("//a"))]
        {
            let header = RequestHeader::build_no_case("OPTIONS", target.as_bytes(), None).unwrap();
            assert_eq!(head_parts(&header, &AUTHORIZATION).path, path, "{target}");
        }
    }
}
