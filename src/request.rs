//! What the core may know of a request: the few parts of its head that a decision depends on, borrowed. Nothing that a
//! client can set freely without consequence (`X-Forwarded-*`, user agent, query) is here, so nothing can depend on it.

mod token_field;

use crate::confirmation::CertificateHash;

pub use token_field::{Scheme, TokenField};

/// The part of a request's head that is judged.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method exactly as sent; methods are case-sensitive (RFC 9110 §9.1).
    pub method: &'a str,
    /// The path exactly as sent, without query. `None` when the target is not in origin form (RFC 9112 §3.2.1) or not text:
    /// such a request matches no public route.
    pub path: Option<&'a str>,
    /// The field that carries the token: `Authorization`, unless another one is configured.
    pub authorization: SingletonField<'a>,
    /// The field `DPoP`, which carries a proof (RFC 9449 §4). It is only read where it is asked for.
    pub proof: SingletonField<'a>,
    /// The certificate that the client showed on this connection, and whose key it has.
    pub certificate: Option<CertificateHash>,
    /// All fields, where workload identity tokens are accepted: such a token, its proof, and what else the proof must cover stand in
    /// fields of their own.
    pub fields: Option<&'a dyn Fields>,
}

/// The fields of a request.
pub trait Fields: Sync {
    /// The field of this name, which ignores case.
    fn field(&self, name: &str) -> SingletonField<'_>;
}

/// The field that carries a workload identity token (draft-ietf-wimse-workload-creds §5.1.1).
pub const WORKLOAD_TOKEN: &str = "workload-identity-token";

/// The field that carries the proof of its key (draft-ietf-wimse-wpt §2).
pub const WORKLOAD_PROOF: &str = "workload-proof-token";

/// A field that a request may have once (RFC 9110 §5.5), such as the one that carries the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SingletonField<'a> {
    /// There is none.
    Absent,
    /// The field's value as received.
    One(&'a [u8]),
    /// It was sent more than once. The upstream could use another one than we did.
    Several,
}

impl<'a> SingletonField<'a> {
    /// Reads the field lines of a request.
    pub fn from_lines(mut lines: impl Iterator<Item = &'a [u8]>) -> Self {
        match (lines.next(), lines.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}
