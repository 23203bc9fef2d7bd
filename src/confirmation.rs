//! What a token can be bound to (`cnf`, RFC 7800), so that nobody else can use it: a client's certificate, or a key.

/// What a bound token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The certificate with which the client opens its connection: `x5t#S256` (RFC 8705 §3.1).
    Certificate(CertificateHash),
    /// The key with which the client signs a proof for each request: `jkt` (RFC 9449 §6.1).
    DpopKey(KeyThumbprint),
    /// The key with which a workload signs a proof for each request: `jwk` (draft-ietf-wimse-workload-creds §5.1).
    WorkloadKey(KeyThumbprint),
}

/// The SHA-256 of a certificate in DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateHash(pub [u8; 32]);

/// The SHA-256 thumbprint of a public key (RFC 7638 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyThumbprint(pub [u8; 32]);
