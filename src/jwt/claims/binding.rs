//! `cnf` (RFC 7800): what a token is bound to, and whether such a token may pass. The proof itself is the authenticator's to ask for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::algorithm::Algorithm;
use crate::confirmation::{CertificateHash, Confirmation, KeyThumbprint};
use crate::json::{Object, Value};
use crate::rejection::{Reason, quoted};
use crate::requirement::Binding;

/// RFC 7800 §3: whoever presents a token with `cnf` must prove to have a key. Any `cnf` counts, also `null` or one with an unknown
/// method: what it was meant to bind is lost if the token passes without a look at it.
///
/// A workload identity token is never a bearer token, and always bound to a key that it holds (draft-ietf-wimse-workload-creds §5.1).
/// Whether that is a sound one is found out where it is used.
pub(super) fn judge(asked: Binding, claims: &Object<'_>, is_workload_token: bool) -> Result<(), Reason> {
    if is_workload_token {
        return match claims.get("cnf") {
            None => Err(Reason::TokenUnbound),
            Some(_) => workload_key(claims).map(drop).ok_or(Reason::ClaimInvalid),
        };
    }
    match claims.get("cnf") {
        None => asked.bearer.then_some(()).ok_or(Reason::TokenUnbound),
        Some(_) => confirmation(claims).filter(|bound| asked.accepts(bound)).map(drop).ok_or(Reason::TokenBound),
    }
}

/// What a token with these claims is bound to, if that is all it is bound to: a second method could ask for a proof that nobody looks
/// at.
pub(crate) fn confirmation(claims: &Object<'_>) -> Option<Confirmation> {
    let Some(Value::Object(methods)) = claims.get("cnf") else { return None };
    if methods.members().count() != 1 {
        return None;
    }
    let hash = |name: &str| URL_SAFE_NO_PAD.decode(methods.text(name)?).ok()?.try_into().ok();
    let certificate = hash("x5t#S256").map(|hash| Confirmation::Certificate(CertificateHash(hash)));
    certificate.or_else(|| hash("jkt").map(|hash| Confirmation::DpopKey(KeyThumbprint(hash))))
}

/// The key that a workload identity token with these claims holds, with the algorithm that it must say: the name of a digital signature,
/// so neither `none` nor one of a shared secret or of encryption. It is a key alone, for the reason of [`confirmation`].
pub(crate) fn workload_key<'c, 'a>(claims: &'c Object<'a>) -> Option<(&'c Object<'a>, Algorithm)> {
    let Some(Value::Object(methods)) = claims.get("cnf") else { return None };
    let (1, Some(Value::Object(jwk))) = (methods.members().count(), methods.get("jwk")) else { return None };
    Some((jwk, jwk.text("alg").and_then(Algorithm::from_name)?))
}

pub(super) fn wanted(asked: Binding, is_workload_token: bool) -> String {
    if is_workload_token {
        return "an object with 'jwk' alone, a public key whose 'alg' names a digital signature".into();
    }
    let certificate = "an object with 'x5t#S256' alone, the SHA-256 of the client's certificate in base64url";
    let key = "an object with 'jkt' alone, the thumbprint of the client's key in base64url";
    let good = [(asked.bearer, "missing"), (asked.certificate, certificate), (asked.dpop, key)];
    good.iter().filter(|(is_good, _)| *is_good).map(|(_, text)| *text).collect::<Vec<_>>().join(", or ")
}

/// The confirmation methods: `jkt` tells a DPoP key (RFC 9449 §6.1), `x5t#S256` a certificate (RFC 8705 §3.1).
pub(super) fn found(claims: &Object<'_>) -> Option<String> {
    let Some(Value::Object(methods)) = claims.get("cnf") else { return None };
    let shown: Vec<_> = methods.members().take(METHODS_SHOWN).map(|(name, _)| quoted(name)).collect();
    (!shown.is_empty()).then(|| format!("an object with {}", shown.join(", ")))
}

/// How many confirmation methods of a bound token are named.
const METHODS_SHOWN: usize = 3;
