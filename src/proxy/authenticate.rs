//! Judging a request, before Pingora has read it or after: the core decides about its token, and what it cannot decide for want of
//! keys waits for them a bounded time. Here also stands what a refusal leads to, an answer or a report.

use std::time::Duration;

use pingora::proxy::Session;
use tokio::time::Instant;

use super::admission::{judge_http2, judge_length};
use super::context::RequestContext;
use super::head::{RequestSummary, content_length, request_head};
use super::stream_info::StreamInfo;
use super::{Gate, Policy, now};
use crate::audit::Verdict;
use crate::authenticator::Decision;
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
        let (decision, took) = decide(head, &ctx.policy).await;
        ctx.decided();
        match decision {
            Decision::Forward(accepted, proof) => ctx.accept(accepted, proof, took),
            Decision::Pass => ctx.verdict = Verdict::Pass,
            Decision::Reject(refused) => {
                ctx.refused = refused.facts;
                if ctx.policy.modes.of(head, ctx.refused.issuer) == Mode::Enforce {
                    return Err(refused.rejection);
                }
                ctx.reason = Some(refused.rejection.reason());
                ctx.verdict = Verdict::WouldReject;
                ctx.claimed_caller = ctx.policy.authenticator.claimed_caller(head);
            }
        }
        judge_length(length, &ctx.policy.limits)
    }

    /// Judges a request that nobody has judged before Pingora read it.
    pub async fn judge_within(&self, session: &Session, ctx: &mut RequestContext) -> Result<(), Rejection> {
        let header = session.req_header();
        let client = StreamInfo::client_of(session);
        ctx.begin_record(&RequestSummary::from_pingora(header), client);
        let has_too_many_fields = StreamInfo::of(session).is_some_and(|info| info.has_too_many_fields());
        judge_http2(header, has_too_many_fields, &ctx.policy.limits)?;
        self.judge(&request_head(header), content_length(header), ctx).await
    }
}

/// Decides about a request, and again whenever fresher keys came that could change the answer, within the time that a
/// request may wait for them. It also says how long the last decision itself took.
async fn decide(head: &RequestHead<'_>, policy: &Policy) -> (Decision, Duration) {
    let latest = Instant::now() + policy.limits.key_wait;
    loop {
        let since = Instant::now();
        let decision = policy.authenticator.decide(head, now());
        let took = since.elapsed();
        let Decision::Reject(refused) = &decision else { return (decision, took) };
        let Some(issuer) = refused.keys_wanted else { return (decision, took) };
        let left = latest.saturating_duration_since(Instant::now());
        let kid = refused.facts.kid.as_deref();
        match (policy.refresher.fresher(issuer, kid, since, left).await, decision) {
            (Freshness::Changed, _) => {}
            (Freshness::Failed { .. } | Freshness::TimedOut, Decision::Reject(refused)) => {
                return (Decision::Reject(policy.authenticator.unsettled(refused)), took);
            }
            (_, decision) => return (decision, took),
        }
    }
}
