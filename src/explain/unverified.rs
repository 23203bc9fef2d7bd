//! What a token says of itself, for a person who has no configuration at hand. Nothing of it is proven: whoever made the token may
//! have written anything, and the output says so. It never holds the token or its signature.

use std::io::{self, Write};

use serde_json::json;

use crate::clock::{UnixTime, brief};
use crate::json::Value;
use crate::jwt::claims::{Round, time};
use crate::jwt::parse::{Parts, Unverified};
use crate::rejection::{Rejection, quoted};
use crate::request::SingletonField;
use crate::request::TokenField;
use crate::token::Token;

/// What a token says of itself.
pub struct Statement {
    /// The time to which its times are compared.
    pub at: UnixTime,
    /// Names of header parameters and claims, each with its value, cleaned and bounded.
    pub values: Vec<(&'static str, String)>,
}

impl Statement {
    /// Reads the value of an `Authorization` field.
    ///
    /// # Errors
    /// If there is no well-formed token in it.
    pub fn read(field: &[u8], at: UnixTime) -> Result<Self, Rejection> {
        let token = Token::extract(SingletonField::One(field), &TokenField::default(), TOKEN_MAX)?;
        let parts = Parts::decode(token.as_str())?;
        let token = Unverified::parse(&parts)?;
        let mut values = vec![("alg", quoted(token.alg()))];
        values.extend(token.kid().map(|kid| ("kid", quoted(kid))));
        let claims = token.unproven_claims();
        for name in ["iss", "aud", "sub", "client_id", "azp", "jti"] {
            values.extend(claims.get(name).map(|value| (name, value.describe())));
        }
        for (name, round) in [("iat", Round::Up), ("nbf", Round::Up), ("exp", Round::Down)] {
            let stated = time(claims, name, round).ok().flatten().map(|stated| relative(stated, at));
            values.extend(stated.or_else(|| claims.get(name).map(Value::describe)).map(|value| (name, value)));
        }
        Ok(Self { at, values })
    }

    /// Writes it for a person.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "Not verified: there is no configuration, so anybody may have written these values.")?;
        writeln!(out, "Read at {}.", self.at)?;
        writeln!(out)?;
        for (name, value) in &self.values {
            writeln!(out, "??  {name:<16}{value}")?;
        }
        writeln!(out)?;
        writeln!(out, "Verdict     none; with --config FILE every check is made")
    }

    /// Writes it as one JSON object.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let values: serde_json::Map<_, _> =
            self.values.iter().map(|(name, value)| ((*name).into(), json!(value))).collect();
        let object = json!({"version": 1, "verified": false, "read_at": self.at.to_string(), "stated": values});
        writeln!(out, "{object:#}")
    }
}

fn relative(stated: UnixTime, at: UnixTime) -> String {
    if stated > at {
        format!("{stated}, in {}", brief(stated.since(at)))
    } else {
        format!("{stated}, {} ago", brief(at.since(stated)))
    }
}

/// The longest token that is read, in bytes: the most that `limits.token_size` can allow.
const TOKEN_MAX: usize = 64 * 1024;
