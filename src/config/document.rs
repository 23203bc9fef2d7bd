//! The text of a configuration with its parsed form, and the place in the text of every key. It knows TOML, and nothing about
//! what the keys mean.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::path::{KeyPath, Segment};
use super::problem::{Problem, Severity, SourceSpan};

/// A parsed configuration file.
pub(super) struct Document<'t> {
    name: &'t str,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

/// What of a key is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Its name.
    Name,
    /// Its value. If there is none: the table in which it is missing.
    Value,
}

impl<'t> Document<'t> {
    /// Parses a text, which is called `name` in problems. The document holds what could be understood; the problems are the
    /// syntax errors, one for a line.
    pub(super) fn parse(name: &'t str, text: &'t str) -> (Self, Vec<Problem>) {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self { name, text, root };
        let problem = |error: &toml::de::Error| {
            let found = error.span().and_then(|span| text.get(span)).unwrap_or_default();
            document.at(error.span(), String::new(), Severity::Error, syntax(error.message(), found))
        };
        let mut problems: Vec<_> = errors.iter().map(problem).collect();
        problems.sort_by_key(Problem::order);
        (document, causes(problems))
    }

    /// The whole document as a value, to be changed.
    pub(super) fn value(&self) -> Spanned<DeValue<'t>> {
        Spanned::new(self.root.span(), DeValue::Table(self.root.get_ref().clone()))
    }

    /// Whether the key is written in the file.
    pub(super) fn has(&self, key: &KeyPath) -> bool {
        self.span(key, Part::Value).1 == key.segments().len()
    }

    /// A problem with this key.
    pub(super) fn problem(&self, severity: Severity, key: &KeyPath, part: Part, message: String) -> Problem {
        self.at(Some(self.span(key, part).0), key.to_string(), severity, message)
    }

    /// A problem with this range of the text.
    pub(super) fn at(&self, span: Option<Range<usize>>, key: String, severity: Severity, message: String) -> Problem {
        let place = Some(SourceSpan::of(self.text, &span.unwrap_or_default()));
        Problem { severity, file: self.name.to_owned(), place, key, message }
    }

    /// The range of the key, or of the last table on the way to it that is written, and how many steps were found.
    fn span(&self, key: &KeyPath, part: Part) -> (Range<usize>, usize) {
        let mut span = self.root.span();
        let mut found = 0;
        let mut names = None;
        let mut table = Some(self.root.get_ref());
        let mut list = None;
        for step in key.segments() {
            let value = match step {
                Segment::Key(name) => {
                    table.and_then(|table| table.get_key_value(name.as_str())).map(|(name, value)| {
                        names = Some(name.span());
                        value
                    })
                }
                Segment::Index(index) => list.and_then(|list: &toml::de::DeArray<'t>| list.get(*index)),
            };
            let Some(value) = value else { return (span, found) };
            found += 1;
            span = value.span();
            table = value.get_ref().as_table();
            list = value.get_ref().as_array();
        }
        match (part, key.segments().last(), names) {
            (Part::Name, Some(Segment::Key(_)), Some(name)) => (name, found),
            _ => (span, found),
        }
    }
}

/// The errors without their consequences: the first of a line causes the others, and in a list that is not closed each of the
/// lines that follow is one more.
fn causes(sorted: Vec<Problem>) -> Vec<Problem> {
    let mut last = None;
    let mut causes = Vec::new();
    for problem in sorted {
        let line = problem.line();
        let follows = last.is_some_and(|last| line == last || line == last + 1 && problem.message.contains(IN_A_LIST));
        last = Some(line);
        if !follows {
            causes.push(problem);
        }
    }
    causes
}

/// The parser's words, with what to do about the commonest slips.
fn syntax(message: &str, found: &str) -> String {
    let quotes = "a text stands in double quotes";
    let number =
        ["invalid float", "invalid integer", "invalid fraction", "unexpected leading zero", "invalid mantissa"];
    let message = match message {
        "duplicate key" => &format!("{found:?} is already there; keep one of the two"),
        message if message.starts_with("string values must be quoted") => quotes,
        message if number.iter().any(|start| message.starts_with(start)) => &format!("{message}; {quotes}"),
        message if message.starts_with(IN_A_LIST) => &format!("{message}; or the list above is not closed with ]"),
        message => message,
    };
    format!("not valid TOML: {message}")
}

const IN_A_LIST: &str = "missing comma between array elements";
