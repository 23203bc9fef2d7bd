//! What the upstream is told about where a request came from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the upstream is told about where a request came from.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Forwarding {
    /// How many proxies in front of Callgate are trusted to say where a request came from. With 0, whatever a client sends as
    /// `X-Forwarded-For`, `-Proto` or `-Host` is replaced. 0 to 10.
    #[schemars(range(max = 10))]
    pub trusted_hops: u32,
    /// What this service is called outside, as its callers know it: URLs with scheme and host, and with a path if a proxy takes that away
    /// before Callgate. The `htu` of a proof (DPoP) and the `aud` of a workload's must be one of them with the request's path. Neither
    /// `Host` nor `X-Forwarded-Host` have a say in it.
    #[schemars(example = ["https://mail.example"])]
    pub external_urls: Vec<String>,
    /// How a proxy that ends TLS tells the certificate that a client showed to it: `rfc9440` (`Client-Cert`) or `xfcc` (Envoy's
    /// `X-Forwarded-Client-Cert`). It counts from `client_certificate_from` alone, in the place of the proxy's own certificate; from
    /// anybody else these fields are removed.
    pub client_certificate: Option<ClientCertificate>,
    /// Where those proxies connect from: addresses, networks such as `10.1.0.0/16`, or `unix` for whoever connects to our Unix socket.
    #[schemars(example = ["10.0.0.7"])]
    pub client_certificate_from: Vec<String>,
    /// Whose `X-Request-Id` is used, also in the audit: `make` a new one, or `keep` a client's if it has one.
    pub request_id: RequestId,
}

/// How a proxy tells a client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "field")]
pub(crate) enum ClientCertificate {
    Rfc9440,
    Xfcc,
}

/// Whose request ids are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "choice")]
pub(crate) enum RequestId {
    Keep,
    #[default]
    Make,
}
