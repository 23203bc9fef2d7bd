//! TLS on the listener: certificates that are read again when they change, both versions of HTTP by ALPN, and client certificates
//! if they are asked for. Files that cannot be used together never replace those in use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::tls::TlsStream;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::sync::Mutex;

use crate::config::Tls;
use crate::file_watcher::{Content, FileError, FileWatcher};

/// A listener's side of TLS.
pub(super) struct TlsListener {
    files: Tls,
    /// Made anew with each change of a file, so that a new client authority also ends the resumption of older sessions.
    acceptor: ArcSwap<Acceptor>,
    /// To which the files in use are settled.
    watcher: Mutex<FileWatcher>,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("a certificate in {path:?} cannot be used: {source}")]
    Authority { path: PathBuf, source: rustls::Error },
    #[error("{path:?} cannot be read: {source}")]
    Read { path: PathBuf, source: FileError },
    #[error("{path:?} is no PEM of the right kind: {message}")]
    Pem { path: PathBuf, message: String },
    #[error("{key:?} and the certificate in {cert:?} cannot be used together: {source}")]
    Pair { cert: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("not all of its files were read")]
    Incomplete,
    #[error("its versions cannot be offered: {0}")]
    Versions(rustls::Error),
    #[error("there is no implementation of TLS")]
    Provider,
    #[error("the certificates for clients cannot be used: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

impl TlsListener {
    /// Reads the files.
    ///
    /// # Errors
    /// If they cannot be used, or not together.
    pub(super) async fn new(files: Tls) -> Result<Arc<Self>, TlsError> {
        let mut watcher = FileWatcher::new(paths(&files).cloned(), FILE_MAX);
        let contents = watcher.look().await.unwrap_or_default();
        let acceptor = ArcSwap::from_pointee(acceptor(&files, &contents)?);
        watcher.settle(contents);
        Ok(Arc::new(Self { files, acceptor, watcher: Mutex::new(watcher) }))
    }

    /// Makes the handshake with a client.
    ///
    /// # Errors
    /// If it fails on either side.
    pub(super) async fn accept(&self, stream: Stream) -> pingora::Result<TlsStream<Stream>> {
        self.acceptor.load_full().tls_handshake(stream).await
    }

    /// Follows the files for ever: the certificate, its key, and the authorities of client certificates. New connections use
    /// what is new, open ones go on.
    pub(super) async fn follow_changes(&self) {
        let mut watcher = self.watcher.lock().await;
        loop {
            let contents = watcher.changed().await;
            match acceptor(&self.files, &contents) {
                Ok(acceptor) => {
                    self.acceptor.store(Arc::new(acceptor));
                    let cert = self.files.cert.display();
                    tracing::info!(%cert, "The listener's certificate was replaced.");
                }
                Err(error) => {
                    tracing::warn!(%error, "The listener keeps its certificate: the new files cannot be used.")
                }
            }
        }
    }
}

/// The files in use, in the order in which [`acceptor`] takes their contents.
fn paths(files: &Tls) -> impl Iterator<Item = &PathBuf> {
    [&files.cert, &files.key].into_iter().chain(files.client_ca.as_ref())
}

/// Makes the server's side of TLS from the contents of the files.
fn acceptor(files: &Tls, contents: &[Content]) -> Result<Acceptor, TlsError> {
    let mut pem = Vec::with_capacity(contents.len());
    for (path, content) in paths(files).zip(contents) {
        let read = content.as_deref().map_err(|source| TlsError::Read { path: path.clone(), source: *source })?;
        pem.push((path, read));
    }
    let [cert, key, authorities @ ..] = pem.as_slice() else { return Err(TlsError::Incomplete) };
    let provider = default_provider()?;
    let pair = pair(*cert, *key, &provider)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?;
    let builder = match authorities.first() {
        Some((path, pem)) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, pem)? {
                roots.add(certificate).map_err(|source| TlsError::Authority { path: path.to_path_buf(), source })?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build()?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    let http2 = files.http2.then(|| b"h2".to_vec());
    config.alpn_protocols = http2.into_iter().chain([b"http/1.1".to_vec()]).collect();
    Ok(Acceptor::from_server_config(Arc::new(config)))
}

/// The process's own implementation of TLS, which is installed before anything listens.
fn default_provider() -> Result<Arc<CryptoProvider>, TlsError> {
    CryptoProvider::get_default().cloned().ok_or(TlsError::Provider)
}

/// Reads a pair and makes sure that its two halves fit.
fn pair(cert: (&PathBuf, &[u8]), key: (&PathBuf, &[u8]), provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(cert.0, cert.1)?;
    let private = PrivateKeyDer::from_pem_slice(key.1)
        .map_err(|error| TlsError::Pem { path: key.0.clone(), message: error.to_string() })?;
    let pair = CertifiedKey::from_der(chain, private, provider);
    pair.map_err(|source| TlsError::Pair { cert: cert.0.clone(), key: key.0.clone(), source })
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.map_err(|error| TlsError::Pem { path: path.to_owned(), message: error.to_string() })
}

/// The largest of the files, in bytes.
const FILE_MAX: u64 = 1024 * 1024;
