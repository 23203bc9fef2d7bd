//! One connection to the store, which all requests share: their claims are sent one behind the other, and answered in that order.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, Value};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use super::error::StoreError;
use crate::file_watcher;
use crate::proof::replay::Claim;
use crate::proof::store::{StoreAddress, StoreSettings};

/// A connection that is open. Clones are the same one.
#[derive(Clone)]
pub(super) struct Connection {
    inner: MultiplexedConnection,
    doubts: Arc<Notify>,
}

/// What reads and writes on a connection. It ends when the connection does.
pub(super) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a store is spoken with through.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Connection {
    /// Connects, and logs in.
    pub(super) async fn open(settings: &StoreSettings) -> Result<(Self, Driver), StoreError> {
        let mut login = RedisConnectionInfo::default().set_db(settings.database.into()).set_skip_set_lib_name();
        if let Some(user) = &settings.user {
            login = login.set_username(user);
        }
        if let Some(file) = &settings.password_file {
            login = login.set_password(password(&read("password_file", file).await?)?);
        }
        let stream = stream(settings).await?;
        // The bound of a claim is that of its request.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (inner, driver) = MultiplexedConnection::new_with_config(&login, stream, config).await?;
        Ok((Self { inner, doubts: Arc::default() }, Box::pin(driver)))
    }

    /// Makes a claim: whether it is the first.
    pub(super) async fn claim(&self, claim: &Claim) -> Result<bool, StoreError> {
        let name = [PREFIX, &URL_SAFE_NO_PAD.encode(claim.fingerprint())].concat();
        self.set_new(&name, claim.good_for()).await
    }

    /// Writes something, to know whether claims can be made.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.set_new(&[PREFIX, "check"].concat(), CHECK_KEPT).await.map(drop)
    }

    /// Lets the keeper of this connection look whether it still is one.
    pub(super) fn doubt(&self) {
        self.doubts.notify_one();
    }

    /// Waits until somebody doubts it.
    pub(super) async fn doubted(&self) {
        self.doubts.notified().await;
    }

    /// Writes a name that is kept for a time, if it is not there. One command, so that of many at once one succeeds.
    async fn set_new(&self, name: &str, kept: Duration) -> Result<bool, StoreError> {
        let kept = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
        let mut command = redis::cmd("SET");
        command.arg(name).arg(1).arg("NX").arg("PX").arg(kept);
        match command.query_async(&mut self.inner.clone()).await? {
            Value::Okay => Ok(true),
            Value::Nil => Ok(false),
            _ => Err(StoreError::Answer),
        }
    }
}

async fn stream(settings: &StoreSettings) -> Result<Box<dyn Stream>, StoreError> {
    let (host, port, tls) = match &settings.address {
        StoreAddress::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        StoreAddress::Tcp { host, port, tls } => (host, *port, *tls),
    };
    let tcp = TcpStream::connect((host.as_str(), port)).await?;
    tcp.set_nodelay(true)?;
    if !tls {
        return Ok(Box::new(tcp));
    }
    let authorities = match &settings.ca_file {
        Some(file) => Some(read(CA_FILE, file).await?),
        None => None,
    };
    // Reading the system's roots takes a while.
    let config = tokio::task::spawn_blocking(move || client(authorities.as_deref())).await;
    let config = config.unwrap_or(Err(StoreError::FileContent(CA_FILE)))?;
    let name = ServerName::try_from(host.clone()).map_err(|error| StoreError::Tls(error.to_string()))?;
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    Ok(Box::new(tls.map_err(|error| StoreError::Tls(tls_error(&error)))?))
}

/// A client of TLS that trusts these authorities, or those of the system.
fn client(authorities: Option<&[u8]>) -> Result<ClientConfig, StoreError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = |error: rustls::Error| StoreError::Tls(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(tls)?;
    let Some(pem) = authorities else {
        return Ok(builder.with_platform_verifier().map_err(tls)?.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| StoreError::FileContent(CA_FILE))?;
        roots.add(certificate).map_err(|_| StoreError::FileContent(CA_FILE))?;
    }
    if roots.is_empty() {
        return Err(StoreError::FileContent(CA_FILE));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What rustls says, which names no secrets, or the kind of what went wrong with the stream.
fn tls_error(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or_else(|| error.kind().to_string(), ToString::to_string)
}

/// The only line of a file.
fn password(content: &[u8]) -> Result<&str, StoreError> {
    let text = std::str::from_utf8(content).map_err(|_| StoreError::FileContent("password_file"))?;
    Ok(text.trim_end_matches(['\r', '\n']))
}

async fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, StoreError> {
    file_watcher::read(path, FILE_MAX).await.map_err(|why| StoreError::File { what, why })
}

/// What the names begin with that are ours in the store.
const PREFIX: &str = "callgate:replay:";

const CA_FILE: &str = "ca_file";

/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 1024 * 1024;

/// How long the store keeps what is written to see whether it can be.
const CHECK_KEPT: Duration = Duration::from_secs(1);
