//! The command line: one subcommand, one exit code. What is said goes to standard output and standard error, which are passed
//! in, and nothing here ends the process.

mod admin_client;
mod documents;
mod drain;
mod explain;
mod fetch;
mod init;
mod probe;
mod reload;
mod rollout;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::clock::UnixTime;
use crate::config::{self, Compiled, Problems};
use crate::request::{Scheme, TokenField};
use crate::server;

use explain::Question;
use probe::Probe;

/// Tells the service behind it who is calling.
#[derive(Parser)]
#[command(name = "callgate", version, long_version = VERSION)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The version, with the drafts that this one follows: they change until they are RFCs, and implementations of other ones may not understand
/// each other.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nexperimental: workload tokens with proof (issuers[].binding = [\"wimse\"]) by draft-ietf-wimse-workload-creds-02 and \
     draft-ietf-wimse-wpt-02"
);

#[derive(Subcommand)]
enum Command {
    /// Report every problem of a configuration; bind no port, and ask no network without --fetch
    Check {
        #[command(flatten)]
        config: Config,
        /// Also print the tables of the issuers with all defaults and preset values
        #[arg(long)]
        expand: bool,
        /// Look below this directory for the files whose paths are absolute, as if it were the root of the machine or pod where the
        /// sidecar will run
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        /// Also ask each issuer for its keys once, and say what came or why nothing did; exit 1 if an issuer has none
        #[arg(long)]
        fetch: bool,
    },
    /// Print the completions of a shell
    Completions { shell: clap_complete::Shell },
    /// Ask the running sidecar to let its connections end, and to serve until it is stopped: for a preStop hook
    Drain(Admin),
    /// Say why a token is accepted or refused, check by check
    Explain(Explain),
    /// Write a first sidecar.toml for an issuer, after a look at its discovery document and keys; what nobody told is marked
    Init(Init),
    /// Write the manual pages into a directory
    Man {
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Send to a deployment what somebody without the issuer's key could, and say what got through; exit 0 if nothing did
    Probe(Box<Probe>),
    /// Ask the running sidecar to read its configuration again, and say what is in force then; exit 0 if it is the file's
    Reload(Admin),
    /// Ask a running instance who would be refused, to know whether refusing may begin; exit 0 if nobody would be
    Rollout(Rollout),
    /// Run the sidecar
    Run(Config),
    /// Print the JSON Schema of sidecar.toml
    Schema,
}

#[derive(Args)]
struct Explain {
    /// The configuration file; without one here, the token's own words are shown, and nothing is verified
    #[arg(long, value_name = "FILE", env = "CALLGATE_CONFIG")]
    config: Option<PathBuf>,
    /// Use the keys of this JWK Set instead of fetching them
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Judge for this time instead of now: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<UnixTime>,
    /// Judge for a client that opened its connection with this certificate, in PEM
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Judge with the proof (the value of the DPoP or Workload-Proof-Token field) in this file, for a request with --method and --url
    #[arg(long, value_name = "FILE", requires_all = ["method", "url"])]
    proof: Option<PathBuf>,
    /// The method of the request that the proof is for
    #[arg(long, value_name = "METHOD", requires = "proof")]
    method: Option<String>,
    /// The URL of that request, as its client knows it
    #[arg(long, value_name = "URL", requires = "proof")]
    url: Option<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
    /// The token, or the issuer's answer that holds it as `access_token`; `-` or none reads it from standard input, which keeps it out of the shell's history
    token: Option<String>,
}

#[derive(Args)]
struct Init {
    /// The issuer, exactly as its tokens name it
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// What its tokens have in `aud` if they are meant for this service; may be given several times
    #[arg(long = "audience", value_name = "NAME", required = true)]
    audiences: Vec<String>,
    /// The address of the service, or `unix:` and the path of its socket
    #[arg(long, value_name = "ADDR")]
    upstream: String,
    /// Write to this file, which must not be there yet, instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Args)]
struct Config {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "CALLGATE_CONFIG", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

#[derive(Args)]
struct Admin {
    /// The admin address of the instance
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9901")]
    admin: String,
}

#[derive(Args)]
struct Rollout {
    #[command(flatten)]
    admin: Admin,
    /// Only what was seen in so many hours before now counts against it
    #[arg(long, value_name = "HOURS")]
    within: Option<u64>,
}

/// Does what the arguments of the process ask for.
#[must_use]
pub fn run() -> ExitCode {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let said = match Cli::parse().command {
        Command::Check { config: Config { config }, expand, root, fetch } => {
            match check(&config, root.as_deref(), expand, &mut out, &mut err) {
                Ok(0) if fetch => fetch::run(&config, root.as_deref(), &mut out),
                said => said,
            }
        }
        Command::Completions { shell } => documents::completions(Cli::command(), shell, &mut out),
        Command::Drain(Admin { admin }) => drain::run(&admin, &mut err),
        Command::Rollout(Rollout { admin: Admin { admin }, within }) => {
            rollout::run(&admin, within, &mut out, &mut err)
        }
        Command::Explain(arguments) => why(arguments, &mut out, &mut err),
        Command::Init(Init { issuer, audiences, upstream, output }) => {
            let wanted = init::Wanted { issuer, audiences, upstream, output };
            init::run(&wanted, &mut out, &mut err).and_then(|said| match said {
                Ok(code) => Ok(code),
                Err(problems) => refuse(Path::new("callgate init"), &problems, &mut err),
            })
        }
        Command::Man { directory } => documents::manual(Cli::command(), &directory, &mut err),
        Command::Probe(arguments) => crate::probe::run(&(*arguments).into(), &mut out, &mut err),
        Command::Reload(Admin { admin }) => reload::run(&admin, &mut out, &mut err),
        Command::Run(Config { config }) => start(&config, &mut err),
        Command::Schema => schema(&mut out),
    };
    // What cannot be said, because the reader has gone, is a failure without words.
    said.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// `callgate run`: the sidecar, until a signal ends it. Returns the exit code.
fn start(path: &Path, err: &mut impl Write) -> io::Result<u8> {
    match config::load(path) {
        Ok(compiled) => match server::run(path, compiled) {
            Ok(_) => Ok(0),
            Err(fault) => writeln!(err, "callgate cannot run: {fault}").map(|()| 1),
        },
        Err(problems) => refuse(path, &problems, err),
    }
}

/// `callgate explain`: why a token is accepted or refused. Returns the exit code: 0 accepted, 1 refused or not to be judged.
fn why(arguments: Explain, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let Explain { config: path, keys, at, certificate, proof, method, url, json, token } = arguments;
    // The arguments come together, or none does.
    let proof = proof.zip(method).zip(url).map(|((file, method), url)| explain::Proof { file, method, url });
    let question = Question { token, keys, at, certificate, proof, json };
    let default = || Some(PathBuf::from(DEFAULT_CONFIG)).filter(|path| path.exists());
    let answer = match path.or_else(default) {
        Some(path) => match config::load(&path) {
            Ok(compiled) => explain::run(compiled, question, out),
            Err(problems) => return refuse(&path, &problems, err),
        },
        None => explain::read(&question, out).map(|()| false),
    };
    match answer {
        Ok(is_accepted) => Ok(u8::from(!is_accepted)),
        Err(fault) => writeln!(err, "callgate cannot explain: {fault}.").map(|()| 1),
    }
}

fn time(written: &str) -> Result<UnixTime, &'static str> {
    UnixTime::parse(written).ok_or("write it as 2026-01-02T03:04:05Z, or as seconds since 1970")
}

/// The configuration when none is named.
const DEFAULT_CONFIG: &str = "sidecar.toml";

/// The exit code of a bad configuration (`EX_CONFIG` of sysexits.h).
pub const BAD_CONFIGURATION: u8 = 78;

/// `callgate check`: every problem of a configuration to `err`, or a summary of what it means to `out`, with `expand` followed by
/// the issuers' tables spelled out. Files with absolute paths are looked for below `root`. Returns the exit code.
///
/// # Errors
/// If what is to be said cannot be written.
pub fn check(
    path: &Path,
    root: Option<&Path>,
    expand: bool,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let compiled = match config::load_for(path, root) {
        Ok(compiled) => compiled,
        Err(problems) => return refuse(path, &problems, err),
    };
    for warning in &compiled.warnings {
        writeln!(err, "{warning:#}")?;
    }
    summarize(path, &compiled, out)?;
    if expand {
        let token = &compiled.token;
        if *token != TokenField::default() {
            let scheme = if token.scheme() == Scheme::Bare { "none" } else { "Bearer" };
            write!(out, "\n[token]\nheader = {:?}\nscheme = {scheme:?}\n", token.name())?;
        }
        for issuer in &compiled.issuers {
            write!(out, "\n{}", issuer.expanded)?;
        }
    }
    Ok(0)
}

/// `callgate schema`: the JSON Schema of `sidecar.toml` to `out`. Returns the exit code.
///
/// # Errors
/// If it cannot be written.
pub fn schema(out: &mut impl Write) -> io::Result<u8> {
    writeln!(out, "{:#}", config::schema())?;
    Ok(0)
}

/// Says why a configuration cannot be used.
fn refuse(path: &Path, problems: &Problems, err: &mut impl Write) -> io::Result<u8> {
    write!(err, "{problems}")?;
    let errors = counted(problems.errors(), "error");
    writeln!(err, "{}: {errors}; the configuration cannot be used.", path.display())?;
    Ok(BAD_CONFIGURATION)
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
    let token = &compiled.token;
    if *token != TokenField::default() {
        let scheme = if token.scheme() == Scheme::Bare { "alone" } else { "after the scheme Bearer" };
        writeln!(out, "  token     in {}, {scheme}", token.name())?;
    }
    for scope in compiled.modes.reported() {
        writeln!(out, "  report    {scope}: only reported, and never refused")?;
    }
    for issuer in &compiled.issuers {
        let requirement = &issuer.rules.requirement;
        let algorithms: Vec<_> = requirement.algorithms().iter().map(|algorithm| algorithm.name()).collect();
        let (mut audiences, algorithms) = (requirement.audiences().join(", "), algorithms.join(", "));
        if let Some(claim) = requirement.audience_claim() {
            audiences = format!("{audiences} in {claim}");
        }
        writeln!(out, "  issuer    {} for {audiences}, signed with {algorithms}", requirement.issuer())?;
        writeln!(out, "            keys from {}", issuer.origin.location.document())?;
        if let Some(naming) = &issuer.rules.naming {
            writeln!(out, "            callers from the claim {naming}")?;
        }
    }
    writeln!(out, "  caller    {} from the claim {}", compiled.caller.header(), compiled.caller.claim())
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
