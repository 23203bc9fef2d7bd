//! JSON Web Tokens: compact JWS (RFC 7515) with JWT claims (RFC 7519), judged as RFC 8725 asks. Read in this order:
//! [`parse`], [`signature`], [`claims`], [`verify`]. A [`verify::Verified`] is made in one function only.

pub mod claims;
pub mod parse;
pub mod signature;
pub mod verify;
