//! What a configuration may look like, read from its JSON Schema. A construct of the schema that is not supported here is an
//! error and never ignored: what is not checked would be accepted.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::schema::toml_text;

pub(super) mod check;

/// The shape of a value.
#[derive(Debug)]
pub(super) enum Shape {
    Boolean,
    /// One of these texts. Some others are refused with a reason of their own, and for some it is known what was meant.
    Choice {
        what: String,
        values: Vec<String>,
        never: BTreeMap<String, String>,
        instead: BTreeMap<String, String>,
    },
    /// One of these shapes.
    Either(Vec<Shape>),
    Integer {
        least: Option<i64>,
        most: Option<i64>,
    },
    List(Box<Shape>),
    /// A table with any keys, whose values have this shape.
    Map(Box<Shape>),
    Table(Members),
    Text {
        what: String,
        example: Option<String>,
    },
}

/// The keys of a table.
#[derive(Debug)]
pub(super) struct Members {
    pub known: BTreeMap<String, Member>,
    /// Those that must be there, in the order of their declaration.
    required: Vec<String>,
    /// Those that must be there unless a preset brings them. Presets are in the document before it is checked.
    unless_preset: Vec<String>,
    /// Those that must be there unless another key stands for them, each with that key.
    unless_other: BTreeMap<String, String>,
    /// Keys of other products, each with what to write here.
    instead: BTreeMap<String, String>,
}

/// A key of a table.
#[derive(Debug)]
pub(super) struct Member {
    pub shape: Shape,
    /// A value as it could be written.
    pub example: Option<String>,
}

/// A part of a schema that the shape check does not understand.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema has a construct that is not understood: {0}")]
pub(super) struct UnsupportedSchema(String);

impl Shape {
    /// Reads a whole schema.
    ///
    /// # Errors
    /// If there is any construct that is not understood.
    pub(super) fn read(schema: &Value) -> Result<Self, UnsupportedSchema> {
        let root = schema.as_object().ok_or_else(|| UnsupportedSchema(schema.to_string()))?;
        let empty = Map::new();
        let definitions = root.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
        Reader { definitions }.shape(schema, 0)
    }

    /// The tables in which a key of this name exists, as they are written: `issuers[].keys`.
    pub(super) fn tables_with(&self, name: &str) -> Vec<String> {
        let mut tables = Vec::new();
        self.collect_tables_with(name, "", &mut tables);
        tables
    }

    fn collect_tables_with(&self, name: &str, here: &str, tables: &mut Vec<String>) {
        match self {
            Self::Table(members) => {
                if members.known.contains_key(name) && !here.is_empty() {
                    tables.push(here.to_owned());
                }
                for (key, member) in &members.known {
                    let dot = if here.is_empty() { "" } else { "." };
                    member.shape.collect_tables_with(name, &format!("{here}{dot}{key}"), tables);
                }
            }
            Self::Either(shapes) => shapes.iter().for_each(|shape| shape.collect_tables_with(name, here, tables)),
            Self::List(item) => item.collect_tables_with(name, &format!("{here}[]"), tables),
            _ => {}
        }
    }
}

impl Members {
    /// The keys that must be there, in the order of their declaration.
    pub(super) fn required(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.unless_other
            .keys()
            .chain(&self.required)
            .chain(&self.unless_preset)
            .filter_map(|name| self.known.get_key_value(name))
    }

    /// The key that is meant by one of another product, and how to write it: `leeway`, `leeway = "30s"`.
    pub(super) fn instead(&self, written: &str) -> Option<(&str, &str)> {
        let (_, write) = self.instead.iter().find(|(word, _)| plain(word) == plain(written))?;
        let (key, _) = write.split_once(" = ")?;
        Some((key, write))
    }

    /// The key that can stand for this one.
    pub(super) fn other(&self, name: &str) -> Option<&str> {
        self.unless_other.get(name).map(String::as_str)
    }

    /// Whether a preset can bring this key.
    pub(super) fn is_in_presets(&self, name: &str) -> bool {
        self.unless_preset.iter().any(|other| other == name)
    }
}

struct Reader<'s> {
    definitions: &'s Map<String, Value>,
}

impl Reader<'_> {
    fn shape(&self, schema: &Value, depth: u8) -> Result<Shape, UnsupportedSchema> {
        let unsupported = || UnsupportedSchema(schema.to_string());
        let parts = schema.as_object().filter(|_| depth < DEPTH_MAX).ok_or_else(unsupported)?;
        let only = |allowed: &[&str]| {
            let beyond = parts.keys().find(|key| !allowed.contains(&key.as_str()) && !REMARKS.contains(&key.as_str()));
            beyond.map_or(Ok(()), |key| Err(UnsupportedSchema(format!("{key} in {schema}"))))
        };
        if let Some(reference) = parts.get("$ref") {
            only(&["$ref"])?;
            let name = reference.as_str().and_then(|path| path.strip_prefix("#/$defs/")).ok_or_else(unsupported)?;
            return self.shape(self.definitions.get(name).ok_or_else(unsupported)?, depth + 1);
        }
        if let Some(choices) = parts.get("anyOf") {
            only(&["anyOf"])?;
            let choices = choices.as_array().ok_or_else(unsupported)?;
            return Ok(Shape::Either(choices.iter().map(|one| self.shape(one, depth + 1)).collect::<Result<_, _>>()?));
        }
        match parts.get("type").and_then(Value::as_str).ok_or_else(unsupported)? {
            "boolean" => only(&["type"]).map(|()| Shape::Boolean),
            "integer" => {
                only(&["type", "minimum", "maximum"])?;
                let bound = |name| parts.get(name).map(|bound| bound.as_i64().ok_or_else(unsupported)).transpose();
                Ok(Shape::Integer { least: bound("minimum")?, most: bound("maximum")? })
            }
            "array" => {
                only(&["type", "items"])?;
                let items = parts.get("items").ok_or_else(unsupported)?;
                Ok(Shape::List(Box::new(self.shape(items, depth + 1)?)))
            }
            "object" => {
                only(&["type", "properties", "required", "x-unless-other", "x-unless-preset", "additionalProperties"])?;
                self.table(parts, depth).ok_or_else(unsupported)?
            }
            "string" => {
                only(&["type", "enum"])?;
                text(parts).ok_or_else(unsupported)
            }
            _ => Err(unsupported()),
        }
    }

    /// An object is closed and has named members, or it is open and has none. `None` if it is neither.
    fn table(&self, parts: &Map<String, Value>, depth: u8) -> Option<Result<Shape, UnsupportedSchema>> {
        let additional = parts.get("additionalProperties")?;
        let Some(properties) = parts.get("properties") else {
            return additional
                .is_object()
                .then(|| self.shape(additional, depth + 1).map(|shape| Shape::Map(Box::new(shape))));
        };
        if additional != &Value::Bool(false) {
            return None;
        }
        let names = |names: &Value| names.as_array()?.iter().map(|name| Some(name.as_str()?.to_owned())).collect();
        let required: Vec<String> = parts.get("required").map_or(Some(Vec::new()), names)?;
        let unless_preset: Vec<String> = parts.get("x-unless-preset").map_or(Some(Vec::new()), names)?;
        let instead = pairs(parts, "x-instead")?;
        let unless_other = pairs(parts, "x-unless-other")?;
        let properties = properties.as_object()?;
        if !required.iter().chain(&unless_preset).chain(unless_other.keys()).all(|name| properties.contains_key(name)) {
            return None;
        }
        let member = |(name, schema): (&String, &Value)| {
            let example = schema.get("examples").and_then(|all| all.get(0)).map(toml_text);
            Ok((name.clone(), Member { shape: self.shape(schema, depth + 1)?, example }))
        };
        let known = properties.iter().map(member).collect::<Result<_, _>>();
        Some(known.map(|known| Shape::Table(Members { known, required, unless_preset, unless_other, instead })))
    }
}

/// A text, or a choice of texts. `None` if its parts are not as expected.
fn text(parts: &Map<String, Value>) -> Option<Shape> {
    let what = parts.get("title").map_or(Some("string"), Value::as_str)?.to_owned();
    let Some(values) = parts.get("enum") else {
        let example = parts.get("examples").and_then(|all| all.get(0)).map(toml_text);
        return Some(Shape::Text { what, example });
    };
    let values = values.as_array()?.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    let (never, instead) = (pairs(parts, "x-never")?, pairs(parts, "x-instead")?);
    Some(Shape::Choice { what, values, never, instead })
}

/// A word without what people write differently: case, `-` and `_`.
fn plain(word: &str) -> String {
    word.to_lowercase().replace(['-', '_'], "")
}

/// An extension of ours: a list of pairs of texts. `None` if it is something else; empty if it is not there.
fn pairs(parts: &Map<String, Value>, name: &str) -> Option<BTreeMap<String, String>> {
    let Some(pairs) = parts.get(name) else { return Some(BTreeMap::new()) };
    let pair = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.as_str()?.to_owned()));
    pairs.as_array()?.iter().map(pair).collect()
}

/// Keywords that may stand anywhere. The rules check what a `pattern` tells editors, in better words; `format` names integer
/// types, whose bounds are also given.
const REMARKS: [&str; 10] =
    ["$defs", "$schema", "default", "description", "examples", "format", "pattern", "title", "x-instead", "x-never"];

/// Deeper than any schema of ours: a schema that refers to itself is refused.
const DEPTH_MAX: u8 = 16;

#[cfg(test)]
mod tests;
