//! The issuers' public keys: read from a document ([`jwks`]), kept for the requests ([`store`]) and kept fresh ([`refresh`],
//! which is an edge: nothing else here knows it). A key gets here only from its issuer's configured source, never from a token.

pub mod jwks;
pub mod refresh;
pub mod store;
