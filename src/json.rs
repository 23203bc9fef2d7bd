//! Strict reading of the JSON in a token: one object, no member name twice at any depth (RFC 7519 §4, RFC 8725 §2.4), UTF-8
//! without BOM, bounded in depth and width. Text without escapes is borrowed. The grammar itself is `serde_json`'s.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::rejection::quoted;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Its elements, in the order of the text.
    Array(Vec<Value<'a>>),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// Any number of finite value.
    Number(Number),
    /// Its members.
    Object(Object<'a>),
    /// Without its escapes.
    String(Cow<'a, str>),
}

/// A JSON number, kept exact while it is an integer of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Has a fraction or an exponent, or is an integer beyond 64 bits. Always finite.
    Float(f64),
    /// An integer below 0.
    Negative(i64),
    /// An integer from 0.
    Unsigned(u64),
}

/// A JSON object: its members in the order of the text, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// How deep values may nest; the claims themselves are at depth 1.
pub const DEPTH_MAX: u8 = 12;

/// How many members an object may have. It bounds the search for duplicates, which looks at every pair.
pub const MEMBERS_MAX: usize = 128;

impl<'a> Object<'a> {
    /// Reads a text that is one JSON object and nothing else.
    ///
    /// # Errors
    /// Why it is not one, in words without any part of the text.
    pub fn parse(text: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(text).map_err(|_| JsonError::Utf8)?;
        if text.starts_with('\u{feff}') {
            return Err(JsonError::Bom);
        }
        // What stops the reader is bad grammar, unless a rule of ours said before that it was that.
        let why = Cell::new(JsonError::Json);
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Strict { depth: DEPTH_MAX, why: &why }.deserialize(&mut reader).map_err(|_| why.get())?;
        reader.end().map_err(|_| JsonError::Json)?;
        match value {
            Value::Object(object) => Ok(object),
            _ => Err(JsonError::NotAnObject),
        }
    }

    /// The value of a member.
    // Inlined, a name that is known when this is compiled is compared without a call.
    #[inline]
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// The text of a member that is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// The members in the order of the text.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

impl Value<'_> {
    /// The JSON type's name.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Array(_) => "an array",
            Self::Bool(_) => "a boolean",
            Self::Null => "null",
            Self::Number(_) => "a number",
            Self::Object(_) => "an object",
            Self::String(_) => "a string",
        }
    }

    /// A word or two for a person: bounded, and plain enough for a header.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Array(items) => {
                let shown: Vec<_> = items.iter().take(SHOWN_MAX).map(Self::describe_flat).collect();
                format!("[{}{}]", shown.join(", "), if items.len() > SHOWN_MAX { ", ..." } else { "" })
            }
            flat => flat.describe_flat(),
        }
    }

    fn describe_flat(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(Number::Float(value)) => format!("{value:?}"),
            Self::Number(Number::Negative(value)) => value.to_string(),
            Self::Number(Number::Unsigned(value)) => value.to_string(),
            Self::String(text) => quoted(text),
            other => other.type_name().to_owned(),
        }
    }

    /// The text, if it is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Why a text is not a strict JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum JsonError {
    #[error("it begins with a byte order mark")]
    Bom,
    #[error("a member name appears twice in one object")]
    DuplicateMember,
    #[error("it is not valid JSON")]
    Json,
    #[error("it is not a JSON object")]
    NotAnObject,
    #[error("it nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("an object in it has more than {MEMBERS_MAX} members")]
    TooManyMembers,
    #[error("it is not valid UTF-8")]
    Utf8,
}

/// Builds a [`Value`] that nests at most `depth` levels from here, and notes in `why` which rule a text breaks.
#[derive(Clone, Copy)]
struct Strict<'w> {
    depth: u8,
    why: &'w Cell<JsonError>,
}

impl Strict<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| self.refuse::<E>(JsonError::TooDeep))?;
        Ok(Self { depth, ..self })
    }

    fn refuse<E: Error>(self, why: JsonError) -> E {
        self.why.set(why);
        E::custom("refused")
    }
}

/// A member's name. Names are compared after their escapes are resolved: `"iss"` and `"\u0069ss"` are the same.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(Number::Unsigned(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(Number::Negative(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Number(Number::Float(value)))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut object: Vec<(Cow<'de, str>, Value<'de>)> = Vec::new();
        while let Some(Name(name)) = members.next_key()? {
            if object.iter().any(|(earlier, _)| *earlier == name) {
                return Err(self.refuse(JsonError::DuplicateMember));
            }
            if object.len() == MEMBERS_MAX {
                return Err(self.refuse(JsonError::TooManyMembers));
            }
            if object.is_empty() {
                object.reserve(MEMBERS_USUAL);
            }
            object.push((name, members.next_value_seed(inner)?));
        }
        Ok(Value::Object(Object(object)))
    }
}

/// How many members the claims of a service's token seldom exceed: for so many, memory is asked for once.
const MEMBERS_USUAL: usize = 8;

/// How many elements of an array are shown to a person.
const SHOWN_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Object<'_>, JsonError> {
        Object::parse(text.as_bytes())
    }

    #[test]
    fn values_are_read_with_their_types() {
        let object = parse(r#" {"s":"x","e":"\u0061\"","u":18446744073709551615,"n":-1,"f":1.5,"b":true,"z":null,"a":[1],"o":{"k":{}}} "#)
            .expect("strict JSON");
        assert_eq!(object.get("s").and_then(Value::as_str), Some("x"));
        assert_eq!(object.get("e").and_then(Value::as_str), Some("a\""));
        assert_eq!(object.get("u"), Some(&Value::Number(Number::Unsigned(u64::MAX))));
        assert_eq!(object.get("n"), Some(&Value::Number(Number::Negative(-1))));
        assert_eq!(object.get("f"), Some(&Value::Number(Number::Float(1.5))));
        assert_eq!(object.get("z"), Some(&Value::Null));
        assert_eq!(object.get("missing"), None);
        assert_eq!(object.members().count(), 9);
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let object = parse(r#"{"iss":"a"}"#).expect("strict JSON");
        assert!(matches!(object.get("iss"), Some(Value::String(Cow::Borrowed("a")))));
    }

    #[test]
    fn what_is_not_strict_is_refused_with_its_cause() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(13), "}".repeat(13));
        let wide = format!("{{{}}}", (0..=MEMBERS_MAX).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));
        let cases = [
            (r#"{"a":1,"a":1}"#, JsonError::DuplicateMember),
            (r#"{"iss":1,"\u0069ss":2}"#, JsonError::DuplicateMember),
            (r#"{"a":{"b":1,"b":2}}"#, JsonError::DuplicateMember),
            (r#"{"a":[{"b":1,"b":2}]}"#, JsonError::DuplicateMember),
            ("\u{feff}{}", JsonError::Bom),
            ("[]", JsonError::NotAnObject),
            ("\"{}\"", JsonError::NotAnObject),
            ("null", JsonError::NotAnObject),
            ("", JsonError::Json),
            ("{", JsonError::Json),
            ("{} {}", JsonError::Json),
            ("{}x", JsonError::Json),
            ("{}\0", JsonError::Json),
            (r#"{"a":1,}"#, JsonError::Json),
            (r#"{a:1}"#, JsonError::Json),
            (r#"{'a':1}"#, JsonError::Json),
            (r#"{"a":01}"#, JsonError::Json),
            (r#"{"a":1e400}"#, JsonError::Json),
            (r#"{"a":NaN}"#, JsonError::Json),
            (r#"{"a":"\ud800"}"#, JsonError::Json),
            ("{\"a\":\"\n\"}", JsonError::Json),
            ("{}//", JsonError::Json),
            (deep.as_str(), JsonError::TooDeep),
            (wide.as_str(), JsonError::TooManyMembers),
        ];
        for (text, why) in cases {
            assert_eq!(parse(text), Err(why), "{text}");
        }
        assert_eq!(Object::parse(b"{\"a\":\"\xff\"}"), Err(JsonError::Utf8));
    }

    #[test]
    fn the_bounds_themselves_are_allowed() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(12), "}".repeat(12));
        assert!(parse(&deep).is_ok());
        let wide = format!("{{{}}}", (0..MEMBERS_MAX).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));
        assert!(parse(&wide).is_ok());
    }
}
