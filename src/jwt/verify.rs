//! The proof. [`verify`] is the only place where a [`Verified`] is made: the algorithm is allowed, the key is of its kind, the
//! signature holds, and every check of [`super::claims`] passes, in this order.

use super::claims::{CHECKS, Case, Finding, Round, Validity, time};

pub(crate) use super::claims::{confirmation, workload_key};

use super::parse::Unverified;
use super::signature::PublicKey;
use crate::algorithm::Algorithm;
use crate::clock::UnixTime;
use crate::json::Object;
use crate::rejection::{Reason, Rejection, quoted};
use crate::requirement::Requirement;

/// A token whose signature and claims are proven. It has no other constructor than [`verify`].
pub struct Verified<'v> {
    token: &'v Unverified<'v>,
    algorithm: Algorithm,
    expires: UnixTime,
    validity: Validity,
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
    let algorithm = allowed_algorithm(token, asked)?;
    key.verify(algorithm, token.signing_input.as_bytes(), token.signature).map_err(|_| {
        Rejection::new(Reason::SignatureInvalid, "the signature was not made with the issuer's key over this token")
    })?;
    let case = Case { asked, token, now };
    for check in &CHECKS {
        check.pass(&case)?;
    }
    // The checks demand an `exp`; were that ever lost, a token without one would be refused here.
    let missing = || Rejection::new(Reason::ClaimMissing, "the token has no exp claim");
    let expires = time(&token.claims, "exp", Round::Down).ok().flatten().ok_or_else(missing)?;
    let validity = case.validity().map_err(|_| missing())?;
    Ok(Verified { token, algorithm, expires, validity })
}

/// The algorithm that the token names, if its issuer's tokens may use it (RFC 8725 §3.1).
///
/// # Errors
/// `algorithm_refused`.
pub fn allowed_algorithm(token: &Unverified<'_>, asked: &Requirement) -> Result<Algorithm, Rejection> {
    Algorithm::from_name(token.alg()).filter(|algorithm| asked.algorithms().contains(algorithm)).ok_or_else(|| {
        let allowed: Vec<_> = asked.algorithms().iter().map(|algorithm| algorithm.name()).collect();
        let detail = format!("alg is {}; this issuer's tokens must use {}", quoted(token.alg()), allowed.join(" or "));
        Rejection::new(Reason::AlgorithmRefused, detail)
    })
}

/// What each check of [`verify`] after the signature wants and finds, in its order. It proves nothing: the signature may be
/// anybody's.
pub fn findings<'f>(
    token: &'f Unverified<'f>,
    asked: &'f Requirement,
    now: UnixTime,
) -> impl Iterator<Item = Finding> + 'f {
    let case = Case { asked, token, now };
    CHECKS.iter().map(move |check| check.explain(&case))
}

impl<'v> Verified<'v> {
    /// The claims.
    #[must_use]
    pub const fn claims(&self) -> &'v Object<'v> {
        &self.token.claims
    }

    /// The algorithm of its signature.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// When it is good by its own word, leeway included. Nothing else about it depends on a clock.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// When it expires, without leeway.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }
}
