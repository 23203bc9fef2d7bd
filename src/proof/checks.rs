//! One check for each thing that RFC 9449 §4.3 asks of a proof, in one list that the verifier and an explanation walk alike.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::nonce::Nonces;
use super::rules::{AHEAD, ProofRules, ProvenRequest};
use super::uri::NormalUri;
use crate::algorithm::Algorithm;
use crate::clock::{UnixTime, brief};
use crate::json::{JsonError, Object, Value};
use crate::jwt::claims::{Finding, Round, time};
use crate::jwt::parse::Parts;
use crate::keys::jwk::JwkError;
use crate::keys::proof_key::ProofKey;
use crate::rejection::{Reason, Rejection, quoted};

/// A proof that is well formed. Whoever made it may have written anything into it.
pub(super) struct Unproven<'p> {
    pub(super) header: Object<'p>,
    pub(super) claims: Object<'p>,
    pub(super) signing_input: &'p str,
    pub(super) signature: &'p str,
}

/// A proof, what is asked of it, and when.
pub(super) struct Case<'c> {
    proof: &'c Unproven<'c>,
    rules: &'c ProofRules,
    nonces: Option<&'c Nonces>,
    request: &'c ProvenRequest<'c>,
    now: UnixTime,
    /// What it says to be signed with, if that is accepted.
    algorithm: Option<Algorithm>,
    /// The key that it holds.
    key: Option<Result<ProofKey, JwkError>>,
}

/// One thing that is asked of a proof.
pub(super) struct Check {
    name: &'static str,
    judge: fn(&Case<'_>) -> Result<(), Reason>,
    wanted: fn(&Case<'_>) -> String,
    found: fn(&Case<'_>) -> String,
}

/// Every check, in the order in which a proof meets them.
pub(super) const CHECKS: [Check; 13] = [
    Check { name: "proof's typ", judge: typ, wanted: |_| quoted(TYPE), found: |case| case.proof.in_header("typ") },
    Check {
        name: "proof's alg",
        judge: algorithm,
        wanted: wanted_algorithm,
        found: |case| case.proof.in_header("alg"),
    },
    Check { name: "proof's jwk", judge: key, wanted: wanted_key, found: found_key },
    Check {
        name: "proof's signature",
        judge: signature,
        wanted: |_| "made with that key over this header and payload".into(),
        found: |case| if signature(case).is_ok() { "made with it" } else { "not made with it" }.into(),
    },
    Check {
        name: "proof's htm",
        judge: method,
        wanted: |case| quoted(case.request.method),
        found: |case| case.proof.claim("htm"),
    },
    Check { name: "proof's htu", judge: uri, wanted: wanted_uri, found: |case| case.proof.claim("htu") },
    Check { name: "proof's iat", judge: issued, wanted: wanted_issued, found: |case| case.proof.time("iat", case.now) },
    Check {
        name: "proof's exp",
        judge: expiry,
        wanted: |_| "missing, or later than now".into(),
        found: |case| case.proof.time("exp", case.now),
    },
    Check { name: "proof's nbf", judge: start, wanted: wanted_start, found: |case| case.proof.time("nbf", case.now) },
    Check {
        name: "proof's ath",
        judge: token,
        wanted: |case| quoted(&case.token_hash()),
        found: |case| case.proof.claim("ath"),
    },
    Check { name: "proof's key", judge: bound_key, wanted: wanted_bound_key, found: found_bound_key },
    Check { name: "proof's nonce", judge: nonce, wanted: wanted_nonce, found: |case| case.proof.claim("nonce") },
    Check {
        name: "proof's jti",
        judge: |case| case.proof.jti().map(drop).ok_or(Reason::ProofInvalid),
        wanted: |_| format!("a string of 1 to {JTI_MAX} bytes, another one in each proof"),
        found: |case| case.proof.claim("jti"),
    },
];

impl Check {
    /// Lets a proof pass or refuses it.
    pub(super) fn pass(&self, case: &Case<'_>) -> Result<(), Rejection> {
        (self.judge)(case).map_err(|reason| {
            let (found, wanted) = ((self.found)(case), (self.wanted)(case));
            Rejection::new(reason, format!("the {} is {found}; it must be {wanted}", self.name))
        })
    }

    /// Says what the check wants and finds.
    pub(super) fn explain(&self, case: &Case<'_>) -> Finding {
        let refused = (self.judge)(case).err();
        Finding { check: self.name, wanted: (self.wanted)(case), found: (self.found)(case), refused }
    }
}

impl<'p> Unproven<'p> {
    /// Reads header and payload as strictly as those of a token.
    pub(super) fn parse(parts: &'p Parts<'_>) -> Result<Self, Rejection> {
        let invalid = |detail: String| Rejection::new(Reason::ProofInvalid, detail);
        let malformed = |part: &str, why: JsonError| invalid(format!("the proof's {part} is refused: {why}"));
        let header = Object::parse(parts.header()).map_err(|why| malformed("header", why))?;
        // No extension of JWS is implemented, so none may be skipped (RFC 7515 §4.1.11), and a JWS is neither compressed nor encrypted.
        if let Some(name) = ["crit", "b64", "zip", "enc"].iter().find(|name| header.get(name).is_some()) {
            return Err(invalid(format!("the proof's header has {name}, which is not supported")));
        }
        let claims = Object::parse(parts.payload()).map_err(|why| malformed("payload", why))?;
        Ok(Self { header, claims, signing_input: parts.signing_input(), signature: parts.signature() })
    }

    /// The `jti`, if it is sound.
    pub(super) fn jti(&self) -> Option<&str> {
        self.claims.text("jti").filter(|jti| (1..=JTI_MAX).contains(&jti.len()))
    }

    /// RFC 7519 §4.1.5: a proof need not have an `nbf`.
    pub(super) fn starts_by(&self, latest: UnixTime) -> Result<(), Reason> {
        match time(&self.claims, "nbf", Round::Up) {
            Ok(None) => Ok(()),
            Ok(Some(nbf)) if nbf <= latest => Ok(()),
            Ok(Some(_)) => Err(Reason::ProofExpired),
            Err(_) => Err(Reason::ProofInvalid),
        }
    }

    /// A member of the header, as it is told.
    pub(super) fn in_header(&self, name: &str) -> String {
        self.header.get(name).map_or_else(|| "missing".to_owned(), Value::describe)
    }

    /// A claim, as it is told.
    pub(super) fn claim(&self, name: &str) -> String {
        self.claims.get(name).map_or_else(|| "missing".to_owned(), Value::describe)
    }

    /// A claim that is a time, as it is told.
    pub(super) fn time(&self, name: &str, now: UnixTime) -> String {
        match time(&self.claims, name, Round::Down) {
            Ok(Some(time)) if time > now => format!("{time}, in {}", brief(time.since(now))),
            Ok(Some(time)) => format!("{time}, {} ago", brief(now.since(time))),
            _ => self.claim(name),
        }
    }
}

impl<'c> Case<'c> {
    pub(super) fn new(
        proof: &'c Unproven<'c>,
        rules: &'c ProofRules,
        nonces: Option<&'c Nonces>,
        request: &'c ProvenRequest<'c>,
        now: UnixTime,
    ) -> Self {
        let named = proof.header.text("alg").and_then(Algorithm::from_name);
        let algorithm = named.filter(|algorithm| rules.algorithms.contains(algorithm));
        let key = match (algorithm, proof.header.get("jwk")) {
            (Some(algorithm), Some(Value::Object(jwk))) => Some(ProofKey::read(jwk, algorithm)),
            _ => None,
        };
        Self { proof, rules, nonces, request, now, algorithm, key }
    }

    /// The `iat`, rounded so that the proof looks older than it is.
    pub(super) fn issued(&self) -> Option<UnixTime> {
        time(&self.proof.claims, "iat", Round::Down).ok().flatten()
    }

    fn sound_key(&self) -> Option<&ProofKey> {
        self.key.as_ref().and_then(|key| key.as_ref().ok())
    }

    /// RFC 9449 §4.2: what `ath` must be.
    fn token_hash(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.request.token))
    }
}

/// RFC 9449 §4.3, 4. Exactly this, unlike the `typ` of a token: nobody writes a proof's in another way.
fn typ(case: &Case<'_>) -> Result<(), Reason> {
    holds(case.proof.header.text("typ") == Some(TYPE))
}

/// RFC 9449 §4.3, 5: a digital signature that is accepted here.
fn algorithm(case: &Case<'_>) -> Result<(), Reason> {
    holds(case.algorithm.is_some())
}

/// RFC 9449 §4.3, 7: a public key, and one to be trusted with a signature.
fn key(case: &Case<'_>) -> Result<(), Reason> {
    holds(case.sound_key().is_some())
}

/// RFC 9449 §4.3, 6.
fn signature(case: &Case<'_>) -> Result<(), Reason> {
    let (Some(key), Some(algorithm)) = (case.sound_key(), case.algorithm) else { return Err(Reason::ProofInvalid) };
    let Unproven { signing_input, signature, .. } = case.proof;
    key.public().verify(algorithm, signing_input.as_bytes(), signature).map_err(|_| Reason::ProofInvalid)
}

/// RFC 9449 §4.3, 8. Methods are case-sensitive.
fn method(case: &Case<'_>) -> Result<(), Reason> {
    holds(case.proof.claims.text("htm") == Some(case.request.method))
}

/// RFC 9449 §4.3, 9.
fn uri(case: &Case<'_>) -> Result<(), Reason> {
    let signed = case.proof.claims.text("htu").and_then(NormalUri::parse);
    let path = case.request.path;
    let is_ours = |signed: &NormalUri| {
        let ours = case.rules.external_urls.iter().filter_map(|url| url.of_request(path?));
        ours.into_iter().any(|ours| ours == *signed)
    };
    holds(signed.is_some_and(|signed| is_ours(&signed)))
}

/// RFC 9449 §4.3, 11, and §11.1: neither older than the window, nor from further ahead than clocks differ.
fn issued(case: &Case<'_>) -> Result<(), Reason> {
    let stated = |round| time(&case.proof.claims, "iat", round).ok().flatten().ok_or(Reason::ProofInvalid);
    let (earliest, latest) = (stated(Round::Down)?, stated(Round::Up)?);
    let is_new = earliest.plus(case.rules.window) >= case.now && latest <= case.now.plus(AHEAD);
    is_new.then_some(()).ok_or(Reason::ProofExpired)
}

/// RFC 7519 §4.1.4: a proof need not have one, and counts no longer than it says.
fn expiry(case: &Case<'_>) -> Result<(), Reason> {
    match time(&case.proof.claims, "exp", Round::Down) {
        Ok(None) => Ok(()),
        Ok(Some(exp)) if case.now < exp => Ok(()),
        Ok(Some(_)) => Err(Reason::ProofExpired),
        Err(_) => Err(Reason::ProofInvalid),
    }
}

/// RFC 7519 §4.1.5: likewise.
fn start(case: &Case<'_>) -> Result<(), Reason> {
    case.proof.starts_by(case.now.plus(AHEAD))
}

/// RFC 9449 §4.3, 12.
fn token(case: &Case<'_>) -> Result<(), Reason> {
    holds(case.proof.claims.text("ath") == Some(&case.token_hash()))
}

/// RFC 9449 §4.3, 12: the key that the token is bound to.
fn bound_key(case: &Case<'_>) -> Result<(), Reason> {
    holds(case.sound_key().is_some_and(|key| key.thumbprint() == case.request.key))
}

/// RFC 9449 §4.3, 10. Where none is wanted, one that is there says nothing.
fn nonce(case: &Case<'_>) -> Result<(), Reason> {
    if !case.rules.nonce {
        return Ok(());
    }
    let found = case.proof.claims.text("nonce");
    let is_ours = found.zip(case.nonces).is_some_and(|(nonce, nonces)| nonces.accepts(nonce, case.now));
    is_ours.then_some(()).ok_or(Reason::ProofNonceWanted)
}

fn holds(condition: bool) -> Result<(), Reason> {
    condition.then_some(()).ok_or(Reason::ProofInvalid)
}

fn wanted_algorithm(case: &Case<'_>) -> String {
    case.rules.algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(" or ")
}

fn wanted_key(case: &Case<'_>) -> String {
    let kind = case.algorithm.map_or_else(String::new, |algorithm| format!(" for {algorithm}"));
    format!("a public key{kind} and no more, its members as they are usually written")
}

fn found_key(case: &Case<'_>) -> String {
    match &case.key {
        Some(Ok(key)) => format!("a key of kind {}", key.public().kind()),
        Some(Err(why)) => format!("refused: {why}"),
        None => case.proof.in_header("jwk"),
    }
}

fn wanted_uri(case: &Case<'_>) -> String {
    let Some(path) = case.request.path else { return "that of a request in origin form".to_owned() };
    let ours = case.rules.external_urls.iter().filter_map(|url| url.of_request(path));
    let ours: Vec<_> = ours.take(URLS_SHOWN).map(|uri| quoted(&uri.to_string())).collect();
    ours.join(" or ")
}

fn wanted_issued(case: &Case<'_>) -> String {
    format!("at most {} ago, and at most {} ahead of this clock", brief(case.rules.window), brief(AHEAD))
}

fn wanted_start(_: &Case<'_>) -> String {
    format!("missing, or at most {} ahead of this clock", brief(AHEAD))
}

fn wanted_bound_key(case: &Case<'_>) -> String {
    format!("the one with the thumbprint {}, which the token is bound to", URL_SAFE_NO_PAD.encode(case.request.key.0))
}

fn found_bound_key(case: &Case<'_>) -> String {
    let thumbprint = case.sound_key().map(|key| URL_SAFE_NO_PAD.encode(key.thumbprint().0));
    thumbprint.map_or_else(|| "missing".to_owned(), |thumbprint| format!("the one with the thumbprint {thumbprint}"))
}

fn wanted_nonce(case: &Case<'_>) -> String {
    if case.rules.nonce {
        "the one that the DPoP-Nonce field of the answer holds"
    } else {
        "anything, since it is not asked for here"
    }
    .into()
}

/// RFC 9449 §4.2.
const TYPE: &str = "dpop+jwt";

/// The longest `jti`, in bytes.
pub const JTI_MAX: usize = 256;

/// How many URLs of a service are named.
pub(super) const URLS_SHOWN: usize = 3;
