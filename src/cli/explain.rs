//! `callgate explain`: reads the token and the keys, lets [`crate::explain`] judge, and prints. Only the keys of the issuer that
//! the token names are fetched, from where the configuration says.

use std::io::{self, IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use prometheus::Registry;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::authenticator::Authenticator;
use crate::clock::UnixTime;
use crate::config::Compiled;
use crate::confirmation::CertificateHash;
use crate::explain::terminal::Colour;
use crate::explain::unverified::Statement;
use crate::explain::{Verdict, explain, machine, terminal};
use crate::issuers::IssuerIndex;
use crate::json::Object;
use crate::jwks_refresh::JwksRefresher;
use crate::jwt::parse::{Parts, Unverified};
use crate::keys::jwks::Reading;
use crate::keys::source::Source;
use crate::keys::store::Published;
use crate::proof::uri::{ExternalUrl, path_of};
use crate::proof::{ProofRules, ProofState, ProofVerifier, WorkloadProofRules};
use crate::rejection::Rejection;
use crate::request::{Fields, RequestHead, SingletonField, TokenField, WORKLOAD_PROOF, WORKLOAD_TOKEN};
use crate::server::{Verifier, prepare_tls};
use crate::token::{Token, presented};

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    /// The token, or `None` for standard input.
    pub token: Option<String>,
    /// A JWK Set to use instead of the configured sources.
    pub keys: Option<PathBuf>,
    /// The time for which to judge, instead of now.
    pub at: Option<UnixTime>,
    /// The certificate in PEM with which the client opened its connection.
    pub certificate: Option<PathBuf>,
    /// The proof that the client sends with the token.
    pub proof: Option<Proof>,
    /// JSON for machines instead of text for people.
    pub json: bool,
}

/// A proof, with the request that it is for.
#[derive(Debug)]
pub(super) struct Proof {
    /// Where it is.
    pub file: PathBuf,
    pub method: String,
    /// As the client knows it.
    pub url: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("{0} cannot be read: {1}")]
    Keys(String, io::Error),
    #[error("{0} is no certificate in PEM")]
    Certificate(String),
    #[error("{0} is no key set for the token's issuer: {1}")]
    KeySet(String, crate::keys::jwks::KeySetError),
    #[error("the operating system refused {0}: {1}")]
    System(&'static str, io::Error),
    #[error("without a configuration no key, certificate or proof is used; name one with --config")]
    KeysWithoutConfig,
    #[error("{0:?} is no URL of a request")]
    NoRequest(String),
    #[error("a request with this method and URL needs no token, and no proof")]
    Public,
    #[error("there is no token; give it as the argument, or on standard input")]
    NoToken,
    #[error("the JSON that was read has no access_token, which an issuer's answer has (RFC 6749 section 5.1)")]
    NoTokenInAnswer,
    #[error("what was read is not text")]
    NotText,
    #[error("the configuration has the token in {0}, and this is the Authorization field")]
    OtherField(String),
    #[error(transparent)]
    Output(#[from] io::Error),
    #[error("{0}")]
    Unreadable(Rejection),
}

/// Answers a question. Returns whether the token is accepted.
///
/// # Errors
/// If the token or the keys cannot be read, or the answer not be written.
pub(super) fn run(config: Compiled, question: Question, out: &mut impl Write) -> Result<bool, CommandError> {
    let dpop = config.dpop.as_ref().map(|dpop| dpop.rules.clone());
    let workload = config.wimse.as_ref().map(|wimse| wimse.rules.clone());
    let urls = dpop.as_ref().map(|rules| &rules.external_urls).or(workload.as_ref().map(|rules| &rules.external_urls));
    let shown = question.proof.as_ref().map(|proof| Shown::read(proof, urls.map_or(&[], Vec::as_slice))).transpose()?;
    let (field, at) = asked(&question, &config.token, workload.is_some())?;
    let public = config.public.clone();
    let Verifier { authenticator: judge, sources, .. } = Verifier::new(config, None);
    let judge =
        if dpop.is_some() || workload.is_some() { judge.with_proofs(for_one_proof(dpop, workload)) } else { judge };
    let certificate = question.certificate.as_deref().map(certificate).transpose()?;
    let proof = shown.as_ref().map_or(SingletonField::Absent, |shown| SingletonField::One(&shown.proof));
    let (token, is_workload) = match &field {
        Pasted::Field(value) => (value, false),
        Pasted::Workload(value) => (value, true),
    };
    let of_workload = OfWorkload { token, proof };
    let head = RequestHead {
        method: shown.as_ref().map_or("POST", |shown| &shown.method),
        path: shown.as_ref().map(|shown| shown.path.as_str()),
        authorization: if is_workload { SingletonField::Absent } else { SingletonField::One(token) },
        proof,
        certificate,
        fields: is_workload.then_some(&of_workload as &dyn Fields),
    };
    let named = named_issuer(&judge, &head).and_then(|index| sources.take(index));
    let error = match (named, &question.keys) {
        (None, _) => None,
        (Some(source), Some(path)) => use_file(&source, path, at).map(|()| None)?,
        (Some(source), None) => fetch(source)?,
    };
    if public.contains(&head) {
        return Err(CommandError::Public);
    }
    let explanation = explain(&judge, &head, at, error.as_deref());
    if question.json {
        machine::write(&explanation, out)?;
    } else {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = if io::stdout().is_terminal() && !is_plain { Colour::Always } else { Colour::Never };
        terminal::write(&explanation, colour, out)?;
    }
    Ok(matches!(explanation.verdict, Verdict::Accepted { .. }))
}

/// Says what the token says of itself, with nothing verified.
///
/// # Errors
/// If the token cannot be read, or the answer not be written.
pub(super) fn read(question: &Question, out: &mut impl Write) -> Result<(), CommandError> {
    if question.keys.is_some() || question.certificate.is_some() || question.proof.is_some() {
        return Err(CommandError::KeysWithoutConfig);
    }
    let (Pasted::Field(field) | Pasted::Workload(field), at) = asked(question, &TokenField::default(), false)?;
    let statement = Statement::read(&field, at).map_err(CommandError::Unreadable)?;
    if question.json {
        statement.write_json(out)?
    } else {
        statement.write(out)?
    }
    Ok(())
}

/// What a client shows beside its token.
struct Shown {
    method: String,
    /// The path as Callgate sees it.
    path: String,
    proof: Vec<u8>,
}

impl Shown {
    /// Reads a proof, and the path of its request: what is left of the URL without what the service is called outside.
    fn read(proof: &Proof, urls: &[ExternalUrl]) -> Result<Self, CommandError> {
        let Proof { file, method, url } = proof;
        let text = std::fs::read(file).map_err(|error| CommandError::Keys(file.display().to_string(), error))?;
        let ours = urls.iter().find_map(|ours| ours.path_of(url));
        let path = ours.or_else(|| path_of(url)).ok_or_else(|| CommandError::NoRequest(url.clone()))?;
        Ok(Self { method: method.clone(), path, proof: text.trim_ascii().to_vec() })
    }
}

/// Judges one proof. Whether running instances have seen it, and which nonces they give out, is known there alone.
fn for_one_proof(dpop: Option<ProofRules>, workload: Option<WorkloadProofRules>) -> ProofVerifier {
    let state = ProofState::new(&[0; 32]);
    state.memory.resize(INPUT_MAX);
    let dpop = dpop.map(|rules| ProofRules { nonce: false, ..rules });
    ProofVerifier::new(dpop, Arc::new(state)).with_workload(workload)
}

/// What was given as the token, as the value of its field.
enum Pasted {
    /// The field that carries tokens.
    Field(Vec<u8>),
    /// The field that carries workload identity tokens.
    Workload(Vec<u8>),
}

/// The fields of a request with a workload identity token.
struct OfWorkload<'s> {
    token: &'s [u8],
    proof: SingletonField<'s>,
}

impl Fields for OfWorkload<'_> {
    fn field(&self, name: &str) -> SingletonField<'_> {
        match name {
            WORKLOAD_TOKEN => SingletonField::One(self.token),
            WORKLOAD_PROOF => self.proof,
            _ => SingletonField::Absent,
        }
    }
}

/// The value of the token's field, and the time for which it is judged.
fn asked(question: &Question, token: &TokenField, takes_workloads: bool) -> Result<(Pasted, UnixTime), CommandError> {
    let text = match question.token.as_deref() {
        None | Some("-") => read_token(&mut io::stdin().lock())?,
        Some(token) => token.to_owned(),
    };
    let at = question.at.unwrap_or_else(|| SystemTime::now().into());
    if let Some(token) = workload_token(&text).filter(|_| takes_workloads) {
        return Ok((Pasted::Workload(token.as_bytes().to_vec()), at));
    }
    // With a proof, a token is presented as one that needs it.
    let scheme = question.proof.as_ref().map(|_| "DPoP ");
    Ok((Pasted::Field(field(&text, token, scheme)?), at))
}

/// The workload identity token in a text, by itself or in the line of its field.
fn workload_token(text: &str) -> Option<&str> {
    let text = text.trim();
    if let Some((name, value)) = text.split_once(':') {
        return name.trim().eq_ignore_ascii_case(WORKLOAD_TOKEN).then_some(value.trim());
    }
    let parts = Parts::decode(text).ok()?;
    Unverified::parse(&parts).ok()?.is_workload_token().then_some(text)
}

/// Reads a token from a stream, up to a bound.
fn read_token(input: &mut impl Read) -> Result<String, CommandError> {
    if io::stdin().is_terminal() {
        // Not an answer, so not on standard output.
        writeln!(io::stderr(), "Paste the token, then press Enter and Ctrl-D.")?;
    }
    let mut bytes = Vec::new();
    input.take(INPUT_MAX).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| CommandError::NotText)
}

/// The value of the token's field, from a token, from `Bearer <token>`, from a whole pasted line of a request, or from an
/// issuer's answer (RFC 6749 §5.1). Where no scheme was pasted, the field has this one, or its usual one.
fn field(text: &str, place: &TokenField, scheme: Option<&str>) -> Result<Vec<u8>, CommandError> {
    let value = |token: &str| match scheme {
        Some(scheme) => [scheme, token].concat().into_bytes(),
        None => place.value(token).into_bytes(),
    };
    if text.trim_start().starts_with('{') {
        let answer = Object::parse(text.trim().as_bytes()).ok();
        let token = answer.as_ref().and_then(|answer| answer.text("access_token"));
        return token.map(value).ok_or(CommandError::NoTokenInAnswer);
    }
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let is_scheme = |text: &str| {
        let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
        begins("bearer ") || begins("dpop ")
    };
    match text.split_once(':') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case(place.name()) => Ok(value.trim().as_bytes().to_vec()),
        Some((name, _)) if name.trim().eq_ignore_ascii_case("authorization") => {
            Err(CommandError::OtherField(place.name().to_owned()))
        }
        _ if text.is_empty() => Err(CommandError::NoToken),
        _ if is_scheme(text) => Ok(text.as_bytes().to_vec()),
        _ => Ok(value(text)),
    }
}

/// The hash of the first certificate in a file.
fn certificate(path: &Path) -> Result<CertificateHash, CommandError> {
    let name = || path.display().to_string();
    let pem = std::fs::read(path).map_err(|error| CommandError::Keys(name(), error))?;
    let certificate = CertificateDer::from_pem_slice(&pem).map_err(|_| CommandError::Certificate(name()))?;
    let hash = digest(&SHA256, &certificate);
    hash.as_ref().try_into().map(CertificateHash).map_err(|_| CommandError::Certificate(name()))
}

/// The trusted issuer that the token names.
fn named_issuer(judge: &Authenticator, head: &RequestHead<'_>) -> Option<IssuerIndex> {
    let presented = presented(head, judge.token_field()).ok()?;
    let token = Token::read(presented, judge.token_field(), judge.token_limit()).ok()?;
    let parts = Parts::decode(token.as_str()).ok()?;
    let token = Unverified::parse(&parts).ok()?;
    judge.match_issuer(&token).ok()
}

/// Gives an issuer the keys of a file, read as its own would be.
fn use_file(source: &Source, path: &Path, at: UnixTime) -> Result<(), CommandError> {
    let name = || path.display().to_string();
    let document = std::fs::read(path).map_err(|error| CommandError::Keys(name(), error))?;
    let reading = Reading::parse_file(source.origin.usage, &document, &source.origin.algorithms);
    let keys = reading.map_err(|error| CommandError::KeySet(name(), error))?.keys;
    source.slot.publish(Published { keys: keys.into(), confirmed: at, stale: UnixTime::MAX });
    Ok(())
}

/// Fetches an issuer's keys into its slot. Returns why there are none.
fn fetch(mut source: Source) -> Result<Option<String>, CommandError> {
    prepare_tls();
    // What is fetched here serves one answer, whatever the time for which it is given.
    let settings = &mut source.origin.settings;
    settings.stale_limit = Duration::MAX;
    settings.snapshot_dir = None;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::System("a runtime", error))?;
    let patience = settings.timeout.saturating_add(Duration::from_secs(1));
    Ok(runtime.block_on(async {
        let refresher = match JwksRefresher::start(vec![source], &Registry::new()) {
            Ok(refresher) => refresher,
            Err(error) => return Some(error.to_string()),
        };
        refresher.first_attempts(patience).await;
        let status = refresher.status().into_iter().next();
        status.filter(|status| !status.ready).and_then(|status| status.detail())
    }))
}

/// More than any token that is looked at, in bytes.
const INPUT_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use crate::request::Scheme;

    use super::*;

    fn field(text: &str) -> Result<Vec<u8>, CommandError> {
        super::field(text, &TokenField::default(), None)
    }

    #[test]
    fn a_token_may_be_pasted_with_its_field() {
        for text in [
            "a.b.c",
            "a.b.c\n",
            "a.b.c\r\n",
            "Bearer a.b.c",
            "Authorization: Bearer a.b.c\n",
            "authorization:Bearer a.b.c",
            "Authorization:   Bearer a.b.c  \r\n",
            "{\"access_token\":\"a.b.c\",\"token_type\":\"Bearer\",\"expires_in\":300}",
            "\n{\n  \"token_type\": \"Bearer\",\n  \"access_token\": \"a.b.c\"\n}\n",
        ] {
            assert_eq!(field(text).ok().as_deref(), Some(&b"Bearer a.b.c"[..]), "{text:?}");
        }
        assert_eq!(field("bearer a.b.c").ok().as_deref(), Some(&b"bearer a.b.c"[..]));
        assert!(matches!(field("\n"), Err(CommandError::NoToken)));
        assert!(matches!(field(""), Err(CommandError::NoToken)));
        for no_answer in ["{}", "{\"error\":\"invalid_client\"}", "{\"access_token\":1}", "{"] {
            assert!(matches!(field(no_answer), Err(CommandError::NoTokenInAnswer)), "{no_answer}");
        }
    }

    #[test]
    fn a_token_with_a_proof_is_presented_with_its_scheme() {
        let place = TokenField::default();
        for text in ["a.b.c", "DPoP a.b.c", "Authorization: DPoP a.b.c\n", "{\"access_token\":\"a.b.c\"}"] {
            let found = super::field(text, &place, Some("DPoP ")).ok();
            assert_eq!(found.as_deref(), Some(&b"DPoP a.b.c"[..]), "{text}");
        }
        let bearer = super::field("Bearer a.b.c", &place, Some("DPoP ")).ok();
        assert_eq!(bearer.as_deref(), Some(&b"Bearer a.b.c"[..]), "what was pasted is judged as it is");
    }

    #[test]
    fn a_token_of_another_field_is_read_from_that_field_only() {
        let bearer = TokenField::new("X-Service-Authorization".into(), Scheme::Bearer);
        let bare = TokenField::new("Txn-Token".into(), Scheme::Bare);
        for text in ["a.b.c", "x-service-authorization: Bearer a.b.c\n", "{\"access_token\":\"a.b.c\"}"] {
            assert_eq!(super::field(text, &bearer, None).ok().as_deref(), Some(&b"Bearer a.b.c"[..]), "{text}");
        }
        for text in ["a.b.c", "Txn-Token: a.b.c", "{\"access_token\":\"a.b.c\"}"] {
            assert_eq!(super::field(text, &bare, None).ok().as_deref(), Some(&b"a.b.c"[..]), "{text}");
        }
        for place in [&bearer, &bare] {
            let refused = super::field("Authorization: Bearer a.b.c", place, None);
            assert!(matches!(refused, Err(CommandError::OtherField(_))));
        }
    }

    #[test]
    fn what_is_more_than_a_token_is_judged_as_it_is() {
        assert_eq!(field(" a.b.c").ok().as_deref(), Some(&b"Bearer  a.b.c"[..]));
        assert_eq!(field("a.b.c\n\n").ok().as_deref(), Some(&b"Bearer a.b.c\n"[..]), "one line end is stripped");
        assert_eq!(field("Basic YTpi").ok().as_deref(), Some(&b"Bearer Basic YTpi"[..]));
        assert_eq!(field("Authorization: Basic YTpi").ok().as_deref(), Some(&b"Basic YTpi"[..]));
        assert_eq!(field("Authorization:").ok().as_deref(), Some(&b""[..]));
    }
}
