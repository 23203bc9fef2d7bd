//! From a compiled configuration to what requests meet: the verifier with what feeds it, the peer behind us, and the policy that
//! holds them. Start and reload go the same way; a reload takes over the keys of the issuers that stay as they are.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderName;
use http::header::AUTHORIZATION;
use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpPeer;

use super::error::ServerError;
use crate::authenticator::Authenticator;
use crate::config::{Compiled, Protocol, Revocation, Upstream, UpstreamAddress};
use crate::issuers::PerIssuer;
use crate::jwks_refresh::JwksRefresher;
use crate::keys::source::Source;
use crate::metrics::Metrics;
use crate::proof::{ProofState, ProofVerifier};
use crate::protected_resource::ProtectedResource;
use crate::proxy::policy::{Policy, RefusalPolicy};
use crate::replay_store::ReplayStore;
use crate::request::TokenField;
use crate::revocation::list::{DenyList, DenyListSlot};
use crate::revocation::watcher::DenyListWatcher;
use crate::upstream::{Addresses, SystemResolver, UpstreamPeer};

/// What was made of a configuration that is not in force yet: nothing of it shows, and it can be dropped.
pub(super) struct Assembly {
    authenticator: Authenticator,
    pub refresher: JwksRefresher,
    /// The deny-list's file and its place, if there is one.
    pub deny_list: Option<(PathBuf, Arc<DenyListSlot>)>,
    upstream: UpstreamPeer,
}

impl Assembly {
    /// Assembles what a configuration says, and begins to fetch the keys that the refresher of the one before does not have.
    ///
    /// # Errors
    /// If the upstream's name cannot be resolved.
    pub(super) async fn new(
        config: &Compiled,
        before: &JwksRefresher,
        proofs: &Arc<ProofState>,
    ) -> Result<Self, ServerError> {
        let upstream = upstream_peer(&config.upstream).await?;
        let Verifier { authenticator, sources, deny_list } = Verifier::new(config.clone(), Some(before));
        let dpop = config.dpop.as_ref().map(|dpop| dpop.rules.clone());
        let workload = config.wimse.as_ref().map(|wimse| wimse.rules.clone());
        let authenticator = if dpop.is_some() || workload.is_some() {
            let verifier = ProofVerifier::new(dpop, Arc::clone(proofs)).with_workload(workload);
            authenticator.with_proofs(if config.replay.is_some() { verifier.with_store() } else { verifier })
        } else {
            authenticator
        };
        let refresher = before.reconfigured(sources).with_readiness(config.readiness);
        Ok(Self { authenticator, refresher, deny_list, upstream })
    }

    /// Takes over the deny-list that is in force of the same file, so that it is one list for all requests, also for those that are still
    /// judged under the policy before. The file may be read while it is being written: what it does not revoke any more is decided by
    /// who watches it.
    pub(super) fn keep_deny_list(&mut self, kept: &Arc<DenyListSlot>) {
        let Some((_, slot)) = &mut self.deny_list else { return };
        kept.publish(DenyList::clone(&slot.latest()).and(&kept.latest()));
        *slot = Arc::clone(kept);
        self.authenticator.keep_revocation(kept);
    }

    /// The policy for requests. From now on the metrics are about this configuration, and its deny-list is kept in force. The replay
    /// store of the one `before` serves on if it is the same.
    pub(super) fn activate(
        self,
        config: &Compiled,
        metrics: &Metrics,
        before: Option<&Arc<ReplayStore>>,
    ) -> (Arc<Policy>, Option<DenyListWatcher>) {
        let Self { authenticator, refresher, deny_list, upstream } = self;
        refresher.activate_metrics();
        metrics.report.scopes(&config.modes.reported());
        metrics.requests_limit().set(i64::try_from(config.limits.requests).unwrap_or(i64::MAX));
        if deny_list.is_none() {
            metrics.revocation.serving(0);
        }
        let memory = config.dpop.as_ref().map(|it| it.memory).or_else(|| config.wimse.as_ref().map(|it| it.memory));
        if let (Some(proofs), Some(memory)) = (authenticator.proofs(), memory) {
            proofs.resize_memory(memory);
        }
        let requirements: Vec<_> = config.issuers.iter().map(|issuer| &issuer.rules.requirement).collect();
        // A claim that stands for the audience names the callers' clients, and not this service.
        let mut named = requirements.iter().filter(|asked| asked.audience_claim().is_none());
        let realm = named.find_map(|asked| asked.audiences().first()).map_or("callgate", String::as_str);
        let token = &config.token;
        let resource = config.protected_resource.as_ref();
        let proofs = config.dpop.as_ref().map_or(&[][..], |dpop| &dpop.rules.algorithms);
        let resource = resource.map(|identifier| ProtectedResource::new(identifier, &requirements, token, proofs));
        let mut refusals = RefusalPolicy::new(
            realm,
            (!token.is_authorization()).then(|| token.name()),
            resource.as_ref().map(ProtectedResource::metadata_url),
            config.refusals,
        );
        // A token that is bound to a certificate comes as a bearer token too.
        let or_bearer = requirements.iter().map(|asked| asked.binding()).any(|it| it.bearer || it.certificate);
        if let Some(dpop) = &config.dpop {
            refusals = refusals.with_dpop(&dpop.rules.algorithms, or_bearer);
        }
        if let Some(wimse) = &config.wimse {
            refusals = refusals.with_workload(realm, &wimse.rules.algorithms, or_bearer);
        }
        let policy = Policy {
            token_header: token_header(token),
            issuers: authenticator.issuers().map(|issuer| {
                let requirement = &issuer.requirement;
                metrics.issuer(requirement.issuer(), requirement.binding().allows_bound())
            }),
            authenticator,
            replay_store: config.replay.as_ref().map(|settings| match before {
                Some(store) if store.settings() == settings => Arc::clone(store),
                _ => Arc::new(ReplayStore::start(settings.clone(), metrics.replay_store.clone())),
            }),
            modes: config.modes.clone(),
            refresher: Arc::new(refresher),
            upstream,
            refusals,
            protected_resource: resource.map(Arc::new),
            limits: config.limits,
            forward: config.forwarding,
            certificate_hops: config.certificate_hops.clone(),
        };
        let watch = |(file, slot)| DenyListWatcher::start(file, slot, metrics.revocation.clone());
        (Arc::new(policy), deny_list.map(watch))
    }
}

/// What decides about tokens, with what feeds it.
pub struct Verifier {
    /// What judges tokens.
    pub authenticator: Authenticator,
    /// Where each issuer's keys come from, and where they go.
    pub sources: PerIssuer<Source>,
    /// The deny-list's file and its place, if there is one.
    pub deny_list: Option<(PathBuf, Arc<DenyListSlot>)>,
}

impl Verifier {
    /// Prepares what a configuration says about tokens. Keys that `running` already has are there at once.
    pub fn new(config: Compiled, running: Option<&JwksRefresher>) -> Self {
        let mut sources = PerIssuer::default();
        let mut issuers = PerIssuer::default();
        for issuer in config.issuers {
            let mut rules = issuer.rules;
            if let Some(slot) = running.and_then(|refresher| refresher.slot_for(&issuer.origin)) {
                rules.keys = slot;
            }
            sources.push(Source { origin: issuer.origin, slot: Arc::clone(&rules.keys), required: issuer.required });
            issuers.push(rules);
        }
        let authenticator = Authenticator::new(issuers, config.caller, config.public, config.limits.token_size);
        let authenticator = authenticator.with_cache(config.cache).with_token_field(config.token);
        let Some(Revocation { file, list }) = config.revocation else {
            return Self { authenticator, sources, deny_list: None };
        };
        let slot = Arc::new(DenyListSlot::default());
        slot.publish(list);
        let authenticator = authenticator.with_revocation(Arc::clone(&slot));
        Self { authenticator, sources, deny_list: Some((file, slot)) }
    }
}

/// The name of the token's field. One that was checked is always a name.
fn token_header(field: &TokenField) -> HeaderName {
    HeaderName::from_bytes(field.name().as_bytes()).unwrap_or(AUTHORIZATION)
}

async fn upstream_peer(upstream: &Upstream) -> Result<UpstreamPeer, ServerError> {
    let unresolved = |name: &str, error| ServerError::Upstream(name.to_owned(), error);
    let with_settings = |mut peer: HttpPeer| {
        if upstream.protocol == Protocol::H2c {
            // Without TLS nothing is negotiated: HTTP/2 from the first byte.
            peer.options.alpn = ALPN::H2;
            peer.options.max_h2_streams = H2_STREAMS as usize;
            // Room for the windows of all streams: a caller who does not read a long response stops nobody else's.
            peer.options.h2_stream_window_size = Some(H2_STREAM_WINDOW);
            peer.options.h2_connection_window_size = Some(H2_STREAM_WINDOW * H2_STREAMS);
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
const H2_STREAMS: u32 = 100;

/// How many bytes of a response such an upstream may send before its caller has read any. They stay in memory.
const H2_STREAM_WINDOW: u32 = 64 * 1024;
