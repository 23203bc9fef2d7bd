//! What is made of the command line's own description: shell completions and manual pages.

use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

/// `callgate completions`: what a shell needs to complete our arguments, to `out`. Returns the exit code.
pub(super) fn completions(mut program: Command, shell: Shell, out: &mut impl Write) -> io::Result<u8> {
    // The generator ends the process when its output is closed, so it writes into memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, "callgate", &mut script);
    out.write_all(&script)?;
    Ok(0)
}

/// `callgate man`: one page for the program and one for each command, in the format of troff. Returns the exit code.
pub(super) fn manual(program: Command, directory: &Path, err: &mut impl Write) -> io::Result<u8> {
    match clap_mangen::generate_to(program, directory) {
        Ok(()) => Ok(0),
        Err(error) => writeln!(err, "callgate man: {} cannot be written to: {error}", directory.display()).map(|()| 1),
    }
}
