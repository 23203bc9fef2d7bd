//! TLS on the listener: certificates that are read again when they change, both versions of HTTP by ALPN, and client certificates
//! if they are asked for. A pair that cannot be used never replaces one that can.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use pingora::listeners::tls::Acceptor;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::tls::TlsStream;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;

use crate::config::Tls;

/// A listener's side of TLS.
pub struct TlsListener {
    acceptor: Acceptor,
    pair: Arc<Pair>,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    #[error("a certificate in {path:?} cannot be used: {source}")]
    Authority { path: PathBuf, source: rustls::Error },
    #[error("{path:?} cannot be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path:?} is no PEM of the right kind: {message}")]
    Pem { path: PathBuf, message: String },
    #[error("{key:?} and the certificate in {cert:?} cannot be used together: {source}")]
    Pair { cert: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("its versions cannot be offered: {0}")]
    Versions(rustls::Error),
    #[error("there is no implementation of TLS")]
    Provider,
    #[error("the certificates for clients cannot be used: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// The certificate and key in use.
#[derive(Debug)]
struct Pair {
    files: Tls,
    current: RwLock<Arc<CertifiedKey>>,
}

/// When a file was changed, as far as it can be told.
type Changed = (Option<SystemTime>, u64);

impl TlsListener {
    /// Reads the files.
    ///
    /// # Errors
    /// If they cannot be used, or not together.
    pub fn new(files: Tls) -> Result<Arc<Self>, TlsFault> {
        let provider = default_provider()?;
        let current = RwLock::new(Arc::new(read(&files, &provider)?));
        let client_ca = files.client_ca.clone();
        let pair = Arc::new(Pair { files, current });
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsFault::Versions)?;
        let builder = match client_ca {
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(&path)? {
                    roots.add(certificate).map_err(|source| TlsFault::Authority { path: path.clone(), source })?;
                }
                builder.with_client_cert_verifier(
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build()?,
                )
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&pair) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(Self { acceptor: Acceptor::from_server_config(Arc::new(config)), pair }))
    }

    /// Makes the handshake with a client.
    ///
    /// # Errors
    /// If it fails on either side.
    pub async fn accept(&self, stream: Stream) -> pingora::Result<TlsStream<Stream>> {
        self.acceptor.tls_handshake(stream).await
    }

    /// Looks at the files again and again, and takes a new pair when there is one. New connections use it, open ones go on.
    pub async fn follow_changes(&self) {
        let mut seen = self.pair.changed();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.pair.changed();
            if now == seen {
                continue;
            }
            seen = now;
            match default_provider().and_then(|provider| read(&self.pair.files, &provider)) {
                Ok(pair) => {
                    *self.pair.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                    tracing::info!(cert = %self.pair.files.cert.display(), "The listener's certificate was replaced.");
                }
                // Two files are not written at once; the next look sees both.
                Err(error) => tracing::warn!(%error, "The listener keeps its certificate: the new one cannot be used."),
            }
        }
    }
}

impl Pair {
    fn changed(&self) -> [Changed; 2] {
        [&self.files.cert, &self.files.key].map(|path| {
            let metadata = std::fs::metadata(path).ok();
            (metadata.as_ref().and_then(|it| it.modified().ok()), metadata.map_or(0, |it| it.len()))
        })
    }
}

impl ResolvesServerCert for Pair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The process's own implementation of TLS, which is installed before anything listens.
fn default_provider() -> Result<Arc<CryptoProvider>, TlsFault> {
    CryptoProvider::get_default().cloned().ok_or(TlsFault::Provider)
}

/// Reads a pair and makes sure that its two halves fit.
fn read(files: &Tls, provider: &CryptoProvider) -> Result<CertifiedKey, TlsFault> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes(&files.key)?)
        .map_err(|error| TlsFault::Pem { path: files.key.clone(), message: error.to_string() })?;
    let pair = CertifiedKey::from_der(chain, key, provider);
    pair.map_err(|source| TlsFault::Pair { cert: files.cert.clone(), key: files.key.clone(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let pem = bytes(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    read.map_err(|error| TlsFault::Pem { path: path.to_owned(), message: error.to_string() })
}

fn bytes(path: &Path) -> Result<Vec<u8>, TlsFault> {
    std::fs::read(path).map_err(|source| TlsFault::Read { path: path.to_owned(), source })
}

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
