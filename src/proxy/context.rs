//! Pingora's `CTX`: what the filters know of a request beside its record.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use pingora::Error;

use super::admission::InFlight;
use super::policy::Policy;
use super::record::{RecordSinks, RequestRecord};
use super::retry::Attempt;
use crate::authenticator::Accepted;
use crate::clock::UnixTime;
use crate::confirmation::Confirmation;
use crate::downstream::session::TOKEN_EXPIRED;
use crate::downstream::stream_info::StreamInfo;
use crate::rejection::Reason;

/// The field with a nonce for the next proof (RFC 9449 §8.2).
pub(super) const DPOP_NONCE: &str = "dpop-nonce";

/// One request on its way through the filters.
pub struct RequestContext {
    /// The one configuration that judges this request, whatever is loaded meanwhile.
    pub policy: Arc<Policy>,
    pub record: RequestRecord,
    /// What its stream and the filters tell each other.
    pub info: Option<Arc<StreamInfo>>,
    /// Its place among the requests in progress.
    pub permit: Option<InFlight>,
    /// HTTP/2: the bytes of a refusal's body that were left to the connection to send.
    pub refusal_bytes: u64,
    /// Its place among those of them without a proven caller, if it has none.
    pub share: Option<InFlight>,
    /// The tunnel that it asks for.
    pub tunnel: Option<Tunnel>,
    /// The first try to reach the upstream, or the one after it.
    pub attempt: Attempt,
    /// Whether it ends when its token is no longer good.
    ends_at_expiry: bool,
}

/// A connection for another protocol, as far as it is open. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Tunnel(Arc<AtomicBool>);

impl Tunnel {
    /// The upstream has agreed to the other protocol.
    pub fn open(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl RequestContext {
    /// A request that begins now.
    pub fn begin(policy: Arc<Policy>, sinks: Arc<RecordSinks>) -> Self {
        Self {
            record: RequestRecord::begin(Arc::clone(&policy), sinks),
            policy,
            info: None,
            permit: None,
            refusal_bytes: 0,
            share: None,
            tunnel: None,
            attempt: Attempt::First,
            ends_at_expiry: false,
        }
    }

    /// The peer's address; `None` on a Unix socket.
    pub fn peer_ip(&self) -> Option<IpAddr> {
        self.info.as_deref()?.peer().address.as_deref()?.parse().ok()
    }

    /// When its token is no longer good.
    fn expires(&self) -> Option<UnixTime> {
        self.record.accepted().map(|accepted| accepted.expires)
    }

    /// Whether its caller has shown a proof by DPoP.
    pub fn is_proven_by_key(&self) -> bool {
        matches!(self.record.accepted().and_then(Accepted::confirmation), Some(Confirmation::DpopKey(_)))
    }

    /// The nonce for the caller's next proof, if proofs need one.
    pub fn proof_nonce(&self) -> Option<String> {
        self.policy.authenticator.proofs()?.nonce(SystemTime::now().into())
    }

    /// From now on the request ends when its token is no longer good.
    pub fn end_at_expiry(&mut self, now: UnixTime) {
        let Some(expires) = self.expires() else { return };
        self.ends_at_expiry = true;
        if let Some(info) = &self.info {
            // Tokens count in whole seconds, and are good until the last of them is over.
            info.end_after(expires.since(now) + Duration::from_secs(1));
        }
    }

    /// Ends a request whose time is over at the next piece that would pass.
    pub fn check_expiry(&self, now: UnixTime) -> pingora::Result<()> {
        if self.ends_at_expiry && self.expires().is_some_and(|expires| now > expires) {
            return Error::e_explain(TOKEN_EXPIRED, "the token expired while its stream was open");
        }
        Ok(())
    }

    /// Lets no further request follow on the client's connection.
    pub fn close_connection(&self) {
        if let Some(info) = &self.info {
            info.close_connection();
        }
    }
}

impl Drop for RequestContext {
    /// A stream of HTTP/2 that has outlived its token is dropped by its server; the record says so.
    fn drop(&mut self) {
        if self.info.as_deref().is_some_and(StreamInfo::is_expired) {
            self.record.fail(Reason::TokenExpired);
        }
    }
}
