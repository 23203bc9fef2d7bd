//! Presets: settings for issuers of a known kind, written as anybody could write them. They are put into the document before
//! it is read, so that no later part knows of presets. Settings next to a preset override it.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Puts the settings of presets into the issuers that name one. Nothing happens to an issuer whose preset is not known: its
/// shape is wrong.
pub(super) fn fill(document: &mut DeValue<'_>) {
    let DeValue::Table(root) = document else { return };
    let Some(issuers) = root.get_mut("issuers").map(Spanned::get_mut) else { return };
    let DeValue::Array(issuers) = issuers else { return };
    let mut has_transactions = false;
    for issuer in issuers.iter_mut() {
        let DeValue::Table(issuer) = issuer.get_mut() else { continue };
        let text = |issuer: &DeTable<'_>, key| match issuer.get(key).map(Spanned::get_ref) {
            Some(DeValue::String(text)) => Some(text.clone().into_owned()),
            _ => None,
        };
        let preset = match text(issuer, "preset").as_deref() {
            Some("kubernetes") => KUBERNETES,
            Some("rfc9068") => RFC9068,
            Some("spiffe") => SPIFFE,
            Some("txn-token") => {
                has_transactions = true;
                TXN_TOKEN
            }
            _ => continue,
        };
        let (preset, _) = DeTable::parse_recoverable(preset);
        let mut preset = preset.into_inner();
        if let Some(domain) = text(issuer, "trust_domain") {
            name_domain(&mut preset, &domain);
        }
        let is_by_domain = !issuer.contains_key("issuer") && issuer.contains_key("trust_domain");
        put(issuer, preset);
        if is_by_domain {
            let (recorded, _) = DeTable::parse_recoverable(SPIFFE_ALONE);
            put(issuer, recorded.into_inner());
        }
    }
    if has_transactions {
        let (field, _) = DeTable::parse_recoverable(TXN_TOKEN_FIELD);
        put(root, field.into_inner());
    }
}

/// Adds what is not there. Of the tables in [`JOINED`], each key by itself.
fn put<'t>(table: &mut DeTable<'t>, preset: DeTable<'t>) {
    for (name, value) in preset {
        let key = name.get_ref().clone();
        match (table.get_mut(key.as_ref()).map(Spanned::get_mut), value.into_inner()) {
            (None, value) => {
                table.insert(nowhere(key), nowhere(value));
            }
            (Some(DeValue::Table(written)), DeValue::Table(preset)) if JOINED.contains(&key.as_ref()) => {
                let has_source = SOURCES.iter().any(|source| written.contains_key(*source));
                for (name, value) in preset {
                    let key = name.get_ref().clone();
                    let is_other_source =
                        has_source && (SOURCES.contains(&key.as_ref()) || CREDENTIALS.contains(&key.as_ref()));
                    if !written.contains_key(key.as_ref()) && !is_other_source {
                        written.insert(nowhere(key), nowhere(value.into_inner()));
                    }
                }
            }
            (Some(_), _) => {}
        }
    }
}

fn name_domain(preset: &mut DeTable<'_>, domain: &str) {
    let Some(DeValue::Table(caller)) = preset.get_mut("caller").map(Spanned::get_mut) else { return };
    let Some(DeValue::String(pattern)) = caller.get_mut("pattern").map(Spanned::get_mut) else { return };
    *pattern = Cow::Owned(pattern.replace("TRUST_DOMAIN", domain));
}

/// A value that stands nowhere in the file.
fn nowhere<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

/// The tables in which a preset and what is written stand side by side.
const JOINED: [&str; 4] = ["keys", "record", "required_claims", "token"];

/// Where keys can come from: exactly one of these.
const SOURCES: [&str; 4] = ["url", "discovery", "file", "workload_api"];

/// What is for the preset's own source alone: a token must not be shown to another, nor another be trusted by its authority.
const CREDENTIALS: [&str; 2] = ["ca_file", "token_file"];

/// The cluster's own keys and, without a name, its own name (`compile::issuers::own_token`). The keys are fetched as every pod may fetch them (`system:service-account-issuer-discovery`), whatever name the
/// cluster's issuer has.
const KUBERNETES: &str = r#"
issuer = ""
algorithms = ["RS256"]
keys.url = "https://kubernetes.default.svc/openid/v1/jwks"
keys.ca_file = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
keys.token_file = "/var/run/secrets/kubernetes.io/serviceaccount/token"
caller = { claim = "sub", pattern = "system:serviceaccount:{namespace}:{name}", name = "{namespace}/{name}" }
record.pod = "/kubernetes.io/pod/name"
record.pod_uid = "/kubernetes.io/pod/uid"
"#;

/// RFC 9068 §2: RS256 at least, `typ`, and the claims that an access token must have. The caller is the client (§2.2).
const RFC9068: &str = r#"
algorithms = ["RS256"]
typ = ["at+jwt"]
present_claims = ["sub", "client_id", "iat", "jti"]
keys.discovery = true
caller = { claim = "client_id" }
"#;

/// JWT-SVID §2 and §3, SPIFFE Trust Domain and Bundle §4.2. Where the bundle is must be written.
const SPIFFE: &str = r#"
algorithms = ["ES256", "RS256"]
keys.use = "jwt-svid"
caller = { claim = "sub", pattern = "spiffe://TRUST_DOMAIN/*" }
"#;

/// Where a trust domain stands alone, an `iss` decides nothing, and is recorded.
const SPIFFE_ALONE: &str = r#"
record.iss = "iss"
"#;

/// Transaction tokens (draft-ietf-oauth-transaction-tokens, sections 2.3 and 4). Whoever asked for the token is the caller: `sub` is
/// the principal of the transaction, often a person.
const TXN_TOKEN: &str = r#"
typ = ["txntoken+jwt"]
present_claims = ["iat", "sub", "txn"]
caller = { claim = "req_wl" }
record.txn = "txn"
"#;

/// The field in which they come, whole and without a scheme.
const TXN_TOKEN_FIELD: &str = r#"
token = { header = "Txn-Token", scheme = "none" }
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_proper_tables() {
        for preset in [KUBERNETES, RFC9068, SPIFFE, SPIFFE_ALONE, TXN_TOKEN, TXN_TOKEN_FIELD] {
            let (_, errors) = DeTable::parse_recoverable(preset);
            assert!(errors.is_empty(), "{errors:?}");
        }
    }
}
