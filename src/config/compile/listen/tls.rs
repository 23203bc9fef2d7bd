//! TLS for the callers. Each file is read once, and what was read is what is checked.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::compile::findings::{Findings, Reported};
use crate::config::compile::keys::files::{Pem, pem};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::Tls;

pub(crate) fn tls(
    listen: &file::Listen,
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<Option<Tls>, Reported> {
    let Some(table) = &listen.tls else { return Ok(None) };
    let mut file = |written: &str, key: &str, kind: Pem| -> Result<(PathBuf, Vec<u8>), Reported> {
        let path = findings.path(written);
        pem(&path, kind, &at.key(key), findings).map(|content| (path, content))
    };
    let cert = file(&table.cert, "cert", Pem::Certificate);
    let key = file(&table.key, "key", Pem::PrivateKey);
    let client_ca = table.client_ca.as_deref().map(|written| file(written, "client_ca", Pem::Certificate)).transpose();
    let ((cert, chain), (key, secret)) = (cert?, key?);
    pair((&cert, &chain), (&key, &secret), at, findings)?;
    Ok(Some(Tls { cert, key, client_ca: client_ca?.map(|(path, _)| path), http2: listen.http2 }))
}

/// Whether a certificate and a key, each a path with what was read there, belong together.
fn pair(
    (cert, chain): (&Path, &[u8]),
    (key, secret): (&Path, &[u8]),
    at: &KeyPath,
    findings: &mut Findings<'_, '_>,
) -> Result<(), Reported> {
    let chain: Vec<_> = match CertificateDer::pem_slice_iter(chain).collect() {
        Ok(chain) => chain,
        Err(error) => return Err(findings.error(&at.key("cert"), format!("{cert:?} is no sound PEM: {error}"))),
    };
    let secret = match PrivateKeyDer::from_pem_slice(secret) {
        Ok(secret) => secret,
        Err(error) => return Err(findings.error(&at.key("key"), format!("{key:?} is no sound PEM: {error}"))),
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    match CertifiedKey::from_der(chain, secret, &provider) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let message =
                format!("{key:?} is not the key of the certificate in {cert:?}; name two that were made together");
            Err(findings.error(&at.key("key"), message))
        }
        Err(error) => {
            let message = format!("{key:?} and the certificate in {cert:?} cannot be used: {error}");
            Err(findings.error(&at.key("key"), message))
        }
    }
}
