//! From the configuration's terms to those of the parts that run: the authenticator with a place for each issuer's keys, the
//! sources of those keys, and the peer behind us.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpPeer;

use super::ServerFault;
use crate::authenticator::{Authenticator, Issuer};
use crate::config::{Compiled, Protocol, Revocation, Upstream, UpstreamAddress};
use crate::forwarding::ForwardingPolicy;
use crate::jwks_refresh::JwksRefresher;
use crate::keys::source::Source;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::mode::Modes;
use crate::proxy::Policy;
use crate::revocation::list::DenyListSlot;
use crate::upstream::{Addresses, SystemResolver, UpstreamPeer};

/// Everything that is started from a configuration.
pub struct Plan {
    authenticator: Authenticator,
    /// In the order of the authenticator's issuers.
    pub sources: Vec<Source>,
    /// The deny-list's file and its place, if there is one.
    pub revocation: Option<(PathBuf, Arc<DenyListSlot>)>,
    upstream: UpstreamPeer,
    realm: String,
    modes: Modes,
    limits: Limits,
    forward: ForwardingPolicy,
}

impl Plan {
    /// Prepares what a configuration says. What `running` already keeps the keys of has them at once.
    ///
    /// # Errors
    /// If the upstream's name cannot be resolved.
    pub async fn new(config: Compiled, running: Option<&JwksRefresher>) -> Result<Self, ServerFault> {
        let upstream = upstream_peer(&config.upstream).await?;
        let realm = config.issuers.first().and_then(|issuer| issuer.requirement.audiences().first());
        let realm = realm.map(|audience| plain(audience)).unwrap_or_default();
        let (modes, limits, forward) = (config.modes.clone(), config.limits, config.forwarding);
        let Judge { authenticator, sources, revocation } = Judge::new(config, running);
        Ok(Self { authenticator, sources, revocation, upstream, realm, modes, limits, forward })
    }

    /// The policy, with the refresher of the sources.
    pub fn into_policy(self, refresher: Arc<JwksRefresher>, metrics: &Metrics) -> Policy {
        let issuers = self.authenticator.issuers().iter().map(|issuer| metrics.issuer(issuer.requirement.issuer()));
        Policy {
            issuers: issuers.collect(),
            authenticator: self.authenticator,
            modes: self.modes,
            refresher,
            upstream: self.upstream,
            realm: self.realm,
            limits: self.limits,
            forward: self.forward,
        }
    }
}

/// What decides about tokens, with what feeds it.
pub struct Judge {
    pub authenticator: Authenticator,
    /// In the order of the authenticator's issuers.
    pub sources: Vec<Source>,
    /// The deny-list's file and its place, if there is one.
    pub revocation: Option<(PathBuf, Arc<DenyListSlot>)>,
}

impl Judge {
    /// Prepares what a configuration says about tokens. What `running` already keeps the keys of has them at once.
    pub fn new(config: Compiled, running: Option<&JwksRefresher>) -> Self {
        let mut sources = Vec::with_capacity(config.issuers.len());
        let mut issuers = Vec::with_capacity(config.issuers.len());
        for issuer in config.issuers {
            let kept = running.and_then(|refresher| refresher.slot_for(&issuer.origin));
            let source = Source { origin: issuer.origin, slot: kept.unwrap_or_default() };
            issuers.push(Issuer {
                requirement: issuer.requirement,
                keys: Arc::clone(&source.slot),
                naming: issuer.naming,
                recorded: issuer.recorded,
            });
            sources.push(source);
        }
        let authenticator = Authenticator::new(issuers, config.caller, config.public, config.limits.token_size);
        let authenticator = authenticator.with_cache(config.cache);
        let Some(Revocation { file, list }) = config.revocation else {
            return Self { authenticator, sources, revocation: None };
        };
        let slot = Arc::new(DenyListSlot::default());
        slot.publish(list);
        let authenticator = authenticator.with_revocation(Arc::clone(&slot));
        Self { authenticator, sources, revocation: Some((file, slot)) }
    }
}

/// The audience as a realm: characters that a quoted string cannot hold are left out.
fn plain(audience: &str) -> String {
    audience.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect()
}

async fn upstream_peer(upstream: &Upstream) -> Result<UpstreamPeer, ServerFault> {
    let unresolved = |name: &str, error| ServerFault::Upstream(name.to_owned(), error);
    let with_settings = |mut peer: HttpPeer| {
        if upstream.protocol == Protocol::H2c {
            // Without TLS nothing is negotiated: HTTP/2 from the first byte.
            peer.options.alpn = ALPN::H2;
            peer.options.max_h2_streams = H2_STREAMS;
        }
        peer.options.connection_timeout = Some(upstream.connect_timeout);
        peer.options.total_connection_timeout = Some(upstream.connect_timeout);
        peer.options.read_timeout = Some(upstream.read_timeout);
        peer.options.write_timeout = Some(upstream.write_timeout);
        peer.options.idle_timeout = Some(upstream.idle_timeout);
        peer
    };
    let at = |address: SocketAddr| with_settings(HttpPeer::new(address, false, String::new()));
    match &upstream.address {
        UpstreamAddress::Ip(address) => Ok(UpstreamPeer::fixed(at(*address))),
        UpstreamAddress::Host { name, port } => {
            let addresses = Addresses::resolve(name, *port, upstream.connect_timeout, Box::new(SystemResolver))
                .await
                .map_err(|error| unresolved(name, error))?;
            // Each request has the address that is preferred then.
            let placeholder = (Ipv4Addr::UNSPECIFIED, *port).into();
            Ok(UpstreamPeer::named(at(placeholder), Arc::new(addresses)))
        }
        UpstreamAddress::Unix(path) => {
            let path = path.to_string_lossy();
            let peer = HttpPeer::new_uds(&path, false, String::new());
            let peer = peer.map_err(|_| unresolved(&path, io::ErrorKind::InvalidInput.into()))?;
            Ok(UpstreamPeer::fixed(with_settings(peer)))
        }
    }
}

/// How many requests share a connection to an upstream that speaks HTTP/2.
const H2_STREAMS: usize = 100;
