//! The trusted issuers, and what their tokens must fulfil.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::caller;
use super::findings::{Findings, Reported, all};
use super::keys;
use super::unit::{DAY, DurationRange, MINUTE, seconds, shown};
use crate::algorithm::Algorithm;
use crate::authenticator;
use crate::config::file::{self, ClaimValue};
use crate::config::path::KeyPath;
use crate::config::settings::Issuer;
use crate::issuers::PerIssuer;
use crate::requirement::{Binding, Exact, LEEWAY_MAX, Requirement, Subject};

mod names;
mod own_token;

pub(super) use names::name;
pub(super) use own_token::name_own;
pub(crate) use own_token::own_issuer;

pub(super) fn issuers(
    tables: Vec<file::Issuer>,
    caller: &file::Caller,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<PerIssuer<Issuer>, Reported> {
    if tables.is_empty() {
        return Err(findings.error(at, "must not be empty; without a trusted issuer every request is refused"));
    }
    let names = names::differ(&tables, at, findings);
    let compiled =
        tables.into_iter().enumerate().map(|(index, table)| issuer(table, caller, &at.index(index), findings));
    let compiled = all(compiled);
    names.and(compiled).map(PerIssuer::from)
}

fn issuer(
    mut table: file::Issuer,
    common: &file::Caller,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Issuer, Reported> {
    let trust_domain = names::trust_domain(&table, at, findings);
    let (called, by_domain) = (names::name(&table), table.issuer.is_none());
    // From here on it is a table like any other.
    table.preset = None;
    let domain = table.trust_domain.clone();
    if !by_domain {
        table.trust_domain = None;
    }
    let expanded = expanded(&table);
    let binding = binding(&table, at, findings);
    let name = table.issuer.as_ref().map_or(Ok(()), |issuer| text(issuer, &at.key("issuer"), findings));
    let audiences = audiences(table.audiences, &at.key("audiences"), findings);
    let algorithms = algorithms(&table.algorithms.unwrap_or_default(), SIGNED, &at.key("algorithms"), findings);
    let leeway = leeway(&table.leeway, &at.key("leeway"), findings);
    let max_lifetime = lifetime(table.max_lifetime.as_ref(), &at.key("max_lifetime"), findings);
    let max_age = lifetime(table.max_age.as_ref(), &at.key("max_age"), findings);
    let typ = types(table.typ.as_deref(), &at.key("typ"), findings);
    let required = required_claims(table.required_claims, &at.key("required_claims"), findings);
    let present = present_claims(table.present_claims, &at.key("present_claims"), findings);
    let naming = caller::naming(table.caller.as_ref(), common.encode, &at.key("caller"), findings);
    let recorded = caller::recorded(table.record, &at.key("record"), findings);
    // The shape has seen to it that both are there.
    let keys = table.keys.unwrap_or_default();
    let has_workloads = table.binding.contains(&file::Proof::Wimse);
    let owner = keys::Owner { issuer: &called, trust_domain: domain.as_deref(), has_workloads };
    let origin = keys::origin(&keys, owner, algorithms.as_deref().ok(), &at.key("keys"), findings);
    trust_domain?;
    name?;
    let (audience_claim, audiences) = audiences?;
    let requirement = match &table.trust_domain {
        Some(domain) => Requirement::of_trust_domain(domain, audiences, algorithms?),
        None => Requirement::new(called, audiences, algorithms?),
    };
    let requirement = match requirement {
        Ok(requirement) => requirement,
        Err(empty) => return Err(findings.error(at, empty.to_string())),
    };
    let mut requirement =
        requirement.with_leeway(leeway?).with_types(&typ?).with_required([required?, present?].concat());
    requirement = requirement.with_binding(binding?);
    if let Some(claim) = audience_claim {
        requirement = requirement.with_audience_claim(claim);
    }
    if names_caller(&table.caller, common) != "sub" {
        requirement = requirement.with_subject(Subject::NumberToo);
    }
    if let Some(max_lifetime) = max_lifetime? {
        requirement = requirement.with_max_lifetime(max_lifetime);
    }
    if let Some(max_age) = max_age? {
        requirement = requirement.with_max_age(max_age);
    }
    let rules = authenticator::Issuer {
        naming: naming?,
        recorded: recorded?,
        ..authenticator::Issuer::new(requirement, Arc::default())
    };
    Ok(Issuer { rules, origin: origin?, required: table.required, expanded })
}

/// Which tokens pass by what they are bound to.
fn binding(table: &file::Issuer, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<Binding, Reported> {
    let certificate = table.binding.contains(&file::Proof::Certificate);
    let dpop = table.binding.contains(&file::Proof::Dpop);
    if table.binding.is_empty() && !table.bearer {
        let why = "without a proof in 'binding', tokens that are bound to nothing are the only ones that pass; with false here none would";
        return Err(findings.error(&at.key("bearer"), why));
    }
    Ok(Binding { certificate, dpop, wimse: table.binding.contains(&file::Proof::Wimse), bearer: table.bearer })
}

/// Refuses a certificate as proof where no client can show one.
pub(super) fn certificates_are_shown(
    issuers: &PerIssuer<Issuer>,
    asks_for_certificates: bool,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<(), Reported> {
    let needs = |issuer: &Issuer| issuer.rules.requirement.binding().certificate;
    let Some((index, _)) = issuers.iter().enumerate().find(|(_, issuer)| needs(issuer)) else { return Ok(()) };
    if asks_for_certificates {
        return Ok(());
    }
    let why = "no client is asked for a certificate: listen.tls.client_ca must say which ones are trusted, or forwarding.client_certificate how a proxy tells them";
    Err(findings.error(&at.index(index).key("binding"), why))
}

/// The claim that names this issuer's callers.
fn names_caller<'c>(own: &'c Option<file::IssuerCaller>, common: &'c file::Caller) -> &'c str {
    let claim = own.as_ref().and_then(|own| own.claim.as_deref()).unwrap_or(&common.claim);
    claim.strip_prefix('/').unwrap_or(claim)
}

/// The claim that stands for the audience, if it is not `aud`, and the names of this service in it.
fn audiences(
    written: file::Audiences,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<(Option<String>, Vec<String>), Reported> {
    let why = "a token could then be meant for anybody";
    let table = match written {
        file::Audiences::List(list) => return texts(&list, key, why, findings).map(|()| (None, list)),
        file::Audiences::Claim(table) => table,
    };
    let (claim_at, values_at) = (key.key("claim"), key.key("values"));
    let values = texts(&table.values, &values_at, why, findings);
    text(&table.claim, &claim_at, findings)?;
    let error = match table.claim.as_str() {
        "aud" => "aud is the default; write the values as a list: audiences = [\"…\"]",
        "iss" | "exp" | "nbf" | "iat" | "jti" | "sub" => {
            "this claim does not say whom a token is for; for example \"client_id\""
        }
        pointer if pointer.starts_with('/') => "nested claims cannot stand for the audience",
        _ => return values.map(|()| (Some(table.claim), table.values)),
    };
    Err(findings.error(&claim_at, error))
}

/// The table as it could stand in a file.
fn expanded(table: &file::Issuer) -> String {
    let issuers = BTreeMap::from([("issuers", [table])]);
    toml::to_string(&issuers).unwrap_or_default()
}

/// A text that is compared exactly: one that nobody can see the whole of is a slip.
fn text(written: &str, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<(), Reported> {
    if written.is_empty() {
        return Err(findings.error(key, "must not be empty"));
    }
    if written.trim() != written || written.contains(char::is_control) {
        return Err(findings
            .error(key, format!("{written:?} has white space around it or control characters in it; remove them")));
    }
    Ok(())
}

/// A list of such texts that is not empty. `why` says what an empty one would mean.
fn texts(list: &[String], key: &KeyPath, why: &str, findings: &mut Findings<'_, '_>) -> Result<(), Reported> {
    if list.is_empty() {
        return Err(findings.error(key, format!("must not be empty: {why}")));
    }
    let mut outcome = Ok(());
    for (index, written) in list.iter().enumerate() {
        let key = key.index(index);
        if let Err(reported) = text(written, &key, findings) {
            outcome = Err(reported);
        } else if list.iter().take(index).any(|earlier| earlier == written) {
            outcome = Err(findings.error(&key, format!("{written:?} is listed twice")));
        }
    }
    outcome
}

/// A list of algorithms that is not empty. `why` says what belongs into it.
pub(super) fn algorithms(
    list: &[file::Algorithm],
    why: &str,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Vec<Algorithm>, Reported> {
    if list.is_empty() {
        return Err(findings.error(key, format!("must not be empty: {why}")));
    }
    let mut algorithms = Vec::new();
    let mut outcome = Ok(());
    for (index, written) in list.iter().enumerate() {
        let algorithm = meant(*written);
        if matches!(written, file::Algorithm::EdDsa) {
            let message = "is deprecated (RFC 9864); \"Ed25519\" accepts tokens and keys of either name";
            findings.warning(&key.index(index), message.to_owned());
        }
        let is_other_name = list.iter().take(index).all(|earlier| earlier != written);
        if algorithms.contains(&algorithm) && is_other_name {
            continue;
        }
        if algorithms.contains(&algorithm) {
            outcome = Err(findings.error(&key.index(index), format!("{:?} is listed twice", algorithm.name())));
        }
        algorithms.push(algorithm);
    }
    outcome.map(|()| algorithms)
}

fn leeway(written: &file::Duration, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<Duration, Reported> {
    let leeway = DurationRange::token(Duration::ZERO, LEEWAY_MAX).read(written, key, findings)?;
    if leeway > MINUTE {
        let message = format!(
            "expired tokens are accepted for {} longer; synchronized clocks need no more than 1m",
            shown(leeway)
        );
        findings.warning(key, message);
    }
    Ok(leeway)
}

/// A limit on the life of a token, if there is one.
fn lifetime(
    written: Option<&file::Duration>,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Option<Duration>, Reported> {
    let Some(written) = written else { return Ok(None) };
    DurationRange::token(seconds(1), DAY.saturating_mul(366)).read(written, key, findings).map(Some)
}

fn types(written: Option<&[String]>, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<Vec<String>, Reported> {
    let Some(list) = written else { return Ok(Vec::new()) };
    texts(list, key, "leave the key out to accept \"JWT\", \"at+jwt\" or no typ", findings)?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&byte);
    for (index, typ) in list.iter().enumerate() {
        if !typ.bytes().all(token) {
            return Err(findings.error(&key.index(index), format!("{typ:?} is no media type; for example \"at+jwt\"")));
        }
    }
    Ok(list.to_vec())
}

fn required_claims(
    claims: BTreeMap<String, ClaimValue>,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Vec<(String, Exact)>, Reported> {
    let mut outcome = Ok(());
    let mut required = Vec::new();
    for (name, value) in claims {
        let error = match name.as_str() {
            "" => Some("a claim has a name".to_owned()),
            "iss" => Some("it is always checked; write its value as issuer".to_owned()),
            "aud" => Some("it is always checked; write its values into audiences".to_owned()),
            "exp" | "nbf" | "iat" => Some("it is a time, and always checked; see max_lifetime and max_age".to_owned()),
            pointer if pointer.starts_with('/') => Some("nested claims cannot be required here".to_owned()),
            _ => None,
        };
        if let Some(error) = error {
            outcome = Err(findings.error(&key.key(&name), error));
        }
        let exact = match value {
            ClaimValue::Boolean(value) => Exact::Bool(value),
            ClaimValue::Integer(value) => Exact::Integer(value),
            ClaimValue::String(value) => Exact::String(value),
        };
        required.push((name, exact));
    }
    outcome.map(|()| required)
}

fn present_claims(
    claims: Vec<String>,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Vec<(String, Exact)>, Reported> {
    let mut outcome = Ok(());
    for (index, name) in claims.iter().enumerate() {
        let error = match name.as_str() {
            "" => "a claim has a name",
            "iss" | "aud" | "exp" => "it is always required; remove it",
            _ if claims.iter().take(index).any(|earlier| earlier == name) => "it is listed twice",
            _ => continue,
        };
        outcome = Err(findings.error(&key.index(index), format!("{name:?}: {error}")));
    }
    outcome.map(|()| claims.into_iter().map(|name| (name, Exact::Any)).collect())
}

const SIGNED: &str = "name the algorithms that this issuer signs with";

const fn meant(written: file::Algorithm) -> Algorithm {
    match written {
        file::Algorithm::Ed25519 | file::Algorithm::EdDsa => Algorithm::Ed25519,
        file::Algorithm::Es256 => Algorithm::Es256,
        file::Algorithm::Es384 => Algorithm::Es384,
        file::Algorithm::Es512 => Algorithm::Es512,
        file::Algorithm::MlDsa44 => Algorithm::MlDsa44,
        file::Algorithm::MlDsa65 => Algorithm::MlDsa65,
        file::Algorithm::MlDsa87 => Algorithm::MlDsa87,
        file::Algorithm::Ps256 => Algorithm::Ps256,
        file::Algorithm::Ps384 => Algorithm::Ps384,
        file::Algorithm::Ps512 => Algorithm::Ps512,
        file::Algorithm::Rs256 => Algorithm::Rs256,
        file::Algorithm::Rs384 => Algorithm::Rs384,
        file::Algorithm::Rs512 => Algorithm::Rs512,
    }
}
