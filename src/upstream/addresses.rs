//! The addresses of a name, as they were last resolved. A connection tries one after the other without waiting long for any
//! (RFC 8305), and asks for the name again when none answers.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pingora::{Error, ErrorType};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::resolve::{Resolve, interleave, is_localhost};

/// The addresses of a name.
#[derive(Debug)]
pub struct Addresses {
    name: String,
    port: u16,
    resolver: Box<dyn Resolve>,
    /// How long one connection may take.
    connect_timeout: Duration,
    known: Mutex<Known>,
    /// Held while the name is resolved again.
    resolving: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known {
    /// In the order of attempts. Never empty.
    addresses: Vec<SocketAddr>,
    /// The one that answered last, or the first.
    preferred: SocketAddr,
    /// When the name was last asked for.
    asked: Instant,
}

/// What an attempt has come to.
enum Outcome {
    Connected(SocketAddr, io::Result<TcpStream>),
    Resolved(Vec<SocketAddr>),
}

impl Addresses {
    /// Resolves a name.
    ///
    /// # Errors
    /// If it has no address.
    pub async fn resolve(
        name: &str,
        port: u16,
        connect_timeout: Duration,
        resolver: Box<dyn Resolve>,
    ) -> io::Result<Self> {
        let addresses = interleave(resolver.resolve(name, port).await?);
        let Some(preferred) = addresses.first().copied() else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        };
        let known = Mutex::new(Known { addresses, preferred, asked: Instant::now() });
        let resolving = tokio::sync::Mutex::new(());
        Ok(Self { name: name.to_owned(), port, resolver, connect_timeout, known, resolving })
    }

    /// The address to which the last connection went, or the next will go first.
    #[must_use]
    pub fn preferred(&self) -> SocketAddr {
        self.known().preferred
    }

    /// Has the name resolved again in the background if that was long ago.
    pub fn keep_fresh(self: &Arc<Self>) {
        if self.known().asked.elapsed() >= REFRESH {
            // Marked at once, so that one task is started and not one per request.
            self.known().asked = Instant::now();
            let this = Arc::clone(self);
            tokio::spawn(async move { this.ask().await });
        }
    }

    /// Connects to the first address that answers. If none does, the name is resolved again, and new addresses are tried.
    ///
    /// # Errors
    /// Of the last attempt, or of the time.
    pub async fn connect(self: &Arc<Self>) -> pingora::Result<TcpStream> {
        match timeout(self.connect_timeout, self.connect_to_any()).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => {
                let kind = match error.kind() {
                    io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                    io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ErrorType::ConnectNoRoute,
                    _ => ErrorType::ConnectError,
                };
                Error::e_because(kind, "no address of the upstream's name could be connected to", error)
            }
            Err(_) => {
                Error::e_explain(ErrorType::ConnectTimedout, "no address of the upstream's name answered in time")
            }
        }
    }

    async fn connect_to_any(self: &Arc<Self>) -> io::Result<TcpStream> {
        let mut untried = VecDeque::from(self.order());
        let mut tried: Vec<SocketAddr> = Vec::new();
        let mut attempts = JoinSet::new();
        let (mut is_asked, mut last) = (false, io::Error::from(io::ErrorKind::NotFound));
        loop {
            if let Some(address) = untried.pop_front() {
                tried.push(address);
                attempts.spawn(async move { Outcome::Connected(address, connect(address).await) });
            } else if !is_asked {
                is_asked = true;
                let this = Arc::clone(self);
                attempts.spawn(async move { Outcome::Resolved(this.ask_at_pace().await) });
            }
            let has_more = !untried.is_empty() || !is_asked;
            tokio::select! {
                outcome = attempts.join_next() => match outcome {
                    Some(Ok(Outcome::Connected(address, Ok(stream)))) => {
                        self.prefer(address);
                        return Ok(stream);
                    }
                    Some(Ok(Outcome::Connected(_, Err(error)))) => last = error,
                    Some(Ok(Outcome::Resolved(addresses))) => {
                        untried.extend(addresses.into_iter().filter(|address| !tried.contains(address)));
                    }
                    Some(Err(error)) => last = io::Error::other(error),
                    None => return Err(last),
                },
                () = sleep(ATTEMPT_DELAY), if has_more => {}
            }
        }
    }

    /// The addresses in the order in which they are tried: the one that answered last goes first. `localhost` keeps its order, since a
    /// refusal costs no time there.
    fn order(&self) -> Vec<SocketAddr> {
        let known = self.known();
        let mut order = known.addresses.clone();
        if !is_localhost(&self.name) {
            order.sort_by_key(|address| *address != known.preferred);
        }
        order
    }

    fn prefer(&self, address: SocketAddr) {
        let mut known = self.known();
        if known.addresses.contains(&address) {
            known.preferred = address;
        }
    }

    /// Resolves the name again, unless that was a moment ago. Requests that ask at the same time share the answer.
    async fn ask_at_pace(&self) -> Vec<SocketAddr> {
        let _resolving = self.resolving.lock().await;
        let asked = self.known().asked;
        if asked.elapsed() >= PACE {
            self.ask().await;
        }
        self.known().addresses.clone()
    }

    /// Resolves the name again. Without an answer the addresses stay as they are.
    async fn ask(&self) {
        let resolved = timeout(RESOLVE_TIMEOUT, self.resolver.resolve(&self.name, self.port)).await;
        let mut known = self.known();
        known.asked = Instant::now();
        let addresses = match resolved {
            Ok(Ok(addresses)) if !addresses.is_empty() => interleave(addresses),
            _ => return,
        };
        if !addresses.contains(&known.preferred)
            && let Some(first) = addresses.first()
        {
            known.preferred = *first;
        }
        known.addresses = addresses;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// How long an address is waited for before the next is tried as well (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How old addresses may be that are in use.
const REFRESH: Duration = Duration::from_secs(30);

/// The time between two questions for the name while no address answers.
const PACE: Duration = Duration::from_secs(1);

/// How long one question may take.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
