//! Proofs of workloads (WPT, draft-ietf-wimse-wpt §2): a workload signs each with the key that its token (WIT) holds. One check for each
//! thing that the draft asks, in one list that the verifier and an explanation walk alike.

use aws_lc_rs::digest::{Context, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::checks::{JTI_MAX, URLS_SHOWN, Unproven};
use super::rules::{AHEAD, WorkloadProofRules, WorkloadRequest};
use super::uri::NormalUri;
use crate::clock::{UnixTime, brief};
use crate::confirmation::KeyThumbprint;
use crate::json::Value;
use crate::jwt::claims::{Finding, Round, time};
use crate::rejection::{Reason, Rejection, quoted};
use crate::request::SingletonField;

/// A proof, what is asked of it, and when.
pub(super) struct Case<'c> {
    proof: &'c Unproven<'c>,
    rules: &'c WorkloadProofRules,
    request: &'c WorkloadRequest<'c>,
    now: UnixTime,
}

/// One thing that is asked of a proof.
pub(super) struct Check {
    name: &'static str,
    judge: fn(&Case<'_>) -> Result<(), Reason>,
    wanted: fn(&Case<'_>) -> String,
    found: fn(&Case<'_>) -> String,
}

/// Every check, in the order in which a proof meets them.
pub(super) const CHECKS: [Check; 11] = [
    Check { name: "proof's typ", judge: typ, wanted: |_| quoted(TYPE), found: |case| case.proof.in_header("typ") },
    Check {
        name: "proof's alg",
        judge: algorithm,
        wanted: wanted_algorithm,
        found: |case| case.proof.in_header("alg"),
    },
    Check {
        name: "proof's signature",
        judge: signature,
        wanted: |_| "made with the key that the token holds over this header and payload".into(),
        found: |case| if signature(case).is_ok() { "made with it" } else { "not made with it" }.into(),
    },
    Check { name: "proof's aud", judge: audience, wanted: wanted_audience, found: |case| case.proof.claim("aud") },
    Check { name: "proof's exp", judge: expiry, wanted: wanted_expiry, found: |case| case.proof.time("exp", case.now) },
    Check { name: "proof's nbf", judge: start, wanted: wanted_start, found: |case| case.proof.time("nbf", case.now) },
    Check {
        name: "proof's wth",
        judge: |case| holds(case.proof.claims.text("wth") == Some(&hash_of(case.request.token))),
        wanted: |case| quoted(&hash_of(case.request.token)),
        found: |case| case.proof.claim("wth"),
    },
    Check {
        name: "proof's ath",
        judge: |case| case.covers("ath", case.request.access_token),
        wanted: |case| case.wanted_hash(case.request.access_token, "an access token in Authorization"),
        found: |case| case.proof.claim("ath"),
    },
    Check {
        name: "proof's tth",
        judge: |case| case.covers("tth", case.request.transaction_token),
        wanted: |case| case.wanted_hash(case.request.transaction_token, "a Txn-Token field"),
        found: |case| case.proof.claim("tth"),
    },
    Check { name: "proof's oth", judge: others, wanted: wanted_others, found: |case| case.proof.claim("oth") },
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

impl<'c> Case<'c> {
    pub(super) const fn new(
        proof: &'c Unproven<'c>,
        rules: &'c WorkloadProofRules,
        request: &'c WorkloadRequest<'c>,
        now: UnixTime,
    ) -> Self {
        Self { proof, rules, request, now }
    }

    /// When the proof could be taken for the first time: its window before it ends. The memory knows proofs by when they were made, which
    /// this one does not say.
    pub(super) fn earliest(&self) -> Option<UnixTime> {
        Some(self.expires(Round::Down).ok()?.minus(self.rules.window))
    }

    fn expires(&self, round: Round) -> Result<UnixTime, Reason> {
        time(&self.proof.claims, "exp", round).ok().flatten().ok_or(Reason::ProofInvalid)
    }

    /// Whether a claim is the hash of this token if the request has it, and missing if not: one that is there was made for a request that
    /// lost its token on the way.
    fn covers(&self, claim: &str, token: Option<&[u8]>) -> Result<(), Reason> {
        match (self.proof.claims.get(claim), token) {
            (None, None) => Ok(()),
            (Some(Value::String(found)), Some(token)) => holds(*found == hash_of(token)),
            _ => Err(Reason::ProofInvalid),
        }
    }

    /// The name of the configured token field, if the request has it.
    fn other_token(&self) -> Option<&'c str> {
        let is_there = |name: &&str| !matches!(self.request.fields.field(name), SingletonField::Absent);
        self.rules.token_field.as_deref().filter(is_there)
    }

    fn wanted_hash(&self, token: Option<&[u8]>, absent: &str) -> String {
        token.map_or_else(|| format!("missing, since the request has not {absent}"), |token| quoted(&hash_of(token)))
    }
}

/// It conveys a media type, which ignores case (RFC 7515 §4.1.9).
fn typ(case: &Case<'_>) -> Result<(), Reason> {
    let typ = case.proof.header.text("typ").unwrap_or_default();
    let subtype = match typ.split_at_checked(MEDIA_TYPE.len()) {
        Some((prefix, subtype)) if prefix.eq_ignore_ascii_case(MEDIA_TYPE) => subtype,
        _ => typ,
    };
    holds(subtype.eq_ignore_ascii_case(TYPE))
}

/// The very name that stands in the token, of an algorithm that is accepted here.
fn algorithm(case: &Case<'_>) -> Result<(), Reason> {
    let key = case.request.key;
    let is_accepted = case.rules.algorithms.contains(&key.algorithm());
    holds(is_accepted && case.proof.header.text("alg") == Some(key.alg()))
}

/// By the key of the token. One that stands in the proof is not looked at.
fn signature(case: &Case<'_>) -> Result<(), Reason> {
    algorithm(case)?;
    let Unproven { signing_input, signature, .. } = case.proof;
    let key = case.request.key;
    key.public().verify(key.algorithm(), signing_input.as_bytes(), signature).map_err(|_| Reason::ProofInvalid)
}

/// The request's URI by one of the configured names. A proof for several would count once at each of them.
fn audience(case: &Case<'_>) -> Result<(), Reason> {
    let signed = match case.proof.claims.get("aud") {
        Some(Value::Array(names)) if names.len() == 1 => names.first().and_then(Value::as_str),
        Some(Value::String(name)) => Some(name.as_ref()),
        _ => None,
    };
    let signed = signed.and_then(NormalUri::parse).ok_or(Reason::ProofInvalid)?;
    let path = case.request.path.ok_or(Reason::ProofInvalid)?;
    holds(case.rules.external_urls.iter().filter_map(|url| url.of_request(path)).any(|ours| ours == signed))
}

/// Not passed, and not further ahead than a proof may live.
fn expiry(case: &Case<'_>) -> Result<(), Reason> {
    let (earliest, latest) = (case.expires(Round::Down)?, case.expires(Round::Up)?);
    let is_now = case.now < earliest && latest <= case.now.plus(case.rules.window).plus(AHEAD);
    is_now.then_some(()).ok_or(Reason::ProofExpired)
}

/// RFC 7519 §4.1.5: a proof need not have one.
fn start(case: &Case<'_>) -> Result<(), Reason> {
    case.proof.starts_by(case.now.plus(AHEAD))
}

/// Every entry is the hash of the one field that it names in small letters, and the token of the configured field is among them. An entry
/// with another meaning is one that is not understood.
fn others(case: &Case<'_>) -> Result<(), Reason> {
    let entries = match case.proof.claims.get("oth") {
        None => return holds(case.other_token().is_none()),
        Some(Value::Object(entries)) => entries,
        Some(_) => return Err(Reason::ProofInvalid),
    };
    let must = case.other_token();
    let has_must = must.is_none_or(|name| entries.members().any(|(entry, _)| entry.eq_ignore_ascii_case(name)));
    holds(has_must && entries.members().count() <= OTHERS_MAX)?;
    entries.members().try_for_each(|(name, hash)| {
        let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
        let value = match case.request.fields.field(name) {
            SingletonField::One(value) if is_lower => value,
            _ => return Err(Reason::ProofInvalid),
        };
        holds(hash.as_str() == Some(&hash_of(spaces_trimmed(value))))
    })
}

fn holds(condition: bool) -> Result<(), Reason> {
    condition.then_some(()).ok_or(Reason::ProofInvalid)
}

/// The base64url of the SHA-256, as all of a proof's hashes are written.
fn hash_of(token: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, token))
}

fn spaces_trimmed(value: &[u8]) -> &[u8] {
    let is_other = |byte: &u8| *byte != b' ';
    let (Some(first), Some(last)) = (value.iter().position(is_other), value.iter().rposition(is_other)) else {
        return &[];
    };
    value.get(first..=last).unwrap_or_default()
}

/// Under what the memory holds a workload's proofs: no proof by DPoP of the same key and with the same `jti` has it, since a thumbprint
/// is the hash of a key, and this is one of something else.
pub(super) fn memory_key(key: KeyThumbprint) -> KeyThumbprint {
    let mut hash = Context::new(&SHA256);
    hash.update(TYPE.as_bytes());
    hash.update(&key.0);
    // A SHA-256 has these bytes.
    KeyThumbprint(hash.finish().as_ref().first_chunk().copied().unwrap_or_default())
}

fn wanted_algorithm(case: &Case<'_>) -> String {
    let key = case.request.key;
    if case.rules.algorithms.contains(&key.algorithm()) {
        return format!("{}, as the jwk in the token's cnf has it", quoted(key.alg()));
    }
    let accepted: Vec<_> = case.rules.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    format!("{}, and the jwk in the token's cnf is for {}", accepted.join(" or "), quoted(key.alg()))
}

fn wanted_audience(case: &Case<'_>) -> String {
    let Some(path) = case.request.path else { return "that of a request in origin form".to_owned() };
    let ours = case.rules.external_urls.iter().filter_map(|url| url.of_request(path));
    let ours: Vec<_> = ours.take(URLS_SHOWN).map(|uri| quoted(&uri.to_string())).collect();
    format!("{} alone", ours.join(" or "))
}

fn wanted_expiry(case: &Case<'_>) -> String {
    format!("later than now, and at most {} ahead of this clock", brief(case.rules.window.saturating_add(AHEAD)))
}

fn wanted_start(_: &Case<'_>) -> String {
    format!("missing, or at most {} ahead of this clock", brief(AHEAD))
}

fn wanted_others(case: &Case<'_>) -> String {
    let entries = "the hash of one field of the request under each name, in small letters";
    match case.other_token() {
        None => format!("missing, or an object with {entries}"),
        Some(name) => format!("an object with {entries}, among them {}", quoted(&name.to_ascii_lowercase())),
    }
}

/// draft-ietf-wimse-wpt §2.
const TYPE: &str = "wpt+jwt";

const MEDIA_TYPE: &str = "application/";

/// How many other tokens a proof may name.
const OTHERS_MAX: usize = 16;
