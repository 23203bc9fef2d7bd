//! Discovery documents (OpenID Connect Discovery 1.0 §4, RFC 8414 §3): where one is, and what of it is believed. It must be
//! about the very issuer that is configured, and may only lead to an address that the configuration could name as well.

use reqwest::Url;
use serde::Deserialize;

use super::error::FetchError;
use crate::keys::source::check_next;

/// Where a discovery document, read from `from`, says that the keys of `issuer` are.
pub(super) fn jwks_uri(document: &[u8], issuer: &str, from: &Url, allow_http: bool) -> Result<Url, FetchError> {
    let metadata: Metadata = serde_json::from_slice(document)
        .map_err(|_| FetchError::Discovery("is not a JSON object with issuer and jwks_uri"))?;
    // OpenID Connect Discovery §4.3, RFC 8414 §3.3: without this check one issuer could speak for another.
    if metadata.issuer != issuer {
        return Err(FetchError::Discovery("names another issuer than the configured one"));
    }
    let url =
        Url::parse(&metadata.jwks_uri).map_err(|_| FetchError::Discovery("has a jwks_uri that is not an address"))?;
    check_next(from, &url, allow_http).map_err(FetchError::JwksUri)?;
    Ok(url)
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::source::AddressError;

    const ISSUER: &str = "https://auth.example/tenant";

    fn read(document: &str) -> Result<Url, FetchError> {
        let from = Url::parse("https://auth.example/tenant/.well-known/openid-configuration").expect("a URL");
        jwks_uri(document.as_bytes(), ISSUER, &from, false)
    }

    #[test]
    fn a_document_of_the_configured_issuer_leads_to_its_keys() {
        let url = read(r#"{"issuer":"https://auth.example/tenant","jwks_uri":"https://keys.example/k","x":[1]}"#);
        assert_eq!(url.map(String::from), Ok("https://keys.example/k".to_owned()));
    }

    #[test]
    fn a_document_of_another_issuer_is_refused() {
        for other in ["https://auth.example/tenant/", "https://auth.example", "https://AUTH.example/tenant", ""] {
            let document = format!(r#"{{"issuer":"{other}","jwks_uri":"https://auth.example/k"}}"#);
            assert_eq!(read(&document), Err(FetchError::Discovery("names another issuer than the configured one")));
        }
    }

    #[test]
    fn what_is_no_discovery_document_is_refused() {
        let garbage = [
            "",
            "[]",
            "<html>",
            r#"{"issuer":"https://auth.example/tenant"}"#,
            r#"{"issuer":"https://auth.example/tenant","jwks_uri":5}"#,
            r#"{"issuer":"https://auth.example/tenant","issuer":"https://auth.example/tenant","jwks_uri":"https://a.example"}"#,
        ];
        for document in garbage {
            assert!(matches!(read(document), Err(FetchError::Discovery(_))), "{document}");
        }
    }

    #[test]
    fn a_document_cannot_lead_to_an_address_that_could_not_be_configured() {
        let cases = [
            ("http://auth.example/k", AddressError::Downgrade),
            ("http://127.0.0.1/k", AddressError::Downgrade),
            ("file:///etc/passwd", AddressError::Scheme),
            ("https://user:secret@auth.example/k", AddressError::Credentials),
        ];
        for (address, fault) in cases {
            let document = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{address}"}}"#);
            assert_eq!(read(&document), Err(FetchError::JwksUri(fault)), "{address}");
        }
    }
}
