//! Tokens, good until told otherwise: [`token`] makes one that is accepted, and each method bends it in one way. Members are
//! given as JSON text, so that a table can say what no JSON library would write.

#![allow(dead_code, reason = "each suite uses its part of the kit")]

use super::signing::{encode, hmac, pair};
use super::world::{ISSUER, NOW};

/// A token to be made.
pub struct TokenSpec {
    header: Vec<(String, String)>,
    claims: Vec<(String, String)>,
    header_text: Option<Vec<u8>>,
    claims_text: Option<Vec<u8>>,
    hand: Hand,
    signature: Vec<Edit>,
    token: Vec<Edit>,
    scheme: &'static str,
}

type Edit = Box<dyn Fn(Vec<u8>) -> Vec<u8>>;

/// Who signs, and how.
enum Hand {
    Hmac(&'static str, Vec<u8>),
    Key(&'static str, &'static str),
    Der(&'static str),
    PssSalt(u16),
}

/// A token that is accepted: ES256 by the key `p256`, for five minutes.
pub fn token() -> TokenSpec {
    let text = |members: &[(&str, String)]| -> Vec<_> {
        members.iter().map(|(name, value)| (format!("\"{name}\""), value.clone())).collect()
    };
    TokenSpec {
        header: text(&[("alg", "\"ES256\"".into()), ("kid", "\"p256\"".into()), ("typ", "\"JWT\"".into())]),
        claims: text(&[
            ("iss", format!("\"{ISSUER}\"")),
            ("aud", "\"email-service\"".into()),
            ("sub", "\"billing\"".into()),
            ("iat", (NOW - 10).to_string()),
            ("exp", (NOW + 290).to_string()),
            ("jti", "\"token-1\"".into()),
        ]),
        header_text: None,
        claims_text: None,
        hand: Hand::Key("p256", "ES256"),
        signature: Vec::new(),
        token: Vec::new(),
        scheme: "Bearer ",
    }
}

/// A token by the key of this name, with its `alg` and `kid`.
pub fn by(key: &'static str, alg: &'static str) -> TokenSpec {
    token().head("alg", &format!("\"{alg}\"")).head("kid", &format!("\"{key}\"")).signed_by(key, alg)
}

impl TokenSpec {
    /// Sets a member of the header, given as JSON text.
    pub fn head(mut self, name: &str, value: &str) -> Self {
        set(&mut self.header, name, value);
        self
    }

    /// Sets a claim, given as JSON text.
    pub fn claim(mut self, name: &str, value: &str) -> Self {
        set(&mut self.claims, name, value);
        self
    }

    pub fn without_head(mut self, name: &str) -> Self {
        self.header.retain(|(member, _)| *member != format!("\"{name}\""));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.claims.retain(|(member, _)| *member != format!("\"{name}\""));
        self
    }

    /// Puts a second member beside those that are there, its name given as JSON text.
    pub fn more_head(mut self, name: &str, value: &str) -> Self {
        self.header.push((name.into(), value.into()));
        self
    }

    /// Puts a second claim beside those that are there, its name given as JSON text.
    pub fn more_claims(mut self, name: &str, value: &str) -> Self {
        self.claims.push((name.into(), value.into()));
        self
    }

    /// The whole header as text.
    pub fn header_text(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.header_text = Some(text.into());
        self
    }

    /// The whole payload as text.
    pub fn claims_text(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.claims_text = Some(text.into());
        self
    }

    /// Puts bytes around the header's text.
    pub fn header_around(self, before: &[u8], after: &[u8]) -> Self {
        let text = [before, object(&self.header).as_bytes(), after].concat();
        self.header_text(text)
    }

    /// Puts bytes around the payload's text.
    pub fn claims_around(self, before: &[u8], after: &[u8]) -> Self {
        let text = [before, object(&self.claims).as_bytes(), after].concat();
        self.claims_text(text)
    }

    /// Another hand signs; the header stays.
    pub fn signed_by(mut self, key: &'static str, alg: &'static str) -> Self {
        self.hand = Hand::Key(key, alg);
        self
    }

    pub fn signed_in_der(mut self, key: &'static str) -> Self {
        self.hand = Hand::Der(key);
        self
    }

    pub fn signed_with_salt(mut self, length: u16) -> Self {
        self.hand = Hand::PssSalt(length);
        self
    }

    /// An HMAC instead of a signature.
    pub fn hmac(mut self, alg: &'static str, secret: impl Into<Vec<u8>>) -> Self {
        self.hand = Hand::Hmac(alg, secret.into());
        self.head("alg", &format!("\"{alg}\""))
    }

    /// Changes the signature's bytes.
    pub fn signature(mut self, edit: impl Fn(Vec<u8>) -> Vec<u8> + 'static) -> Self {
        self.signature.push(Box::new(edit));
        self
    }

    /// Changes the token's text.
    pub fn text(mut self, edit: impl Fn(String) -> String + 'static) -> Self {
        self.token.push(Box::new(move |token| edit(String::from_utf8(token).expect("text")).into_bytes()));
        self
    }

    /// Changes the token's bytes.
    pub fn bytes(mut self, edit: impl Fn(Vec<u8>) -> Vec<u8> + 'static) -> Self {
        self.token.push(Box::new(edit));
        self
    }

    /// What stands before the token in the field.
    pub fn scheme(mut self, scheme: &'static str) -> Self {
        self.scheme = scheme;
        self
    }

    /// The token itself.
    pub fn build(&self) -> Vec<u8> {
        let header = self.header_text.clone().unwrap_or_else(|| object(&self.header).into_bytes());
        let claims = self.claims_text.clone().unwrap_or_else(|| object(&self.claims).into_bytes());
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = match &self.hand {
            Hand::Der(key) => pair(key).sign_der(input.as_bytes()),
            Hand::Hmac(alg, secret) => hmac(alg, secret, input.as_bytes()),
            Hand::Key(key, alg) => pair(key).sign(alg, input.as_bytes()),
            Hand::PssSalt(length) => pair("rsa").sign_pss_with_salt(*length, input.as_bytes()),
        };
        let signature = self.signature.iter().fold(signature, |signature, edit| edit(signature));
        let token = format!("{input}.{}", encode(signature)).into_bytes();
        self.token.iter().fold(token, |token, edit| edit(token))
    }

    /// The value of an `Authorization` field that carries it.
    pub fn field(&self) -> Vec<u8> {
        [self.scheme.as_bytes(), &self.build()].concat()
    }
}

fn set(members: &mut Vec<(String, String)>, name: &str, value: &str) {
    let name = format!("\"{name}\"");
    match members.iter_mut().find(|(member, _)| *member == name) {
        Some((_, old)) => *old = value.into(),
        None => members.push((name, value.into())),
    }
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}
