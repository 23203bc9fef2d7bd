//! The way to a claim of a token, as the configuration writes it.

use std::fmt;

use crate::json::{Object, Value};

/// The way to a claim: a name, or a JSON pointer (RFC 6901) into nested objects when it begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath {
    written: String,
    steps: Vec<String>,
}

/// Why a text is no way to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum ClaimPathError {
    #[error("it is empty")]
    Empty,
    #[error("in a JSON pointer '~' must be followed by 0 or 1")]
    Escape,
}

impl ClaimPath {
    /// Reads a claim's name, or a JSON pointer if it begins with `/`.
    ///
    /// # Errors
    /// If it is empty or a pointer with a wrong escape.
    pub fn parse(written: &str) -> Result<Self, ClaimPathError> {
        let steps = match written.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(unescape).collect::<Option<_>>().ok_or(ClaimPathError::Escape)?,
            None if written.is_empty() => return Err(ClaimPathError::Empty),
            None => vec![written.to_owned()],
        };
        Ok(Self { written: written.to_owned(), steps })
    }

    /// The way as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The claim among these.
    #[must_use]
    pub fn find<'c, 'a>(&self, claims: &'c Object<'a>) -> Option<&'c Value<'a>> {
        let (first, rest) = self.steps.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, step| match value {
            Value::Object(object) => object.get(step),
            _ => None,
        })
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// RFC 6901 §4: `~1` is `/`, `~0` is `~`.
fn unescape(step: &str) -> Option<String> {
    let mut plain = String::with_capacity(step.len());
    let mut characters = step.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '~' => match characters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_paths_are_names_or_json_pointers() {
        assert_eq!(ClaimPath::parse("sub").expect("a name").steps, ["sub"]);
        assert_eq!(ClaimPath::parse("kubernetes.io").expect("a name").steps, ["kubernetes.io"]);
        assert_eq!(ClaimPath::parse("/a~1b/c~0d").expect("a pointer").steps, ["a/b", "c~d"]);
        assert_eq!(ClaimPath::parse(""), Err(ClaimPathError::Empty));
        assert_eq!(ClaimPath::parse("/a~2"), Err(ClaimPathError::Escape));
        assert_eq!(ClaimPath::parse("/a~"), Err(ClaimPathError::Escape));
    }
}
