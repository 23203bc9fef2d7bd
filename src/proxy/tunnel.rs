//! The connection to an upstream that is asked for a tunnel. Pingora races the end of the request against the answer: if a quick
//! `101` comes first, the end of the request, which comes second, ends the tunnel that has just begun. On this connection the
//! answer always comes second: after a write, the first look for it finds nothing yet.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::upstream::Addresses;

/// Connects to an upstream for a tunnel.
#[derive(Debug)]
pub struct TunnelConnect {
    /// How long it may take.
    within: Duration,
    /// The addresses of the upstream's name, if it has one.
    addresses: Option<Arc<Addresses>>,
}

/// A socket whose answers are never read in the same breath as the request was written.
#[derive(Debug)]
struct Patient<S> {
    socket: S,
    has_written: bool,
}

impl TunnelConnect {
    /// Has a connection to this peer opened so. It is nobody else's.
    pub fn prepare(peer: &mut HttpPeer, addresses: Option<Arc<Addresses>>) {
        let within = peer.options.connection_timeout.unwrap_or_default();
        peer.options.custom_l4 = Some(Arc::new(Self { within, addresses }));
        peer.group_key = TUNNELS;
    }
}

#[async_trait]
impl Connect for TunnelConnect {
    async fn connect(&self, address: &SocketAddr) -> pingora::Result<Stream> {
        if let Some(addresses) = &self.addresses {
            return addresses.connect().await.map(patient);
        }
        let connect = async {
            match address {
                SocketAddr::Inet(address) => {
                    let socket = TcpStream::connect(address).await?;
                    socket.set_nodelay(true)?;
                    Ok(patient(socket))
                }
                SocketAddr::Unix(address) => {
                    let path = address.as_pathname().ok_or(io::ErrorKind::InvalidInput)?;
                    UnixStream::connect(path).await.map(patient)
                }
            }
        };
        match timeout(self.within, connect).await {
            Ok(connected) => connected.or_err(ErrorType::ConnectError, "while a tunnel was connected"),
            Err(_) => Error::e_explain(ErrorType::ConnectTimedout, "while a tunnel was connected"),
        }
    }
}

fn patient(socket: impl AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug + 'static) -> Stream {
    VirtualSocketStream::new(Box::new(Patient { socket, has_written: false })).into()
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.has_written) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.has_written = true;
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug> VirtualSocket for Patient<S> {
    /// Its options are set when it is made.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

/// Sets tunnels apart in the pool of upstream connections.
const TUNNELS: u64 = 1;
