//! From a name to addresses.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use async_trait::async_trait;

/// What knows the addresses of names.
#[async_trait]
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of a name, in the order in which they should be tried (RFC 6724).
    ///
    /// # Errors
    /// If there is no answer.
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The operating system's resolver. `localhost` is not asked for: it is this machine (RFC 6761 §6.3), in both families, and which
/// of them `/etc/hosts` lists first says nothing about where a service listens.
#[derive(Clone, Copy, Debug)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if is_localhost(name) {
            return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
        }
        Ok(tokio::net::lookup_host((name, port)).await?.collect())
    }
}

/// Whether a name is that of this machine.
pub(super) fn is_localhost(name: &str) -> bool {
    name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case("localhost")
}

/// Puts addresses in the order of connection attempts: families take turns, beginning with that of the first (RFC 8305 §4). Each
/// address comes once.
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut once: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !once.contains(&address) {
            once.push(address);
        }
    }
    let first_is_ipv6 = once.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = once.into_iter().partition(|address| address.is_ipv6() == first_is_ipv6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_each_address_comes_once() {
        let list = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect::<Vec<_>>();
        let six = ["[2001:db8::1]:80", "[2001:db8::2]:80", "[2001:db8::3]:80"];
        let four = ["192.0.2.1:80", "192.0.2.2:80"];
        let sorted = list(&[six[0], six[1], six[0], six[2], four[0], four[1]]);
        assert_eq!(interleave(sorted), list(&[six[0], four[0], six[1], four[1], six[2]]));
        assert_eq!(interleave(list(&[four[1], six[0], four[0]])), list(&[four[1], six[0], four[0]]));
        assert_eq!(interleave(Vec::new()), Vec::new());
    }

    #[tokio::test]
    async fn localhost_is_this_machine_in_both_families_ipv4_first() {
        for name in ["localhost", "LocalHost", "localhost."] {
            let addresses = SystemResolver.resolve(name, 3000).await.unwrap();
            assert_eq!(addresses, ["127.0.0.1:3000".parse().unwrap(), "[::1]:3000".parse().unwrap()]);
        }
    }
}
