//! What is tried once more: a request of which the upstream has provably not seen a byte, and nothing else. What was written may
//! have been acted upon even if no answer came, whatever the method; so a connection is looked at before, not judged after.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use pingora::protocols::ALPN;
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};

/// The word for a connection that was found closed when it was to be used again.
pub(super) const STALE_CONNECTION: ErrorType = ErrorType::Custom("ConnectionGone");

/// Which connections a request may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attempt {
    #[default]
    First,
    /// A connection of its own: of those that wait, more may be closed for the same reason.
    Second,
}

/// Unique pool keys, so that Pingora opens a new connection.
#[derive(Clone, Default)]
pub(super) struct PoolKeys(Arc<AtomicU64>);

impl PoolKeys {
    /// Makes sure that a new connection is opened for this peer.
    pub(super) fn force_new_connection(&self, peer: &mut HttpPeer) {
        peer.group_key = FIRST_UNIQUE_GROUP + self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Looks once more at a connection that had served before, in the moment before the first byte is written to it. The pool
/// knows only what the event loop has told it; the kernel may know more: that the upstream has closed it, or that it has said
/// something that nobody asked for.
///
/// # Errors
/// If it must not be used. Nothing was written then.
pub(super) fn probe_reused(descriptor: RawFd, peer: &HttpPeer) -> pingora::Result<()> {
    let speaks_http2 = peer.options.alpn == ALPN::H2;
    let mut byte = [0];
    match recv(descriptor, &mut byte, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
        // Frames may come at any time.
        Ok(1..) if speaks_http2 => Ok(()),
        // Silent, or no socket of the system's: then the pool's look must do.
        Err(Errno::EAGAIN | Errno::EBADF | Errno::EINTR | Errno::ENOTSOCK) => Ok(()),
        Ok(_) | Err(_) => {
            let mut gone =
                Error::explain(STALE_CONNECTION, "the connection was closed before it was used again").into_up();
            gone.set_retry(true);
            Err(gone)
        }
    }
}

/// Decides about a request that has failed. Besides connections found closed, Pingora vouches for what an upstream said in
/// HTTP/2 that it has not processed: a stream above the last one of its `GOAWAY`, or one that it refused (RFC 9113 §8.7).
pub(super) fn decide(session: &Session, error: &mut Error) -> Attempt {
    // What depends on whether the connection was a reused one is a guess about what the upstream has seen.
    let is_unseen = matches!(error.retry, pingora::RetryType::Decided(true));
    let again = is_unseen && !session.as_ref().retry_buffer_truncated();
    error.set_retry(again);
    if again { Attempt::Second } else { Attempt::First }
}

/// Above the names of the other groups.
const FIRST_UNIQUE_GROUP: u64 = 2;

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    fn peer(alpn: ALPN) -> HttpPeer {
        let mut peer = HttpPeer::new("127.0.0.1:1", false, String::new());
        peer.options.alpn = alpn;
        peer
    }

    #[test]
    fn a_silent_connection_is_used_again_and_a_closed_one_is_not() {
        let (ours, theirs) = pair();
        for alpn in [ALPN::H1, ALPN::H2] {
            assert!(probe_reused(ours.as_raw_fd(), &peer(alpn)).is_ok());
        }
        theirs.shutdown(Shutdown::Write).unwrap();
        for alpn in [ALPN::H1, ALPN::H2] {
            let refused = probe_reused(ours.as_raw_fd(), &peer(alpn)).unwrap_err();
            assert!(refused.retry(), "nothing was written: {refused}");
        }
    }

    #[test]
    fn a_connection_on_which_the_upstream_spoke_first_is_used_again_in_http2_only() {
        let (ours, mut theirs) = pair();
        theirs.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").unwrap();
        assert!(probe_reused(ours.as_raw_fd(), &peer(ALPN::H1)).is_err());
        assert!(probe_reused(ours.as_raw_fd(), &peer(ALPN::H2)).is_ok());
    }

    #[test]
    fn a_connection_without_a_socket_is_the_pools_to_judge() {
        assert!(probe_reused(-1, &peer(ALPN::H1)).is_ok());
    }
}
