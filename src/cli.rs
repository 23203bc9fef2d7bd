//! What the subcommands that need no server do. They write to what they are given and return the exit code; they touch no
//! network, and never end the process themselves.

use std::io::{self, Write};
use std::path::Path;

use crate::config::{self, Compiled};

/// The exit code of a bad configuration (`EX_CONFIG` of sysexits.h).
pub const BAD_CONFIGURATION: u8 = 78;

/// `callgate check`: every problem of a configuration to `err`, or a summary of what it means to `out`. Returns the exit
/// code.
///
/// # Errors
/// If what is to be said cannot be written.
pub fn check(path: &Path, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    match config::load(path) {
        Ok(compiled) => {
            for warning in &compiled.warnings {
                writeln!(err, "{warning}")?;
            }
            summarize(path, &compiled, out)?;
            Ok(0)
        }
        Err(problems) => {
            write!(err, "{problems}")?;
            let errors = counted(problems.errors(), "error");
            writeln!(err, "{}: {errors}; the configuration cannot be used.", path.display())?;
            Ok(BAD_CONFIGURATION)
        }
    }
}

/// `callgate schema`: the JSON Schema of `sidecar.toml` to `out`. Returns the exit code.
///
/// # Errors
/// If it cannot be written.
pub fn schema(out: &mut impl Write) -> io::Result<u8> {
    writeln!(out, "{:#}", config::schema::schema())?;
    Ok(0)
}

fn summarize(path: &Path, compiled: &Compiled, out: &mut impl Write) -> io::Result<()> {
    let warnings = match compiled.warnings.len() {
        0 => String::new(),
        count => format!(", with {}", counted(count, "warning")),
    };
    writeln!(out, "{} is good{warnings}.", path.display())?;
    writeln!(out, "  listen    {}", compiled.listen)?;
    writeln!(out, "  upstream  {}", compiled.upstream.address)?;
    writeln!(out, "  admin     {}", compiled.admin)?;
    for issuer in &compiled.issuers {
        let requirement = &issuer.requirement;
        let algorithms: Vec<_> = requirement.algorithms().iter().map(|algorithm| algorithm.name()).collect();
        let (audiences, algorithms) = (requirement.audiences().join(", "), algorithms.join(", "));
        writeln!(out, "  issuer    {} for {audiences}, signed with {algorithms}", requirement.issuer())?;
        writeln!(out, "            keys from {}", issuer.keys.source)?;
    }
    writeln!(out, "  caller    {} from the claim {}", compiled.caller.header(), compiled.caller.claim())
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
