//! The first step of a stop, asked for by another process of the same machine: a preStop hook, while the service behind us still
//! answers. It needs neither a shell nor a signal, so it works in an image that holds nothing else.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Asks the sidecar whose admin address this is to end its connections. It goes on serving until a signal stops it.
///
/// # Errors
/// If nobody answers there, or not with a yes.
pub fn drain(admin: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&reachable(admin), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"POST /drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&answer);
    Err(io::Error::other(format!("it answered {}", answer.lines().next().unwrap_or("nothing"))))
}

/// Where a listener on every address can be reached from here.
fn reachable(admin: SocketAddr) -> SocketAddr {
    let ip = match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, admin.port())
}

const PATIENCE: Duration = Duration::from_secs(2);
const ANSWER_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_reached_on_loopback() {
        let reached = |admin: &str| reachable(admin.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:9901"), "127.0.0.1:9901");
        assert_eq!(reached("[::]:9901"), "[::1]:9901");
        assert_eq!(reached("198.51.100.2:9901"), "198.51.100.2:9901");
    }
}
