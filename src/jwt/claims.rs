//! One check for each thing asked of a token, in one list that the verifier and an explanation walk alike. A check judges
//! without words; what was wanted and found is put into words only for a refusal or an explanation.

use super::parse::Unverified;
use crate::clock::{UnixTime, brief};
use crate::json::{Number, Value};
use crate::rejection::{Reason, Rejection, quoted};
use crate::requirement::{
    Exact, Requirement, Subject, WORKLOAD_TOKEN_TYPE, same_media_type, trust_domain, workload_trust_domain,
};

mod binding;
mod times;

pub(crate) use binding::{confirmation, workload_key};
pub(crate) use times::{Round, time};

/// A token, what is asked of it, and when.
pub(super) struct Case<'c> {
    pub(super) asked: &'c Requirement,
    pub(super) token: &'c Unverified<'c>,
    pub(super) now: UnixTime,
}

/// The seconds in which a token is good by its own word: from one on, and before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    from: UnixTime,
    until: UnixTime,
}

/// What one check wanted and found, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is checked.
    pub check: &'static str,
    /// What the issuer's rules ask for, in words.
    pub wanted: String,
    /// What the token has there, in words.
    pub found: String,
    /// The reason with which the check refuses the token, if it does.
    pub refused: Option<Reason>,
}

/// One thing that is asked of a token whose signature holds.
pub(super) struct Check {
    name: &'static str,
    judge: fn(&Case<'_>) -> Result<(), Reason>,
    wanted: fn(&Case<'_>) -> String,
    found: fn(&Case<'_>) -> String,
}

/// Every check, in the order in which a token meets them.
pub(super) const CHECKS: [Check; 12] = [
    Check { name: "iss", judge: issuer, wanted: wanted_issuer, found: found_issuer },
    Check { name: "typ", judge: typ, wanted: wanted_type, found: found_type },
    Check { name: "aud", judge: audience, wanted: wanted_audience, found: found_audience },
    Check { name: "exp", judge: expiry, wanted: wanted_expiry, found: |case| case.describe_time("exp") },
    Check { name: "nbf", judge: not_before, wanted: wanted_start, found: |case| case.describe_time("nbf") },
    Check { name: "iat", judge: issued_at, wanted: wanted_start, found: |case| case.describe_time("iat") },
    Check { name: "lifetime", judge: lifetime, wanted: wanted_lifetime, found: found_lifetime },
    Check { name: "age", judge: age, wanted: wanted_age, found: |case| case.describe_time("iat") },
    Check { name: "sub", judge: subject, wanted: wanted_subject, found: |case| case.describe("sub") },
    Check { name: "jti", judge: token_id, wanted: |_| "a string, if any".into(), found: |case| case.describe("jti") },
    Check { name: "required claims", judge: required, wanted: wanted_required, found: found_required },
    // Last: a proof, where one is accepted, is looked at only for a token that is good in all else.
    Check {
        name: "cnf",
        judge: |case| binding::judge(case.asked.binding, &case.token.claims, case.is_workload_token()),
        wanted: |case| binding::wanted(case.asked.binding, case.is_workload_token()),
        found: |case| binding::found(&case.token.claims).unwrap_or_else(|| case.describe("cnf")),
    },
];

impl Validity {
    /// Whether the token is good then.
    #[must_use]
    pub fn holds(self, now: UnixTime) -> bool {
        self.from <= now && now < self.until
    }
}

impl Check {
    /// Lets a token pass or refuses it. Only `verify` may draw a conclusion from it: nothing here says whose token it is.
    pub(super) fn pass(&self, case: &Case<'_>) -> Result<(), Rejection> {
        (self.judge)(case).map_err(|reason| {
            let what_for = match reason {
                Reason::TokenBound => "the token is bound, and no proof of what it is bound to is accepted here: ",
                Reason::TokenUnbound => "the token is bound to nothing, so that whoever has it could use it: ",
                Reason::TokenNotYetValid => "the token is from the future by this clock: ",
                _ => "",
            };
            let (found, wanted) = ((self.found)(case), (self.wanted)(case));
            Rejection::new(reason, format!("{what_for}{} is {found}; it must be {wanted}", self.name))
        })
    }

    /// Says what the check wants and finds. It proves nothing: the token's signature may be anybody's.
    pub(super) fn explain(&self, case: &Case<'_>) -> Finding {
        let refused = (self.judge)(case).err();
        Finding { check: self.name, wanted: (self.wanted)(case), found: (self.found)(case), refused }
    }
}

/// RFC 7519 §4.1.1: compared as it is, character by character. Of a trust domain's token `sub` says whose it is (JWT-SVID §3.1).
fn issuer(case: &Case<'_>) -> Result<(), Reason> {
    if let Some(domain) = case.asked.trust_domain() {
        let subject = case.text("sub")?.ok_or(Reason::ClaimMissing)?;
        let of = if case.is_workload_token() { workload_trust_domain } else { trust_domain };
        return holds(of(subject) == Some(domain), Reason::IssuerUntrusted);
    }
    let issuer = case.text("iss")?.ok_or(Reason::ClaimMissing)?;
    holds(issuer == case.asked.issuer, Reason::IssuerUntrusted)
}

/// RFC 8725 §3.11. Without a configured list a token may leave `typ` out or use one of [`TYPES`]. The list is not about workload
/// identity tokens: whether they pass is said by the binding.
fn typ(case: &Case<'_>) -> Result<(), Reason> {
    if case.is_workload_token() {
        return Ok(());
    }
    let types = &case.asked.types;
    let accepted = match case.token.header.typ.as_deref() {
        None => types.is_empty(),
        Some(found) if types.is_empty() => TYPES.iter().any(|typ| same_media_type(typ, found)),
        Some(found) => types.iter().any(|typ| same_media_type(typ, found)),
    };
    holds(accepted, Reason::TypeRefused)
}

/// RFC 7519 §4.1.3: a string or a list of strings, one of which must be ours. So must one of `aud` if another claim stands for the
/// audience and `aud` is there all the same: then the token says twice whom it is for.
fn audience(case: &Case<'_>) -> Result<(), Reason> {
    // A workload identity token is for everybody, and its proof for one service. An `aud` that it has all the same counts.
    if case.is_workload_token() {
        return if case.token.claims.get("aud").is_some() { audience_in(case, "aud") } else { Ok(()) };
    }
    let Some(claim) = &case.asked.audience_claim else { return audience_in(case, "aud") };
    audience_in(case, claim)?;
    if case.token.claims.get("aud").is_some() { audience_in(case, "aud") } else { Ok(()) }
}

fn audience_in(case: &Case<'_>, claim: &str) -> Result<(), Reason> {
    let ours = |name: &str| case.asked.audiences.iter().any(|ours| ours == name);
    match case.token.claims.get(claim) {
        None => Err(Reason::ClaimMissing),
        Some(Value::String(name)) => holds(ours(name), Reason::AudienceMismatch),
        Some(Value::Array(names)) if names.iter().all(|name| name.as_str().is_some()) => {
            holds(names.iter().filter_map(Value::as_str).any(ours), Reason::AudienceMismatch)
        }
        Some(_) => Err(Reason::ClaimInvalid),
    }
}

/// RFC 7519 §4.1.4: refused on and after `exp`, which is required.
fn expiry(case: &Case<'_>) -> Result<(), Reason> {
    holds(case.now < case.expires()?, Reason::TokenExpired)
}

/// RFC 7519 §4.1.5.
fn not_before(case: &Case<'_>) -> Result<(), Reason> {
    holds(case.starts("nbf")? <= case.now, Reason::TokenNotYetValid)
}

/// RFC 7519 §4.1.6 asks nothing of `iat`; a token from the future was made by a wrong clock or a wrong hand. The `iat` of a workload
/// identity token must not limit when it is good (WIT-SVID §3.6).
fn issued_at(case: &Case<'_>) -> Result<(), Reason> {
    let starts = case.starts("iat")?;
    holds(starts <= case.now || case.is_workload_token(), Reason::TokenNotYetValid)
}

fn lifetime(case: &Case<'_>) -> Result<(), Reason> {
    let Some(longest) = case.asked.max_lifetime else { return Ok(()) };
    let iat = case.time("iat", Round::Down)?.ok_or(Reason::ClaimMissing)?;
    let exp = case.time("exp", Round::Up)?.ok_or(Reason::ClaimMissing)?;
    holds(exp.since(iat) <= longest, Reason::LifetimeExceeded)
}

fn age(case: &Case<'_>) -> Result<(), Reason> {
    holds(case.now < case.ages()?, Reason::TokenExpired)
}

/// RFC 7519 §4.1.2.
fn subject(case: &Case<'_>) -> Result<(), Reason> {
    if case.is_workload_token() {
        let id = case.text("sub")?.ok_or(Reason::ClaimMissing)?;
        return holds(workload_trust_domain(id).is_some(), Reason::ClaimInvalid);
    }
    match case.token.claims.get("sub") {
        Some(Value::Number(_) | Value::Null) if case.asked.subject == Subject::NumberToo => Ok(()),
        _ => case.text("sub").map(drop),
    }
}

/// RFC 7519 §4.1.7.
fn token_id(case: &Case<'_>) -> Result<(), Reason> {
    case.text("jti").map(drop)
}

fn required(case: &Case<'_>) -> Result<(), Reason> {
    case.asked.required.iter().try_for_each(|(name, wanted)| {
        let found = case.token.claims.get(name).ok_or(Reason::ClaimMissing)?;
        let equal = match (wanted, found) {
            (Exact::Any, Value::Null) => return Err(Reason::ClaimMissing),
            (Exact::Any, _) => true,
            (Exact::Bool(wanted), Value::Bool(found)) => wanted == found,
            (Exact::Integer(wanted), Value::Number(Number::Unsigned(found))) => u64::try_from(*wanted) == Ok(*found),
            (Exact::Integer(wanted), Value::Number(Number::Negative(found))) => wanted == found,
            (Exact::String(wanted), Value::String(found)) => wanted == found,
            _ => false,
        };
        holds(equal, Reason::ClaimInvalid)
    })
}

fn holds(condition: bool, otherwise: Reason) -> Result<(), Reason> {
    if condition { Ok(()) } else { Err(otherwise) }
}

impl Case<'_> {
    /// Whether it is a workload identity token, where such are accepted: other rules hold for some of its claims.
    fn is_workload_token(&self) -> bool {
        self.asked.binding.wimse && self.token.is_workload_token()
    }

    /// A claim that must be a string if it is there.
    fn text(&self, name: &str) -> Result<Option<&str>, Reason> {
        self.token.claims.get(name).map(|value| value.as_str().ok_or(Reason::ClaimInvalid)).transpose()
    }

    fn time(&self, name: &str, round: Round) -> Result<Option<UnixTime>, Reason> {
        time(&self.token.claims, name, round)
    }

    /// From when on `exp` refuses it.
    fn expires(&self) -> Result<UnixTime, Reason> {
        let exp = self.time("exp", Round::Down)?.ok_or(Reason::ClaimMissing)?;
        Ok(exp.plus(self.asked.leeway))
    }

    /// From when on this claim does not refuse it.
    fn starts(&self, name: &str) -> Result<UnixTime, Reason> {
        let start = self.time(name, Round::Up)?;
        Ok(start.map_or(UnixTime::default(), |start| start.minus(self.asked.leeway)))
    }

    /// From when on it is too old.
    fn ages(&self) -> Result<UnixTime, Reason> {
        let Some(oldest) = self.asked.max_age else { return Ok(UnixTime::MAX) };
        let iat = self.time("iat", Round::Down)?.ok_or(Reason::ClaimMissing)?;
        Ok(iat.plus(oldest).plus(self.asked.leeway))
    }

    /// When the checks that look at a clock let it pass, if the others do.
    pub(super) fn validity(&self) -> Result<Validity, Reason> {
        let issued = if self.is_workload_token() { UnixTime::default() } else { self.starts("iat")? };
        let from = self.starts("nbf")?.max(issued);
        Ok(Validity { from, until: self.expires()?.min(self.ages()?) })
    }

    fn describe(&self, claim: &str) -> String {
        self.token.claims.get(claim).map_or_else(|| "missing".to_owned(), Value::describe)
    }

    fn describe_time(&self, claim: &str) -> String {
        match self.time(claim, Round::Down) {
            Ok(Some(time)) if time > self.now => format!("{time}, in {}", brief(time.since(self.now))),
            Ok(Some(time)) => format!("{time}, {} ago", brief(self.now.since(time))),
            _ => self.describe(claim),
        }
    }
}

fn wanted_issuer(case: &Case<'_>) -> String {
    match case.asked.trust_domain() {
        Some(domain) => format!("anything, with a sub of the trust domain {}", quoted(domain)),
        None => quoted(&case.asked.issuer),
    }
}

fn found_issuer(case: &Case<'_>) -> String {
    match case.asked.trust_domain() {
        Some(_) => format!("{}, with the sub {}", case.describe("iss"), case.describe("sub")),
        None => case.describe("iss"),
    }
}

fn wanted_type(case: &Case<'_>) -> String {
    let types = &case.asked.types;
    let wanted = if types.is_empty() { format!("{}, or missing", TYPES.join(" or ")) } else { types.join(" or ") };
    if case.asked.binding.wimse { format!("{wanted}, or {WORKLOAD_TOKEN_TYPE}") } else { wanted }
}

fn found_type(case: &Case<'_>) -> String {
    case.token.header.typ.as_deref().map_or_else(|| "missing".to_owned(), quoted)
}

fn wanted_audience(case: &Case<'_>) -> String {
    let ours: Vec<_> = case.asked.audiences.iter().map(|name| quoted(name)).collect();
    let ours = format!("{}, alone or in a list of strings", ours.join(" or "));
    if case.is_workload_token() {
        return format!("missing, or {ours}");
    }
    case.asked
        .audience_claim
        .as_ref()
        .map_or(ours.clone(), |claim| format!("{ours}, in {}, and missing in aud or the same", quoted(claim)))
}

fn found_audience(case: &Case<'_>) -> String {
    let aud = case.describe("aud");
    let Some(claim) = case.asked.audience_claim.as_ref().filter(|_| !case.is_workload_token()) else { return aud };
    format!("{aud}, and {} is {}", quoted(claim), case.describe(claim))
}

fn wanted_subject(case: &Case<'_>) -> String {
    if case.is_workload_token() {
        return "a URI with a trust domain, such as 'wimse://example.com/billing'".into();
    }
    match case.asked.subject {
        Subject::Text => "missing, or a string".into(),
        Subject::NumberToo => "missing, a string, a number or null".into(),
    }
}

fn wanted_expiry(case: &Case<'_>) -> String {
    let leeway = case.asked.leeway;
    let earliest = UnixTime::from_secs(case.now.as_secs().saturating_sub(leeway.as_secs()));
    format!("in seconds since 1970, and later than {earliest} (now less {})", brief(leeway))
}

fn wanted_start(case: &Case<'_>) -> String {
    let leeway = case.asked.leeway;
    format!("missing, or in seconds since 1970 and not after {} (now and {})", case.now.plus(leeway), brief(leeway))
}

fn wanted_lifetime(case: &Case<'_>) -> String {
    case.asked
        .max_lifetime
        .map_or_else(|| "anything, without max_lifetime".to_owned(), |longest| format!("at most {}", brief(longest)))
}

fn found_lifetime(case: &Case<'_>) -> String {
    match (case.time("iat", Round::Down), case.time("exp", Round::Up)) {
        (Ok(Some(iat)), Ok(Some(exp))) => format!("{} from iat to exp", brief(exp.since(iat))),
        _ => "unknown without iat and exp".to_owned(),
    }
}

fn wanted_age(case: &Case<'_>) -> String {
    case.asked
        .max_age
        .map_or_else(|| "anything, without max_age".to_owned(), |oldest| format!("less than {} ago", brief(oldest)))
}

fn wanted_required(case: &Case<'_>) -> String {
    listed(case.asked.required.iter().map(|(name, value)| format!("{} = {value}", quoted(name))))
}

fn found_required(case: &Case<'_>) -> String {
    listed(case.asked.required.iter().map(|(name, _)| format!("{} = {}", quoted(name), case.describe(name))))
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// The `typ` values accepted where the configuration names none: a generic JWT (RFC 7519 §5.1) and an access token
/// (RFC 9068 §2.1). Others (`logout+jwt`, `dpop+jwt`, `secevent+jwt`, …) are made for something else.
pub const TYPES: [&str; 2] = ["jwt", "at+jwt"];

#[cfg(test)]
mod tests;
