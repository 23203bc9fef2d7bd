//! What is wrong with a configuration, in the words of the person who wrote it: where, which key, what was found, what is
//! allowed and what to do. A problem shows the line it is about.

use std::fmt;

/// One finding about a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it keeps the configuration from being used.
    pub severity: Severity,
    /// The configuration file as it was named by the user.
    pub file: String,
    /// Where in the file; `None` if the file as a whole cannot be read.
    pub place: Option<SourceSpan>,
    /// The key, such as `issuers[0].audiences`; empty if the text is not TOML there.
    pub key: String,
    /// What was found, what is allowed, what to do.
    pub message: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and somebody should know this.
    Warning,
}

/// A place in the file, with its line to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpan {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// How many characters of the line it is about, at least 1.
    pub width: usize,
    /// The whole line, without its end.
    pub text: String,
}

/// All findings about a configuration that cannot be used, ordered by place. At least one is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problem {
    /// Its line, or 0 if it is about the file as a whole.
    pub(super) fn line(&self) -> usize {
        self.place.as_ref().map_or(0, |place| place.line)
    }

    /// Where it stands among others: by line and column, errors before warnings.
    pub(super) fn order(&self) -> (usize, usize, Severity) {
        (self.line(), self.place.as_ref().map_or(0, |place| place.column), self.severity)
    }
}

impl SourceSpan {
    /// The place of a range of bytes in a text.
    pub(super) fn of(text: &str, span: &std::ops::Range<usize>) -> Self {
        let start = span.start.min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let rest = text.get(line_start..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        let shown = line.strip_suffix('\r').unwrap_or(line);
        let marked = text.get(start..span.end.min(line_start + shown.len())).unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: text.get(line_start..start).unwrap_or_default().chars().count() + 1,
            width: marked.chars().count().max(1),
            text: shown.to_owned(),
        }
    }
}

impl Problems {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(Problem::order);
        Self(problems)
    }

    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// How many of the findings are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.iter().filter(|problem| problem.severity == Severity::Error).count()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    /// One finding after the other, each with its line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|problem| writeln!(f, "{problem:#}"))
    }
}

impl fmt::Display for Problem {
    /// `file:line:column: error: key: message`; in the alternate form (`{:#}`) followed by the line with its place marked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(place) = &self.place {
            write!(f, "{}:{}:", place.line, place.column)?;
        }
        write!(f, " {}: ", self.severity)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.place {
            Some(place) if f.alternate() => write!(f, "\n{place}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for SourceSpan {
    /// The line with its number, and carets under the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        // A tab stays a tab, so that the carets stand right whatever its width; no control character reaches a terminal.
        let text: String =
            self.text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
        let indent: String = text.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let carets = "^".repeat(self.width);
        write!(f, "{margin} |\n{number} | {text}\n{margin} | {indent}{carets}")
    }
}
