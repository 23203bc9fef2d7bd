//! A workload with a key that its tokens hold (draft-ietf-wimse-workload-creds): it signs a proof for each request.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::issuer::now;
use super::keys::{Key, encode};

/// A workload with a key of its own.
pub struct Workload {
    key: Key,
    proofs: AtomicU64,
}

impl Workload {
    /// With a fresh key for this algorithm.
    pub fn new(alg: &str) -> Self {
        Self { key: Key::generate(alg, "workload"), proofs: AtomicU64::new(0) }
    }

    /// The `cnf` of its tokens.
    pub fn confirmation(&self) -> Value {
        let mut jwk = self.key.jwk();
        jwk.as_object_mut().expect("an object").retain(|name, _| !matches!(name.as_str(), "kid" | "use"));
        jwk["alg"] = self.key.alg().into();
        json!({"jwk": jwk})
    }

    /// Its token with these claims, signed by an issuer's key.
    pub fn token(&self, issuer: &Key, claims: &Value) -> String {
        let mut claims = claims.clone();
        claims["cnf"] = self.confirmation();
        token_with(issuer, &claims)
    }

    /// The claims of a good proof for a request with this token.
    pub fn claims(&self, url: &str, token: &str) -> Value {
        let jti = format!("proof-{}", self.proofs.fetch_add(1, Ordering::Relaxed));
        json!({"jti": jti, "aud": url, "exp": now() + 60, "wth": hash(token)})
    }

    /// A good proof for a request with this token.
    pub fn proof(&self, url: &str, token: &str) -> String {
        self.sign(&self.claims(url, token))
    }

    /// A proof with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.key.mint_as(&json!({"typ": "wpt+jwt", "alg": self.key.alg()}), claims)
    }
}

/// A workload identity token with exactly these claims.
pub fn token_with(issuer: &Key, claims: &Value) -> String {
    issuer.mint_as(&json!({"typ": "wit+jwt", "alg": issuer.alg(), "kid": issuer.kid()}), claims)
}

/// The hash by which a proof names a token.
pub fn hash(token: &str) -> String {
    encode(digest(&SHA256, token.as_bytes()).as_ref())
}
