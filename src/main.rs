//! The command line: one subcommand, one exit code.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use callgate::cli;
use clap::{Args, Parser, Subcommand};

/// Tells the service behind it who is calling.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Report every problem of a configuration, without binding a port or asking the network.
    Check(Config),
    /// Run the sidecar.
    Run(Config),
    /// Print the JSON Schema of sidecar.toml.
    Schema,
}

#[derive(Args)]
struct Config {
    /// The configuration file.
    #[arg(long, env = "CALLGATE_CONFIG", default_value = "sidecar.toml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let code = match Cli::parse().command {
        Command::Check(Config { config }) => cli::check(&config, &mut out, &mut err),
        Command::Schema => cli::schema(&mut out),
        Command::Run(Config { config: _ }) => Ok(1),
    };
    // What cannot be said, for the reader has gone, is a failure without words.
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
