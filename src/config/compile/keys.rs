//! Where an issuer's keys come from. Files are read here once, to be sure that they can be; the network is not asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::findings::{Findings, Reported};
use super::unit::{DAY, DurationRange, HOUR, MILLISECOND, MINUTE, seconds, shown};
use crate::algorithm::Algorithm;
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::Issuer;
use crate::issuers::PerIssuer;
use crate::keys::jwks::KeyUse;
use crate::keys::source::{ClientCertificate, FetchSettings, JwksHost, Location, Origin, ProxyUse};

pub(super) mod files;
mod location;

pub(super) use location::Owner;

use files::Pem;

/// Compiles the keys of an issuer, whose tokens may use `algorithms` if they are known.
pub(super) fn origin(
    table: &file::Keys,
    owner: Owner<'_>,
    algorithms: Option<&[Algorithm]>,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Origin, Reported> {
    let location = location::location(table, owner, at, findings);
    let usage = match (&location, table.usage) {
        (Ok(Location::WorkloadApi { .. }), _) => KeyUse::JwtBundle,
        (_, file::KeyUse::JwtSvid) if owner.has_workloads => KeyUse::Svid,
        (_, file::KeyUse::JwtSvid) => KeyUse::JwtSvid,
        (_, file::KeyUse::Signature) => KeyUse::Signature,
    };
    if owner.has_workloads && usage == KeyUse::JwtBundle {
        let why = "the bundle of the Workload API has no keys of workload identity tokens (wit-svid), which binding wants; write url or file";
        return Err(findings.error(&at.key("workload_api"), why));
    }
    let key_file = match (&location, algorithms) {
        (Ok(Location::File(path)), Some(algorithms)) => {
            files::key_file(path, usage, algorithms, &at.key("file"), findings)
        }
        _ => Ok(()),
    };
    let client = client(table, at, findings);
    let jwks_host = jwks_host(table, &at.key("jwks_host"), findings);
    let refresh = DurationRange::wait(TICK, DAY).read(&table.refresh, &at.key("refresh"), findings);
    let stale_limit = stale_limit(&table.stale_limit, refresh, &at.key("stale_limit"), findings);
    let unknown_key_cooldown =
        DurationRange::wait(TICK, HOUR).read(&table.unknown_key_cooldown, &at.key("unknown_key_cooldown"), findings);
    let timeout = DurationRange::wait(MILLISECOND, MINUTE).read(&table.timeout, &at.key("timeout"), findings);
    let (unused, why) = match &location {
        Ok(Location::File(_)) => {
            ([FOR_HTTP, FOR_FETCHES].concat(), "has no effect with file: nothing is fetched; remove it")
        }
        Ok(Location::WorkloadApi { .. }) => (
            [FOR_HTTP, &["use"]].concat(),
            "has no effect with workload_api: the agent is asked at its socket; remove it",
        ),
        _ => (Vec::new(), ""),
    };
    for unused in unused.into_iter().map(|name| at.key(name)) {
        if findings.is_written(&unused) {
            findings.warning(&unused, why);
        }
    }
    let ca_file = own_file(table.ca_file.as_deref(), &at.key("ca_file"), findings, |path, key, findings| {
        files::pem(path, Pem::Certificate, key, findings).map(|_| ())
    });
    let token_file = own_file(table.token_file.as_deref(), &at.key("token_file"), findings, files::token);
    key_file?;
    let settings = FetchSettings {
        refresh: refresh?,
        stale_limit: stale_limit?,
        unknown_key_cooldown: unknown_key_cooldown?,
        timeout: timeout?,
        ca_file: ca_file?,
        token_file: token_file?,
        client: client?,
        jwks_host: jwks_host?,
        proxy: if table.use_proxy_env { ProxyUse::Environment } else { ProxyUse::Direct },
        allow_http: table.allow_http,
        // One directory for all issuers, which is put in once all are compiled.
        snapshot_dir: None,
    };
    // Without a list of algorithms the issuer has an error of its own.
    let algorithms = algorithms.unwrap_or_default().to_vec();
    Ok(Origin { issuer: owner.issuer.to_owned(), algorithms, usage, location: location?, settings })
}

/// Warns of pauses between fetches that are longer than a request waits for one.
pub(super) fn fit_wait(
    issuers: &PerIssuer<Issuer>,
    key_wait: Duration,
    root: &KeyPath,
    findings: &mut Findings<'_, '_>,
) {
    for (index, issuer) in issuers.iter().enumerate() {
        let (cooldown, at) = (
            issuer.origin.settings.unknown_key_cooldown,
            root.key("issuers").index(index).key("keys").key("unknown_key_cooldown"),
        );
        if cooldown < key_wait || matches!(issuer.origin.location, Location::File(_)) {
            continue;
        }
        let message = format!(
            "while strangers send unknown keys, a good token that was signed with a brand-new key can be refused for up to \
             {}: a request waits only {} for the next fetch (limits.key_wait)",
            shown(cooldown),
            shown(key_wait)
        );
        findings.warning(&at, message);
    }
}

/// The path of a file that is named here, after a look into it.
fn own_file(
    written: Option<&str>,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
    look: impl FnOnce(&Path, &KeyPath, &mut Findings<'_, '_>) -> Result<(), Reported>,
) -> Result<Option<PathBuf>, Reported> {
    let Some(written) = written else { return Ok(None) };
    let path = findings.path(written);
    // What a preset names is there where the sidecar will run, and need not be here.
    if findings.is_written(key) {
        look(&path, key, findings)?;
    }
    Ok(Some(path))
}

/// The certificate to present, if there is one.
fn client(
    table: &file::Keys,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Option<ClientCertificate>, Reported> {
    let (certificate_at, key_at) = (at.key("client_cert"), at.key("client_key"));
    let certificate = own_file(table.client_cert.as_deref(), &certificate_at, findings, |path, key, findings| {
        files::pem(path, Pem::Certificate, key, findings).map(|_| ())
    });
    let key = own_file(table.client_key.as_deref(), &key_at, findings, |path, key, findings| {
        files::pem(path, Pem::PrivateKey, key, findings).map(|_| ())
    });
    match (certificate?, key?) {
        (Some(certificate), Some(key)) => Ok(Some(ClientCertificate { certificate, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(findings.error(&certificate_at, "is of no use without its private key; add client_key")),
        (None, Some(_)) => Err(findings.error(&key_at, "is of no use without its certificate; add client_cert")),
    }
}

/// The host to fetch from instead of the one in the discovery document, if there is one.
fn jwks_host(table: &file::Keys, key: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<Option<JwksHost>, Reported> {
    let Some(written) = &table.jwks_host else { return Ok(None) };
    if !table.discovery {
        return Err(findings.error(key, "has no effect without discovery = true; write the host into url instead"));
    }
    match JwksHost::parse(written) {
        Ok(host) => Ok(Some(host)),
        Err(_) => Err(findings.error(
            key,
            format!("{written:?} is no host; for example \"kubernetes.default.svc\" or \"10.0.0.1:6443\""),
        )),
    }
}

fn stale_limit(
    written: &file::Duration,
    refresh: Result<Duration, Reported>,
    key: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Duration, Reported> {
    let stale_limit = DurationRange::token(seconds(1), DAY.saturating_mul(30)).read(written, key, findings)?;
    if let Ok(refresh) = refresh
        && stale_limit < refresh
    {
        let message = format!(
            "{:?} is shorter than refresh ({}): the keys would be unusable before they are fetched again",
            written.0,
            shown(refresh)
        );
        return Err(findings.error(key, message));
    }
    if stale_limit > DAY.saturating_mul(7) {
        let message = format!(
            "a key that its issuer withdraws can stay in use for {} while the issuer is cut off",
            shown(stale_limit)
        );
        findings.warning(key, message);
    }
    Ok(stale_limit)
}

/// The keys that say something about fetches by HTTP only.
const FOR_HTTP: &[&str] = &["ca_file", "token_file", "client_cert", "client_key", "use_proxy_env", "allow_http"];

/// The keys that say something about every kind of fetch.
const FOR_FETCHES: &[&str] = &["timeout", "refresh", "stale_limit"];

/// The shortest time between two fetches.
const TICK: Duration = Duration::from_millis(100);
