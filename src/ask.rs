//! One question to the admin port of a running instance, from a command of our own: a request, its whole answer, and no more.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// How long an instance may take, and how much it may say.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For the connection, and for each read and write.
    pub patience: Duration,
    /// In bytes; what is beyond is not read.
    pub answer: u64,
}

/// Sends a request to `admin`, a host and port, and gives the answer as it came. `head` is the request line, and the fields after
/// it that the method needs.
///
/// # Errors
/// If the instance cannot be reached, or not within its time.
pub fn ask(admin: &str, head: &str, bounds: Bounds) -> io::Result<Vec<u8>> {
    let address = admin.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, bounds.patience)?;
    stream.set_read_timeout(Some(bounds.patience))?;
    stream.set_write_timeout(Some(bounds.patience))?;
    write!(stream, "{head}\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(bounds.answer).read_to_end(&mut answer)?;
    Ok(answer)
}
