//! What a claim must look like to name a caller, and the name that is made of it. Two different claims never give the same name:
//! a pattern with which they could is refused when it is read.

use std::borrow::Cow;
use std::fmt;

/// A pattern for a claim: `system:serviceaccount:{namespace}:{name}`, named `{namespace}/{name}`; or `spiffe://example.org/*`,
/// which is its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerPattern {
    pattern: Vec<Part>,
    /// `None`: the whole claim.
    name: Option<Vec<Part>>,
    written: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// One or more characters of anything, at the end.
    Rest,
    /// One or more letters, digits, `-`, `_` and `.`.
    Variable(String),
}

/// Why a text is not a pattern, or gives no unambiguous name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum CallerPatternError {
    #[error("a variable stands in braces and has letters only, such as {{name}}")]
    Brace,
    #[error("it is empty")]
    Empty,
    #[error("'*' stands for the rest of the claim, so it comes last")]
    Rest,
    #[error("a name cannot be made of a pattern with '*'; leave the name out, and the whole claim is the name")]
    RestInName,
    #[error("after {{{0}}} must come a character that cannot be part of it, such as ':' or '/'")]
    Unseparated(String),
    #[error("{{{0}}} must stand in the pattern once and in the name once, or two callers could get one name")]
    Unpaired(String),
}

impl CallerPattern {
    /// Reads a pattern, and the name that is made of what its variables stand for.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(pattern: &str, name: Option<&str>) -> Result<Self, CallerPatternError> {
        let parts = parts(pattern)?;
        let Some(name) = name else { return Ok(Self { pattern: parts, name: None, written: pattern.to_owned() }) };
        if parts.contains(&Part::Rest) {
            return Err(CallerPatternError::RestInName);
        }
        let named = self::parts(name)?;
        if named.contains(&Part::Rest) {
            return Err(CallerPatternError::RestInName);
        }
        for (these, others) in [(&parts, &named), (&named, &parts)] {
            for variable in variables(these) {
                let count = |parts| variables(parts).filter(|other| *other == variable).count();
                if count(these) != 1 || count(others) != 1 {
                    return Err(CallerPatternError::Unpaired(variable.to_owned()));
                }
            }
        }
        Ok(Self { pattern: parts, name: Some(named), written: pattern.to_owned() })
    }

    /// The name of the caller whose claim this is; `None` if the claim does not match.
    #[must_use]
    pub fn name<'c>(&self, claim: &'c str) -> Option<Cow<'c, str>> {
        let mut values = Vec::new();
        let mut left = claim;
        for part in &self.pattern {
            left = match part {
                Part::Literal(literal) => left.strip_prefix(literal.as_str())?,
                Part::Rest if left.is_empty() => return None,
                Part::Rest => "",
                Part::Variable(variable) => {
                    let length = left.find(|c| !is_variable(c)).unwrap_or(left.len());
                    let (value, rest) = left.split_at_checked(length).filter(|(value, _)| !value.is_empty())?;
                    values.push((variable, value));
                    rest
                }
            };
        }
        if !left.is_empty() {
            return None;
        }
        let Some(name) = &self.name else { return Some(Cow::Borrowed(claim)) };
        let text = |part: &Part| match part {
            Part::Literal(literal) => literal.clone(),
            Part::Rest => String::new(),
            Part::Variable(variable) => {
                let value = values.iter().find(|(known, _)| *known == variable);
                value.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
            }
        };
        Some(Cow::Owned(name.iter().map(text).collect()))
    }
}

impl fmt::Display for CallerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

fn parts(text: &str) -> Result<Vec<Part>, CallerPatternError> {
    if text.is_empty() {
        return Err(CallerPatternError::Empty);
    }
    let mut parts = Vec::new();
    let mut left = text;
    while !left.is_empty() {
        let end = left.find(['{', '}', '*']).unwrap_or(left.len());
        let (literal, rest) = left.split_at_checked(end).ok_or(CallerPatternError::Brace)?;
        if let (Some(Part::Variable(variable)), false) = (parts.last(), literal.starts_with(|c| !is_variable(c)))
            && !(literal.is_empty() && rest.is_empty())
        {
            return Err(CallerPatternError::Unseparated(variable.clone()));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.to_owned()));
        }
        left = match rest.strip_prefix('{') {
            Some(rest) => {
                let (variable, rest) = rest.split_once('}').ok_or(CallerPatternError::Brace)?;
                if variable.is_empty() || !variable.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                    return Err(CallerPatternError::Brace);
                }
                parts.push(Part::Variable(variable.to_owned()));
                rest
            }
            None if rest == "*" => {
                parts.push(Part::Rest);
                ""
            }
            None if rest.starts_with('*') => return Err(CallerPatternError::Rest),
            None if rest.starts_with('}') => return Err(CallerPatternError::Brace),
            None => rest,
        };
    }
    Ok(parts)
}

fn variables(parts: &[Part]) -> impl Iterator<Item = &str> {
    parts.iter().filter_map(|part| match part {
        Part::Variable(variable) => Some(variable.as_str()),
        _ => None,
    })
}

const fn is_variable(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pattern: &str, name: Option<&str>, claim: &str) -> Option<String> {
        CallerPattern::parse(pattern, name).expect("a form").name(claim).map(Cow::into_owned)
    }

    #[test]
    fn a_service_account_is_named_by_namespace_and_name() {
        let named = |claim| named("system:serviceaccount:{namespace}:{name}", Some("{namespace}/{name}"), claim);
        assert_eq!(named("system:serviceaccount:shop:billing").as_deref(), Some("shop/billing"));
        assert_eq!(named("system:serviceaccount:kube-system:a.b-1").as_deref(), Some("kube-system/a.b-1"));
        for other in [
            "system:serviceaccount:shop",
            "system:serviceaccount:shop:",
            "system:serviceaccount::billing",
            "system:serviceaccount:shop:billing:more",
            "system:serviceaccount:shop:bil/ling",
            "system:serviceaccount:sh/op:billing",
            "system:node:worker-1",
            "xsystem:serviceaccount:shop:billing",
            "system:serviceaccount:shop:billing ",
            "system:serviceaccount:shop:b\u{e9}",
            "",
        ] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn a_spiffe_id_of_the_trust_domain_is_its_own_name() {
        let named = |claim| named("spiffe://example.org/*", None, claim);
        assert_eq!(
            named("spiffe://example.org/ns/shop/sa/billing").as_deref(),
            Some("spiffe://example.org/ns/shop/sa/billing")
        );
        for other in [
            "spiffe://example.org/",
            "spiffe://example.org",
            "spiffe://example.org.evil/a",
            "spiffe://other.org/a",
            "http://example.org/a",
        ] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn a_text_without_variables_is_compared_exactly() {
        assert_eq!(named("billing", None, "billing").as_deref(), Some("billing"));
        assert_eq!(named("billing", Some("accounting"), "billing").as_deref(), Some("accounting"));
        assert_eq!(named("billing", None, "billing2"), None);
    }

    #[test]
    fn a_form_that_could_give_two_callers_one_name_is_refused() {
        let unpaired = |name: &str| CallerPatternError::Unpaired(name.to_owned());
        let unseparated = |name: &str| CallerPatternError::Unseparated(name.to_owned());
        let cases = [
            ("{a}:{b}", Some("{a}"), unpaired("b")),
            ("{a}:{b}", Some("{b}/{a}/{a}"), unpaired("a")),
            ("{a}:{a}", Some("{a}"), unpaired("a")),
            ("{a}", Some("{a}/{b}"), unpaired("b")),
            ("{a}:{b}", Some("{a}{b}"), unseparated("a")),
            ("{a}:{b}", Some("{a}-{b}"), unseparated("a")),
            ("{a}{b}", None, unseparated("a")),
            ("{a}-x", None, unseparated("a")),
            ("{a}*", None, unseparated("a")),
            ("{a}/*", Some("{a}"), CallerPatternError::RestInName),
            ("{a}", Some("{a}/*"), CallerPatternError::RestInName),
            ("a*b", None, CallerPatternError::Rest),
            ("**", None, CallerPatternError::Rest),
            ("", None, CallerPatternError::Empty),
            ("a", Some(""), CallerPatternError::Empty),
            ("{a", None, CallerPatternError::Brace),
            ("a}", None, CallerPatternError::Brace),
            ("{}", None, CallerPatternError::Brace),
            ("{A}", None, CallerPatternError::Brace),
            ("{a{b}}", None, CallerPatternError::Brace),
        ];
        for (pattern, name, fault) in cases {
            assert_eq!(CallerPattern::parse(pattern, name), Err(fault), "{pattern} {name:?}");
        }
        for (pattern, name) in [("{a}:{b}", Some("{b}/{a}")), ("{a}:{b}", None), ("*", None), ("{a}/*", None)] {
            assert!(CallerPattern::parse(pattern, name).is_ok(), "{pattern}");
        }
    }
}
