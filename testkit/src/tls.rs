//! Certificates of an authority that is made at run time, and an issuer behind https: TLS with such a certificate, then the plain issuer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer as Authority, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::http::PATIENCE;
use super::issuer::Issuer;

/// An authority with what it has vouched for.
pub struct Ca {
    authority: Authority<'static, KeyPair>,
    /// Its certificate.
    pub pem: String,
}

impl Ca {
    /// A fresh one.
    pub fn generate() -> Self {
        let key = KeyPair::generate().expect("a certificate can be made");
        let mut parameters = CertificateParams::new([]).expect("a certificate can be made");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Another name than that of what it vouches for, which would look as if it vouched for itself.
        parameters.distinguished_name.push(DnType::CommonName, "authority");
        let pem = parameters.self_signed(&key).expect("a certificate can be made").pem();
        Self { authority: Authority::new(parameters, key), pem }
    }

    /// A certificate and its key, as PEM.
    pub fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a certificate can be made");
        let parameters = CertificateParams::new(["localhost".to_owned()]).expect("a certificate can be made");
        (parameters.signed_by(&key, &self.authority).expect("a certificate can be made").pem(), key.serialize_pem())
    }
}

/// A TLS listener in front of an issuer. Its thread ends with the test's process.
pub struct TlsFront {
    port: u16,
    path: String,
    directory: TempDir,
}

impl TlsFront {
    /// Listens on `localhost` with a certificate of a fresh authority.
    pub fn before(issuer: &Issuer) -> Self {
        let (server, authority) = certify();
        let directory = tempfile::tempdir().expect("a directory can be made");
        std::fs::write(directory.path().join("ca.pem"), authority).expect("the certificate can be written");

        let url = issuer.jwks_url();
        let (address, path) = url.trim_start_matches("http://").split_once('/').expect("the URL has a path");
        let address: SocketAddr = address.parse().expect("the URL has an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port can be bound");
        let port = listener.local_addr().expect("it is bound").port();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = Arc::clone(&server);
                // A client that does not trust the certificate goes away, which is what some tests want.
                thread::spawn(move || relay(stream, server, address));
            }
        });
        Self { port, path: path.to_owned(), directory }
    }

    /// The URL of the key set.
    pub fn jwks_url(&self) -> String {
        format!("https://localhost:{}/{}", self.port, self.path)
    }

    /// The certificate of the authority, as PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }
}

/// Takes one request out of TLS, passes it on and brings back the answer.
fn relay(stream: TcpStream, server: Arc<ServerConfig>, issuer: SocketAddr) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(server).map_err(io::Error::other)?;
    let mut client = StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        request.extend_from_slice(&byte);
    }
    let mut issuer = TcpStream::connect(issuer)?;
    issuer.write_all(&request)?;
    let mut answer = Vec::new();
    issuer.read_to_end(&mut answer)?;
    client.write_all(&answer)?;
    client.conn.send_close_notify();
    client.flush()
}

/// A server's side of TLS, and the certificate of the authority that vouches for it.
fn certify() -> (Arc<ServerConfig>, String) {
    let ca = Ca::generate();
    let (certificate, key) = ca.issue();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the usual versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("key and certificate fit");
    (Arc::new(config), ca.pem)
}
