//! Verifying a token with an issuer's key set: which keys are tried, and what is said if none of them made the signature.

use crate::clock::UnixTime;
use crate::jwt::parse::Unverified;
use crate::jwt::verify::{Verified, allowed_algorithm, verify};
use crate::keys::jwks::{CANDIDATES_MAX, Key, KeySet};
use crate::rejection::{Reason, Rejection, quoted};
use crate::requirement::Requirement;

/// A refusal on the way, and whether fresher keys of the token's issuer could change it.
pub(crate) struct Refusal {
    pub rejection: Rejection,
    pub(super) keys_wanted: bool,
}

/// Tries the keys that the token may have been signed with. The first whose signature holds decides.
pub(crate) fn verify_with_any<'v>(
    token: &'v Unverified<'v>,
    asked: &Requirement,
    keys: &'v KeySet,
    now: UnixTime,
) -> Result<(Verified<'v>, &'v Key), Refusal> {
    let algorithm = allowed_algorithm(token, asked)?;
    let mut refused = None;
    let is_workload_token = token.is_workload_token();
    for key in keys.candidates(token.kid(), algorithm).filter(|key| key.signs(is_workload_token)) {
        match verify(token, asked, key.public(), now) {
            Err(rejection) if rejection.reason() == Reason::SignatureInvalid => refused = Some(rejection),
            Err(rejection) => return Err(rejection.into()),
            Ok(verified) => return Ok((verified, key)),
        }
    }
    let fitting = keys.fitting(token.kid(), algorithm).count();
    if fitting > CANDIDATES_MAX {
        let detail = match token.kid() {
            None => format!(
                "the token needs a kid: it has none, its issuer has {fitting} keys for {algorithm}, and only {CANDIDATES_MAX} are tried"
            ),
            Some(_) => format!(
                "the issuer has {fitting} keys for {algorithm} under the token's kid or without kid, and only {CANDIDATES_MAX} are tried"
            ),
        };
        return Err(Refusal::for_keys(Rejection::new(Reason::SignatureInvalid, detail)));
    }
    let named = token.kid().and_then(|kid| keys.named(kid));
    match (named, token.kid(), refused) {
        (Some(key), Some(kid), None) if !key.signs(is_workload_token) => {
            let detail = format!("the issuer's key {} is for tokens of another kind (use)", quoted(kid));
            Err(Rejection::new(Reason::KeyUnknown, detail).into())
        }
        (Some(key), Some(kid), None) => {
            let detail = format!("key {} is of kind {}, and not for {algorithm}", quoted(kid), key.public().kind());
            Err(Rejection::new(Reason::AlgorithmRefused, detail).into())
        }
        // A token without kid, or keys without: none fits, and a key that is newer than the set may. Even one of the same
        // kid: there are issuers that replace a key under its old name.
        (Some(_), _, Some(rejection)) | (_, None, Some(rejection)) => Err(Refusal::for_keys(rejection)),
        (_, Some(kid), _) if let Some(why) = keys.left_out(kid) => {
            let detail = format!("the issuer's key {} is in its key set and left out here: {why}", quoted(kid));
            Err(Refusal::for_keys(Rejection::new(Reason::KeyUnknown, detail)))
        }
        (_, kid, _) => {
            let which = kid.map_or_else(|| format!("key for {algorithm}"), |kid| format!("key {}", quoted(kid)));
            let detail =
                format!("the issuer's key set has no {which}; was the token signed by this issuer, and lately?");
            Err(Refusal::for_keys(Rejection::new(Reason::KeyUnknown, detail)))
        }
    }
}

pub(crate) fn keys_unavailable(asked: &Requirement) -> Rejection {
    let detail = format!("the keys of {} cannot be fetched at the moment; try again", quoted(asked.issuer()));
    Rejection::new(Reason::KeysUnavailable, detail)
}

impl Refusal {
    /// A refusal that fresher keys could change.
    pub(super) const fn for_keys(rejection: Rejection) -> Self {
        Self { rejection, keys_wanted: true }
    }

    /// For an error of this program: the request is refused, and the record says so.
    pub(super) fn bug() -> Self {
        Rejection::new(Reason::InternalError, "an issuer vanished while its token was judged").into()
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, keys_wanted: false }
    }
}
