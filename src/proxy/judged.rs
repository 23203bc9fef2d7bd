//! A request that was judged at the door, on its way to the filters. The judgement holds for what it was made of and nothing else:
//! should Pingora have read another request out of the same bytes, the request is refused.

use super::exchange::Exchange;
use crate::rejection::{Reason, Rejection};
use crate::request::{Authorization, RequestHead};

/// A request that may pass if it is the one that was judged.
pub struct Judged {
    exchange: Exchange,
    method: Box<str>,
    path: Option<Box<str>>,
    /// The lines of `Authorization`: none, one, or several, which are not kept.
    authorization: Option<Option<Box<[u8]>>>,
}

impl Judged {
    /// Keeps what a judgement was made of.
    pub fn new(exchange: Exchange, head: &RequestHead<'_>) -> Self {
        let authorization = match head.authorization {
            Authorization::Absent => None,
            Authorization::One(value) => Some(Some(value.into())),
            Authorization::Several => Some(None),
        };
        Self { exchange, method: head.method.into(), path: head.path.map(Into::into), authorization }
    }

    /// Whether another head would be judged alike, whatever the judgement.
    fn is_about(&self, head: &RequestHead<'_>) -> bool {
        let authorization = match &self.authorization {
            None => Authorization::Absent,
            Some(Some(value)) => Authorization::One(value),
            Some(None) => Authorization::Several,
        };
        *head == RequestHead { method: &self.method, path: self.path.as_deref(), authorization }
    }

    /// The request as it stands, and whether it may pass.
    pub fn take_up(self, head: &RequestHead<'_>) -> (Exchange, Result<(), Rejection>) {
        let detail = "the request's head can be read in two ways";
        let passes = if self.is_about(head) { Ok(()) } else { Err(Rejection::new(Reason::RequestMalformed, detail)) };
        (self.exchange, passes)
    }
}
