//! Certificates of an authority that exists for one test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;

/// An authority.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

/// A server's certificate.
pub(super) enum Leaf {
    Expired,
    ForAnotherHost,
    Good,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new([]).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two authorities of one name would be taken for one with a wrong signature.
        parameters.distinguished_name.push(DnType::CommonName, format!("Authority {:?}", key.public_key_raw()));
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(parameters, key), pem, der }
    }

    pub(super) fn pem(&self) -> String {
        self.pem.clone()
    }

    /// A server on `localhost`.
    pub(super) fn server(&self, leaf: Leaf) -> Arc<ServerConfig> {
        let (chain, key) = self.certify(&leaf);
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = builder.expect("the usual versions").with_no_client_auth().with_single_cert(chain, key);
        Arc::new(config.expect("key and certificate fit"))
    }

    /// A server on `localhost` that only serves clients of this authority.
    pub(super) fn server_for_clients(&self) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a root");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let (chain, key) = self.certify(&Leaf::Good);
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.expect("the usual versions").with_client_cert_verifier(verifier.expect("a verifier"));
        Arc::new(builder.with_single_cert(chain, key).expect("key and certificate fit"))
    }

    /// A client's certificate and private key, as PEM.
    pub(super) fn client(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(["client".to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    fn certify(&self, leaf: &Leaf) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let name = if matches!(leaf, Leaf::ForAnotherHost) { "elsewhere.example" } else { "localhost" };
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new([name.to_owned()]).expect("a name");
        if matches!(leaf, Leaf::Expired) {
            parameters.not_before = date_time_ymd(2001, 1, 1);
            parameters.not_after = date_time_ymd(2002, 1, 1);
        }
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (vec![certificate.der().clone()], key)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
