//! What a protected route asks of a token of one issuer. Its lists are never empty and it has no switch that turns a check
//! off: what it does not say is not a wider acceptance, but the default that `jwt::claims` applies.

use std::fmt;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::confirmation::Confirmation;
use crate::rejection::quoted;

/// What a token of one issuer must fulfil.
#[derive(Clone, Debug)]
pub struct Requirement {
    pub(crate) issuer: String,
    /// The SPIFFE trust domain of `sub` by which its tokens are found, instead of `iss`.
    pub(crate) trust_domain: Option<String>,
    pub(crate) audiences: Vec<String>,
    /// The claim that stands for the audience; `None` is `aud` itself.
    pub(crate) audience_claim: Option<String>,
    pub(crate) subject: Subject,
    pub(crate) algorithms: Vec<Algorithm>,
    /// Empty means the default, `TYPES`.
    pub(crate) types: Vec<String>,
    pub(crate) leeway: Duration,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) required: Vec<(String, Exact)>,
    pub(crate) binding: Binding,
}

/// Which tokens pass by what they are bound to (RFC 7800).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Whether those pass that are bound to a certificate (RFC 8705 §3), with it.
    pub certificate: bool,
    /// Whether those pass that are bound to a key (RFC 9449 §6), with a proof of it.
    pub dpop: bool,
    /// Whether workload identity tokens pass, with a proof of their key (draft-ietf-wimse-wpt).
    pub wimse: bool,
    /// Whether those pass that are bound to nothing.
    pub bearer: bool,
}

impl Default for Binding {
    /// Bearer tokens alone.
    fn default() -> Self {
        Self { certificate: false, dpop: false, wimse: false, bearer: true }
    }
}

impl Binding {
    /// Whether none passes but what is bound to a key by DPoP.
    #[must_use]
    pub const fn is_dpop_alone(self) -> bool {
        self.dpop && !self.certificate && !self.wimse && !self.bearer
    }

    /// Whether any token passes that is bound to something.
    #[must_use]
    pub const fn allows_bound(self) -> bool {
        self.certificate || self.dpop || self.wimse
    }

    /// Whether a token passes that is bound to this, with its proof.
    #[must_use]
    pub const fn accepts(self, confirmation: &Confirmation) -> bool {
        match confirmation {
            Confirmation::Certificate(_) => self.certificate,
            Confirmation::DpopKey(_) => self.dpop,
            Confirmation::WorkloadKey(_) => self.wimse,
        }
    }
}

/// What `sub` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A string, if it is there (RFC 7519 §4.1.2).
    Text,
    /// A number or `null` too: there are issuers that write database keys into it. Another claim names the caller.
    NumberToo,
}

/// A value that a required claim must have exactly, in type and value: `1`, `1.0`, `"1"` and `true` are four different things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exact {
    /// Any value but `null`.
    Any,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent.
    Integer(i64),
    /// Compared byte by byte.
    String(String),
}

/// A list of a [`Requirement`] that would have been empty, and so would have accepted nothing or anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} must not be empty")]
pub struct EmptyListError(pub &'static str);

impl Requirement {
    /// A token signed by `issuer` with one of `algorithms`, for one of `audiences`.
    ///
    /// # Errors
    /// If the issuer's name or one of the lists is empty, or an audience is.
    pub fn new(issuer: String, audiences: Vec<String>, algorithms: Vec<Algorithm>) -> Result<Self, EmptyListError> {
        if issuer.is_empty() {
            return Err(EmptyListError("issuer"));
        }
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err(EmptyListError("audiences"));
        }
        if algorithms.is_empty() {
            return Err(EmptyListError("algorithms"));
        }
        let (types, required) = (Vec::new(), Vec::new());
        let (leeway, max_lifetime, max_age) = (Duration::ZERO, None, None);
        let (trust_domain, audience_claim, subject) = (None, None, Subject::Text);
        Ok(Self {
            issuer,
            trust_domain,
            audiences,
            audience_claim,
            subject,
            algorithms,
            types,
            leeway,
            max_lifetime,
            max_age,
            required,
            binding: Binding::default(),
        })
    }

    /// A token of a SPIFFE trust domain, whatever its `iss`: whose token it is, is said by the trust domain of `sub` alone.
    ///
    /// # Errors
    /// As [`Self::new`], whose issuer is then the domain's own SPIFFE ID.
    pub fn of_trust_domain(
        domain: &str,
        audiences: Vec<String>,
        algorithms: Vec<Algorithm>,
    ) -> Result<Self, EmptyListError> {
        let name = [SPIFFE, domain].concat();
        Ok(Self { trust_domain: Some(domain.to_owned()), ..Self::new(name, audiences, algorithms)? })
    }

    /// Reads the audience in this claim, for issuers that write no `aud`. An `aud` that is there must still hold one of the names.
    #[must_use]
    pub fn with_audience_claim(self, claim: String) -> Self {
        Self { audience_claim: Some(claim), ..self }
    }

    /// Says what `sub` may be.
    #[must_use]
    pub fn with_subject(self, subject: Subject) -> Self {
        Self { subject, ..self }
    }

    /// Allows clocks to differ by this much, at most [`LEEWAY_MAX`] (RFC 7519 §4.1.4).
    #[must_use]
    pub fn with_leeway(self, leeway: Duration) -> Self {
        Self { leeway: leeway.min(LEEWAY_MAX), ..self }
    }

    /// Refuses tokens made to live longer than this from `iat` to `exp`, and those without `iat`.
    #[must_use]
    pub fn with_max_lifetime(self, max_lifetime: Duration) -> Self {
        Self { max_lifetime: Some(max_lifetime), ..self }
    }

    /// Refuses tokens issued longer ago than this, and those without `iat`.
    #[must_use]
    pub fn with_max_age(self, max_age: Duration) -> Self {
        Self { max_age: Some(max_age), ..self }
    }

    /// Demands one of these `typ` values, and so that there is one. An empty list changes nothing.
    #[must_use]
    pub fn with_types(self, types: &[String]) -> Self {
        Self { types: types.to_vec(), ..self }
    }

    /// Demands these claims with exactly these values.
    #[must_use]
    pub fn with_required(self, required: Vec<(String, Exact)>) -> Self {
        Self { required, ..self }
    }

    /// Says which tokens pass by what they are bound to.
    #[must_use]
    pub fn with_binding(self, binding: Binding) -> Self {
        Self { binding, ..self }
    }

    /// Which tokens pass by what they are bound to.
    #[must_use]
    pub const fn binding(&self) -> Binding {
        self.binding
    }

    /// The trust domain by which its tokens are found, if not by `iss`.
    #[must_use]
    pub fn trust_domain(&self) -> Option<&str> {
        self.trust_domain.as_deref()
    }

    /// The issuer's name, compared exactly (RFC 7519 §4.1.1). That of a trust domain is its SPIFFE ID, and compared with nothing.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The names this service answers to; a token must be for one of them.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// The claim that stands for the audience, if it is not `aud`.
    #[must_use]
    pub fn audience_claim(&self) -> Option<&str> {
        self.audience_claim.as_deref()
    }

    /// The allowed algorithms.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// By how much clocks may differ.
    #[must_use]
    pub const fn leeway(&self) -> Duration {
        self.leeway
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::String(value) => f.write_str(&quoted(value)),
        }
    }
}

/// The trust domain of a SPIFFE ID (SPIFFE-ID §2): what stands between the scheme and the path. Nothing is folded or decoded.
pub(crate) fn trust_domain(id: &str) -> Option<&str> {
    let rest = id.strip_prefix(SPIFFE)?;
    Some(rest.split_once('/').map_or(rest, |(domain, _)| domain))
}

const SPIFFE: &str = "spiffe://";

/// The trust domain of a workload identifier (draft-ietf-wimse-identifier): the authority of a URI of any scheme, such as `spiffe` or
/// `wimse`. `None` if it is no such URI: one has a name of a host for its authority, neither query nor fragment, and a bounded length.
pub(crate) fn workload_trust_domain(id: &str) -> Option<&str> {
    let (scheme, rest) = id.split_once("://")?;
    let (domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_path = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>?[\\]^`{|}".contains(&byte);
    let is_sound = is_scheme && !domain.is_empty() && domain.bytes().all(is_name) && path.bytes().all(is_path);
    (is_sound && id.len() <= WORKLOAD_ID_MAX).then_some(domain)
}

/// The longest workload identifier, in bytes; a SPIFFE ID has no more (SPIFFE-ID §2.3).
const WORKLOAD_ID_MAX: usize = 2048;

/// The `typ` of a workload identity token (draft-ietf-wimse-workload-creds §5.1).
pub(crate) const WORKLOAD_TOKEN_TYPE: &str = "wit+jwt";

/// Whether two `typ` values name one media type: they ignore case, and `application/` may be left out (RFC 7515 §4.1.9).
pub(crate) fn same_media_type(one: &str, other: &str) -> bool {
    subtype(one).eq_ignore_ascii_case(subtype(other))
}

fn subtype(typ: &str) -> &str {
    match typ.split_at_checked("application/".len()) {
        Some((prefix, subtype)) if prefix.eq_ignore_ascii_case("application/") => subtype,
        _ => typ,
    }
}

/// The longest leeway that can be configured.
pub const LEEWAY_MAX: Duration = Duration::from_secs(300);
