//! Finding the token in a request: exactly one field, `Authorization` or the one that is configured, with the scheme `Bearer`,
//! spaces and one token (RFC 6750 §2.1, RFC 9110 §11.4), or with the token alone. Where workload identity tokens are accepted, one in its
//! own field goes first. Other places a token could stand in (query, form, cookie) are not looked at.

use std::borrow::Cow;

use crate::rejection::{Reason, Rejection};
use crate::request::{RequestHead, Scheme, SingletonField, TokenField, WORKLOAD_TOKEN};

/// A token as received: not empty, not larger than allowed, only characters that a token can have. Nothing else is known.
#[derive(Clone, Copy)]
pub struct Token<'a>(&'a str);

/// What stands where the token must, as sent. It may be anything.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// As what it is presented.
    pub token_type: TokenType,
    /// The bytes of the token's place, without the scheme.
    pub text: &'a [u8],
}

/// As what a token is presented (`token_type`, RFC 6749 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// For whoever has it; with the scheme `Bearer`, or with none where none is wanted.
    Bearer,
    /// With a proof, and the scheme `DPoP` (RFC 9449 §7.1).
    Dpop,
    /// With a proof, as a workload identity token in the field for such (draft-ietf-wimse-workload-creds §5.1.1).
    Workload,
}

impl<'a> Token<'a> {
    /// The request's token, which stands in this field. The scheme's name ignores case (RFC 9110 §11.1); everything else is exact.
    ///
    /// # Errors
    /// `token_missing`, `token_ambiguous`, `token_malformed` or `token_too_large`.
    pub fn extract(authorization: SingletonField<'a>, field: &TokenField, limit: usize) -> Result<Self, Rejection> {
        Self::read(in_token_field(authorization, field)?, field, limit)
    }

    /// A token by itself, as it stood in this field or that of a workload.
    ///
    /// # Errors
    /// `token_malformed`, `token_ambiguous` or `token_too_large`.
    pub fn read(presented: Presented<'a>, field: &TokenField, limit: usize) -> Result<Self, Rejection> {
        let Presented { token_type, text } = presented;
        let is_workload = token_type == TokenType::Workload;
        let malformed = |detail: Cow<'static, str>| Err(Rejection::new(Reason::TokenMalformed, detail));
        if text.len() > limit {
            let detail = format!("the token has {} bytes; at most {limit} are accepted", text.len());
            return Err(Rejection::new(Reason::TokenTooLarge, detail));
        }
        if text.is_empty() {
            return malformed(match field.scheme() {
                _ if is_workload => "the Workload-Identity-Token field is empty".into(),
                Scheme::Bearer if field.takes_dpop() => "there is no token after the scheme".into(),
                Scheme::Bearer => "there is no token after the scheme 'Bearer'".into(),
                Scheme::Bare => format!("the {} field is empty", field.name()).into(),
            });
        }
        match std::str::from_utf8(text) {
            // Without a way out at the first other byte, so that the compiler judges many bytes at once.
            Ok(text) if text.bytes().fold(true, |sound, byte| sound & is_token_byte(byte)) => Ok(Self(text)),
            _ if is_workload && text.contains(&b',') => Err(Rejection::new(
                Reason::TokenAmbiguous,
                "the Workload-Identity-Token field has a comma, as if it held several tokens; send one",
            )),
            _ if text.contains(&b',') => {
                let detail = "the Authorization field has a comma, as if it held several credentials; send one";
                Err(Rejection::new(Reason::TokenAmbiguous, field.named(detail)))
            }
            _ if !is_workload
                && field.scheme() == Scheme::Bare
                && credentials(text).0.eq_ignore_ascii_case(b"bearer") =>
            {
                malformed(
                    format!("the {} field must hold the token alone, without the scheme 'Bearer'", field.name()).into(),
                )
            }
            _ => malformed(
                "the token has a character that a JWT cannot have, such as a space, a quote or padding".into(),
            ),
        }
    }

    /// Its characters: those of base64url, and periods.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// What stands where the token must: in the field of workload identity tokens, where such are accepted and the request has one, and else
/// in the token's field. A workload may send the token of a user beside its own, which then names nobody.
///
/// # Errors
/// `token_missing` or `token_ambiguous`.
pub fn presented<'a>(head: &RequestHead<'a>, field: &TokenField) -> Result<Presented<'a>, Rejection> {
    let own = head.fields.filter(|_| field.takes_workload()).map(|fields| fields.field(WORKLOAD_TOKEN));
    match own {
        Some(SingletonField::One(text)) => Ok(Presented { token_type: TokenType::Workload, text }),
        Some(SingletonField::Several) => {
            let detail = "the request has more than one Workload-Identity-Token field; send one";
            Err(Rejection::new(Reason::TokenAmbiguous, detail))
        }
        Some(SingletonField::Absent) | None => in_token_field(head.authorization, field),
    }
}

/// What stands in the token's field, after the scheme if there is one.
fn in_token_field<'a>(authorization: SingletonField<'a>, field: &TokenField) -> Result<Presented<'a>, Rejection> {
    let missing = |detail| {
        let detail = field.named(detail);
        let detail = match field.takes_workload() {
            true => [&detail, ", or a workload identity token in Workload-Identity-Token with a proof"].concat().into(),
            false => detail,
        };
        Err(Rejection::new(Reason::TokenMissing, detail))
    };
    let value = match authorization {
        SingletonField::Absent if field.takes_dpop() => {
            return missing(
                "send the token as 'Authorization: Bearer <token>', or 'Authorization: DPoP <token>' with a proof",
            );
        }
        SingletonField::Absent => return missing("send the token as 'Authorization: Bearer <token>'"),
        SingletonField::Several => {
            let detail = "the request has more than one Authorization field; send one";
            return Err(Rejection::new(Reason::TokenAmbiguous, field.named(detail)));
        }
        SingletonField::One(value) => value,
    };
    match field.scheme() {
        Scheme::Bare => Ok(Presented { token_type: TokenType::Bearer, text: value }),
        Scheme::Bearer => match credentials(value) {
            (scheme, text) if scheme.eq_ignore_ascii_case(b"bearer") => {
                Ok(Presented { token_type: TokenType::Bearer, text })
            }
            (scheme, text) if field.takes_dpop() && scheme.eq_ignore_ascii_case(b"dpop") => {
                Ok(Presented { token_type: TokenType::Dpop, text })
            }
            _ => missing("the Authorization field has another scheme; send 'Authorization: Bearer <token>'"),
        },
    }
}

/// The OAuth access token in an `Authorization` field (RFC 6750 §2.1, RFC 9449 §7.1), if it is one; other schemes carry something else.
pub(crate) fn access_token(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials(authorization);
    (scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"dpop")).then_some(token)
}

/// The scheme, and what follows it and its spaces (`1*SP`, RFC 9110 §11.4).
fn credentials(value: &[u8]) -> (&[u8], &[u8]) {
    let is_space = |byte: &u8| *byte == b' ';
    let end = value.iter().position(is_space).unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end).unwrap_or_default();
    let token = rest.iter().position(|byte| !is_space(byte)).and_then(|start| rest.get(start..));
    (scheme, token.unwrap_or_default())
}

/// The characters of a compact JWS (RFC 7515 §7.1): narrower than `b64token` of RFC 6750, which also has `~ + / =`.
const fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Fields;

    fn reason(value: &[u8]) -> Option<Reason> {
        Token::extract(SingletonField::One(value), &TokenField::default(), 16).err().map(|rejection| rejection.reason())
    }

    #[test]
    fn one_bearer_token_is_found() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c", "Bearer  a.b.c", "Bearer      a.b.c"] {
            let token =
                Token::extract(SingletonField::One(value.as_bytes()), &TokenField::default(), 16).expect("a token");
            assert_eq!(token.as_str(), "a.b.c");
        }
        assert_eq!(reason(b"Bearer 0123456789abcdef"), None, "the limit itself is allowed");
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        let usual = TokenField::default();
        for (authorization, reason) in
            [(SingletonField::Absent, Reason::TokenMissing), (SingletonField::Several, Reason::TokenAmbiguous)]
        {
            assert_eq!(Token::extract(authorization, &usual, 16).err().map(|r| r.reason()), Some(reason));
        }
        let cases: [(&[u8], Reason); 19] = [
            (b"", Reason::TokenMissing),
            (b"Basic YTpi", Reason::TokenMissing),
            (b"a.b.c", Reason::TokenMissing),
            (b"Bearera.b.c", Reason::TokenMissing),
            (b"Bearer\ta.b.c", Reason::TokenMissing),
            (b"xBearer a.b.c", Reason::TokenMissing),
            (b"Bearer", Reason::TokenMalformed),
            (b"Bearer ", Reason::TokenMalformed),
            (b"Bearer  ", Reason::TokenMalformed),
            (b"Bearer \ta.b.c", Reason::TokenMalformed),
            (b"Bearer  a.b.c  d", Reason::TokenMalformed),
            (b" Bearer a.b.c", Reason::TokenMissing),
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

    #[test]
    fn the_scheme_of_a_proven_token_is_known_only_where_proofs_are_taken() {
        let (usual, proven) = (TokenField::default(), TokenField::default().with_dpop());
        let bare = TokenField::new("Txn-Token".into(), Scheme::Bare).with_dpop();
        let found = |value: &'static [u8], field: &TokenField| {
            in_token_field(SingletonField::One(value), field).map(|found| (found.token_type, found.text))
        };
        for value in [&b"DPoP a.b.c"[..], b"dpop a.b.c", b"DPOP  a.b.c"] {
            assert_eq!(found(value, &proven), Ok((TokenType::Dpop, &b"a.b.c"[..])));
            assert_eq!(found(value, &usual).map_err(|refused| refused.reason()), Err(Reason::TokenMissing));
            assert_eq!(found(value, &bare), Ok((TokenType::Bearer, value)), "there is no scheme");
        }
        assert_eq!(found(b"Bearer a.b.c", &proven), Ok((TokenType::Bearer, &b"a.b.c"[..])));
        for value in [&b"DPoPa.b.c"[..], b"DPoP\ta.b.c", b"xDPoP a.b.c", b"a.b.c"] {
            assert_eq!(found(value, &proven).map_err(|refused| refused.reason()), Err(Reason::TokenMissing));
        }
        let empty = Token::extract(SingletonField::One(b"DPoP "), &proven, 16).err().expect("a refusal");
        assert_eq!(empty.reason(), Reason::TokenMalformed);
        let absent = in_token_field(SingletonField::Absent, &proven).err().expect("a refusal");
        assert!(absent.detail().contains("'Authorization: DPoP <token>' with a proof"), "{absent}");
    }

    /// One field of a name, and the tokens in it.
    struct Only(&'static str, &'static [&'static str]);

    impl Fields for Only {
        fn field(&self, name: &str) -> SingletonField<'_> {
            let lines = self.1.iter().filter(|_| name.eq_ignore_ascii_case(self.0));
            SingletonField::from_lines(lines.map(|line| line.as_bytes()))
        }
    }

    #[test]
    fn the_token_of_a_workload_stands_in_its_own_field_and_goes_first() {
        let (usual, taking) = (TokenField::default(), TokenField::default().with_workload());
        let found = |fields: &Only, field: &TokenField| {
            let authorization = SingletonField::One(b"Bearer d.e.f");
            let (proof, certificate) = (SingletonField::Absent, None);
            let head =
                RequestHead { method: "GET", path: None, authorization, proof, certificate, fields: Some(fields) };
            let found = presented(&head, field)?;
            Token::read(found, field, 16).map(|token| (found.token_type, token.as_str().to_owned()))
        };
        let one = Only("Workload-Identity-Token", &["a.b.c"]);
        assert_eq!(found(&one, &taking), Ok((TokenType::Workload, "a.b.c".to_owned())));
        assert_eq!(found(&one, &usual), Ok((TokenType::Bearer, "d.e.f".to_owned())), "where none is accepted");
        let other = Only("Workload_Identity_Token", &["a.b.c"]);
        assert_eq!(found(&other, &taking), Ok((TokenType::Bearer, "d.e.f".to_owned())));
        let reason = |lines: &'static [&'static str]| {
            found(&Only("workload-identity-token", lines), &taking).map_err(|refused| refused.reason())
        };
        assert_eq!(reason(&["a.b.c", "a.b.c"]), Err(Reason::TokenAmbiguous));
        assert_eq!(reason(&["a.b.c, a.b.c"]), Err(Reason::TokenAmbiguous));
        assert_eq!(reason(&[""]), Err(Reason::TokenMalformed));
        assert_eq!(reason(&["Bearer a.b.c"]), Err(Reason::TokenMalformed));
        assert_eq!(reason(&["0123456789abcdefg"]), Err(Reason::TokenTooLarge));
    }

    #[test]
    fn a_bare_token_is_the_whole_field() {
        let bare = TokenField::new("Txn-Token".into(), Scheme::Bare);
        let read = |value: &'static [u8]| Token::extract(SingletonField::One(value), &bare, 16);
        assert_eq!(read(b"a.b.c").expect("a token").as_str(), "a.b.c");
        for (value, reason, words) in [
            (&b""[..], Reason::TokenMalformed, "the Txn-Token field is empty"),
            (b"Bearer a.b.c", Reason::TokenMalformed, "the token alone, without the scheme 'Bearer'"),
            (b"a.b.c d", Reason::TokenMalformed, "a character that a JWT cannot have"),
            (b"a.b.c, a.b.c", Reason::TokenAmbiguous, "the Txn-Token field has a comma"),
            (b"0123456789abcdefg", Reason::TokenTooLarge, "17 bytes"),
        ] {
            let refused = read(value).err().expect("a refusal");
            assert_eq!(refused.reason(), reason);
            assert!(refused.detail().contains(words), "{refused}");
        }
    }

    #[test]
    fn details_name_the_field_in_which_the_token_belongs() {
        let detail = |field: &TokenField, authorization| {
            in_token_field(authorization, field).err().expect("a refusal").detail().to_owned()
        };
        for (name, scheme, wanted) in [
            ("authorization", Scheme::Bearer, "send the token as 'Authorization: Bearer <token>'"),
            ("X-Service-Authorization", Scheme::Bearer, "send the token as 'X-Service-Authorization: Bearer <token>'"),
            ("Txn-Token", Scheme::Bare, "send the token as 'Txn-Token: <token>'"),
        ] {
            assert_eq!(detail(&TokenField::new(name.into(), scheme), SingletonField::Absent), wanted);
        }
        let other = TokenField::new("X-Service-Authorization".into(), Scheme::Bearer);
        assert_eq!(
            detail(&other, SingletonField::One(b"Basic YTpi")),
            "the X-Service-Authorization field has another scheme; send 'X-Service-Authorization: Bearer <token>'"
        );
        assert_eq!(
            detail(&other, SingletonField::Several),
            "the request has more than one X-Service-Authorization field; send one"
        );
    }
}
