//! The decision: one request head and the time in, one [`Decision`] out, from memory alone. It reads top to bottom: find the
//! token, take it apart, find its issuer and key, verify it, name the caller. What fails on the way is a refusal.

mod accepted;
mod cache;
mod decision;
mod doorkeeper;
mod issuer;
mod possession;
mod verification;

use std::borrow::Cow;
use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::clock::UnixTime;
use crate::identity::{CallerRule, Identity};
use crate::issuers::{IssuerIndex, PerIssuer};
use crate::json::{Number, Object, Value};
use crate::jwt::claims::{Round, time};
use crate::jwt::parse::{Parts, Unverified};
use crate::jwt::verify::{Verified, allowed_algorithm};
use crate::proof::ProofVerifier;
use crate::proof::replay::Claim;
use crate::rejection::{Reason, Rejection, quoted};
use crate::request::{RequestHead, TokenField};
use crate::requirement::Requirement;
use crate::revocation::list::{Credential, DenyListSlot};
use crate::route::PublicRoutes;
use crate::token::{Presented, Token, TokenType, presented};

pub use accepted::{Accepted, Facts};
pub use cache::Usage;
pub use decision::{CacheStatus, Decision, Refused, Unclaimed};
pub use issuer::Issuer;

pub(crate) use possession::{Bound, bound_to, prove as prove_possession, workload_request, written as written_hash};
pub(crate) use verification::{keys_unavailable, verify_with_any};

use accepted::CacheConditions;
use cache::TokenCache;
use possession::{expect_form, prove};
use verification::Refusal;

/// Everything that decides about requests, compiled from one configuration and never changed.
pub struct Authenticator {
    issuers: PerIssuer<Issuer>,
    caller: CallerRule,
    public: PublicRoutes,
    revoked: Arc<DenyListSlot>,
    token_field: TokenField,
    token_limit: usize,
    proofs: Option<ProofVerifier>,
    cache: Option<TokenCache>,
}

/// What a verified token says.
struct Proven<'t> {
    token: Token<'t>,
    identity: Identity,
    algorithm: Algorithm,
    expires: UnixTime,
    issued: Option<UnixTime>,
    conditions: CacheConditions,
    claim: Option<Claim>,
}

impl Authenticator {
    /// Trusts these issuers, whose names differ.
    #[must_use]
    pub fn new(
        issuers: impl Into<PerIssuer<Issuer>>,
        caller: CallerRule,
        public: PublicRoutes,
        token_limit: usize,
    ) -> Self {
        let issuers = issuers.into();
        let (revoked, token_field) = (Arc::default(), TokenField::default());
        Self { issuers, caller, public, revoked, token_field, token_limit, proofs: None, cache: None }
    }

    /// Reads the token in this field instead of `Authorization`.
    #[must_use]
    pub fn with_token_field(self, token_field: TokenField) -> Self {
        Self { token_field, ..self }
    }

    /// Takes tokens that are bound to a key, with the proofs that this judges: after the scheme `DPoP`, or those of workloads in their field.
    #[must_use]
    pub fn with_proofs(self, proofs: ProofVerifier) -> Self {
        let token_field = self.token_field;
        let token_field = if proofs.takes_dpop() { token_field.with_dpop() } else { token_field };
        let token_field = if proofs.takes_workload() { token_field.with_workload() } else { token_field };
        Self { token_field, proofs: Some(proofs), ..self }
    }

    /// Refuses what the deny-list in this place revokes.
    #[must_use]
    pub fn with_revocation(self, revoked: Arc<DenyListSlot>) -> Self {
        Self { revoked, ..self }
    }

    /// The same in place.
    pub(crate) fn keep_revocation(&mut self, revoked: &Arc<DenyListSlot>) {
        self.revoked = Arc::clone(revoked);
    }

    /// Remembers accepted tokens that are shown again in so many bytes of memory; none with 0.
    #[must_use]
    pub fn with_cache(self, bytes: u64) -> Self {
        Self { cache: (bytes > 0).then(|| TokenCache::new(bytes)), ..self }
    }

    /// How full the memory of accepted tokens is, if there is one.
    #[must_use]
    pub fn cache_usage(&self) -> Option<Usage> {
        self.cache.as_ref().map(TokenCache::usage)
    }

    /// Empties the memory of accepted tokens, for the day that another configuration replaces this one.
    pub fn forget_tokens(&self) {
        self.cache.iter().for_each(TokenCache::clear);
    }

    /// The trusted issuers, in the order of the configuration.
    #[must_use]
    pub const fn issuers(&self) -> &PerIssuer<Issuer> {
        &self.issuers
    }

    /// The field in which requests carry their token.
    #[must_use]
    pub const fn token_field(&self) -> &TokenField {
        &self.token_field
    }

    /// What judges proofs, if there are any.
    #[must_use]
    pub const fn proofs(&self) -> Option<&ProofVerifier> {
        self.proofs.as_ref()
    }

    /// The longest token that is looked at, in bytes.
    #[must_use]
    pub const fn token_limit(&self) -> usize {
        self.token_limit
    }

    /// The rule by which callers are named.
    #[must_use]
    pub const fn caller_rule(&self) -> &CallerRule {
        &self.caller
    }

    /// The place of the deny-list.
    #[must_use]
    pub const fn revoked(&self) -> &Arc<DenyListSlot> {
        &self.revoked
    }

    /// The trusted issuer that a token claims to come from.
    ///
    /// # Errors
    /// As [`Unverified::match_issuer`].
    pub fn match_issuer(&self, token: &Unverified<'_>) -> Result<IssuerIndex, Rejection> {
        token.match_issuer(&self.issuers, |issuer| &issuer.requirement)
    }

    /// Decides about a request.
    #[must_use]
    pub fn decide(&self, head: &RequestHead<'_>, now: UnixTime) -> Decision {
        if self.public.contains(head) {
            return Decision::Pass;
        }
        let presented = match presented(head, &self.token_field) {
            Ok(presented) => presented,
            Err(rejection) => {
                return Decision::Reject(Refused { rejection, facts: Facts::default(), keys_wanted: None });
            }
        };
        let is_workload = presented.token_type == TokenType::Workload;
        if let Some(accepted) = self.recall(presented.text, now) {
            // Whoever shows it now may be another than before.
            return match prove(accepted.conditions.bound.as_ref(), presented, head, self.proofs.as_ref(), now) {
                Ok(claim) => Decision::accept(accepted, CacheStatus::Hit, claim),
                Err(rejection) => {
                    let facts = Facts { is_workload, ..accepted.facts.clone() };
                    Decision::Reject(Refused { rejection, facts, keys_wanted: None })
                }
            };
        }
        let mut facts = Facts { is_workload, ..Facts::default() };
        match self.verify_token(presented, head, now, &mut facts) {
            Ok(proven) => {
                let (accepted, claim) = self.remember(proven, facts);
                Decision::accept(accepted, CacheStatus::Miss, claim)
            }
            Err(Refusal { rejection, keys_wanted }) => {
                let keys_wanted = facts.issuer.filter(|_| keys_wanted);
                Decision::Reject(Refused { rejection, facts, keys_wanted })
            }
        }
    }

    /// An earlier acceptance of this very token, if all that it rests on still holds.
    fn recall(&self, text: &[u8], now: UnixTime) -> Option<Arc<Accepted>> {
        let cache = self.cache.as_ref()?;
        let accepted = cache.find(text)?;
        if self.still_holds(&accepted, now) {
            return Some(accepted);
        }
        cache.drop(text);
        None
    }

    /// Whether a token that was accepted under this configuration would be accepted again.
    fn still_holds(&self, accepted: &Accepted, now: UnixTime) -> bool {
        let Accepted { facts, conditions, .. } = accepted;
        let Some(issuer) = facts.issuer.and_then(|index| self.issuers.get(index)) else { return false };
        let published = issuer.keys.latest();
        let keys = published.as_ref().and_then(|published| published.usable(now));
        conditions.validity.holds(now)
            && keys.is_some_and(|keys| std::ptr::eq(Arc::as_ptr(keys), conditions.keys.as_ptr()))
            && self.revoked.latest().revokes(&conditions.credential(issuer.requirement.issuer()), now).is_none()
    }

    fn remember(&self, proven: Proven<'_>, facts: Facts) -> (Arc<Accepted>, Option<Claim>) {
        let Proven { token, identity, algorithm, expires, issued, conditions, claim } = proven;
        let accepted = Arc::new(Accepted { identity, facts, algorithm, expires, issued, conditions });
        if let Some(cache) = &self.cache {
            cache.keep(token, &accepted);
        }
        (accepted, claim)
    }

    /// The caller that a token claims to come from, cleaned and at most [`CLAIMED_MAX`] characters long.
    fn claimed_caller(&self, token: &Unverified<'_>, named: Option<&Issuer>) -> Option<String> {
        let naming = named.and_then(|issuer| issuer.naming.as_ref()).unwrap_or(self.caller.naming());
        let shown = |c: char| if c.is_ascii_graphic() && !matches!(c, '"' | '\\') { c } else { '?' };
        let claimed = naming.claimed(token)?;
        let mut cleaned = String::with_capacity(claimed.len().min(CLAIMED_MAX));
        cleaned.extend(claimed.chars().take(CLAIMED_MAX).map(shown));
        Some(cleaned)
    }

    /// The same refusal where the issuer could not be asked for fresher keys: a token of an unknown key may then be good, and
    /// nobody can tell. That is no fault of the caller's.
    #[must_use]
    pub fn unsettled(&self, refused: Refused) -> Refused {
        let issuer = refused.keys_wanted.and_then(|index| self.issuers.get(index));
        let Some(issuer) = issuer.filter(|_| refused.rejection.reason() == Reason::KeyUnknown) else { return refused };
        let issuer = quoted(issuer.requirement.issuer());
        let kid = refused.facts.kid.as_deref();
        let key = kid.map_or_else(|| "a key for the token".into(), |kid| format!("the token's key {}", quoted(kid)));
        let detail = format!(
            "the current key set does not contain {key}, and {issuer} cannot be asked for it at the moment; try again"
        );
        Refused { rejection: Rejection::new(Reason::KeysUnavailable, detail), ..refused }
    }

    fn verify_token<'t>(
        &self,
        presented: Presented<'t>,
        head: &RequestHead<'_>,
        now: UnixTime,
        facts: &mut Facts,
    ) -> Result<Proven<'t>, Refusal> {
        let token = Token::read(presented, &self.token_field, self.token_limit)?;
        let parts = Parts::decode(token.as_str())?;
        let unverified = Unverified::parse(&parts)?;
        let index = self.match_issuer(&unverified);
        let named = index.as_ref().ok().and_then(|index| self.issuers.get(*index));
        facts.claimed_caller = self.claimed_caller(&unverified, named);
        expect_form(presented.token_type, &unverified)?;
        facts.alg = Some(shown_algorithm(unverified.alg()));
        let kid: Option<Arc<str>> = unverified.kid().map(Into::into);
        facts.kid = kid.clone();

        facts.issuer = Some(index?);
        // The index comes from a search through this list.
        let Issuer { requirement, keys, naming, recorded } = named.ok_or_else(Refusal::bug)?;

        // Before the keys: what no key can make good neither waits for one nor asks for a refresh.
        allowed_algorithm(&unverified, requirement)?;
        let published = keys.latest();
        let keys = published.as_ref().and_then(|published| published.usable(now));
        let keys = keys.ok_or_else(|| Refusal::for_keys(keys_unavailable(requirement)))?;
        let (verified, key) = verify_with_any(&unverified, requirement, keys, now)?;
        let jti: Option<Arc<str>> = verified.claims().text("jti").map(Into::into);
        facts.jti = jti.clone().filter(|jti| jti.len() <= JTI_MAX);
        self.refuse_revoked(verified.claims(), [key.kid(), unverified.kid()], requirement, now)?;

        let identity = self.caller.identify(&verified, naming.as_ref())?;
        facts.claims = recorded
            .iter()
            .filter_map(|(name, path)| Some((name.clone(), shown(path.find(verified.claims())?)?)))
            .collect();
        // Last: what would not pass anyway needs no proof, and one that is good is used up.
        let bound = bound_to(verified.claims(), requirement.binding().wimse && unverified.is_workload_token())?;
        let claim = prove(bound.as_ref(), presented, head, self.proofs.as_ref(), now)?;
        let expires = verified.expires().plus(requirement.leeway());
        let conditions = CacheConditions {
            bound,
            validity: verified.validity(),
            keys: Arc::downgrade(keys),
            kids: [key.kid().filter(|kid| unverified.kid() != Some(*kid)).map(Into::into), kid],
            jti,
            sub: subject(verified.claims()).map(Into::into),
        };
        let algorithm = verified.algorithm();
        Ok(Proven { token, identity, algorithm, expires, issued: issued(&verified), conditions, claim })
    }

    /// Refuses a token with these claims if the deny-list does.
    pub(crate) fn refuse_revoked(
        &self,
        claims: &Object<'_>,
        kids: [Option<&str>; 2],
        asked: &Requirement,
        now: UnixTime,
    ) -> Result<(), Rejection> {
        let (jti, sub) = (claims.text("jti"), subject(claims));
        let credential = Credential { issuer: asked.issuer(), jti, kids, sub: sub.as_deref() };
        let Some(member) = self.revoked.latest().revokes(&credential, now) else { return Ok(()) };
        let detail = format!("the token is valid, and revoked here by its {member}; get a new one, or ask why");
        Err(Rejection::new(Reason::TokenRevoked, detail))
    }
}

/// `sub` as the deny-list names it: one that is a whole number, by its digits.
fn subject<'c>(claims: &'c Object<'_>) -> Option<Cow<'c, str>> {
    match claims.get("sub")? {
        Value::Number(Number::Unsigned(number)) => Some(number.to_string().into()),
        Value::Number(Number::Negative(number)) => Some(number.to_string().into()),
        other => other.as_str().map(Cow::Borrowed),
    }
}

/// An `alg` as it is recorded: the token's own word.
fn shown_algorithm(alg: &str) -> Cow<'static, str> {
    let known = Algorithm::from_name(alg).and_then(|known| {
        [Some(known.name()), known.deprecated_name()].into_iter().flatten().find(|name| *name == alg)
    });
    known.map_or_else(|| alg.chars().take(ALG_SHOWN).collect(), Cow::Borrowed)
}

fn issued(token: &Verified<'_>) -> Option<UnixTime> {
    time(token.claims(), "iat", Round::Down).ok().flatten()
}

/// A claim as it is recorded, if it is one short value.
fn shown(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(Number::Negative(value)) => Some(value.to_string()),
        Value::Number(Number::Unsigned(value)) => Some(value.to_string()),
        Value::String(text) if text.len() <= CLAIM_MAX => Some(text.clone().into_owned()),
        _ => None,
    }
}

/// How many characters of an `alg` are recorded; the registered ones have at most 18.
const ALG_SHOWN: usize = 32;

/// How many characters of a claimed caller are shown.
pub const CLAIMED_MAX: usize = 64;

/// The longest text of a claim that is recorded, in bytes.
const CLAIM_MAX: usize = 256;

/// The longest `jti` that is recorded, in bytes.
const JTI_MAX: usize = 256;

#[cfg(test)]
mod tests;
