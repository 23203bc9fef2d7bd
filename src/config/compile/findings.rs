//! Where the rules report. A finding about a key whose own shape is wrong is dropped: it would be a consequence, not a cause.

use crate::config::document::{Document, Part};
use crate::config::path::KeyPath;
use crate::config::problem::{Problem, Severity};

/// The findings of the rules about one document.
pub struct Findings<'d, 't> {
    document: &'d Document<'t>,
    unsound: Vec<KeyPath>,
    problems: Vec<Problem>,
}

impl<'d, 't> Findings<'d, 't> {
    /// No findings yet. What the rules find about `unsound` keys does not count.
    pub const fn new(document: &'d Document<'t>, unsound: Vec<KeyPath>) -> Self {
        Self { document, unsound, problems: Vec::new() }
    }

    /// Reports an error. There is no value then: it returns `None` for the rule to end with.
    pub fn error<T>(&mut self, key: &KeyPath, message: impl Into<String>) -> Option<T> {
        self.report(Severity::Error, key, message.into());
        None
    }

    /// Reports what is allowed but should be known.
    pub fn warning(&mut self, key: &KeyPath, message: impl Into<String>) {
        self.report(Severity::Warning, key, message.into());
    }

    /// Whether a key is written in the file, and not only there by default.
    pub fn is_written(&self, key: &KeyPath) -> bool {
        self.document.has(key)
    }

    /// All that was reported.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    fn report(&mut self, severity: Severity, key: &KeyPath, message: String) {
        if !self.unsound.iter().any(|unsound| unsound.is_related(key)) {
            self.problems.push(self.document.problem(severity, key, Part::Value, message));
        }
    }
}
