//! Where the rules report. A finding about a key whose own shape is wrong is dropped: it would be a consequence, not a cause.

use std::path::PathBuf;

use crate::config::base::Base;
use crate::config::document::{Document, Part};
use crate::config::path::KeyPath;
use crate::config::problem::{Problem, Severity};

/// The findings of the rules about one document.
pub(crate) struct Findings<'d, 't> {
    document: &'d Document<'t>,
    base: &'d Base,
    invalid_keys: Vec<KeyPath>,
    problems: Vec<Problem>,
}

/// Proof that an error was reported. A rule without a value has one, so that no file is refused without saying why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported(());

impl<'d, 't> Findings<'d, 't> {
    /// No findings yet. What the rules find about `invalid_keys`, whose errors are reported already, does not count.
    pub(crate) const fn new(document: &'d Document<'t>, base: &'d Base, invalid_keys: Vec<KeyPath>) -> Self {
        Self { document, base, invalid_keys, problems: Vec::new() }
    }

    /// Reports an error. The rule has no value then, and ends with what this returns.
    pub(crate) fn error(&mut self, key: &KeyPath, message: impl Into<String>) -> Reported {
        self.report(Severity::Error, key, message.into());
        Reported(())
    }

    /// Reports what is allowed but should be known.
    pub(crate) fn warning(&mut self, key: &KeyPath, message: impl Into<String>) {
        self.report(Severity::Warning, key, message.into());
    }

    /// Whether a key is written in the file, and not only there by default.
    pub(crate) fn is_written(&self, key: &KeyPath) -> bool {
        self.document.has(key)
    }

    /// The file that a path of the document means.
    pub(crate) fn path(&self, written: &str) -> PathBuf {
        self.base.join(written)
    }

    /// All that was reported.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    fn report(&mut self, severity: Severity, key: &KeyPath, message: String) {
        if !self.invalid_keys.iter().any(|invalid| invalid.is_related(key)) {
            self.problems.push(self.document.problem(severity, key, Part::Value, message));
        }
    }
}

/// The values, if all rules have one. It runs all of them, so that everything is reported.
pub(super) fn all<T>(outcomes: impl Iterator<Item = Result<T, Reported>>) -> Result<Vec<T>, Reported> {
    let outcomes: Vec<_> = outcomes.collect();
    outcomes.into_iter().collect()
}
