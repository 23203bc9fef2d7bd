//! What is kept of an accepted token: who calls, what is recorded, and everything that the acceptance rests on. It is made once
//! and shared by all requests that show the token.

use std::borrow::Cow;
use std::sync::{Arc, Weak};

use super::possession::Bound;
use crate::algorithm::Algorithm;
use crate::clock::UnixTime;
use crate::confirmation::Confirmation;
use crate::identity::Identity;
use crate::issuers::IssuerIndex;
use crate::jwt::claims::Validity;
use crate::keys::jwks::KeySet;
use crate::revocation::list::Credential;

/// An accepted token: who calls, and until when that is proven.
pub struct Accepted {
    /// Who calls.
    pub identity: Identity,
    /// What the record says of the token.
    pub facts: Facts,
    /// The algorithm of its signature, for which the token may have used a deprecated name.
    pub algorithm: Algorithm,
    /// The token's `exp` plus leeway.
    pub expires: UnixTime,
    /// The token's `iat`, rounded down, if it has one.
    pub issued: Option<UnixTime>,
    pub(super) conditions: CacheConditions,
}

/// What is known of a token for the record. `kid` and `alg` are bounded, and can be written by anybody in a refusal.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Whether it stood in the field of workload identity tokens.
    pub is_workload: bool,
    /// The configured issuer that the token names.
    pub issuer: Option<IssuerIndex>,
    /// The `kid` of the token's header, bounded.
    pub kid: Option<Arc<str>>,
    /// The `alg` of the token's header, bounded.
    pub alg: Option<Cow<'static, str>>,
    /// Who the token says is calling, cleaned and bounded. It proves nothing, and is shown to people who look for a refused caller.
    pub claimed_caller: Option<String>,
    /// The token's `jti`, if it is verified and has a sound one.
    pub jti: Option<Arc<str>>,
    /// Further claims of an accepted token, under the names that the configuration gives them.
    pub claims: Vec<(String, String)>,
}

/// What can change after a token was accepted, while the configuration stays: who shows it, time, its issuer's keys, the
/// deny-list.
pub(super) struct CacheConditions {
    /// What it is bound to: whoever shows it must prove to have that.
    pub bound: Option<Bound>,
    pub validity: Validity,
    /// The key set with the key that verified it. It is only compared: a set that serves no more is let go.
    pub keys: Weak<KeySet>,
    /// By what it can be revoked: the name of that key, where it is another than its own `kid`, and its `kid`, `jti` and
    /// `sub`, all whole.
    pub kids: [Option<Arc<str>>; 2],
    pub jti: Option<Arc<str>>,
    pub sub: Option<Arc<str>>,
}

impl CacheConditions {
    /// What the deny-list is asked about.
    pub(super) fn credential<'c>(&'c self, issuer: &'c str) -> Credential<'c> {
        let [key, own] = &self.kids;
        Credential {
            issuer,
            jti: self.jti.as_deref(),
            kids: [key.as_deref(), own.as_deref()],
            sub: self.sub.as_deref(),
        }
    }
}

impl Accepted {
    /// What the token is bound to. The client has proven to have it.
    #[must_use]
    pub fn confirmation(&self) -> Option<Confirmation> {
        self.conditions.bound.as_ref().map(Bound::confirmation)
    }

    /// The memory that it takes, in bytes, as well as that can be told.
    pub(super) fn size(&self) -> usize {
        let claims = self.facts.claims.iter();
        let claims: usize = claims.map(|(name, value)| name.len() + value.len() + size_of::<(String, String)>()).sum();
        // The facts' kid and jti are shared with these.
        let CacheConditions { bound, kids, jti, sub, .. } = &self.conditions;
        let claimed = self.facts.claimed_caller.as_ref().map_or(0, String::len);
        let conditions: usize = kids.iter().chain([jti, sub]).flatten().map(|name| name.len()).sum();
        let key = bound.as_ref().map_or(0, Bound::size);
        size_of::<Self>() + self.identity.size() + claims + claimed + conditions + key
    }
}
