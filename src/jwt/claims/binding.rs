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
    let is_proof_accepted = || asked.certificate && bound_certificate(claims).is_some();
    match claims.get("cnf") {
        None if !asked.bearer => Err(Reason::TokenUnbound),
        Some(_) if !is_proof_accepted() => Err(Reason::TokenBound),
        _ => Ok(()),
    }
}

/// The certificate to which a token with these claims is bound (RFC 8705 §3.1), if that is all it is bound to: a second method
/// could ask for a proof that nobody looks at.
pub(crate) fn bound_certificate(claims: &Object<'_>) -> Option<CertificateHash> {
    let Some(Value::Object(methods)) = claims.get("cnf") else { return None };
    if methods.members().count() != 1 {
        return None;
    }
    let hash = URL_SAFE_NO_PAD.decode(methods.text("x5t#S256")?).ok()?;
    hash.try_into().ok().map(CertificateHash)
}

pub(super) fn wanted(asked: Binding) -> String {
    let bound = "an object with 'x5t#S256' alone, the SHA-256 of the client's certificate in base64url";
    match (asked.certificate, asked.bearer) {
        (false, _) => "missing".to_owned(),
        (true, false) => bound.to_owned(),
        (true, true) => format!("missing, or {bound}"),
    }
}

/// The confirmation methods: `jkt` tells a DPoP key (RFC 9449 §6.1), `x5t#S256` a certificate (RFC 8705 §3.1).
pub(super) fn found(claims: &Object<'_>) -> Option<String> {
    let Some(Value::Object(methods)) = claims.get("cnf") else { return None };
    let shown: Vec<_> = methods.members().take(METHODS_SHOWN).map(|(name, _)| quoted(name)).collect();
    (!shown.is_empty()).then(|| format!("an object with {}", shown.join(", ")))
}

/// How many confirmation methods of a bound token are named.
const METHODS_SHOWN: usize = 3;
