//! Where accepted requests go. An upstream with a name has all the addresses of that name: a connection goes to the first that
//! answers, and the name is resolved again while it is used.

mod addresses;
mod resolve;

use std::sync::Arc;

use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::upstreams::peer::HttpPeer;

pub use addresses::Addresses;
pub use resolve::{Resolve, SystemResolver};

/// Makes the peer for each request.
#[derive(Clone, Debug)]
pub struct UpstreamPeer {
    /// With the settings of every connection; its address is a placeholder if there are `addresses`.
    peer: HttpPeer,
    addresses: Option<Arc<Addresses>>,
}

/// Connects to whichever address of a name answers.
#[derive(Debug)]
struct ConnectToAny(Arc<Addresses>);

impl UpstreamPeer {
    /// An upstream with one address that does not change.
    #[must_use]
    pub const fn fixed(peer: HttpPeer) -> Self {
        Self { peer, addresses: None }
    }

    /// An upstream with the addresses of a name, and the settings of `peer`.
    #[must_use]
    pub fn named(mut peer: HttpPeer, addresses: Arc<Addresses>) -> Self {
        peer.options.custom_l4 = Some(Arc::new(ConnectToAny(Arc::clone(&addresses))));
        Self { peer, addresses: Some(addresses) }
    }

    /// The peer for a request. Pingora keeps idle connections by its address, and uses one again only if it leads to that address.
    #[must_use]
    pub fn peer(&self) -> HttpPeer {
        let mut peer = self.peer.clone();
        if let Some(addresses) = &self.addresses {
            peer._address = SocketAddr::Inet(addresses.preferred());
            addresses.keep_fresh();
        }
        peer
    }

    /// The addresses of its name, if it has one.
    #[must_use]
    pub const fn addresses(&self) -> Option<&Arc<Addresses>> {
        self.addresses.as_ref()
    }
}

#[async_trait]
impl Connect for ConnectToAny {
    async fn connect(&self, _: &SocketAddr) -> pingora::Result<Stream> {
        Ok(self.0.connect().await?.into())
    }
}
