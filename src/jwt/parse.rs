//! From a token to [`Unverified`]: the compact serialization taken apart (RFC 7515 §7.1) and its JSON read strictly. Nothing
//! is proven here. Outside `jwt` only the header's `alg` and `kid` can be read, the issuer can be matched, never read, and the
//! claimed caller can be shown.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::issuers::{IssuerIndex, PerIssuer};
use crate::json::{Object, Value};
use crate::rejection::nearest_issuer::untrusted;
use crate::rejection::{Reason, Rejection, quoted};
use crate::requirement::{Requirement, WORKLOAD_TOKEN_TYPE, same_media_type, trust_domain, workload_trust_domain};

/// A token's parts: header and payload decoded, the signature found to be base64url. It owns the bytes that an [`Unverified`] borrows.
pub struct Parts<'t> {
    /// Header and payload as they were signed: encoded, with the period between them (RFC 7515 §5.1).
    signing_input: &'t str,
    /// In base64url without padding, as sent.
    signature: &'t str,
    /// Header and payload, one after the other.
    decoded: Vec<u8>,
    header: Range<usize>,
    payload: Range<usize>,
}

/// What a JWS is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// It shows that a client has a key (RFC 9449).
    Proof,
    /// It says who calls (RFC 7519).
    Token,
}

/// Why a text is no compact JWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FormError {
    Encoding(&'static str),
    HeaderTooLong,
    /// How many it has.
    Parts(usize),
}

/// A token that is well formed. Whoever made it may have written anything into it.
pub struct Unverified<'p> {
    pub(super) header: Header<'p>,
    pub(super) claims: Object<'p>,
    pub(super) signing_input: &'p str,
    pub(super) signature: &'p str,
}

/// The members of a JOSE header that are read. `jwk`, `jku`, `x5u` and `x5c` are not: a key never comes from a token.
pub(super) struct Header<'p> {
    pub(super) alg: Cow<'p, str>,
    pub(super) kid: Option<Cow<'p, str>>,
    pub(super) typ: Option<Cow<'p, str>>,
}

/// The longest decoded header, in bytes. Service tokens have `alg`, `kid` and `typ`; a header near this size carries
/// certificates that nobody reads.
pub const HEADER_MAX: usize = 4096;

/// The longest `kid`, in bytes.
pub const KID_MAX: usize = 256;

impl<'t> Parts<'t> {
    /// Splits a token at its periods and decodes each part: base64url without padding, white space or stray bits
    /// (RFC 7515 §2), so that one meaning has one spelling.
    ///
    /// # Errors
    /// `token_malformed`.
    pub fn decode(token: &'t str) -> Result<Self, Rejection> {
        Self::decode_as(Document::Token, token)
    }

    /// The same for a JWS that is for something else.
    ///
    /// # Errors
    /// `token_malformed` or `proof_invalid`.
    #[inline]
    pub fn decode_as(document: Document, token: &'t str) -> Result<Self, Rejection> {
        Self::split_and_decode(token).map_err(|why| document.malformed(why))
    }

    fn split_and_decode(token: &'t str) -> Result<Self, FormError> {
        let (signing_input, [header, payload, signature]) =
            split(token).ok_or_else(|| FormError::Parts(token.split('.').count()))?;
        if header.len() > (HEADER_MAX * 4).div_ceil(3) {
            return Err(FormError::HeaderTooLong);
        }
        let mut decoded = Vec::with_capacity(token.len());
        let mut decode = |part: &str, name| {
            let start = decoded.len();
            match URL_SAFE_NO_PAD.decode_vec(part, &mut decoded) {
                Ok(()) => Ok(start..decoded.len()),
                Err(_) => Err(FormError::Encoding(name)),
            }
        };
        let header = decode(header, "header")?;
        let payload = decode(payload, "payload")?;
        decode(signature, "signature")?;
        Ok(Self { signing_input, signature, decoded, header, payload })
    }

    /// The header as JSON.
    pub(crate) fn header(&self) -> &[u8] {
        self.part(&self.header)
    }

    /// The payload as JSON.
    pub(crate) fn payload(&self) -> &[u8] {
        self.part(&self.payload)
    }

    /// What is signed.
    pub(crate) const fn signing_input(&self) -> &'t str {
        self.signing_input
    }

    /// The signature in base64url.
    pub(crate) const fn signature(&self) -> &'t str {
        self.signature
    }

    /// One of the parts. None lies outside; were that ever lost, it would be empty, which is no part of any good token.
    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.decoded.get(range.clone()).unwrap_or_default()
    }
}

impl Document {
    #[cold]
    fn malformed(self, why: FormError) -> Rejection {
        let (name, reason) = match self {
            Self::Proof => ("proof", Reason::ProofInvalid),
            Self::Token => ("token", Reason::TokenMalformed),
        };
        let detail = match why {
            FormError::Encoding(part) => format!("the {name}'s {part} is not base64url without padding"),
            FormError::HeaderTooLong => format!("the {name}'s header is longer than {HEADER_MAX} bytes"),
            FormError::Parts(5) => {
                format!("the {name} has five parts: it is encrypted (JWE); a signed {name} (JWS) has three")
            }
            FormError::Parts(1) => format!("the {name} has one part; a signed {name} (JWS) has three"),
            FormError::Parts(parts) => format!("the {name} has {parts} parts; a signed {name} (JWS) has three"),
        };
        Rejection::new(reason, detail)
    }
}

/// What is signed, and the parts of a token that has three.
fn split(token: &str) -> Option<(&str, [&str; 3])> {
    let (signing_input, signature) = token.rsplit_once('.')?;
    let (header, payload) = signing_input.split_once('.')?;
    if payload.contains('.') { None } else { Some((signing_input, [header, payload, signature])) }
}

impl<'p> Unverified<'p> {
    /// Reads header and claims.
    ///
    /// # Errors
    /// `token_malformed`, or `critical_header_unsupported` for any `crit` and for `b64` (RFC 7797): no extension is
    /// implemented, so none may be skipped (RFC 7515 §4.1.11).
    pub fn parse(parts: &'p Parts<'_>) -> Result<Self, Rejection> {
        let malformed =
            |part: &str, why| Rejection::new(Reason::TokenMalformed, format!("the token's {part} is refused: {why}"));
        let header = Object::parse(parts.header()).map_err(|why| malformed("header", why))?;
        let header = Header::read(&header)?;
        let claims = Object::parse(parts.payload()).map_err(|why| malformed("payload", why))?;
        Ok(Self { header, claims, signing_input: parts.signing_input, signature: parts.signature })
    }

    /// The header's `alg`. It chooses nothing: the issuer's list and the key decide.
    #[must_use]
    pub fn alg(&self) -> &str {
        &self.header.alg
    }

    /// The header's `kid`, at most [`KID_MAX`] bytes: a hint at which of the issuer's keys to try first.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Whether its `typ` says that it is a workload identity token.
    #[must_use]
    pub fn is_workload_token(&self) -> bool {
        self.header.typ.as_deref().is_some_and(|typ| same_media_type(typ, WORKLOAD_TOKEN_TYPE))
    }

    /// The trust domain that `sub` names: of a workload identity token by a URI of any scheme, else by a SPIFFE ID.
    fn trust_domain(&self) -> Option<&str> {
        let sub = self.claims.text("sub")?;
        if self.is_workload_token() { workload_trust_domain(sub) } else { trust_domain(sub) }
    }

    /// The claims, of which nothing is proven. They decide nothing and must never reach an upstream: they help people to
    /// find out why a token is refused, and whose.
    #[must_use]
    pub const fn unproven_claims(&self) -> &Object<'p> {
        &self.claims
    }

    /// Which of the trusted issuers, of whose tokens `asked` says what they must fulfil, the token claims to come from: whose keys may
    /// be tried. A trust domain is claimed by `sub` and goes first, so that nobody else speaks for it; any other issuer by `iss`. The
    /// claim decides nothing else, because nothing vouches for it yet. After the signature it is compared once more.
    ///
    /// # Errors
    /// `issuer_untrusted` if nobody trusts it, `claim_missing` without `iss`, `claim_invalid` if it is not a string.
    pub fn match_issuer<T>(
        &self,
        trusted: &PerIssuer<T>,
        asked: impl Fn(&T) -> &Requirement,
    ) -> Result<IssuerIndex, Rejection> {
        let by_domain = trusted.iter().any(|issuer| asked(issuer).trust_domain().is_some());
        let domain = if by_domain { self.trust_domain() } else { None };
        if let Some(domain) = domain
            && let Some(index) = trusted.find(|issuer| asked(issuer).trust_domain() == Some(domain))
        {
            return Ok(index);
        }
        let claimed = self.claims.get("iss");
        if let Some(Value::String(claimed)) = claimed
            && let Some(index) = trusted.find(|issuer| {
                let asked = asked(issuer);
                asked.trust_domain().is_none() && asked.issuer() == claimed
            })
        {
            return Ok(index);
        }
        Err(match (domain, claimed) {
            (Some(domain), _) => {
                let detail =
                    format!("the token's sub is of the trust domain {}, which is not trusted here", quoted(domain));
                Rejection::new(Reason::IssuerUntrusted, detail)
            }
            (None, Some(Value::String(claimed))) => {
                let names = trusted.iter().map(&asked).filter(|asked| asked.trust_domain().is_none());
                Rejection::new(Reason::IssuerUntrusted, untrusted(claimed, names.map(Requirement::issuer)))
            }
            (None, Some(other)) => {
                let detail = format!("iss must be a string, and is {}", other.type_name());
                Rejection::new(Reason::ClaimInvalid, detail)
            }
            (None, None) => Rejection::new(Reason::ClaimMissing, "the token has no iss claim"),
        })
    }
}

impl<'p> Header<'p> {
    fn read(header: &Object<'p>) -> Result<Self, Rejection> {
        let malformed = |detail| Rejection::new(Reason::TokenMalformed, detail);
        for extension in ["crit", "b64"] {
            if header.get(extension).is_some() {
                let detail = format!("the token's header has {extension}; no extension of JWS is supported");
                return Err(Rejection::new(Reason::CriticalHeaderUnsupported, detail));
            }
        }
        for foreign in ["zip", "enc"] {
            if header.get(foreign).is_some() {
                return Err(malformed(format!("the token's header has {foreign}, which a signed token (JWS) has not")));
            }
        }
        let text = |name: &str| match header.get(name) {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => {
                Err(malformed(format!("{name} in the token's header must be a string, and is {}", other.type_name())))
            }
            None => Ok(None),
        };
        let kid = text("kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > KID_MAX) {
            return Err(malformed(format!("kid in the token's header is longer than {KID_MAX} bytes")));
        }
        let alg = text("alg")?.ok_or_else(|| malformed("the token's header has no alg".into()))?;
        Ok(Self { alg, kid, typ: text("typ")? })
    }
}

/// The issuer that a token of our own names. Nothing of it is proven, and nothing of it decides: it selects whose keys are tried.
#[must_use]
pub fn issuer_of(token: &str) -> Option<String> {
    let parts = Parts::decode(token).ok()?;
    let token = Unverified::parse(&parts).ok()?;
    token.claims.text("iss").filter(|issuer| !issuer.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
