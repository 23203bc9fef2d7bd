//! The metadata of a protected resource (RFC 9728): what a service is called outside, whose tokens it accepts, and how they are sent, for
//! clients that ask the service itself. All of it stands in the configuration; no request has a say in it.

use std::fmt;

use serde::Serialize;
use url::Url;

use crate::algorithm::Algorithm;
use crate::request::{Scheme, TokenField};
use crate::requirement::{Binding, Requirement};

/// What a service is called outside (RFC 9728 §1.2): a URL with `https`, without query, fragment and credentials, as its clients
/// know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceIdentifier {
    written: String,
    /// Its scheme and authority, such as `https://mail.example`.
    origin: String,
    /// Its path; empty if that is `/`.
    path: String,
}

/// Why a text names no resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum ResourceIdentifierError {
    #[error("is no URL; for example \"https://mail.example\"")]
    NoUrl,
    #[error("must begin with https:// (RFC 9728 1.2)")]
    NotHttps,
    #[error("must have no query, no fragment and no credentials")]
    HasMore,
    #[error("is written in another way by its clients, who compare it letter by letter; write {0:?}")]
    NotNormal(String),
}

/// A resource with its metadata, ready to be sent.
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    metadata_url: String,
    metadata_path: String,
    metadata: String,
}

/// The metadata (RFC 9728 §2). `access_token_signing_alg_values_supported` is ours: nothing that is registered tells how an access token
/// may be signed.
#[derive(Serialize)]
struct Metadata<'a> {
    resource: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_servers: Vec<&'a str>,
    bearer_methods_supported: &'a [&'a str],
    tls_client_certificate_bound_access_tokens: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dpop_signing_alg_values_supported: Vec<&'a str>,
    dpop_bound_access_tokens_required: bool,
    access_token_signing_alg_values_supported: Vec<&'a str>,
}

impl ResourceIdentifier {
    /// Reads it.
    ///
    /// # Errors
    /// If it is none.
    pub fn new(written: &str) -> Result<Self, ResourceIdentifierError> {
        let url = Url::parse(written).map_err(|_| ResourceIdentifierError::NoUrl)?;
        if url.scheme() != "https" {
            return Err(ResourceIdentifierError::NotHttps);
        }
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if url.query().is_some() || url.fragment().is_some() || has_credentials {
            return Err(ResourceIdentifierError::HasMore);
        }
        let normal = url.as_str();
        let path = if url.path() == "/" { "" } else { url.path() };
        // A URL without a path gets its slash from the parser, and most leave it out.
        if written != normal && (!path.is_empty() || normal.strip_suffix('/') != Some(written)) {
            return Err(ResourceIdentifierError::NotNormal(normal.to_owned()));
        }
        Ok(Self { written: written.to_owned(), origin: url.origin().ascii_serialization(), path: path.to_owned() })
    }

    /// The path of its metadata: the well-known one, before its own (RFC 9728 §3.1).
    fn metadata_path(&self) -> String {
        [WELL_KNOWN, &self.path].concat()
    }
}

impl fmt::Display for ResourceIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl ProtectedResource {
    /// The resource of this name, which accepts tokens that fulfil one of `requirements`, and proofs that are signed with one of
    /// `proof_algorithms`.
    #[must_use]
    pub fn new(
        identifier: &ResourceIdentifier,
        requirements: &[&Requirement],
        field: &TokenField,
        proof_algorithms: &[Algorithm],
    ) -> Self {
        // An authorization server is named by a URL with https (RFC 8414 §2); other issuers have no metadata to look for.
        let issuers = requirements.iter().map(|asked| asked.issuer()).filter(|issuer| issuer.starts_with("https://"));
        let mut algorithms: Vec<Algorithm> =
            requirements.iter().flat_map(|asked| asked.algorithms()).copied().collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        let is_bearer = field.is_authorization() && field.scheme() == Scheme::Bearer;
        let metadata = Metadata {
            resource: &identifier.written,
            authorization_servers: issuers.collect(),
            bearer_methods_supported: if is_bearer { &["header"] } else { &[] },
            tls_client_certificate_bound_access_tokens: requirements.iter().any(|asked| asked.binding().certificate),
            dpop_signing_alg_values_supported: proof_algorithms
                .iter()
                .flat_map(|algorithm| [Some(algorithm.name()), algorithm.deprecated_name()])
                .flatten()
                .collect(),
            dpop_bound_access_tokens_required: requirements
                .iter()
                .map(|asked| asked.binding())
                .all(Binding::is_dpop_alone),
            access_token_signing_alg_values_supported: algorithms.into_iter().map(Algorithm::name).collect(),
        };
        let metadata_path = identifier.metadata_path();
        Self {
            metadata_url: [&identifier.origin, metadata_path.as_str()].concat(),
            metadata_path,
            // Lists of strings can always be written into memory.
            metadata: serde_json::to_string(&metadata).unwrap_or_default(),
        }
    }

    /// The URL of the metadata, for `resource_metadata` in a challenge (RFC 9728 §5.1).
    #[must_use]
    pub fn metadata_url(&self) -> &str {
        &self.metadata_url
    }

    /// The metadata as JSON.
    #[must_use]
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// Whether a request asks for the metadata, by its method and its path as they were sent; `None` if its target is not in origin form.
    /// Any other spelling of the path is not it.
    #[must_use]
    pub fn is_asked_for(&self, method: &str, path: Option<&str>) -> bool {
        matches!(method, "GET" | "HEAD") && path == Some(self.metadata_path.as_str())
    }
}

/// RFC 9728 §3.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requirement::Binding;

    fn requirement(issuer: &str, algorithms: &[Algorithm]) -> Requirement {
        Requirement::new(issuer.to_owned(), vec!["email".to_owned()], algorithms.to_vec()).unwrap()
    }

    fn resource(written: &str) -> ProtectedResource {
        let identifier = ResourceIdentifier::new(written).unwrap();
        ProtectedResource::new(&identifier, &[&requirement("https://a.example", &[Algorithm::Rs256])], &bearer(), &[])
    }

    fn bearer() -> TokenField {
        TokenField::new("Authorization".to_owned(), Scheme::Bearer)
    }

    #[test]
    fn the_well_known_path_stands_before_the_path_of_the_resource() {
        for (written, url) in [
            ("https://mail.example", "https://mail.example/.well-known/oauth-protected-resource"),
            ("https://mail.example/", "https://mail.example/.well-known/oauth-protected-resource"),
            ("https://mail.example:8443", "https://mail.example:8443/.well-known/oauth-protected-resource"),
            ("https://mail.example/v1/mail", "https://mail.example/.well-known/oauth-protected-resource/v1/mail"),
            ("https://mail.example/v1/", "https://mail.example/.well-known/oauth-protected-resource/v1/"),
            ("https://[::1]:8443/a", "https://[::1]:8443/.well-known/oauth-protected-resource/a"),
        ] {
            let resource = resource(written);
            assert_eq!(resource.metadata_url(), url);
            let metadata: serde_json::Value = serde_json::from_str(resource.metadata()).unwrap();
            assert_eq!(metadata["resource"], written, "clients compare it letter by letter");
        }
    }

    #[test]
    fn a_resource_that_its_clients_would_write_in_another_way_is_refused() {
        use ResourceIdentifierError as Error;
        for (written, error) in [
            ("", Error::NoUrl),
            ("mail.example", Error::NoUrl),
            ("https://", Error::NoUrl),
            ("http://mail.example", Error::NotHttps),
            ("urn:mail", Error::NotHttps),
            ("https://mail.example?a", Error::HasMore),
            ("https://mail.example#a", Error::HasMore),
            ("https://me@mail.example", Error::HasMore),
            ("https://:me@mail.example", Error::HasMore),
            ("https://MAIL.example", Error::NotNormal("https://mail.example/".to_owned())),
            ("https://mail.example:443", Error::NotNormal("https://mail.example/".to_owned())),
            ("https://mail.example/a/../b", Error::NotNormal("https://mail.example/b".to_owned())),
            ("https://mail.example/a b", Error::NotNormal("https://mail.example/a%20b".to_owned())),
            (" https://mail.example", Error::NotNormal("https://mail.example/".to_owned())),
        ] {
            assert_eq!(ResourceIdentifier::new(written), Err(error), "{written:?}");
        }
    }

    #[test]
    fn the_metadata_is_what_the_configuration_says() {
        let bound = Binding { certificate: true, bearer: false, ..Binding::default() };
        let requirements = [
            requirement("https://a.example", &[Algorithm::Rs256, Algorithm::Es256]),
            requirement("kubernetes", &[Algorithm::Rs256]).with_binding(bound),
        ];
        let identifier = ResourceIdentifier::new("https://mail.example").unwrap();
        let of = |requirements: &[&Requirement], field: &TokenField| {
            let resource = ProtectedResource::new(&identifier, requirements, field, &[]);
            serde_json::from_str::<serde_json::Value>(resource.metadata()).unwrap()
        };
        let both = of(&[&requirements[0], &requirements[1]], &bearer());
        assert_eq!(both["authorization_servers"], serde_json::json!(["https://a.example"]));
        assert_eq!(both["bearer_methods_supported"], serde_json::json!(["header"]));
        assert_eq!(both["tls_client_certificate_bound_access_tokens"], true);
        let mut algorithms: Vec<_> = both["access_token_signing_alg_values_supported"].as_array().unwrap().clone();
        algorithms.sort_by_key(ToString::to_string);
        assert_eq!(algorithms, ["ES256", "RS256"]);
        assert_eq!(of(&[&requirements[0]], &bearer())["tls_client_certificate_bound_access_tokens"], false);
        assert_eq!(of(&[&requirements[1]], &bearer()).get("authorization_servers"), None);
        for (name, scheme) in [("X-Service-Authorization", Scheme::Bearer), ("Authorization", Scheme::Bare)] {
            let field = TokenField::new(name.to_owned(), scheme);
            let methods = &of(&[&requirements[0]], &field)["bearer_methods_supported"];
            assert_eq!(methods, &serde_json::json!([]), "RFC 6750 knows no other field, and no other scheme");
        }
    }

    #[test]
    fn metadata_tells_of_proofs_where_they_are_accepted() {
        let identifier = ResourceIdentifier::new("https://mail.example").unwrap();
        let with = |binding| requirement("https://a.example", &[Algorithm::Rs256]).with_binding(binding);
        let alone = Binding { dpop: true, certificate: false, wimse: false, bearer: false };
        let of = |bindings: &[Binding], algorithms: &[Algorithm]| {
            let requirements: Vec<_> = bindings.iter().map(|binding| with(*binding)).collect();
            let requirements: Vec<_> = requirements.iter().collect();
            let resource = ProtectedResource::new(&identifier, &requirements, &bearer(), algorithms);
            serde_json::from_str::<serde_json::Value>(resource.metadata()).unwrap()
        };
        let without = of(&[Binding::default()], &[]);
        assert_eq!(without.get("dpop_signing_alg_values_supported"), None);
        assert_eq!(without["dpop_bound_access_tokens_required"], false);
        let required = of(&[alone, alone], &[Algorithm::Es256, Algorithm::Ed25519]);
        assert_eq!(required["dpop_signing_alg_values_supported"], serde_json::json!(["ES256", "Ed25519", "EdDSA"]));
        assert_eq!(required["dpop_bound_access_tokens_required"], true);
        assert_eq!(required["tls_client_certificate_bound_access_tokens"], false);
        for other in [
            Binding { bearer: true, ..alone },
            Binding { wimse: true, ..alone },
            Binding { certificate: true, ..alone },
            Binding::default(),
        ] {
            assert_eq!(of(&[alone, other], &[Algorithm::Es256])["dpop_bound_access_tokens_required"], false);
        }
    }

    #[test]
    fn only_a_read_of_the_very_path_asks_for_the_metadata() {
        let resource = resource("https://mail.example/v1");
        let asks = |method, path| resource.is_asked_for(method, path);
        let path = "/.well-known/oauth-protected-resource/v1";
        assert!(asks("GET", Some(path)) && asks("HEAD", Some(path)));
        for (method, path) in [
            ("POST", Some(path)),
            ("get", Some(path)),
            ("OPTIONS", Some(path)),
            ("GET", None),
            ("GET", Some("/.well-known/oauth-protected-resource")),
            ("GET", Some("/.well-known/oauth-protected-resource/v1/")),
            ("GET", Some("/.well-known/oauth-protected-resource/v1/a")),
            ("GET", Some("/.well-known/oauth-protected-resource/V1")),
            ("GET", Some("/.well-known/oauth-protected-resource/%761")),
            ("GET", Some("/a/../.well-known/oauth-protected-resource/v1")),
        ] {
            assert!(!asks(method, path), "{method} {path:?}");
        }
    }
}
