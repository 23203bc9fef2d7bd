//! The issuers' public keys: read from a document ([`document`], [`jwk`], [`jwks`]), published to requests
//! ([`store`]), where the document may come from ([`source`]), and which issuers must have keys ([`readiness`]). All of it is pure;
//! [`crate::jwks_refresh`] fetches. A key comes only from its issuer's configured source, never from a token.

pub mod document;
pub mod jwk;
pub mod jwks;
pub mod proof_key;
pub mod readiness;
pub mod source;
pub mod store;
