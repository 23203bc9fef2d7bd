//! What one configuration says about requests. It is replaced whole; a request keeps the one that it began with.

use std::sync::Arc;

use http::HeaderName;

use crate::algorithm::Algorithm;
use crate::authenticator::Authenticator;
use crate::client_certificate::CertificateHops;
use crate::forwarding::ForwardingPolicy;
use crate::issuers::PerIssuer;
use crate::jwks_refresh::JwksRefresher;
use crate::limits::Limits;
use crate::metrics::IssuerMetrics;
use crate::mode::Modes;
use crate::protected_resource::ProtectedResource;
use crate::rejection::{Disclosure, is_plain};
use crate::replay_store::ReplayStore;
use crate::upstream::UpstreamPeer;

/// Everything that one configuration says about requests.
pub struct Policy {
    /// What judges tokens.
    pub authenticator: Authenticator,
    /// The name of its token field, to look it up.
    pub token_header: HeaderName,
    /// The store in which instances tell each other of proofs, if there is one.
    pub replay_store: Option<Arc<ReplayStore>>,
    /// The metrics of its issuers.
    pub issuers: PerIssuer<IssuerMetrics>,
    /// What a refusal leads to.
    pub modes: Modes,
    /// What keeps the issuers' keys.
    pub refresher: Arc<JwksRefresher>,
    /// Where accepted requests go, with the timeouts of that connection.
    pub upstream: UpstreamPeer,
    /// How refusals are answered.
    pub refusals: RefusalPolicy,
    /// What clients are told of this service, if they are.
    pub protected_resource: Option<Arc<ProtectedResource>>,
    /// The bounds on requests and connections.
    pub limits: Limits,
    /// What the upstream is told about a request besides its caller's name.
    pub forward: ForwardingPolicy,
    /// The proxies that tell clients' certificates, if there are any.
    pub certificate_hops: Option<CertificateHops>,
}

/// What a configuration says about the responses to refused requests.
pub struct RefusalPolicy {
    /// The part of the challenge for a bearer token that is the same in each (RFC 6750 §3), if one could pass.
    pub bearer: Option<String>,
    /// Likewise for a token with proof (RFC 9449 §7.1).
    pub dpop: Option<String>,
    /// Likewise for a workload identity token, under a scheme of ours: the drafts have none, and a 401 must have one (RFC 9110 §15.5.2).
    pub workload: Option<String>,
    /// How much they tell.
    pub disclosure: Disclosure,
}

impl RefusalPolicy {
    /// `realm` is the name of this service; characters that a quoted string cannot hold are left out. `token_header` is the field that
    /// carries the token, if it is not `Authorization`: a parameter of ours, without which a client would not find the place.
    /// `resource_metadata` is where this service tells about itself (RFC 9728 §5.1).
    #[must_use]
    pub fn new(
        realm: &str,
        token_header: Option<&str>,
        resource_metadata: Option<&str>,
        disclosure: Disclosure,
    ) -> Self {
        let mut parameters = ["realm=\"", &quotable(realm), "\""].concat();
        for (name, value) in [("header", token_header), ("resource_metadata", resource_metadata)] {
            if let Some(value) = value {
                parameters.extend([", ", name, "=\"", &quotable(value), "\""]);
            }
        }
        Self { bearer: Some(["Bearer ", &parameters].concat()), dpop: None, workload: None, disclosure }
    }

    /// Asks for a token with a proof by one of these algorithms too, or for such alone.
    #[must_use]
    pub fn with_dpop(self, algorithms: &[Algorithm], or_bearer: bool) -> Self {
        let parameters = self.bearer.as_deref().unwrap_or_default().trim_start_matches("Bearer ");
        let dpop = Some(["DPoP ", parameters, ", algs=\"", &names(algorithms), "\""].concat());
        Self { dpop, bearer: self.bearer.filter(|_| or_bearer), ..self }
    }

    /// Asks for a workload identity token with a proof by one of these algorithms too, or for such alone.
    #[must_use]
    pub fn with_workload(self, realm: &str, algorithms: &[Algorithm], or_bearer: bool) -> Self {
        let realm = quotable(realm);
        let fields = "header=\"Workload-Identity-Token\", proof=\"Workload-Proof-Token\"";
        let workload = ["WIMSE realm=\"", &realm, "\", ", fields, ", algs=\"", &names(algorithms), "\""].concat();
        Self { workload: Some(workload), bearer: self.bearer.filter(|_| or_bearer), ..self }
    }
}

/// Algorithms by every name, since clients look for theirs.
fn names(algorithms: &[Algorithm]) -> String {
    let names = algorithms.iter().flat_map(|algorithm| [Some(algorithm.name()), algorithm.deprecated_name()]);
    names.flatten().collect::<Vec<_>>().join(" ")
}

/// What a quoted string can hold of a text as it is (RFC 9110 §5.6.4).
fn quotable(text: &str) -> String {
    text.chars().filter(|&character| u8::try_from(character).is_ok_and(is_plain)).collect()
}
