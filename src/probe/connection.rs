//! Connections to the target, plain or with TLS, each for one attempt.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::target::Target;

/// Opens connections to one target.
pub struct Connector {
    host: String,
    port: u16,
    tls: Option<(ServerName<'static>, ClientConfig)>,
    timeout: Duration,
}

/// Why no connection can be tried.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum ConnectError {
    #[error("the authorities in {0:?} cannot be used: {1}")]
    Authorities(PathBuf, String),
    #[error("the host's name cannot be one of a certificate: {0}")]
    Name(#[from] InvalidDnsNameError),
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

/// A stream of bytes, whatever carries it.
pub trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// What is spoken on a connection, as in ALPN.
#[derive(Clone, Copy)]
pub enum Protocol {
    Http1,
    Http2,
}

impl Connector {
    /// For connections to this target, which trust the authorities in this file, or else the system's.
    ///
    /// # Errors
    /// If the file or the host's name cannot be used.
    pub fn new(target: &Target, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, ConnectError> {
        let tls = match target.is_tls {
            true => {
                let name = ServerName::try_from(target.host.trim_matches(['[', ']']).to_owned())?;
                Some((name, config(ca_file)?))
            }
            false => None,
        };
        let host = target.host.trim_matches(['[', ']']).to_owned();
        Ok(Self { host, port: target.port, tls, timeout })
    }

    /// Opens a connection on which this protocol is spoken.
    ///
    /// # Errors
    /// If there is none, or another protocol was agreed on.
    pub fn open(&self, protocol: Protocol) -> io::Result<Box<dyn Stream>> {
        let tcp = connect(&(self.host.as_str(), self.port), self.timeout)?;
        let Some((name, config)) = &self.tls else { return Ok(Box::new(tcp)) };
        let mut config = config.clone();
        let alpn: &[u8] = match protocol {
            Protocol::Http1 => b"http/1.1",
            Protocol::Http2 => b"h2",
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let client = ClientConnection::new(Arc::new(config), name.clone()).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(client, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        match (protocol, stream.conn.alpn_protocol()) {
            (Protocol::Http2, agreed) if agreed != Some(alpn) => Err(io::Error::other("HTTP/2 is not spoken")),
            _ => Ok(Box::new(stream)),
        }
    }

    /// Opens a plain connection to another address.
    ///
    /// # Errors
    /// If there is none.
    pub fn open_to(&self, address: &str) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(connect(&address, self.timeout)?))
    }
}

/// Connects to the first of its addresses that answers: a name may have some of both families.
fn connect(address: &impl ToSocketAddrs, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::ErrorKind::NotFound.into();
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn config(ca_file: Option<&Path>) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let Some(path) = ca_file else { return Ok(builder.with_platform_verifier()?.with_no_client_auth()) };
    let unusable = |error: String| ConnectError::Authorities(path.to_owned(), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
