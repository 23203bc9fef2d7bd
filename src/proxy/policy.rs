//! What one configuration says about requests. It is replaced whole; a request keeps the one that it began with.

use std::sync::Arc;

use http::HeaderName;

use crate::authenticator::Authenticator;
use crate::forwarding::ForwardingPolicy;
use crate::issuers::PerIssuer;
use crate::jwks_refresh::JwksRefresher;
use crate::limits::Limits;
use crate::metrics::IssuerMetrics;
use crate::mode::Modes;
use crate::rejection::Disclosure;
use crate::upstream::UpstreamPeer;

/// Everything that one configuration says about requests.
pub struct Policy {
    pub authenticator: Authenticator,
    /// The name of its token field, to look it up.
    pub token_header: HeaderName,
    /// The metrics of its issuers.
    pub issuers: PerIssuer<IssuerMetrics>,
    /// What a refusal leads to.
    pub modes: Modes,
    pub refresher: Arc<JwksRefresher>,
    /// Where accepted requests go, with the timeouts of that connection.
    pub upstream: UpstreamPeer,
    pub refusals: RefusalPolicy,
    pub limits: Limits,
    pub forward: ForwardingPolicy,
}

/// What a configuration says about the responses to refused requests.
pub struct RefusalPolicy {
    /// The name of this service in challenges, plain characters only.
    pub realm: String,
    /// The field that carries the token, if it is not `Authorization`.
    pub token_header: Option<String>,
    /// How much they tell.
    pub disclosure: Disclosure,
}
