//! The arguments of `callgate probe`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::probe::{Options, TargetOptions};

#[derive(Args)]
pub(super) struct Probe {
    /// Where the good token passes
    #[arg(long)]
    url: String,
    /// The file with one good token; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// The method of that request, and the only one that is ever sent
    #[arg(long, default_value = "GET")]
    method: String,
    /// The body of that request
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// A field that every request needs, as `Name: value`
    #[arg(long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// A path of the service that answers with the head it received; without one, whom the service was told is not to tell
    #[arg(long, value_name = "PATH")]
    echo_path: Option<String>,
    /// A path that needs no token, around which tricks are tried
    #[arg(long = "public-path", value_name = "PATH", default_value = "/healthz")]
    public_paths: Vec<String>,
    /// The header in which the service is told its caller
    #[arg(long, value_name = "NAME", default_value = "X-Caller-Service")]
    caller_header: String,
    /// The issuer's public keys, as PEM or as a JWK Set: tried as secrets of an HMAC
    #[arg(long, value_name = "FILE")]
    keys_file: Option<PathBuf>,
    /// The service's own port, which must not answer
    #[arg(long, value_name = "HOST:PORT")]
    direct: Option<String>,
    /// Trust the authorities in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How many requests are sent in a second, at most
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// How many seconds to wait for a connection and for each read
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
    /// Send nothing, and list the cases
    #[arg(long)]
    dry_run: bool,
    /// Only the cases whose class or description contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
    /// Also write the result as XML for JUnit
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl From<Probe> for Options {
    fn from(arguments: Probe) -> Self {
        let target = TargetOptions {
            url: arguments.url,
            token_file: arguments.token_file,
            method: arguments.method,
            body_file: arguments.body_file,
            headers: arguments.headers,
            echo_path: arguments.echo_path,
            public_paths: arguments.public_paths,
            caller_header: arguments.caller_header,
            keys_file: arguments.keys_file,
        };
        Self {
            target,
            ca_file: arguments.ca_file,
            direct: arguments.direct,
            rate: arguments.rate,
            timeout: Duration::from_secs(arguments.timeout),
            dry_run: arguments.dry_run,
            only: arguments.only,
            json: arguments.json,
            junit: arguments.junit,
        }
    }
}
