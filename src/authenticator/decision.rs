//! What can be decided about a request. One whose proof must be claimed leads to [`Decision::Forward`] by the store's answer alone.

use std::sync::Arc;

use super::accepted::{Accepted, Facts};
use crate::issuers::IssuerIndex;
use crate::proof::replay::{Claim, SpendError};
use crate::rejection::Rejection;

/// What is done with a request.
pub enum Decision {
    /// It goes to the upstream with its caller's name.
    Forward(Arc<Accepted>, CacheStatus),
    /// It goes there once the store that instances share has granted the claim on its proof, and not before.
    Claim(Box<Unclaimed>),
    /// It needs no token and goes to the upstream without a caller's name.
    Pass,
    /// It is answered with a refusal.
    Reject(Refused),
}

/// Whether an accepted token was found in the cache of verified tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheStatus {
    /// The same token was accepted before, and nothing that the acceptance depends on has changed since.
    Hit,
    /// Its signature and claims were verified now.
    Miss,
}

/// A refusal, and whether fresher keys could change it.
pub struct Refused {
    /// What the caller is answered.
    pub rejection: Rejection,
    /// What was learnt of the token before it was refused.
    pub facts: Facts,
    /// The issuer whose current keys do not settle the matter: worth one refresh.
    pub keys_wanted: Option<IssuerIndex>,
}

/// An accepted request whose proof may have been shown to another instance. Nothing can be done with it but to settle that.
pub struct Unclaimed {
    accepted: Arc<Accepted>,
    cache_status: CacheStatus,
    claim: Claim,
}

impl Unclaimed {
    /// What the store is asked.
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Decides about the request by what the store has answered.
    #[must_use]
    pub fn settle(self, answer: Result<(), SpendError>) -> Decision {
        let Self { accepted, cache_status, claim: _ } = self;
        match answer {
            Ok(()) => Decision::Forward(accepted, cache_status),
            Err(error) => {
                let facts = accepted.facts.clone();
                Decision::Reject(Refused { rejection: error.into(), facts, keys_wanted: None })
            }
        }
    }
}

impl Decision {
    /// An accepted request, with what is left to claim for it.
    pub(super) fn accept(accepted: Arc<Accepted>, cache_status: CacheStatus, claim: Option<Claim>) -> Self {
        match claim {
            None => Self::Forward(accepted, cache_status),
            Some(claim) => Self::Claim(Box::new(Unclaimed { accepted, cache_status, claim })),
        }
    }
}
