//! Saying no: every reason for which a request is not forwarded, in one closed list. The reason's word is the same in the
//! answer, the audit record, the metrics and the docs. This is the only file that knows which status a reason has.

use std::borrow::Cow;
use std::fmt;

mod disclosure;
pub mod nearest_issuer;

pub use disclosure::Disclosure;

/// Why a request was answered by us and not by the upstream. The words are stable: callers may match on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "docs/reasons.md explains each")]
pub enum Reason {
    AlgorithmRefused,
    AudienceMismatch,
    BodyTooLarge,
    CallerUnusable,
    CertificateMismatch,
    CertificateMissing,
    ClaimInvalid,
    ClaimMissing,
    CriticalHeaderUnsupported,
    HeadTooLarge,
    InternalError,
    IssuerUntrusted,
    KeyUnknown,
    KeysUnavailable,
    LifetimeExceeded,
    MethodRefused,
    Overloaded,
    ProofExpired,
    ProofInvalid,
    ProofMissing,
    ProofNonceWanted,
    ProofReplayed,
    ProofUncheckable,
    RequestMalformed,
    RequestTimeout,
    SignatureInvalid,
    TokenAmbiguous,
    TokenBound,
    TokenExpired,
    TokenMalformed,
    TokenMissing,
    TokenNotYetValid,
    TokenRevoked,
    TokenTooLarge,
    TokenUnbound,
    TunnelIdle,
    TypeRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
}

impl Reason {
    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 39] = [
        Self::AlgorithmRefused,
        Self::AudienceMismatch,
        Self::BodyTooLarge,
        Self::CallerUnusable,
        Self::CertificateMismatch,
        Self::CertificateMissing,
        Self::ClaimInvalid,
        Self::ClaimMissing,
        Self::CriticalHeaderUnsupported,
        Self::HeadTooLarge,
        Self::InternalError,
        Self::IssuerUntrusted,
        Self::KeyUnknown,
        Self::KeysUnavailable,
        Self::LifetimeExceeded,
        Self::MethodRefused,
        Self::Overloaded,
        Self::ProofExpired,
        Self::ProofInvalid,
        Self::ProofMissing,
        Self::ProofNonceWanted,
        Self::ProofReplayed,
        Self::ProofUncheckable,
        Self::RequestMalformed,
        Self::RequestTimeout,
        Self::SignatureInvalid,
        Self::TokenAmbiguous,
        Self::TokenBound,
        Self::TokenExpired,
        Self::TokenMalformed,
        Self::TokenMissing,
        Self::TokenNotYetValid,
        Self::TokenRevoked,
        Self::TokenTooLarge,
        Self::TokenUnbound,
        Self::TunnelIdle,
        Self::TypeRefused,
        Self::UpstreamTimeout,
        Self::UpstreamUnreachable,
    ];

    /// The stable snake_case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlgorithmRefused => "algorithm_refused",
            Self::AudienceMismatch => "audience_mismatch",
            Self::BodyTooLarge => "body_too_large",
            Self::CallerUnusable => "caller_unusable",
            Self::CertificateMismatch => "certificate_mismatch",
            Self::CertificateMissing => "certificate_missing",
            Self::ClaimInvalid => "claim_invalid",
            Self::ClaimMissing => "claim_missing",
            Self::CriticalHeaderUnsupported => "critical_header_unsupported",
            Self::HeadTooLarge => "head_too_large",
            Self::InternalError => "internal_error",
            Self::IssuerUntrusted => "issuer_untrusted",
            Self::KeyUnknown => "key_unknown",
            Self::KeysUnavailable => "keys_unavailable",
            Self::LifetimeExceeded => "lifetime_exceeded",
            Self::MethodRefused => "method_refused",
            Self::Overloaded => "overloaded",
            Self::ProofExpired => "proof_expired",
            Self::ProofInvalid => "proof_invalid",
            Self::ProofMissing => "proof_missing",
            Self::ProofNonceWanted => "proof_nonce_wanted",
            Self::ProofReplayed => "proof_replayed",
            Self::ProofUncheckable => "proof_uncheckable",
            Self::RequestMalformed => "request_malformed",
            Self::RequestTimeout => "request_timeout",
            Self::SignatureInvalid => "signature_invalid",
            Self::TokenAmbiguous => "token_ambiguous",
            Self::TokenBound => "token_bound",
            Self::TokenExpired => "token_expired",
            Self::TokenMalformed => "token_malformed",
            Self::TokenMissing => "token_missing",
            Self::TokenNotYetValid => "token_not_yet_valid",
            Self::TokenRevoked => "token_revoked",
            Self::TokenTooLarge => "token_too_large",
            Self::TokenUnbound => "token_unbound",
            Self::TunnelIdle => "tunnel_idle",
            Self::TypeRefused => "type_refused",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamUnreachable => "upstream_unreachable",
        }
    }

    /// One line that says what is wrong, the same for every request refused for this reason (`title` of RFC 9457 §3.1.3).
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::AlgorithmRefused => "The token's signature algorithm is not accepted",
            Self::AudienceMismatch => "The token was issued for another service",
            Self::BodyTooLarge => "The request's body is too large",
            Self::CallerUnusable => "The token does not name its caller in a usable way",
            Self::CertificateMismatch => "The client's certificate is not the one that the token is bound to",
            Self::CertificateMissing => "The token is bound to a certificate that was not shown",
            Self::ClaimInvalid => "A claim of the token has a value that is not accepted",
            Self::ClaimMissing => "The token lacks a required claim",
            Self::CriticalHeaderUnsupported => "The token demands an extension that is not supported",
            Self::HeadTooLarge => "The request's head is too large",
            Self::InternalError => "The request could not be judged",
            Self::IssuerUntrusted => "The token's issuer is not trusted here",
            Self::KeyUnknown => "The issuer has published no key that fits the token",
            Self::KeysUnavailable => "The issuer's keys are not available at the moment",
            Self::LifetimeExceeded => "The token lives longer than is accepted",
            Self::MethodRefused => "The request's method is not forwarded",
            Self::Overloaded => "Too many requests are in progress at the moment",
            Self::ProofExpired => "The proof was not made for this moment",
            Self::ProofInvalid => "The proof is not one for this request",
            Self::ProofMissing => "The token is bound to a key, and the request carries no proof of it",
            Self::ProofNonceWanted => "The proof lacks the nonce of this service",
            Self::ProofReplayed => "The proof was shown before",
            Self::ProofUncheckable => "Whether the proof was shown before cannot be told at the moment",
            Self::RequestMalformed => "The request is malformed or ambiguous",
            Self::RequestTimeout => "The request did not come in time",
            Self::SignatureInvalid => "The token's signature is not valid",
            Self::TokenAmbiguous => "The request carries more than one credential",
            Self::TokenBound => "The token is bound to a key and needs proof of it",
            Self::TokenExpired => "The token has expired",
            Self::TokenMalformed => "The token is not a well-formed JWT",
            Self::TokenMissing => "The request carries no bearer token",
            Self::TokenNotYetValid => "The token is not valid yet",
            Self::TokenRevoked => "The token has been revoked",
            Self::TokenTooLarge => "The token is too large",
            Self::TokenUnbound => "The token is bound to nothing",
            Self::TunnelIdle => "Nothing passed through the WebSocket for too long",
            Self::TypeRefused => "The token's type is not accepted",
            Self::UpstreamTimeout => "The service did not answer in time",
            Self::UpstreamUnreachable => "The service could not be reached",
        }
    }

    /// The HTTP status it is answered with.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::RequestMalformed => 400,
            Self::MethodRefused => 405,
            Self::RequestTimeout | Self::TunnelIdle => 408,
            Self::BodyTooLarge => 413,
            Self::HeadTooLarge => 431,
            Self::InternalError => 500,
            Self::UpstreamUnreachable => 502,
            Self::KeysUnavailable | Self::Overloaded | Self::ProofUncheckable => 503,
            Self::UpstreamTimeout => 504,
            _ => 401,
        }
    }

    /// What the answer's `WWW-Authenticate` field says, if it has one.
    #[must_use]
    pub const fn challenge(self) -> Challenge {
        match self {
            Self::TokenMissing => Challenge::Bare,
            Self::ProofNonceWanted => Challenge::UseDpopNonce,
            Self::ProofExpired | Self::ProofInvalid | Self::ProofMissing | Self::ProofReplayed => {
                Challenge::InvalidProof
            }
            _ if self.status() == 401 => Challenge::InvalidToken,
            _ => Challenge::None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kind of the `WWW-Authenticate` fields (RFC 6750 §3, RFC 9449 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Asks for a bearer token and names no error, because none was sent (RFC 6750 §3.1).
    Bare,
    /// `error="invalid_token"` with a description.
    InvalidToken,
    /// `error="invalid_dpop_proof"` with a description, of the scheme `DPoP`; or `error="invalid_proof"` of ours for workloads.
    InvalidProof,
    /// `error="use_dpop_nonce"` likewise (RFC 9449 §9).
    UseDpopNonce,
    /// The answer is not about the caller's credentials.
    None,
}

/// A refusal: its one reason, and what was expected and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    reason: Reason,
    detail: Cow<'static, str>,
}

impl Rejection {
    /// A refusal whose detail is cleaned to the characters that every place it appears in can carry: those of
    /// `error_description` (RFC 6750 §3), at most [`DETAIL_MAX`] of them. Other characters become `?`.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        let clean = detail.len() <= DETAIL_MAX && detail.bytes().all(is_plain);
        let detail = if clean { detail } else { Cow::Owned(detail.chars().take(DETAIL_MAX).map(plain).collect()) };
        Self { reason, detail }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What was expected and what was found, for the caller's developer.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

/// Text that a client chose, made fit to be shown: in single quotes, at most 64 characters, only plain ones.
#[must_use]
pub fn quoted(found: &str) -> String {
    let mut shown = String::with_capacity(found.len().min(QUOTED_MAX) + 5);
    shown.push('\'');
    shown
        .extend(found.chars().take(QUOTED_MAX).map(|character| if character == '\'' { '?' } else { plain(character) }));
    if found.chars().nth(QUOTED_MAX).is_some() {
        shown.push_str("...");
    }
    shown.push('\'');
    shown
}

/// `error_description` allows %x20-21 / %x23-5B / %x5D-7E: printable ASCII without `"` and `\`. A quoted string can hold it as it is.
pub(crate) const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

fn plain(character: char) -> char {
    match u8::try_from(character) {
        Ok(byte) if is_plain(byte) => character,
        _ => '?',
    }
}

/// The longest detail, in characters.
pub const DETAIL_MAX: usize = 400;

const QUOTED_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_listed_once_in_alphabetical_order_under_its_own_word() {
        let words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        let mut sorted = words.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(words.len(), sorted.len(), "a word stands for one reason");
        assert!(Reason::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        for reason in Reason::ALL {
            let word: String = format!("{reason:?}")
                .chars()
                .flat_map(|c| c.is_uppercase().then_some('_').into_iter().chain([c.to_ascii_lowercase()]))
                .skip(1)
                .collect();
            assert_eq!(reason.as_str(), word);
        }
    }

    #[test]
    fn only_answers_about_credentials_carry_a_challenge() {
        for reason in Reason::ALL {
            assert_eq!(reason.status() == 401, reason.challenge() != Challenge::None, "{reason}");
        }
        assert_eq!(Reason::TokenMissing.challenge(), Challenge::Bare);
        assert_eq!(Reason::TokenExpired.challenge(), Challenge::InvalidToken);
    }

    #[test]
    fn a_detail_never_breaks_out_of_a_quoted_string_or_a_header() {
        let rejection = Rejection::new(Reason::TokenMalformed, "a\"b\\c\r\nd\u{e9}".to_owned());
        assert_eq!(rejection.detail(), "a?b?c??d?");
        let long = Rejection::new(Reason::TokenMalformed, "x".repeat(10_000));
        assert_eq!(long.detail().len(), DETAIL_MAX);
        assert_eq!(Rejection::new(Reason::TokenMissing, "plain, 'text'").detail(), "plain, 'text'");
    }

    #[test]
    fn quoted_text_is_bounded_and_plain() {
        assert_eq!(quoted("ES256"), "'ES256'");
        assert_eq!(quoted("a\"\n"), "'a??'");
        assert_eq!(quoted("a'; trust me, 'b"), "'a?; trust me, ?b'", "nobody ends our quotes but us");
        assert_eq!(quoted(&"k".repeat(1000)).len(), 64 + 5);
    }
}
