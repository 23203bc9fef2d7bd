//! Discovery documents (OpenID Connect Discovery 1.0 §4, RFC 8414 §3): where one is, and what of it is believed. It must be
//! about the very issuer that is configured, and may only lead to an address that the configuration could name as well.

use reqwest::Url;
use serde::Deserialize;

use super::error::FetchError;
use crate::keys::document::DocumentKind;
use crate::keys::source::check_next;
use crate::rejection::quoted;

/// Where a discovery document, read from `from`, says that the keys of `issuer` are.
pub(super) fn jwks_uri(document: &[u8], issuer: &str, from: &Url, allow_http: bool) -> Result<Url, FetchError> {
    let metadata: Metadata =
        serde_json::from_slice(document).map_err(|_| FetchError::Discovery(what_is_wrong(document)))?;
    // OpenID Connect Discovery §4.3, RFC 8414 §3.3: without this check one issuer could speak for another.
    if metadata.issuer != issuer {
        return Err(FetchError::OtherIssuer { found: quoted(&metadata.issuer), wanted: quoted(issuer) });
    }
    let url =
        Url::parse(&metadata.jwks_uri).map_err(|_| FetchError::Discovery("has a jwks_uri that is not an address"))?;
    check_next(from, &url, allow_http).map_err(FetchError::JwksUri)?;
    Ok(url)
}

/// What a document is that is no discovery document.
fn what_is_wrong(document: &[u8]) -> &'static str {
    match DocumentKind::of(document) {
        DocumentKind::Empty => "is empty",
        DocumentKind::Gzip => "is compressed with gzip; the issuer must send it without Content-Encoding",
        DocumentKind::Html => "is HTML; the address is that of a page, or a proxy answered",
        DocumentKind::Jwk | DocumentKind::JwkList => "is a list of keys; give its URL as keys.url",
        DocumentKind::Certificate
        | DocumentKind::CertificateMap
        | DocumentKind::PrivateKey
        | DocumentKind::PublicKey => "is PEM; give the URL of the issuer's JWK Set as keys.url",
        DocumentKind::OtherJson if has_keys(document) => "is a key set; give its URL as keys.url",
        _ => "is not a JSON object with issuer and jwks_uri",
    }
}

fn has_keys(document: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(document).is_ok_and(|document| document.get("keys").is_some())
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
            let refused = read(&document).expect_err("another issuer");
            let both = format!("names the issuer '{other}', and the configured one is '{ISSUER}'");
            assert!(refused.to_string().contains(&both), "{refused}");
        }
    }

    #[test]
    fn the_issuer_of_a_foreign_document_is_shown_short_and_clean() {
        let document =
            format!(r#"{{"issuer":"x\u001b[31m'{}","jwks_uri":"https://auth.example/k"}}"#, "y".repeat(5000));
        let refused = read(&document).expect_err("another issuer").to_string();
        assert!(refused.len() < 250 && refused.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{refused}");
    }

    #[test]
    fn what_stands_in_place_of_a_discovery_document_is_named() {
        for (document, words) in [
            ("", "is empty"),
            ("<!DOCTYPE html><html></html>", "is HTML"),
            ("-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n", "is PEM"),
            ("-----BEGIN CERTIFICATE-----\nMCow\n-----END CERTIFICATE-----\n", "is PEM"),
            (r#"{"keys":[]}"#, "is a key set; give its URL as keys.url"),
            (r#"{"kty":"EC"}"#, "is a list of keys"),
            ("\u{1f}\u{8b}", "is not a JSON object"),
            (r#"{"issuer":"https://auth.example/tenant"}"#, "is not a JSON object with issuer and jwks_uri"),
        ] {
            let refused = read(document).expect_err("no discovery document").to_string();
            assert!(refused.contains(words), "{document}: {refused}");
        }
        let gzip = what_is_wrong(&[0x1f, 0x8b, 8, 0]);
        assert!(gzip.contains("gzip"), "{gzip}");
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
