//! `callgate init`: a first `sidecar.toml` for an issuer. It looks at the issuer's discovery document and keys, writes what they tell,
//! and marks what nobody told. What it writes passes `callgate check`.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;

use crate::algorithm::{Algorithm, KeyKind};
use crate::config::{self, Problems, toml_text};
use crate::jwks_refresh::JwksRefresher;
use crate::keys::jwks::{Key, KeySet};
use crate::rejection::quoted;
use crate::server::{Verifier, prepare_tls};

/// What the file is to be for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) issuer: String,
    pub(super) audiences: Vec<String>,
    pub(super) upstream: String,
    /// Where to write it, instead of standard output.
    pub(super) output: Option<PathBuf>,
}

/// What an issuer told.
struct Told {
    /// How the keys are found, as the value of `keys`.
    keys: String,
    /// Its keys, or why there are none.
    set: Result<Arc<KeySet>, String>,
}

/// Writes a configuration. Returns the exit code, 0 if it was written and 1 if its place is taken, or what is wrong with the
/// configuration that the arguments make.
///
/// # Errors
/// If nothing can be said.
pub(super) fn run(wanted: &Wanted, out: &mut impl Write, err: &mut impl Write) -> io::Result<Result<u8, Problems>> {
    if let Some(path) = wanted.output.as_deref().filter(|path| path.exists()) {
        writeln!(err, "callgate init: {} is there already, and is not overwritten", path.display())?;
        return Ok(Ok(1));
    }
    prepare_tls();
    let candidates = ["{ discovery = true }".to_owned(), format!("{{ url = {} }}", text(&well_known(&wanted.issuer)))];
    let mut told: Option<Told> = None;
    for keys in candidates {
        let every: BTreeSet<_> = Algorithm::ALL.into_iter().collect();
        let set = match fetch(&wanted.file(&keys, &every, "", "")) {
            Ok(set) => set?,
            Err(problems) => return Ok(Err(problems)),
        };
        let is_found = set.is_ok();
        // If neither is found, the first one and its error are what people expect.
        if told.is_none() || is_found {
            told = Some(Told { keys, set });
        }
        if is_found {
            break;
        }
    }
    let Some(told) = told else { return Ok(Ok(1)) };
    if let Err(detail) = &told.set {
        writeln!(err, "callgate init: the issuer could not be asked, so its algorithms are a guess: {detail}")?;
    }
    let written = wanted.with(&told);
    let code = match &wanted.output {
        None => out.write_all(written.as_bytes()).map(|()| 0)?,
        Some(path) => match create(path, &written) {
            Ok(()) => {
                writeln!(err, "{} is written; `callgate check --config {0}` reads it.", path.display()).map(|()| 0)?
            }
            Err(error) => writeln!(err, "callgate init: {} cannot be written: {error}", path.display()).map(|()| 1)?,
        },
    };
    Ok(Ok(code))
}

/// Writes a file that is not there yet.
fn create(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

/// Where many issuers have their keys that have no discovery document.
fn well_known(issuer: &str) -> String {
    format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'))
}

/// Asks for the keys of the only issuer of a configuration, or says why there are none.
fn fetch(text: &str) -> Result<io::Result<Result<Arc<KeySet>, String>>, Problems> {
    let config = config::load_str("init", text, Path::new(""))?;
    let sources: Vec<_> = Verifier::new(config, None).sources.into_iter().collect();
    Ok(ask(sources))
}

fn ask(sources: Vec<crate::keys::source::Source>) -> io::Result<Result<Arc<KeySet>, String>> {
    let Some(slot) = sources.first().map(|source| Arc::clone(&source.slot)) else { return Ok(Err(String::new())) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let detail = runtime.block_on(async {
        let refresher = JwksRefresher::start(sources, &Registry::new()).map_err(io::Error::other)?;
        refresher.first_attempts(PATIENCE).await;
        Ok::<_, io::Error>(refresher.status().first().and_then(|status| status.detail()))
    })?;
    let keys = slot.latest().as_ref().map(|published| Arc::clone(&published.keys));
    Ok(keys.ok_or_else(|| detail.unwrap_or_else(|| "no answer in time".to_owned())))
}

impl Wanted {
    /// The file with what the issuer told.
    fn with(&self, told: &Told) -> String {
        match &told.set {
            Ok(set) => {
                let keys: Vec<_> = set.keys().iter().take(KEYS_SHOWN).map(described).collect();
                let more = set.keys().len().saturating_sub(KEYS_SHOWN);
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                let mut why = format!("# What the issuer's keys are for: {}{more}.\n", keys.join(", "));
                let algorithms: BTreeSet<_> = set.keys().iter().flat_map(chosen).collect();
                if set.keys().iter().any(|key| fitting(key).len() > 1) {
                    why += "# NOT KNOWN: which algorithm goes with an RSA key without `alg`. RS256 is what most issuers use; a token's\n\
                            # header has it: callgate explain TOKEN\n";
                }
                self.file(&told.keys, &algorithms, &why, "")
            }
            Err(detail) => {
                let detail: String = detail.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                let keys = "# NOT KNOWN: whether its keys are found so. Else: { url = \"https://…/jwks.json\" }\n";
                let why = format!(
                    "# NOT KNOWN: this is a guess, and tokens with another algorithm are refused. A token's header has it:\n\
                     # callgate explain TOKEN. The issuer could not be asked:\n\
                     # {detail}\n"
                );
                self.file(&told.keys, &[Algorithm::Es256].into(), &why, keys)
            }
        }
    }

    /// The file with this value of `keys`, these algorithms, and comments before both.
    fn file(&self, keys: &str, algorithms: &BTreeSet<Algorithm>, why: &str, where_from: &str) -> String {
        let list = |items: Vec<String>| toml_text(&items.into());
        let algorithms = list(algorithms.iter().map(|algorithm| algorithm.name().to_owned()).collect());
        let (issuer, audiences, upstream) = (text(&self.issuer), list(self.audiences.clone()), text(&self.upstream));
        format!(
            "# A first configuration of Callgate. Every other key has a default: `callgate schema` lists them.\n\
             \n\
             [listen]\n\
             # Where callers connect to.\n\
             address = \"0.0.0.0:8080\"\n\
             \n\
             [upstream]\n\
             # The service. Nobody may reach it but through Callgate: bind it to loopback or to a Unix socket.\n\
             address = {upstream}\n\
             \n\
             [admin]\n\
             # A page for people at /, and /status, /metrics, /livez, /readyz. They ask for no token: keep this port inside.\n\
             address = \"0.0.0.0:9901\"\n\
             \n\
             [[issuers]]\n\
             # Exactly as its tokens have it in `iss`.\n\
             issuer = {issuer}\n\
             # What its tokens have in `aud` if they are meant for this service.\n\
             audiences = {audiences}\n\
             {why}\
             algorithms = {algorithms}\n\
             {where_from}\
             keys = {keys}\n\
             # NOT KNOWN: the `typ` of its tokens, which no document tells. If a token's header has at+jwt (RFC 9068), require it:\n\
             # typ = [\"at+jwt\"]\n\
             \n\
             [caller]\n\
             # The header in which the service reads who is calling, and the claim that says it.\n\
             header = \"X-Caller-Service\"\n\
             claim = \"sub\"\n"
        )
    }
}

fn text(value: &str) -> String {
    toml_text(&value.into())
}

fn fitting(key: &Key) -> Vec<Algorithm> {
    Algorithm::ALL.into_iter().filter(|algorithm| key.public().fits(*algorithm)).collect()
}

/// The algorithms to allow for a key: the only one, or the one that most issuers use with RSA.
fn chosen(key: &Key) -> Vec<Algorithm> {
    let fitting = fitting(key);
    if fitting.len() > 1 && key.public().kind() == KeyKind::Rsa { vec![Algorithm::Rs256] } else { fitting }
}

fn described(key: &Key) -> String {
    let name = key.kid().map_or_else(|| "one without kid".to_owned(), quoted);
    let algorithms: Vec<_> = fitting(key).into_iter().map(Algorithm::name).collect();
    match algorithms.as_slice() {
        [only] => format!("{name} for {only}"),
        _ => format!("{name} for RSA of any kind"),
    }
}

/// How long the issuer may take.
const PATIENCE: Duration = Duration::from_secs(11);

/// How many keys are named.
const KEYS_SHOWN: usize = 5;
