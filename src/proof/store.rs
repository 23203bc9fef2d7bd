//! The store in which instances tell each other which proofs were shown: where it is, and who asks. How it is asked is no matter of the
//! core.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What a configuration says about the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where it listens.
    pub address: StoreAddress,
    /// The number of its database.
    pub database: u32,
    /// Who we are there; the store's default user without.
    pub user: Option<String>,
    /// The file that holds our password there. It is read for each connection.
    pub password_file: Option<PathBuf>,
    /// The authorities of its certificate, if they are not the system's. It is read for each connection.
    pub ca_file: Option<PathBuf>,
    /// How long a request may wait for its answer, from the question to the answer.
    pub timeout: Duration,
}

/// Where a store listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAddress {
    /// A port.
    Tcp {
        /// A name of DNS, which is resolved for each connection, or an IP address without brackets.
        host: String,
        /// From 1.
        port: u16,
        /// Whether TLS is spoken.
        tls: bool,
    },
    /// The absolute path of a socket.
    Unix(PathBuf),
}

impl fmt::Display for StoreAddress {
    /// As it is written in the configuration, without user and database.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")
                } else {
                    write!(f, "{scheme}://{host}:{port}")
                }
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
