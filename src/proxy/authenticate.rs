//! Judging a request, before Pingora has read it or after: the core decides about its token, and what it cannot decide for want of
//! keys waits for them a bounded time. Here also stands what a refusal leads to, an answer or a report.

use std::time::Duration;

use pingora::proxy::Session;
use tokio::time::Instant;

use super::admission::{judge_http2, judge_length, share_without_caller};
use super::context::RequestContext;
use super::head::{RequestSummary, content_length, request_head};
use super::stream_info::StreamInfo;
use super::{Gate, Policy, now};
use crate::audit::Verdict;
use crate::authenticator::{Decision, Refused};
use crate::issuers::IssuerIndex;
use crate::jwks_refresh::Freshness;
use crate::mode::Mode;
use crate::rejection::Rejection;
use crate::request::RequestHead;

impl Gate {
    /// Judges a request by its head, and by the length that its body is said to have. What is not refused here goes on to the
    /// upstream.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn judge(
        &self,
        head: &RequestHead<'_>,
        length: Option<u64>,
        ctx: &mut RequestContext,
    ) -> Result<(), Rejection> {
        ctx.permit = Some(self.in_flight.enter(ctx.policy.limits.requests)?);
        let latest = Instant::now() + ctx.policy.limits.key_wait;
        let (decision, took) = loop {
            let missing = match look(head, &ctx.policy) {
                Ok(decided) => break decided,
                Err(missing) => missing,
            };
            // A request that waits for keys has a place among those that do, and none among those in progress.
            ctx.permit = None;
            let freshness = missing.wait(&ctx.policy, latest).await;
            if let Some(decided) = missing.settle(&ctx.policy, freshness) {
                break decided;
            }
        };
        self.follow(head, length, ctx, decision, took)
    }

    /// Judges a request that nobody has judged before Pingora read it.
    pub async fn judge_within(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<(), Rejection> {
        let header = session.req_header();
        let client = StreamInfo::client_of(session);
        ctx.begin_record(&RequestSummary::from_pingora(header), client);
        let has_too_many_fields = StreamInfo::of(session).is_some_and(|info| info.has_too_many_fields());
        judge_http2(header, has_too_many_fields, &ctx.policy.limits)?;
        ctx.permit = Some(self.in_flight.enter(ctx.policy.limits.requests)?);
        let latest = Instant::now() + ctx.policy.limits.key_wait;
        let (decision, took) = loop {
            let missing = match look(&request_head(session.req_header()), &ctx.policy) {
                Ok(decided) => break decided,
                Err(missing) => missing,
            };
            ctx.permit = None;
            let freshness = tokio::select! {
                freshness = missing.wait(&ctx.policy, latest) => freshness,
                // Nobody waits for the answer any more.
                () = is_reset(session) => Freshness::TimedOut,
            };
            if let Some(decided) = missing.settle(&ctx.policy, freshness) {
                break decided;
            }
        };
        let header = session.req_header();
        self.follow(&request_head(header), content_length(header), ctx, decision, took)
    }

    /// Does what was decided about a request.
    fn follow(
        &self,
        head: &RequestHead<'_>,
        length: Option<u64>,
        ctx: &mut RequestContext,
        decision: Decision,
        took: Duration,
    ) -> Result<(), Rejection> {
        ctx.decided();
        match decision {
            Decision::Forward(accepted, proof) => ctx.accept(accepted, proof, took),
            Decision::Pass => {
                ctx.share = Some(self.without_caller.enter(share_without_caller(&ctx.policy.limits))?);
                ctx.verdict = Verdict::Pass;
            }
            Decision::Reject(refused) => {
                ctx.refused = refused.facts;
                if ctx.policy.modes.of(head, ctx.refused.issuer) == Mode::Enforce {
                    return Err(refused.rejection);
                }
                ctx.share = Some(self.without_caller.enter(share_without_caller(&ctx.policy.limits))?);
                ctx.reason = Some(refused.rejection.reason());
                ctx.verdict = Verdict::WouldReject;
                ctx.claimed_caller = ctx.policy.authenticator.claimed_caller(head);
            }
        }
        if ctx.permit.is_none() {
            ctx.permit = Some(self.in_flight.enter(ctx.policy.limits.requests)?);
        }
        judge_length(length, &ctx.policy.limits)
    }
}

/// Returns once the client has reset the stream of HTTP/2 that this request is.
async fn is_reset(session: &mut Session) {
    match session.as_downstream_mut().watch_h2_stream_close() {
        Some(closed) => drop(closed.await),
        None => std::future::pending().await,
    }
}

/// A decision that fresher keys could change.
struct MissingKey {
    issuer: IssuerIndex,
    refused: Refused,
    /// When the decision was begun, and how long it took.
    since: Instant,
    took: Duration,
}

/// Decides about a request with the keys that are there. It also says how long that took.
fn look(head: &RequestHead<'_>, policy: &Policy) -> Result<(Decision, Duration), MissingKey> {
    let since = Instant::now();
    let decision = policy.authenticator.decide(head, now());
    let took = since.elapsed();
    match decision {
        Decision::Reject(refused) => match refused.keys_wanted {
            Some(issuer) => Err(MissingKey { issuer, refused, since, took }),
            None => Ok((Decision::Reject(refused), took)),
        },
        decision => Ok((decision, took)),
    }
}

impl MissingKey {
    /// Waits for fresher keys within the time that a request may wait for them.
    async fn wait(&self, policy: &Policy, latest: Instant) -> Freshness {
        let left = latest.saturating_duration_since(Instant::now());
        policy.refresher.fresher(self.issuer, self.refused.facts.kid.as_deref(), self.since, left).await
    }

    /// What is decided after the wait; `None` if it must be decided again.
    fn settle(self, policy: &Policy, freshness: Freshness) -> Option<(Decision, Duration)> {
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
