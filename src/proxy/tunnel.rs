//! The connection to an upstream that is asked for a tunnel. Pingora races the end of the request against the answer: if a quick
//! `101` comes first, the end of the request, which comes second, ends the tunnel that has just begun. On this connection the
//! answer always comes second: after a write, the first look for it finds nothing yet.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
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
use tokio::time::{Sleep, sleep, timeout};

use super::context::Tunnel;
use crate::upstream::Addresses;

/// Connects to an upstream for a tunnel.
#[derive(Debug)]
pub(super) struct TunnelConnect {
    connect_timeout: Duration,
    read_timeout: Option<Duration>,
    /// The addresses of the upstream's name, if it has one.
    addresses: Option<Arc<Addresses>>,
    tunnel: Tunnel,
}

/// A socket whose first read after a write always finds nothing yet. Until the tunnel is open it has the time of the upstream to answer;
/// after that the session on the client's side sees whether anything passes, and Pingora's own time would cut a tunnel whose
/// upstream alone is silent.
#[derive(Debug)]
struct TunnelSocket<S> {
    socket: S,
    has_written: bool,
    read_timeout: Option<Duration>,
    read_timer: Option<Pin<Box<Sleep>>>,
    tunnel: Tunnel,
}

impl TunnelConnect {
    /// Has a connection to this peer opened so. It is nobody else's.
    pub(super) fn prepare(peer: &mut HttpPeer, addresses: Option<Arc<Addresses>>, tunnel: Tunnel) {
        let connect_timeout = peer.options.connection_timeout.unwrap_or_default();
        let read_timeout = peer.options.read_timeout.take();
        peer.options.custom_l4 = Some(Arc::new(Self { connect_timeout, read_timeout, addresses, tunnel }));
        peer.group_key = TUNNELS;
    }
}

#[async_trait]
impl Connect for TunnelConnect {
    async fn connect(&self, address: &SocketAddr) -> pingora::Result<Stream> {
        if let Some(addresses) = &self.addresses {
            return addresses.connect().await.map(|socket| self.stream(socket));
        }
        let connect = async {
            match address {
                SocketAddr::Inet(address) => {
                    let socket = TcpStream::connect(address).await?;
                    socket.set_nodelay(true)?;
                    Ok(self.stream(socket))
                }
                SocketAddr::Unix(address) => {
                    let path = address.as_pathname().ok_or(io::ErrorKind::InvalidInput)?;
                    UnixStream::connect(path).await.map(|socket| self.stream(socket))
                }
            }
        };
        match timeout(self.connect_timeout, connect).await {
            Ok(connected) => connected.or_err(ErrorType::ConnectError, "while a tunnel was connected"),
            Err(_) => Error::e_explain(ErrorType::ConnectTimedout, "while a tunnel was connected"),
        }
    }
}

impl TunnelConnect {
    fn stream(&self, socket: impl AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug + 'static) -> Stream {
        let (read_timeout, tunnel) = (self.read_timeout, self.tunnel.clone());
        let socket = TunnelSocket { socket, has_written: false, read_timeout, read_timer: None, tunnel };
        VirtualSocketStream::new(Box::new(socket)).into()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TunnelSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.has_written) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let this = &mut *self;
        let read = Pin::new(&mut this.socket).poll_read(cx, buffer);
        match this.read_timeout {
            Some(read_timeout) if read.is_pending() && !this.tunnel.is_open() => {
                let timer = this.read_timer.get_or_insert_with(|| Box::pin(sleep(read_timeout)));
                ready!(timer.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the upstream does not answer")))
            }
            _ => {
                this.read_timer = None;
                read
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TunnelSocket<S> {
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

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug> VirtualSocket for TunnelSocket<S> {
    /// Its options are set when it is made.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

/// Sets tunnels apart in the pool of upstream connections.
const TUNNELS: u64 = 1;
