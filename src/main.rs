//! The binary: hands over to `cli` and ends with the exit code it gives.

use std::process::ExitCode;

fn main() -> ExitCode {
    callgate::cli::run()
}
