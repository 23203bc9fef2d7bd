//! What a protected route asks of a token, and one check for each thing asked. The checks are a list, so that the verifier
//! and an explanation walk the same one. A [`Requirement`] has no switch that turns a check off.

use std::time::Duration;

use super::algorithm::Algorithm;
use super::json::{Number, Object, Value};
use super::parse::{Unverified, algorithm_refused};
use crate::clock::UnixTime;
use crate::rejection::{Reason, Rejection, quoted};

/// What a token of one issuer must fulfil. Its lists are never empty.
#[derive(Clone, Debug)]
pub struct Requirement {
    issuer: String,
    audiences: Vec<String>,
    algorithms: Vec<Algorithm>,
    /// Media types as [`media_type`] writes them; empty means [`TYPES`].
    types: Vec<String>,
    leeway: Duration,
    max_lifetime: Option<Duration>,
    max_age: Option<Duration>,
    required: Vec<(String, Exact)>,
}

/// A value that a required claim must have exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exact {
    Bool(bool),
    Integer(i64),
    String(String),
}

/// A list of a [`Requirement`] that would have been empty, and so would have accepted nothing or anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} must not be empty")]
pub struct EmptyList(pub &'static str);

impl Requirement {
    /// A token signed by `issuer` with one of `algorithms`, for one of `audiences`.
    ///
    /// # Errors
    /// If the issuer's name or one of the lists is empty, or an audience is.
    pub fn new(issuer: String, audiences: Vec<String>, algorithms: Vec<Algorithm>) -> Result<Self, EmptyList> {
        if issuer.is_empty() {
            return Err(EmptyList("issuer"));
        }
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err(EmptyList("audiences"));
        }
        if algorithms.is_empty() {
            return Err(EmptyList("algorithms"));
        }
        Ok(Self {
            issuer,
            audiences,
            algorithms,
            types: Vec::new(),
            leeway: Duration::ZERO,
            max_lifetime: None,
            max_age: None,
            required: Vec::new(),
        })
    }

    /// Allows clocks to differ by this much, at most [`LEEWAY_MAX`] (RFC 7519 §4.1.4).
    #[must_use]
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway.min(LEEWAY_MAX);
        self
    }

    /// Refuses tokens made to live longer than this from `iat` to `exp`, and those without `iat`.
    #[must_use]
    pub const fn with_max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.max_lifetime = Some(max_lifetime);
        self
    }

    /// Refuses tokens issued longer ago than this, and those without `iat`.
    #[must_use]
    pub const fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Demands one of these `typ` values, and so that there is one. An empty list changes nothing.
    #[must_use]
    pub fn with_types(mut self, types: &[String]) -> Self {
        self.types = types.iter().map(|typ| media_type(typ)).collect();
        self
    }

    /// Demands these claims with exactly these values.
    #[must_use]
    pub fn with_required(mut self, required: Vec<(String, Exact)>) -> Self {
        self.required = required;
        self
    }

    /// The issuer's name, compared exactly (RFC 7519 §4.1.1).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The names this service answers to; a token must be for one of them.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.audiences
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

    /// The algorithm that the token names, if it is allowed (RFC 8725 §3.1).
    ///
    /// # Errors
    /// `algorithm_refused`.
    pub fn algorithm(&self, token: &Unverified<'_>) -> Result<Algorithm, Rejection> {
        Algorithm::from_name(token.alg())
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or_else(|| algorithm_refused(token.alg(), &self.algorithms))
    }
}

/// One thing that is asked of a token whose signature holds.
pub struct Check {
    /// What is checked, as an explanation names it.
    pub name: &'static str,
    /// The header member or claim it looks at.
    pub member: &'static str,
    judge: fn(&Requirement, &Unverified<'_>, UnixTime) -> Result<(), Rejection>,
}

impl Check {
    /// Judges a token. Only `verify` may draw a conclusion from it: here nothing says that the signature holds.
    pub(super) fn judge(&self, asked: &Requirement, token: &Unverified<'_>, now: UnixTime) -> Result<(), Rejection> {
        (self.judge)(asked, token, now)
    }
}

/// Every check, in the order in which a token meets them.
pub const CHECKS: [Check; 9] = [
    Check { name: "issuer", member: "iss", judge: issuer },
    Check { name: "type", member: "typ", judge: typ },
    Check { name: "audience", member: "aud", judge: audience },
    Check { name: "expiry", member: "exp", judge: expiry },
    Check { name: "not before", member: "nbf", judge: not_before },
    Check { name: "issued at", member: "iat", judge: issued_at },
    Check { name: "lifetime", member: "iat", judge: lifetime },
    Check { name: "age", member: "iat", judge: age },
    Check { name: "required claims", member: "", judge: required },
];

fn issuer(asked: &Requirement, token: &Unverified<'_>, _: UnixTime) -> Result<(), Rejection> {
    token.match_issuer([asked.issuer()].into_iter()).map(drop)
}

/// RFC 8725 §3.11. Without a configured list a token may leave `typ` out or use one of [`TYPES`].
fn typ(asked: &Requirement, token: &Unverified<'_>, _: UnixTime) -> Result<(), Rejection> {
    let found = token.header.typ.as_deref();
    let normal = found.map(media_type);
    let accepted = match &normal {
        None => asked.types.is_empty(),
        Some(normal) if asked.types.is_empty() => TYPES.contains(&normal.as_str()),
        Some(normal) => asked.types.contains(normal),
    };
    if accepted {
        return Ok(());
    }
    let wanted = if asked.types.is_empty() { TYPES.join(" or ") } else { asked.types.join(" or ") };
    let found = found.map_or_else(|| "missing".to_owned(), quoted);
    Err(Rejection::new(Reason::TypeRefused, format!("typ is {found}; this issuer's tokens must have {wanted}")))
}

/// RFC 7519 §4.1.3: a string or a list of strings, one of which must be ours.
fn audience(asked: &Requirement, token: &Unverified<'_>, _: UnixTime) -> Result<(), Rejection> {
    let invalid = || Rejection::new(Reason::ClaimInvalid, "aud must be a string or a list of strings");
    let found: Vec<&str> = match token.claims.get("aud") {
        None => return Err(missing("aud")),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(invalid)?,
        Some(_) => return Err(invalid()),
    };
    if found.iter().any(|name| asked.audiences.iter().any(|ours| ours == name)) {
        return Ok(());
    }
    let shown: Vec<_> = found.iter().take(3).map(|name| quoted(name)).collect();
    let more = if found.len() > 3 { ", ..." } else { "" };
    let wanted: Vec<_> = asked.audiences.iter().map(|name| quoted(name)).collect();
    let detail = format!("aud is {}{more}; this service is {}", shown.join(", "), wanted.join(" or "));
    Err(Rejection::new(Reason::AudienceMismatch, detail))
}

/// RFC 7519 §4.1.4: refused on and after `exp`, which is required.
fn expiry(asked: &Requirement, token: &Unverified<'_>, now: UnixTime) -> Result<(), Rejection> {
    let exp = time(&token.claims, "exp", Round::Down)?.ok_or_else(|| missing("exp"))?;
    if now < exp.plus(asked.leeway) {
        return Ok(());
    }
    let detail = format!(
        "the token expired {} ago, at {exp} (now {now}, leeway {}); get a new one before each expiry",
        brief(now.since(exp)),
        brief(asked.leeway)
    );
    Err(Rejection::new(Reason::TokenExpired, detail))
}

/// RFC 7519 §4.1.5.
fn not_before(asked: &Requirement, token: &Unverified<'_>, now: UnixTime) -> Result<(), Rejection> {
    match time(&token.claims, "nbf", Round::Up)? {
        Some(nbf) => not_in_future("nbf", nbf, asked, now),
        None => Ok(()),
    }
}

/// RFC 7519 §4.1.6 asks nothing of `iat`; a token from the future was made by a wrong clock or a wrong hand.
fn issued_at(asked: &Requirement, token: &Unverified<'_>, now: UnixTime) -> Result<(), Rejection> {
    match time(&token.claims, "iat", Round::Up)? {
        Some(iat) => not_in_future("iat", iat, asked, now),
        None => Ok(()),
    }
}

fn not_in_future(name: &str, start: UnixTime, asked: &Requirement, now: UnixTime) -> Result<(), Rejection> {
    if start <= now.plus(asked.leeway) {
        return Ok(());
    }
    let detail = format!(
        "{name} is {start}, {} from now (now {now}, leeway {}); compare the clocks of issuer and sidecar",
        brief(start.since(now)),
        brief(asked.leeway)
    );
    Err(Rejection::new(Reason::TokenNotYetValid, detail))
}

fn lifetime(asked: &Requirement, token: &Unverified<'_>, _: UnixTime) -> Result<(), Rejection> {
    let Some(longest) = asked.max_lifetime else { return Ok(()) };
    let iat = time(&token.claims, "iat", Round::Down)?.ok_or_else(|| missing("iat"))?;
    let exp = time(&token.claims, "exp", Round::Up)?.ok_or_else(|| missing("exp"))?;
    let lifetime = exp.since(iat);
    if lifetime <= longest {
        return Ok(());
    }
    let detail = format!("the token lives {} from iat to exp; at most {} is accepted", brief(lifetime), brief(longest));
    Err(Rejection::new(Reason::LifetimeExceeded, detail))
}

fn age(asked: &Requirement, token: &Unverified<'_>, now: UnixTime) -> Result<(), Rejection> {
    let Some(oldest) = asked.max_age else { return Ok(()) };
    let iat = time(&token.claims, "iat", Round::Down)?.ok_or_else(|| missing("iat"))?;
    if now < iat.plus(oldest).plus(asked.leeway) {
        return Ok(());
    }
    let detail =
        format!("the token was issued {} ago, at {iat}; at most {} is accepted", brief(now.since(iat)), brief(oldest));
    Err(Rejection::new(Reason::TokenExpired, detail))
}

fn required(asked: &Requirement, token: &Unverified<'_>, _: UnixTime) -> Result<(), Rejection> {
    for (name, wanted) in &asked.required {
        let found = token.claims.get(name).ok_or_else(|| missing(name))?;
        if !wanted.equals(found) {
            let detail = format!("the claim {} must be {wanted}", quoted(name));
            return Err(Rejection::new(Reason::ClaimInvalid, detail));
        }
    }
    Ok(())
}

impl Exact {
    /// Equal in type and value: `1`, `1.0`, `"1"` and `true` are four different things.
    fn equals(&self, found: &Value<'_>) -> bool {
        match (self, found) {
            (Self::Bool(wanted), Value::Bool(found)) => wanted == found,
            (Self::Integer(wanted), Value::Number(Number::Unsigned(found))) => u64::try_from(*wanted) == Ok(*found),
            (Self::Integer(wanted), Value::Number(Number::Negative(found))) => wanted == found,
            (Self::String(wanted), Value::String(found)) => wanted == found,
            _ => false,
        }
    }
}

impl std::fmt::Display for Exact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::String(value) => f.write_str(&quoted(value)),
        }
    }
}

/// Which way a fraction of a second is rounded: always the one that refuses more.
#[derive(Clone, Copy)]
pub(super) enum Round {
    Down,
    Up,
}

/// A NumericDate claim (RFC 7519 §2), from 1970 to 9999.
///
/// # Errors
/// `claim_invalid` if it is there and is anything else.
pub(super) fn time(claims: &Object<'_>, name: &str, round: Round) -> Result<Option<UnixTime>, Rejection> {
    let invalid = |detail| Err(Rejection::new(Reason::ClaimInvalid, detail));
    let out_of_range =
        || format!("{name} must be a number of seconds from 1970 to the year 9999; milliseconds are too large");
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(Number::Unsigned(secs))) if *secs <= UnixTime::MAX.as_secs() => {
            Ok(Some(UnixTime::from_secs(*secs)))
        }
        Some(Value::Number(Number::Float(secs))) => {
            let whole = match round {
                Round::Down => secs.floor(),
                Round::Up => secs.ceil(),
            };
            // The bound keeps the conversion exact: the range lies far below 2^53.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            if (0.0..=UnixTime::MAX.as_secs() as f64).contains(&whole) {
                Ok(Some(UnixTime::from_secs(whole as u64)))
            } else {
                invalid(out_of_range())
            }
        }
        Some(Value::Number(_)) => invalid(out_of_range()),
        Some(other) => invalid(format!("{name} must be a number, and is {}", other.type_name())),
    }
}

/// A `typ` value as it is compared: media types ignore case, and `application/` may be left out (RFC 7515 §4.1.9).
fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
}

fn missing(claim: &str) -> Rejection {
    Rejection::new(Reason::ClaimMissing, format!("the token has no {} claim", quoted(claim)))
}

/// A duration in its largest whole unit, with the next one: `37s`, `4m 5s`, `2h 3m`, `9d 1h`.
fn brief(duration: Duration) -> String {
    let secs = duration.as_secs();
    let units = [(86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")];
    for (unit, name, next, next_name) in units {
        if secs >= unit {
            let rest = secs % unit / next;
            let tail = if rest == 0 { String::new() } else { format!(" {rest}{next_name}") };
            return format!("{}{name}{tail}", secs / unit);
        }
    }
    format!("{secs}s")
}

/// The longest leeway that can be configured.
pub const LEEWAY_MAX: Duration = Duration::from_secs(300);

/// The `typ` values accepted where the configuration names none: a generic JWT (RFC 7519 §5.1) and an access token
/// (RFC 9068 §2.1). Others (`logout+jwt`, `dpop+jwt`, `secevent+jwt`, …) are made for something else.
pub const TYPES: [&str; 2] = ["jwt", "at+jwt"];

#[cfg(test)]
mod tests;
