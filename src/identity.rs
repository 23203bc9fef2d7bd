//! What the upstream is told about the caller. An [`Identity`] is made from a [`Verified`] token only, and its name fits
//! into a header as it is: a name that does not fit is refused, never changed into what could be another's.

mod claim_path;
mod claims;
mod pattern;

use std::borrow::Cow;
use std::fmt;

use crate::http1::fields::letters;
use crate::json::{Object, Value};
use crate::jwt::parse::Unverified;
use crate::jwt::verify::Verified;
use crate::rejection::{Reason, Rejection, quoted};

pub use claim_path::{ClaimPath, ClaimPathError};
pub use claims::{ClaimRule, VALUE_MAX};
pub use pattern::{CallerPattern, CallerPatternError};

/// How callers are named and under which headers that is passed on.
#[derive(Clone, Debug)]
pub struct CallerRule {
    header: String,
    folded: String,
    naming: Naming,
    more: Vec<ClaimRule>,
}

/// Where the caller's name is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    claim: ClaimPath,
    pattern: Option<CallerPattern>,
    encoding: Encoding,
}

/// What becomes of characters that a caller's name cannot have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// A name with one is refused.
    #[default]
    Plain,
    /// They are percent-encoded as UTF-8 (RFC 3986 §2.1), and so is `%` itself, so that two names never become one.
    Percent,
}

/// The caller, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    caller: String,
    /// In the order of the rules; `None` for what the token does not say.
    more: Vec<Option<String>>,
}

impl CallerRule {
    /// Names the caller by `claim` under `header`, which must be a valid field name.
    #[must_use]
    pub fn new(header: String, claim: ClaimPath) -> Self {
        let folded = letters(&header).map(char::from).collect();
        Self { header, folded, naming: Naming::new(claim), more: Vec::new() }
    }

    /// With names in this encoding, unless their issuer has a way of its own.
    #[must_use]
    pub fn with_encoding(self, encoding: Encoding) -> Self {
        Self { naming: self.naming.with_encoding(encoding), ..self }
    }

    /// Passes more claims on, each under a header of its own.
    #[must_use]
    pub fn with_claims(mut self, more: Vec<ClaimRule>) -> Self {
        self.more = more;
        self
    }

    /// The headers that tell the upstream about a caller, with their values; none for who is unknown.
    pub fn headers<'a>(&'a self, identity: Option<&'a Identity>) -> impl Iterator<Item = (&'a str, &'a str)> {
        let caller = identity.map(|identity| (self.header.as_str(), identity.caller.as_str()));
        let values = identity.map_or(&[][..], |identity| &identity.more);
        let more = self.more.iter().zip(values).filter_map(|(rule, value)| Some((rule.header(), value.as_deref()?)));
        caller.into_iter().chain(more)
    }

    /// The header's name as it is written.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The way to the claim that names the caller.
    #[must_use]
    pub const fn claim(&self) -> &ClaimPath {
        &self.naming.claim
    }

    /// How callers are named, unless their issuer has a way of its own.
    #[must_use]
    pub const fn naming(&self) -> &Naming {
        &self.naming
    }

    /// The caller that a token names, by its issuer's own way if there is one.
    ///
    /// # Errors
    /// `caller_unusable`, or `claim_invalid` for a claim that cannot be passed on.
    pub fn identify(&self, token: &Verified<'_>, own: Option<&Naming>) -> Result<Identity, Rejection> {
        let caller = own.unwrap_or(&self.naming).name(token.claims())?;
        Ok(Identity { caller, more: self.forwarded(token.claims())? })
    }

    /// What further headers say by these claims, in the order of the rules; `None` for a claim that is not there.
    ///
    /// # Errors
    /// `claim_invalid` for a claim that cannot be passed on.
    pub fn forwarded(&self, claims: &Object<'_>) -> Result<Vec<Option<String>>, Rejection> {
        self.more.iter().map(|rule| rule.value(claims)).collect()
    }

    /// Whether a field of this name could be taken for ours by a backend. CGI-like environments map `-` to `_` and upper
    /// the case, others drop `.` or `_`: so every spelling with the same letters and digits in the same order is one.
    #[must_use]
    pub fn is_alias(&self, field: &str) -> bool {
        letters(field).eq(self.folded.bytes()) || self.more.iter().any(|rule| rule.is_alias(field))
    }
}

impl Naming {
    /// By what a claim says, plainly.
    #[must_use]
    pub const fn new(claim: ClaimPath) -> Self {
        Self { claim, pattern: None, encoding: Encoding::Plain }
    }

    /// By a claim that must match this pattern.
    #[must_use]
    pub fn with_pattern(self, pattern: CallerPattern) -> Self {
        Self { pattern: Some(pattern), ..self }
    }

    /// With names in this encoding.
    #[must_use]
    pub fn with_encoding(self, encoding: Encoding) -> Self {
        Self { encoding, ..self }
    }

    /// The claim.
    #[must_use]
    pub const fn claim(&self) -> &ClaimPath {
        &self.claim
    }

    /// Who a token says is calling. It is unverified: to be shown to people, and never to be an [`Identity`].
    #[must_use]
    pub fn claimed<'v>(&self, token: &'v Unverified<'_>) -> Option<&'v str> {
        self.claim.find(token.unproven_claims())?.as_str()
    }

    /// The name of the caller by these claims, which proves nothing about whose claims they are.
    ///
    /// # Errors
    /// `caller_unusable`.
    pub fn name(&self, claims: &Object<'_>) -> Result<String, Rejection> {
        let unusable = |detail| Err(Rejection::new(Reason::CallerUnusable, detail));
        let claim = || quoted(self.claim.as_str());
        let found = match self.claim.find(claims) {
            Some(Value::String(found)) => found,
            Some(other) => {
                return unusable(format!(
                    "the claim {} must name the caller as a string, and is {}",
                    claim(),
                    other.type_name()
                ));
            }
            None => return unusable(format!("the token has no claim {} to name its caller", claim())),
        };
        let caller = match &self.pattern {
            None => Cow::Borrowed(found.as_ref()),
            Some(pattern) => match pattern.name(found) {
                Some(caller) => caller,
                None => {
                    let wanted = quoted(&pattern.to_string());
                    return unusable(format!("the claim {} must have the form {wanted} to name the caller", claim()));
                }
            },
        };
        let caller = match self.encoding {
            Encoding::Plain => caller,
            Encoding::Percent => Cow::Owned(percent_encoded(&caller)),
        };
        if caller.is_empty() || caller.len() > CALLER_MAX {
            return unusable(format!("the claim {} must have 1 to {CALLER_MAX} characters", claim()));
        }
        if !caller.bytes().all(is_caller_byte) {
            let allowed = "visible ASCII characters without comma, semicolon, quotes and backslash";
            return unusable(format!("the claim {} must consist of {allowed}", claim()));
        }
        Ok(caller.into_owned())
    }
}

impl Identity {
    /// The caller's name: 1 to [`CALLER_MAX`] visible ASCII characters that separate no lists.
    #[must_use]
    pub fn caller(&self) -> &str {
        &self.caller
    }

    /// The memory that its texts take, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let more = self.more.iter().map(|value| size_of::<Option<String>>() + value.as_ref().map_or(0, String::len));
        self.caller.len() + more.sum::<usize>()
    }
}

impl fmt::Display for Naming {
    /// The claim, and the pattern it must match.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pattern {
            Some(pattern) => write!(f, "{} of the form {pattern}", self.claim)?,
            None => self.claim.fmt(f)?,
        }
        match self.encoding {
            Encoding::Plain => Ok(()),
            Encoding::Percent => f.write_str(", percent-encoded"),
        }
    }
}

/// Visible ASCII that neither ends nor splits a header value or a log field.
const fn is_caller_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b',' | b';' | b'"' | b'\'' | b'\\')
}

/// A name whose other bytes are written as `%` and two digits.
fn percent_encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if is_caller_byte(byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The longest caller name, in characters.
pub const CALLER_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_that_a_backend_could_fold_is_an_alias() {
        let rule = CallerRule::new("X-Caller-Service".into(), ClaimPath::parse("sub").expect("a claim"));
        for alias in [
            "X-Caller-Service",
            "x-caller-service",
            "X_CALLER_SERVICE",
            "x.caller.service",
            "XCallerService",
            "x-caller_service-",
        ] {
            assert!(rule.is_alias(alias), "{alias}");
        }
        for other in ["X-Caller", "X-Caller-Service-Id", "X-Caller-Servic\u{212a}", "Caller-Service", ""] {
            assert!(!rule.is_alias(other), "{other}");
        }
    }

    #[test]
    fn encoded_names_are_plain_reversible_and_never_the_same() {
        let claims = |name: &str| format!("{{\"sub\":{}}}", serde_json::Value::from(name));
        let named = |name: &str, encoding| {
            let naming = Naming::new(ClaimPath::parse("sub").expect("a claim")).with_encoding(encoding);
            naming.name(&Object::parse(claims(name).as_bytes()).expect("JSON")).ok()
        };
        for (name, encoded) in [
            ("billing", "billing"),
            ("repo:octo/app:environment:Prod West", "repo:octo/app:environment:Prod%20West"),
            ("CN=Billing,O=Shop", "CN=Billing%2CO=Shop"),
            ("50%", "50%25"),
            ("a%2Cb", "a%252Cb"),
            ("M\u{fc}ller", "M%C3%BCller"),
            ("a\r\nX-Admin: 1", "a%0D%0AX-Admin:%201"),
        ] {
            assert_eq!(named(name, Encoding::Percent).as_deref(), Some(encoded));
            assert_eq!(
                named(name, Encoding::Plain).is_some(),
                name == encoded || name == "50%" || name == "a%2Cb",
                "{name}"
            );
        }
        assert_eq!(named("", Encoding::Percent), None, "an empty name stays unusable");
        assert_eq!(named(&" ".repeat(85), Encoding::Percent).map(|name| name.len()), Some(255));
        assert_eq!(named(&" ".repeat(86), Encoding::Percent), None, "the encoded name has the bound");
    }
}
