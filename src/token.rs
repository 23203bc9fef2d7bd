//! Finding the token in a request: exactly one `Authorization` field with the `Bearer` scheme, one space and one token
//! (RFC 6750 §2.1). Other places a token could stand in (query, form, cookie) are not looked at.

use crate::rejection::{Reason, Rejection};
use crate::request::Authorization;

/// A token as received: not empty, not larger than allowed, only characters that a token can have. Nothing else is known.
#[derive(Clone, Copy)]
pub struct Token<'a>(&'a str);

impl<'a> Token<'a> {
    /// The request's token. The scheme's name ignores case (RFC 9110 §11.1); everything else is exact.
    ///
    /// # Errors
    /// `token_missing`, `token_ambiguous`, `token_malformed` or `token_too_large`.
    pub fn extract(authorization: Authorization<'a>, limit: usize) -> Result<Self, Rejection> {
        Self::read(presented(authorization)?, limit)
    }

    /// A token by itself, without the field it came in.
    ///
    /// # Errors
    /// `token_malformed` or `token_too_large`.
    pub fn read(text: &'a [u8], limit: usize) -> Result<Self, Rejection> {
        let malformed = |detail| Err(Rejection::new(Reason::TokenMalformed, detail));
        if text.len() > limit {
            let detail = format!("the token has {} bytes; at most {limit} are accepted", text.len());
            return Err(Rejection::new(Reason::TokenTooLarge, detail));
        }
        if text.is_empty() {
            return malformed("there is no token after the scheme 'Bearer'");
        }
        match std::str::from_utf8(text) {
            // Without a way out at the first other byte, so that the compiler judges many bytes at once.
            Ok(text) if text.bytes().fold(true, |sound, byte| sound & is_token_byte(byte)) => Ok(Self(text)),
            _ if text.contains(&b',') => {
                let detail = "the Authorization field has a comma, as if it held several credentials; send one";
                Err(Rejection::new(Reason::TokenAmbiguous, detail))
            }
            _ => malformed("the token has a character that a JWT cannot have, such as a space, a quote or padding"),
        }
    }

    /// Its characters: those of base64url, and periods.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// What stands where the token must: after the scheme, as sent. It may be anything.
///
/// # Errors
/// `token_missing` or `token_ambiguous`.
pub fn presented(authorization: Authorization<'_>) -> Result<&[u8], Rejection> {
    let missing = |detail| Err(Rejection::new(Reason::TokenMissing, detail));
    let value = match authorization {
        Authorization::Absent => return missing("send the token as 'Authorization: Bearer <token>'"),
        Authorization::Several => {
            let detail = "the request has more than one Authorization field; send one";
            return Err(Rejection::new(Reason::TokenAmbiguous, detail));
        }
        Authorization::One(value) => value,
    };
    let scheme_len = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(scheme_len).unwrap_or((value, &[]));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return missing("the Authorization field has another scheme; send 'Authorization: Bearer <token>'");
    }
    Ok(rest.strip_prefix(b" ").unwrap_or_default())
}

/// The characters of a compact JWS (RFC 7515 §7.1): narrower than `b64token` of RFC 6750, which also has `~ + / =`.
const fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(value: &[u8]) -> Option<Reason> {
        Token::extract(Authorization::One(value), 16).err().map(|rejection| rejection.reason())
    }

    #[test]
    fn one_bearer_token_is_found() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c"] {
            let token = Token::extract(Authorization::One(value.as_bytes()), 16).expect("a token");
            assert_eq!(token.as_str(), "a.b.c");
        }
        assert_eq!(reason(b"Bearer 0123456789abcdef"), None, "the limit itself is allowed");
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        assert_eq!(Token::extract(Authorization::Absent, 16).err().map(|r| r.reason()), Some(Reason::TokenMissing));
        assert_eq!(Token::extract(Authorization::Several, 16).err().map(|r| r.reason()), Some(Reason::TokenAmbiguous));
        let cases: [(&[u8], Reason); 16] = [
            (b"", Reason::TokenMissing),
            (b"Basic YTpi", Reason::TokenMissing),
            (b"a.b.c", Reason::TokenMissing),
            (b"Bearera.b.c", Reason::TokenMissing),
            (b"Bearer\ta.b.c", Reason::TokenMissing),
            (b"xBearer a.b.c", Reason::TokenMissing),
            (b"Bearer", Reason::TokenMalformed),
            (b"Bearer ", Reason::TokenMalformed),
            (b"Bearer  a.b.c", Reason::TokenMalformed),
            (b"Bearer a.b.c ", Reason::TokenMalformed),
            (b"Bearer a.b.c d", Reason::TokenMalformed),
            (b"Bearer \"a.b.c\"", Reason::TokenMalformed),
            (b"Bearer a.b.c=", Reason::TokenMalformed),
            (b"Bearer a.b.\xff", Reason::TokenMalformed),
            (b"Bearer a.b.c, Bearer d", Reason::TokenAmbiguous),
            (b"Bearer 0123456789abcdefg", Reason::TokenTooLarge),
        ];
        for (value, wanted) in cases {
            assert_eq!(reason(value), Some(wanted), "{}", String::from_utf8_lossy(value));
        }
    }
}
