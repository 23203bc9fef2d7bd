//! `cnf` (RFC 7800): what a token is bound to, and whether such a token may pass. The proof itself is the authenticator's to ask for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::jwt::json::{Object, Value};
use crate::rejection::{Reason, quoted};
use crate::request::CertificateHash;
use crate::requirement::Binding;

/// RFC 7800 §3: whoever presents a token with `cnf` must prove to have a key. Any `cnf` counts, also `null` or one with an unknown
/// method: what it was meant to bind is lost if the token passes without a look at it.
pub(super) fn judge(asked: Binding, claims: &Object<'_>) -> Result<(), Reason> {
    match claims.get("cnf") {
        None => asked.bearer.then_some(()).ok_or(Reason::TokenUnbound),
        Some(_) => bound_certificate(claims).filter(|_| asked.certificate).map(drop).ok_or(Reason::TokenBound),
    }
}

/// The certificate to which a token with these claims is bound (RFC 8705 §3.1), if that is all it is bound to: a second method
/// could ask for a proof that nobody looks at.
pub(crate) fn bound_certificate(claims: &Object<'_>) -> Option<CertificateHash> {
    let Some(Value::Object(methods)) = claims.get("cnf") else { return None };
    let hash = methods.text("x5t#S256").filter(|_| methods.members().count() == 1)?;
    URL_SAFE_NO_PAD.decode(hash).ok()?.try_into().ok().map(CertificateHash)
}

pub(super) fn wanted(asked: Binding) -> String {
    let certificate = "an object with 'x5t#S256' alone, the SHA-256 of the client's certificate in base64url";
    let good = [(asked.bearer, "missing"), (asked.certificate, certificate)];
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
