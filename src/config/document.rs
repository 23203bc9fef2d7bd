//! The text of a configuration with its parsed form, and the place in the text of every key. It knows TOML, and nothing about
//! what the keys mean.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::path::{KeyPath, Step};
use super::problem::{Place, Problem, Severity};

/// A parsed configuration file.
pub struct Document<'t> {
    name: &'t str,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

/// What of a key is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its name.
    Name,
    /// Its value. If there is none: the table in which it is missing.
    Value,
}

impl<'t> Document<'t> {
    /// Parses a text, which is called `name` in problems. With syntax errors the document holds what could be understood.
    pub fn parse(name: &'t str, text: &'t str) -> (Self, Vec<Problem>) {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self { name, text, root };
        let problems = errors
            .iter()
            .map(|error| document.at(error.span(), String::new(), Severity::Error, syntax(error.message())))
            .collect();
        (document, problems)
    }

    /// The whole document as a value, to be changed.
    pub fn value(&self) -> Spanned<DeValue<'t>> {
        Spanned::new(self.root.span(), DeValue::Table(self.root.get_ref().clone()))
    }

    /// Whether the key is written in the file.
    pub fn has(&self, key: &KeyPath) -> bool {
        self.span(key, Part::Value).1 == key.steps().len()
    }

    /// A problem with this key.
    pub fn problem(&self, severity: Severity, key: &KeyPath, part: Part, message: String) -> Problem {
        self.at(Some(self.span(key, part).0), key.to_string(), severity, message)
    }

    /// A problem with this range of the text.
    pub fn at(&self, span: Option<Range<usize>>, key: String, severity: Severity, message: String) -> Problem {
        let place = Some(Place::of(self.text, &span.unwrap_or_default()));
        Problem { severity, file: self.name.to_owned(), place, key, message }
    }

    /// The range of the key, or of the last table on the way to it that is written, and how many steps were found.
    fn span(&self, key: &KeyPath, part: Part) -> (Range<usize>, usize) {
        let mut span = self.root.span();
        let mut found = 0;
        let mut names = None;
        let mut table = Some(self.root.get_ref());
        let mut list = None;
        for step in key.steps() {
            let value = match step {
                Step::Key(name) => table.and_then(|table| table.get_key_value(name.as_str())).map(|(name, value)| {
                    names = Some(name.span());
                    value
                }),
                Step::Index(index) => list.and_then(|list: &toml::de::DeArray<'t>| list.get(*index)),
            };
            let Some(value) = value else { return (span, found) };
            found += 1;
            span = value.span();
            table = value.get_ref().as_table();
            list = value.get_ref().as_array();
        }
        match (part, key.steps().last(), names) {
            (Part::Name, Some(Step::Key(_)), Some(name)) => (name, found),
            _ => (span, found),
        }
    }
}

/// The parser's words, with what to do about the commonest slips.
fn syntax(message: &str) -> String {
    let advice = match message {
        message if message.starts_with("duplicate key") => "; keep one of the two",
        message if message.starts_with("string values must be quoted") => "; put the value in double quotes",
        _ => "",
    };
    format!("not valid TOML: {message}{advice}")
}
