//! The configuration: `sidecar.toml` in, checked settings out, or every problem of the file at once. Nothing is bound and no
//! network is asked. A file with an error yields no settings at all.

use std::path::Path;

use serde::Deserialize as _;
use toml::de::ValueDeserializer;

mod base;
mod file;
mod path;
mod preset;
mod problem;
mod schema;

mod compile;
mod document;
mod input;
mod restart;
mod settings;
mod shape;

pub use problem::{Problem, Problems, Severity, SourceSpan};
pub use schema::{schema, toml_text};
pub use settings::{
    Audit, Compiled, Dpop, Issuer, ListenAddress, Log, LogFormat, LogLevel, Protocol, Reload, Revocation, Shutdown,
    Tls, Tracing, Upstream, UpstreamAddress, WhenFull, Wimse,
};

pub(crate) use compile::own_issuer;

use base::Base;
use compile::Findings;
use document::Document;
use shape::Shape;

/// Reads and compiles a configuration file. Relative paths in it start at its directory.
///
/// # Errors
/// Every problem of the file, if at least one is an error.
pub fn load(path: &Path) -> Result<Compiled, Problems> {
    load_for(path, None)
}

/// The same for a machine whose root is the directory `root`: there the files with absolute paths are looked for.
///
/// # Errors
/// Every problem of the file, if at least one is an error.
pub fn load_for(path: &Path, root: Option<&Path>) -> Result<Compiled, Problems> {
    let name = path.display().to_string();
    let text = input::read(path).map_err(|fault| {
        whole(&name, format!("it {fault}; name the configuration with --config or CALLGATE_CONFIG"))
    })?;
    let text = String::from_utf8(text).map_err(|error| {
        let sound = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = sound.iter().filter(|byte| **byte == b'\n').count() + 1;
        whole(&name, format!("line {line} is not UTF-8; save the file as UTF-8"))
    })?;
    compile_text(&name, &text, &Base::new(path.parent().unwrap_or(Path::new("")), root))
}

/// Compiles the text of a configuration, which is called `name` in problems. Relative paths in it start at `base`.
///
/// # Errors
/// Every problem of the text, if at least one is an error.
pub fn load_str(name: &str, text: &str, base: &Path) -> Result<Compiled, Problems> {
    compile_text(name, text, &Base::new(base, None))
}

fn compile_text(name: &str, text: &str, base: &Base) -> Result<Compiled, Problems> {
    let (document, syntax) = Document::parse(name, text);
    let shape = Shape::read(&schema()).map_err(|unsupported| whole(name, unsupported.to_string()))?;
    let mut value = document.value();
    preset::fill(value.get_mut());
    let checked = shape::check::check(&document, value, &shape);
    let mut problems = checked.problems;
    if syntax.is_empty() {
        problems.extend(checked.absences);
    }
    let mut findings = Findings::new(&document, base, checked.invalid_keys);
    let compiled = match file::File::deserialize(ValueDeserializer::from(checked.value)) {
        Ok(file) => compile::compile(file, &mut findings).ok(),
        Err(error) => {
            problems.push(document.at(error.span(), String::new(), Severity::Error, error.message().to_owned()));
            None
        }
    };
    problems.extend(findings.into_problems());
    if let Some(first) = syntax.iter().map(Problem::line).min() {
        // What stands behind a syntax error may have been misread.
        problems.retain(|problem| problem.line() < first);
        problems.extend(syntax);
    }
    let problems = Problems::new(problems);
    match compiled {
        Some(compiled) if problems.errors() == 0 => Ok(Compiled { warnings: problems.into_vec(), ..compiled }),
        _ => Err(problems),
    }
}

/// A problem with the file as a whole.
fn whole(name: &str, message: String) -> Problems {
    Problem { severity: Severity::Error, file: name.to_owned(), place: None, key: String::new(), message }.into()
}
