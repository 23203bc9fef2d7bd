//! A request that was judged at the door, on its way to the filters. The judgement holds for what it was made of and nothing else:
//! should Pingora have read another request out of the same bytes, the request is refused.

use super::context::RequestContext;
use crate::audit::Verdict;
use crate::rejection::{Reason, Rejection};
use crate::request::{Authorization, RequestHead};

/// A request that may pass if it is the one that was judged.
pub struct Judged {
    ctx: RequestContext,
    verdict: Verdict,
    reason: Option<Reason>,
    grounds: Grounds,
}

/// What a judgement was made of.
struct Grounds {
    method: Box<str>,
    path: Option<Box<str>>,
    /// The lines of `Authorization`: none, one, or several, which are not kept.
    authorization: Option<Option<Box<[u8]>>>,
}

impl Judged {
    /// A request that was judged by this head. Until it is taken up it counts as malformed: it comes to its end before that only if
    /// Pingora cannot read it.
    pub fn by(head: &RequestHead<'_>, mut ctx: RequestContext) -> Self {
        let verdict = std::mem::replace(&mut ctx.verdict, Verdict::Reject);
        let reason = ctx.reason.replace(Reason::RequestMalformed);
        Self { ctx, verdict, reason, grounds: Grounds::of(head) }
    }

    /// The request as it stands, and whether it may pass with the head that was read.
    pub fn take_up(self, head: &RequestHead<'_>) -> (RequestContext, Result<(), Rejection>) {
        let Self { mut ctx, verdict, reason, grounds } = self;
        if !grounds.are_of(head) {
            let detail = "the request's head can be read in two ways";
            return (ctx, Err(Rejection::new(Reason::RequestMalformed, detail)));
        }
        (ctx.verdict, ctx.reason) = (verdict, reason);
        (ctx, Ok(()))
    }
}

impl Grounds {
    fn of(head: &RequestHead<'_>) -> Self {
        let authorization = match head.authorization {
            Authorization::Absent => None,
            Authorization::One(value) => Some(Some(value.into())),
            Authorization::Several => Some(None),
        };
        Self { method: head.method.into(), path: head.path.map(Into::into), authorization }
    }

    fn are_of(&self, head: &RequestHead<'_>) -> bool {
        let authorization = match &self.authorization {
            None => Authorization::Absent,
            Some(Some(value)) => Authorization::One(value),
            Some(None) => Authorization::Several,
        };
        *head == RequestHead { method: &self.method, path: self.path.as_deref(), authorization }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judgement_holds_for_the_head_it_was_made_of_and_for_no_other() {
        let heads: Vec<_> = ["POST", "post"]
            .into_iter()
            .flat_map(|method| [None, Some("/send"), Some("/send/")].map(|path| (method, path)))
            .flat_map(|(method, path)| {
                let values = [&b""[..], b"Bearer a", b"Bearer b"].map(Authorization::One);
                let all = [Authorization::Absent, Authorization::Several].into_iter().chain(values);
                all.map(move |authorization| RequestHead { method, path, authorization })
            })
            .collect();
        for (judged, head) in heads.iter().enumerate() {
            let grounds = Grounds::of(head);
            for (read, head) in heads.iter().enumerate() {
                assert_eq!(grounds.are_of(head), read == judged, "{read} {judged}");
            }
        }
    }
}
