//! Where clients connect to: a TCP port, or a Unix socket with a mode. A socket file that nobody listens on any more is replaced;
//! one in use, and whatever is no socket, is never touched. The file is gone when we no longer accept.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pingora::protocols::l4::socket;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::{GetSocketDigest, SocketDigest};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

use crate::config::ListenAddress;

/// A listener of either kind.
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// What the kernel has accepted for a listener that is about to be closed.
pub enum Queue {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// The file of our socket; it is removed with this value, unless another took its place.
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(transparent)]
    Bind(#[from] io::Error),
    #[error("another process listens there; stop it, or name another path")]
    InUse,
    #[error("there is something that is no socket; remove it, or name another path")]
    NoSocket,
    #[error("there is a socket, and it cannot be told whether it is in use ({0}); remove it if it is not")]
    Unclear(io::Error),
}

impl Listener {
    /// Listens on an address.
    ///
    /// # Errors
    /// If it is taken, or the system refuses.
    pub async fn bind(address: &ListenAddress) -> Result<Self, ListenError> {
        match address {
            ListenAddress::Tcp(address) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                // A port whose last connections are still being closed can be bound.
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                Ok(Self::Tcp(socket.listen(BACKLOG)?))
            }
            ListenAddress::Unix { path, mode } => {
                make_way(path).await?;
                let listener = UnixListener::bind(path)?;
                let file = SocketFile::of(path)?;
                fs::set_permissions(path, Permissions::from_mode(*mode))?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// Of that connection, or of the system.
    pub async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| tcp(stream, peer)),
            Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| unix(stream)),
        }
    }

    /// Makes the address free for others, and keeps what was accepted already.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn into_queue(self) -> io::Result<Queue> {
        match self {
            Self::Tcp(listener) => listener.into_std().map(Queue::Tcp),
            // The file goes first: who comes now finds nothing, rather than a connection that is reset.
            Self::Unix(listener, file) => {
                drop(file);
                listener.into_std().map(Queue::Unix)
            }
        }
    }
}

impl Queue {
    /// The next connection; `WouldBlock` if there is none.
    ///
    /// # Errors
    /// Of that connection, or of the system.
    pub fn next(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                TcpStream::from_std(stream).map(|stream| tcp(stream, peer))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                UnixStream::from_std(stream).map(unix)
            }
        }
    }
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // If it cannot be removed, the next process replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl fmt::Display for Listener {
    /// As it could be written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_err(|_| fmt::Error)?.fmt(f),
            Self::Unix(_, file) => write!(f, "unix:{}", file.path.display()),
        }
    }
}

/// Removes a socket that nobody listens on.
async fn make_way(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => return Err(ListenError::NoSocket),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let found = identity(path)?;
    match timeout(ANSWER, UnixStream::connect(path)).await {
        Err(_) | Ok(Ok(_)) => Err(ListenError::InUse),
        Ok(Err(error)) => match error.kind() {
            // Unless somebody has just put another in its place.
            io::ErrorKind::ConnectionRefused if identity(path)? == found => Ok(fs::remove_file(path)?),
            io::ErrorKind::ConnectionRefused => Err(ListenError::InUse),
            io::ErrorKind::NotFound => Ok(()),
            // A queue that is full is somebody's.
            io::ErrorKind::WouldBlock => Err(ListenError::InUse),
            _ => Err(ListenError::Unclear(error)),
        },
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

fn tcp(stream: TcpStream, peer: SocketAddr) -> Stream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set.");
    }
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    described(stream.into(), digest, Some(peer.into()))
}

/// A client of a Unix socket has no address. What stands in its place says which process it is.
fn unix(stream: UnixStream) -> Stream {
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    let name = stream.peer_cred().map(|peer| match peer.pid() {
        Some(pid) => format!("unix:uid={},pid={pid}", peer.uid()),
        None => format!("unix:uid={}", peer.uid()),
    });
    let name = name.and_then(std::os::unix::net::SocketAddr::from_pathname);
    described(stream.into(), digest, name.ok().map(socket::SocketAddr::Unix))
}

/// Pingora's stream, told who is at its other end.
fn described(mut stream: Stream, digest: SocketDigest, peer: Option<socket::SocketAddr>) -> Stream {
    // The cell was made just before and is empty.
    let _ = digest.peer_addr.set(peer);
    stream.set_socket_digest(digest);
    stream
}

/// How long a process that may listen on a socket has to show it.
const ANSWER: Duration = Duration::from_secs(1);

/// How many connections wait in the kernel until they are accepted. One more is dropped, and its client tries again after a second. As many as
/// come in one burst; they count for the memory of a pod with what their clients have sent.
const BACKLOG: u32 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &Path, mode: u32) -> ListenAddress {
        ListenAddress::Unix { path: path.to_owned(), mode }
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_while_it_is_listened_on_and_is_gone_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callgate.sock");
        for mode in [0o600, 0o660, 0o666] {
            let listener = Listener::bind(&at(&path, mode)).await.unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
            assert_eq!(listener.to_string(), format!("unix:{}", path.display()));
            drop(listener);
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_replaced_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callgate.sock");
        // Closed without being removed, as a killed process leaves it.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let live = Listener::bind(&at(&path, 0o660)).await.unwrap();
        let refused = Listener::bind(&at(&path, 0o660)).await.err().unwrap();
        assert!(matches!(refused, ListenError::InUse), "{refused}");
        assert!(UnixStream::connect(&path).await.is_ok(), "it is still there");
        drop(live);
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("precious");
        fs::write(&file, "data").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link, &directory.path().to_owned()] {
            let refused = Listener::bind(&at(path, 0o660)).await.err().unwrap();
            assert!(matches!(refused, ListenError::NoSocket), "{refused}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "data");
        assert!(link.is_symlink());
    }

    #[tokio::test]
    async fn a_socket_that_has_taken_the_place_of_ours_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callgate.sock");
        let ours = Listener::bind(&at(&path, 0o660)).await.unwrap();
        fs::rename(&path, directory.path().join("ours")).unwrap();
        let theirs = Listener::bind(&at(&path, 0o660)).await.unwrap();
        drop(ours);
        assert!(UnixStream::connect(&path).await.is_ok());
        drop(theirs);
    }

    #[tokio::test]
    async fn what_was_accepted_before_the_end_is_served_and_nothing_comes_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callgate.sock");
        let listener = Listener::bind(&at(&path, 0o660)).await.unwrap();
        let _early = UnixStream::connect(&path).await.unwrap();
        let queue = listener.into_queue().unwrap();
        assert_eq!(UnixStream::connect(&path).await.err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
        let stream = queue.next().unwrap();
        let peer = stream.get_socket_digest().and_then(|digest| digest.peer_addr().map(ToString::to_string)).unwrap();
        assert!(peer.starts_with("unix:uid="), "{peer}");
        assert_eq!(queue.next().err().map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
    }
}
