//! TLS for the callers.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::compile::Findings;
use crate::config::compile::keys::files::{Pem, pem};
use crate::config::file;
use crate::config::input;
use crate::config::path::KeyPath;
use crate::config::settings::Tls;

/// The outer `None` means that something is wrong, the inner one that there is no TLS.
#[expect(clippy::option_option, reason = "an optional table that may be wrong")]
pub fn tls(
    table: Option<&file::Tls>,
    at: &KeyPath,
    base: &Path,
    findings: &mut Findings<'_, '_>,
) -> Option<Option<Tls>> {
    let Some(table) = table else { return Some(None) };
    let mut file = |written: &str, key: &str, kind: Pem| -> Option<PathBuf> {
        let path = base.join(written);
        pem(&path, kind, &at.key(key), findings).map(|()| path)
    };
    let cert = file(&table.cert, "cert", Pem::Certificate);
    let key = file(&table.key, "key", Pem::PrivateKey);
    let client_ca = match &table.client_ca {
        Some(written) => file(written, "client_ca", Pem::Certificate).map(Some),
        None => Some(None),
    };
    let (cert, key) = (cert?, key?);
    pair(&cert, &key, at, findings)?;
    Some(Some(Tls { cert, key, client_ca: client_ca? }))
}

/// Whether a certificate and a key belong together.
fn pair(cert: &Path, key: &Path, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<()> {
    let (chain, secret) = (input::read(cert).ok()?, input::read(key).ok()?);
    let chain: Vec<_> = match CertificateDer::pem_slice_iter(&chain).collect() {
        Ok(chain) => chain,
        Err(error) => return findings.error(&at.key("cert"), format!("{cert:?} is no sound PEM: {error}")),
    };
    let secret = match PrivateKeyDer::from_pem_slice(&secret) {
        Ok(secret) => secret,
        Err(error) => return findings.error(&at.key("key"), format!("{key:?} is no sound PEM: {error}")),
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    match CertifiedKey::from_der(chain, secret, &provider) {
        Ok(_) => Some(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let message =
                format!("{key:?} is not the key of the certificate in {cert:?}; name two that were made together");
            findings.error(&at.key("key"), message)
        }
        Err(error) => {
            let message = format!("{key:?} and the certificate in {cert:?} cannot be used: {error}");
            findings.error(&at.key("key"), message)
        }
    }
}
