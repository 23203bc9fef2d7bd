//! More claims as headers, beside the caller's name and under the same guard: from a verified token only, and only values that
//! are a header's value as they are. One that is not refuses the token; one that is not there leaves its header out.

use super::claim_path::ClaimPath;
use crate::http1::fields::letters;
use crate::json::{Number, Object, Value};
use crate::rejection::{Reason, Rejection, quoted};

/// A claim that is passed on under a header.
#[derive(Clone, Debug)]
pub struct ClaimRule {
    header: String,
    folded: String,
    claim: ClaimPath,
}

impl ClaimRule {
    /// Passes `claim` on under `header`, which must be a valid field name.
    #[must_use]
    pub fn new(header: String, claim: ClaimPath) -> Self {
        let folded = letters(&header).map(char::from).collect();
        Self { header, folded, claim }
    }

    /// The header's name as it is written.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// Whether a field of this name could be taken for it.
    #[must_use]
    pub fn is_alias(&self, field: &str) -> bool {
        letters(field).eq(self.folded.bytes())
    }

    /// The header's value for a token; `None` if the token has no such claim.
    ///
    /// # Errors
    /// `claim_invalid`.
    pub fn value(&self, claims: &Object<'_>) -> Result<Option<String>, Rejection> {
        let Some(claim) = self.claim.find(claims) else { return Ok(None) };
        let written = match claim {
            Value::Array(items) => list(items),
            other => single(other),
        };
        let fits = |written: &String| written.len() <= VALUE_MAX && is_header_value(written);
        written.filter(fits).map(Some).ok_or_else(|| {
            let detail = format!(
                "the claim {} must be a string, an integer, a boolean or a list of strings, of at most {VALUE_MAX} visible ASCII \
                 characters, to be passed on",
                quoted(self.claim.as_str())
            );
            Rejection::new(Reason::ClaimInvalid, detail)
        })
    }
}

fn single(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(Number::Negative(number)) => Some(number.to_string()),
        Value::Number(Number::Unsigned(number)) => Some(number.to_string()),
        Value::String(text) => Some(text.clone().into_owned()),
        Value::Array(_) | Value::Null | Value::Number(Number::Float(_)) | Value::Object(_) => None,
    }
}

/// Strings with commas between, none of which has one of its own.
fn list(items: &[Value<'_>]) -> Option<String> {
    let item = |item: &Value<'_>| match item {
        Value::String(text) if !text.contains(',') && !text.is_empty() => Some(text.clone().into_owned()),
        _ => None,
    };
    items.iter().map(item).collect::<Option<Vec<_>>>().map(|items| items.join(","))
}

/// Printable ASCII, with spaces only within.
fn is_header_value(text: &str) -> bool {
    text.trim() == text && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The longest value, in characters.
pub const VALUE_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn plain_values_are_written_as_they_are_and_others_not_at_all() {
        let text = |text: &'static str| Value::String(Cow::Borrowed(text));
        for (value, written) in [
            (text("a b"), "a b"),
            (Value::Bool(true), "true"),
            (Value::Number(Number::Negative(-5)), "-5"),
            (Value::Number(Number::Unsigned(u64::MAX)), "18446744073709551615"),
        ] {
            assert_eq!(single(&value).as_deref(), Some(written));
        }
        assert_eq!(list(&[text("a"), text("b")]).as_deref(), Some("a,b"));
        assert_eq!(list(&[]).as_deref(), Some(""));
        for value in [Value::Null, Value::Number(Number::Float(1.5)), Value::Array(vec![])] {
            assert_eq!(single(&value), None);
        }
        assert_eq!(list(&[text("a,b")]), None);
        assert_eq!(list(&[text("a"), Value::Bool(true)]), None);
        for text in ["a\r\nX: b", "\u{e9}", " a", "a\t", "\0"] {
            assert!(!is_header_value(text), "{text:?}");
        }
    }
}
