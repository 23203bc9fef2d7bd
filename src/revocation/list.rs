//! The deny-list, for the day a credential leaks: single tokens (`jti`), signing keys (`kid`) and callers (`sub`) that are
//! refused although everything about them is valid. It only ever takes away; nothing is accepted because of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::clock::UnixTime;
use crate::json::{JsonError, Number, Object, Value};

/// What is revoked. It may be empty.
///
/// Its text has one JSON object per line, so that an entry is added with one `echo >>`. Blank lines and lines that begin with
/// `#` say nothing. A text with one bad line is no list: half of it would be somebody's leaked credential let through.
///
/// ```text
/// # A token was found in a build log.
/// {"jti":"01J8Z3","until":"2026-02-01T00:00:00Z"}
/// {"kid":"2025-11","issuer":"https://auth.internal.example"}
/// {"sub":"billing","note":"until its new secret is rolled out"}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenyList {
    revoked: [BTreeMap<String, Vec<EntryScope>>; 3],
    len: usize,
}

/// By what a credential is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// One token.
    Jti,
    /// All tokens that a key verifies.
    Kid,
    /// All tokens of a subject.
    Sub,
}

/// What is known of a token whose signature and claims hold.
#[derive(Clone, Copy, Debug)]
pub struct Credential<'c> {
    /// The configured name of its issuer.
    pub issuer: &'c str,
    /// Its `jti`, if it has one.
    pub jti: Option<&'c str>,
    /// The name of the key that verified it, and the one that the token gave: a token may leave its own out.
    pub kids: [Option<&'c str>; 2],
    /// Its `sub`, if it has one.
    pub sub: Option<&'c str>,
}

/// For which issuer an entry holds, if not for all, and from when on no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct EntryScope {
    issuer: Option<String>,
    until: Option<UnixTime>,
}

/// Why a text is no deny-list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {why}")]
pub struct DenyListError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with the line.
    pub why: LineError,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum LineError {
    #[error("is not one JSON object: {0}")]
    Malformed(JsonError),
    #[error("must have exactly one of jti, kid and sub")]
    NotOneMember,
    #[error("has {0}, which must be a text that is not empty")]
    NotText(&'static str),
    #[error("has until, which must be a time such as \"2026-02-01T00:00:00Z\" or seconds since 1970")]
    Time,
    #[error("is one too many: a list has at most {ENTRIES_MAX} entries")]
    TooMany,
    #[error("has an unknown member; allowed are jti, kid, sub, issuer, until and note")]
    UnknownMember,
}

impl DenyList {
    /// Reads a text.
    ///
    /// # Errors
    /// The first line that is not an entry, and why. Nothing of the line is repeated.
    pub fn parse(text: &[u8]) -> Result<Self, DenyListError> {
        let mut list = Self::default();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if !line.is_empty() && !line.starts_with(b"#") {
                list.add(line).map_err(|why| DenyListError { line: index + 1, why })?;
            }
        }
        Ok(list)
    }

    /// By what a token is revoked, if it is.
    #[must_use]
    pub fn revokes(&self, credential: &Credential<'_>, now: UnixTime) -> Option<Member> {
        let [key, own] = credential.kids;
        let named =
            [(Member::Jti, credential.jti), (Member::Kid, key), (Member::Kid, own), (Member::Sub, credential.sub)];
        let revoked = |(member, name): &(Member, Option<&str>)| {
            let scopes = name.and_then(|name| self.of(*member).get(name));
            scopes.is_some_and(|scopes| scopes.iter().any(|scope| scope.holds(credential.issuer, now)))
        };
        named.into_iter().find(revoked).map(|(member, _)| member)
    }

    /// Whether it revokes all that the other does.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.revoked.iter().zip(&other.revoked).all(|(ours, theirs)| {
            theirs.iter().all(|(name, scopes)| {
                ours.get(name).is_some_and(|known| scopes.iter().all(|scope| known.contains(scope)))
            })
        })
    }

    /// What either of both revokes.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for (ours, theirs) in self.revoked.iter_mut().zip(&other.revoked) {
            for (name, scopes) in theirs {
                let known = ours.entry(name.clone()).or_default();
                for scope in scopes {
                    if !known.contains(scope) {
                        known.push(scope.clone());
                        self.len += 1;
                    }
                }
            }
        }
        self
    }

    /// How many entries it has, those included whose time is over.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn add(&mut self, line: &[u8]) -> Result<(), LineError> {
        let entry = Object::parse(line).map_err(LineError::Malformed)?;
        if entry.members().any(|(name, _)| !MEMBERS.contains(&name)) {
            return Err(LineError::UnknownMember);
        }
        let text = |name: &'static str| match entry.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone().into_owned())),
            Some(_) => Err(LineError::NotText(name)),
        };
        let (jti, kid, sub) = (text("jti")?, text("kid")?, text("sub")?);
        let (issuer, _) = (text("issuer")?, text("note")?);
        let (member, name) = match (jti, kid, sub) {
            (Some(jti), None, None) => (Member::Jti, jti),
            (None, Some(kid), None) => (Member::Kid, kid),
            (None, None, Some(sub)) => (Member::Sub, sub),
            _ => return Err(LineError::NotOneMember),
        };
        if self.len == ENTRIES_MAX {
            return Err(LineError::TooMany);
        }
        let scope = EntryScope { issuer, until: entry.get("until").map(time).transpose()? };
        let [by_jti, by_kid, by_sub] = &mut self.revoked;
        let names = match member {
            Member::Jti => by_jti,
            Member::Kid => by_kid,
            Member::Sub => by_sub,
        };
        names.entry(name).or_default().push(scope);
        self.len += 1;
        Ok(())
    }

    const fn of(&self, member: Member) -> &BTreeMap<String, Vec<EntryScope>> {
        let [by_jti, by_kid, by_sub] = &self.revoked;
        match member {
            Member::Jti => by_jti,
            Member::Kid => by_kid,
            Member::Sub => by_sub,
        }
    }
}

impl EntryScope {
    fn holds(&self, issuer: &str, now: UnixTime) -> bool {
        self.issuer.as_ref().is_none_or(|only| only == issuer) && self.until.is_none_or(|until| now < until)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jti => "jti",
            Self::Kid => "kid",
            Self::Sub => "sub",
        })
    }
}

fn time(value: &Value<'_>) -> Result<UnixTime, LineError> {
    match value {
        Value::Number(Number::Unsigned(secs)) if *secs <= UnixTime::MAX.as_secs() => Ok(UnixTime::from_secs(*secs)),
        Value::String(text) => UnixTime::parse(text).ok_or(LineError::Time),
        _ => Err(LineError::Time),
    }
}

/// The place of the deny-list. A new one replaces the old one whole; a request takes the one that is there.
#[derive(Debug, Default)]
pub struct DenyListSlot(ArcSwap<DenyList>);

impl DenyListSlot {
    /// Replaces the list.
    pub fn publish(&self, list: DenyList) {
        self.0.store(Arc::new(list));
    }

    /// The list of now.
    #[must_use]
    pub fn latest(&self) -> Guard<Arc<DenyList>> {
        self.0.load()
    }
}

/// How many entries a list may have. More is a change of keys, not a list.
pub const ENTRIES_MAX: usize = 10_000;

/// What an entry may say.
const MEMBERS: [&str; 6] = ["jti", "kid", "sub", "issuer", "until", "note"];

#[cfg(test)]
mod tests;
