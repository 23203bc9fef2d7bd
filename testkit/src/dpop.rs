//! A client with a key to which its tokens are bound (RFC 9449): it signs a proof for each request.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use callgate::algorithm::Algorithm;
use callgate::json::Object;
use callgate::keys::proof_key::ProofKey;
use serde_json::{Value, json};

use super::issuer::now;
use super::keys::{Key, encode};

/// A client with a key of its own.
pub struct Client {
    key: Key,
    proofs: AtomicU64,
}

impl Client {
    /// With a fresh key for this algorithm.
    pub fn new(alg: &str) -> Self {
        Self { key: Key::generate(alg, "client"), proofs: AtomicU64::new(0) }
    }

    /// The public half of its key, as a proof holds it.
    pub fn jwk(&self) -> Value {
        let mut jwk = self.key.jwk();
        jwk.as_object_mut().expect("an object").retain(|name, _| !matches!(name.as_str(), "kid" | "use"));
        jwk
    }

    /// The `cnf` of tokens that are bound to its key.
    pub fn confirmation(&self) -> Value {
        let jwk = self.jwk().to_string();
        let jwk = Object::parse(jwk.as_bytes()).expect("an object");
        let algorithm = Algorithm::from_name(self.key.alg()).expect("a known one");
        let key = ProofKey::read(&jwk, algorithm).expect("a sound key");
        json!({"jkt": encode(&key.thumbprint().0)})
    }

    /// The claims of a good proof for a request with this token.
    pub fn claims(&self, method: &str, url: &str, token: &str) -> Value {
        let jti = format!("proof-{}", self.proofs.fetch_add(1, Ordering::Relaxed));
        let ath = encode(digest(&SHA256, token.as_bytes()).as_ref());
        json!({"jti": jti, "htm": method, "htu": url, "iat": now(), "ath": ath})
    }

    /// A good proof for a request with this token.
    pub fn proof(&self, method: &str, url: &str, token: &str) -> String {
        self.sign(&self.claims(method, url, token))
    }

    /// A proof with this header and this payload, as they are written.
    pub fn sign_text(&self, header: &str, payload: &str) -> String {
        self.key.mint_text(header, payload)
    }

    /// A proof with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"typ": "dpop+jwt", "alg": self.key.alg(), "jwk": self.jwk()});
        self.key.mint_as(&header, claims)
    }
}
