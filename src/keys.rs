//! The issuers' public keys: read from a document ([`jwks`]) and kept for the requests ([`store`]). A key gets here only from
//! its issuer's configured source, never from a token.

pub mod jwks;
pub mod store;
