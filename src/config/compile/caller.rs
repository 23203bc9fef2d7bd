//! How the upstream learns who is calling.

use std::collections::BTreeMap;

use super::findings::{Findings, Reported};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::http1::fields::letters;
use crate::identity::{CallerPattern, CallerRule, ClaimPath, ClaimRule, Encoding, Naming};

pub(super) fn caller(
    table: file::Caller,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<CallerRule, Reported> {
    let name = header(table.header, HeaderUse::Caller, &at.key("header"), findings);
    let claim = claim(&table.claim, &at.key("claim"), findings);
    let mut taken: Vec<_> = name.iter().map(|name| fold(name)).collect();
    let mut outcome = Ok(());
    let mut more = Vec::new();
    for (written, path) in table.forward {
        let key = at.key("forward").key(&written);
        let header = header(written, HeaderUse::Caller, &key, findings);
        let claim = self::path(&path, &key, findings);
        if let Ok(header) = &header {
            if taken.contains(&fold(header)) {
                let message = format!("{header:?} is already the header of another claim; choose another name");
                outcome = Err(findings.error(&key, message));
            }
            taken.push(fold(header));
        }
        match (header, claim) {
            (Ok(header), Ok(claim)) => more.push(ClaimRule::new(header, claim)),
            (Err(reported), _) | (_, Err(reported)) => outcome = Err(reported),
        }
    }
    let rule = CallerRule::new(name?, claim?).with_encoding(encoding(table.encode));
    outcome.map(|()| rule.with_claims(more))
}

/// As the sanitizer folds names: a client's header of any such spelling is removed.
fn fold(name: &str) -> String {
    letters(name).map(char::from).collect()
}

const fn encoding(written: file::Encode) -> Encoding {
    match written {
        file::Encode::Percent => Encoding::Percent,
        file::Encode::Refuse => Encoding::Plain,
    }
}

/// How the callers of one issuer are named, if not by the common rule.
pub(super) fn naming(
    table: Option<&file::IssuerCaller>,
    common: file::Encode,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Option<Naming>, Reported> {
    let Some(table) = table else { return Ok(None) };
    let Some(written) = &table.claim else {
        return Err(findings.error(&at.key("claim"), "this key is missing; add it, for example claim = \"sub\""));
    };
    let naming = Naming::new(claim(written, &at.key("claim"), findings)?);
    let naming = naming.with_encoding(encoding(table.encode.unwrap_or(common)));
    let Some(pattern) = &table.pattern else {
        return match table.name {
            Some(_) => Err(findings.error(&at.key("name"), "is made of the variables of pattern; add pattern")),
            None => Ok(Some(naming)),
        };
    };
    match CallerPattern::parse(pattern, table.name.as_deref()) {
        Ok(pattern) => Ok(Some(naming.with_pattern(pattern))),
        Err(error) => Err(findings.error(&at.key("pattern"), format!("{pattern:?} cannot name callers: {error}"))),
    }
}

/// The claims that are recorded of an issuer's tokens.
pub(super) fn recorded(
    table: BTreeMap<String, String>,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Vec<(String, ClaimPath)>, Reported> {
    if table.len() > RECORDED_MAX {
        return Err(findings.error(at, format!("names {} claims; at most {RECORDED_MAX} are recorded", table.len())));
    }
    let mut recorded = Vec::new();
    let mut outcome = Ok(());
    for (name, written) in table {
        let key = at.key(&name);
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > RECORDED_NAME_MAX || !name.bytes().all(is_name) {
            outcome =
                Err(findings.error(&key, "the name of a recorded claim consists of small letters, digits and '_'"));
        }
        match ClaimPath::parse(&written) {
            Ok(path) => recorded.push((name, path)),
            Err(error) => {
                outcome = Err(findings.error(&key, format!("{written:?} leads to no claim: {error}")));
            }
        }
    }
    outcome.map(|()| recorded)
}

/// What a header is for.
#[derive(Clone, Copy)]
pub(super) enum HeaderUse {
    /// To tell the upstream about the caller. What a client sends under it is removed.
    Caller,
    /// To carry the token.
    Token,
}

/// A name for a header that nothing else uses.
pub(super) fn header(
    written: String,
    usage: HeaderUse,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<String, Reported> {
    let (what, example, consequence) = match usage {
        HeaderUse::Caller => ("the caller's header", "X-Caller-Service", "would be removed from every request"),
        HeaderUse::Token => ("the header of the token", "X-Service-Authorization", "is no place for a token"),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let begins = written.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if !begins || !written.bytes().all(plain) || written.len() > HEADER_MAX {
        let message = format!(
            "{written:?} cannot be {what}: a letter, then letters, digits and '-', at most {HEADER_MAX}; \
             for example {example:?}"
        );
        return Err(findings.error(key, message));
    }
    let folded = fold(&written);
    if TAKEN.iter().any(|taken| fold(taken) == folded) || TAKEN_FAMILIES.iter().any(|family| folded.starts_with(family))
    {
        let message = format!(
            "{written:?} has a meaning of its own in HTTP, and {consequence}; choose a name that nothing else uses, for \
             example {example:?}"
        );
        return Err(findings.error(key, message));
    }
    Ok(written)
}

fn claim(written: &str, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<ClaimPath, Reported> {
    let path = path(written, key, findings)?;
    let name = written.strip_prefix('/').unwrap_or(written);
    if NO_CALLERS.contains(&name) {
        return Err(
            findings.error(key, format!("{name:?} does not say who is calling; for example \"sub\" or \"client_id\""))
        );
    }
    Ok(path)
}

/// The way to a claim, whatever it says.
fn path(written: &str, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<ClaimPath, Reported> {
    let path = match ClaimPath::parse(written) {
        Ok(path) => path,
        Err(error) => {
            return Err(findings.error(
                key,
                format!("{written:?} leads to no claim: {error}; for example \"sub\" or \"/service/name\""),
            ));
        }
    };
    if written.starts_with('/') && written.split('/').skip(1).any(str::is_empty) {
        return Err(findings.error(key, format!("{written:?} has an empty part; for example \"/service/name\"")));
    }
    if written.trim() != written {
        return Err(findings.error(key, format!("{written:?} begins or ends with white space; remove it")));
    }
    Ok(path)
}

/// How many claims are recorded of a token.
const RECORDED_MAX: usize = 8;

/// The longest name of a recorded claim, in characters.
const RECORDED_NAME_MAX: usize = 32;

/// The longest name of a header, in characters.
const HEADER_MAX: usize = 64;

/// Headers that carry or frame the request, or that services read for another purpose.
const TAKEN: [&str; 33] = [
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Baggage",
    "Cache-Control",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Cookie",
    "Date",
    "Expect",
    "Forwarded",
    "From",
    "HTTP2-Settings",
    "Host",
    "Idempotency-Key",
    "Keep-Alive",
    "Origin",
    "Pragma",
    "Range",
    "Referer",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "User-Agent",
    "Via",
    "X-Real-IP",
    "X-Request-ID",
    "Traceparent",
    "Tracestate",
];

/// How the names of whole families of such headers begin, folded.
const TAKEN_FAMILIES: [&str; 6] = ["if", "proxy", "secfetch", "secwebsocket", "xforwarded", "grpc"];

/// Claims that are times, or that differ from token to token, or that name us.
const NO_CALLERS: [&str; 6] = ["aud", "exp", "iat", "iss", "jti", "nbf"];
