//! A listener with one thread per connection, which can be taken away and brought back on the same address.
//!
//! It gives each connection to a closure and knows nothing of what is said on it. When it is dropped, nobody listens.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

use super::http::Connection;
use super::socket::Socket;

/// What a server does with one connection; it is closed when this returns, with or without an error.
pub type Handler = Arc<dyn Fn(Connection) -> io::Result<()> + Send + Sync>;

/// A running listener.
pub struct Server {
    address: Address,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// The directory of its socket, if it chose one itself: it is removed with it.
    directory_of_its_own: Option<TempDir>,
}

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Server {
    /// Listens on a TCP address (port 0 takes a free one) and serves each connection with `handler`.
    pub fn tcp(address: SocketAddr, handler: Handler) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = Address::Tcp(listener.local_addr()?);
        Ok(Self::start(address, handler, move || listener.accept().map(|(stream, _)| Socket::Tcp(stream))))
    }

    /// Listens on 127.0.0.1 on a free port, or on a Unix socket if CALLGATE_TEST_UPSTREAM=unix.
    pub fn local(handler: Handler) -> io::Result<Self> {
        if std::env::var_os("CALLGATE_TEST_UPSTREAM").is_some_and(|upstream| upstream == "unix") {
            let directory = tempfile::tempdir()?;
            let mut server = Self::unix(&directory.path().join("upstream.sock"), handler)?;
            server.directory_of_its_own = Some(directory);
            return Ok(server);
        }
        Self::tcp(SocketAddr::from(([127, 0, 0, 1], 0)), handler)
    }

    /// Listens on a Unix socket.
    pub fn unix(path: &Path, handler: Handler) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let address = Address::Unix(path.to_owned());
        Ok(Self::start(address, handler, move || listener.accept().map(|(stream, _)| Socket::Unix(stream))))
    }

    /// Where this server listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    fn start(address: Address, handler: Handler, accept: impl Fn() -> io::Result<Socket> + Send + 'static) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = thread::spawn(move || {
            while let Ok(socket) = accept() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let handler = Arc::clone(&handler);
                // An error on a connection means that the other side went away, which is its business.
                thread::spawn(move || Connection::over(socket).and_then(|connection| handler(connection)));
            }
        });
        Self { address, stopping, thread: Some(thread), directory_of_its_own: None }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The accepting thread sits in `accept`: one connection of our own wakes it.
        let woken = match &self.address {
            Address::Tcp(address) => TcpStream::connect(address).is_ok(),
            Address::Unix(path) => UnixStream::connect(path).is_ok(),
        };
        if woken && let Some(thread) = self.thread.take() {
            // Joined, so that the address refuses connections when this returns.
            let _ended = thread.join();
        }
    }
}

impl Address {
    /// The address as `upstream.address` wants it.
    pub fn for_config(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Reads it as it is written there.
    pub fn read(written: &str) -> Option<Self> {
        match written.strip_prefix("unix:") {
            Some(path) => Some(Self::Unix(path.into())),
            None => written.parse().ok().map(Self::Tcp),
        }
    }
}
