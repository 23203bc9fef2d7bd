//! The proof. [`verify`] is the only place where a [`Verified`] is made: the algorithm is allowed, the key is of its kind, the
//! signature holds, and every check of [`super::claims::CHECKS`] passes, in this order.

use super::algorithm::Algorithm;
use super::claims::{CHECKS, Requirement, Round, time};
use super::json::Value;
use super::parse::Unverified;
use super::signature::PublicKey;
use crate::clock::UnixTime;
use crate::rejection::{Reason, Rejection};

/// A token whose signature and claims are proven. It has no other constructor than [`verify`].
pub struct Verified<'v> {
    token: &'v Unverified<'v>,
    algorithm: Algorithm,
    expires: UnixTime,
}

/// Judges a well-formed token by what its issuer's tokens must fulfil, with one of that issuer's keys.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify<'v>(
    token: &'v Unverified<'v>,
    asked: &Requirement,
    key: &PublicKey,
    now: UnixTime,
) -> Result<Verified<'v>, Rejection> {
    let algorithm = asked.algorithm(token)?;
    key.verify(algorithm, token.signing_input.as_bytes(), token.signature).map_err(|_| {
        Rejection::new(Reason::SignatureInvalid, "the signature was not made with the issuer's key over this token")
    })?;
    for check in &CHECKS {
        check.judge(asked, token, now)?;
    }
    let expires = time(&token.claims, "exp", Round::Down)?
        .ok_or_else(|| Rejection::new(Reason::ClaimMissing, "the token has no exp claim"))?;
    Ok(Verified { token, algorithm, expires })
}

impl<'v> Verified<'v> {
    /// A claim.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&'v Value<'v>> {
        self.token.claims.get(name)
    }

    /// The algorithm of its signature.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// When it expires, without leeway.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }
}
