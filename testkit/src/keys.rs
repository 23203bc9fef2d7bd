//! Signing keys of every algorithm that Callgate accepts, made at run time and never written down.
//!
//! This is the only place of the project that signs with a private key. The product verifies, and must never contain what is here;
//! what `callgate probe` forges has keys that everybody knows.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, PqdsaKeyPair, PqdsaSigningAlgorithm,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Every algorithm of the contract.
pub const ALGORITHMS: [&str; 14] = [
    "ML-DSA-44",
    "ML-DSA-65",
    "ML-DSA-87",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
];

/// One private key with the name and the algorithm it is published under.
pub struct Key {
    kid: String,
    alg: &'static str,
    pair: Pair,
}

enum Pair {
    Ec { pair: EcdsaKeyPair, curve: &'static str },
    Ed(Ed25519KeyPair),
    MlDsa(PqdsaKeyPair),
    Rsa { pair: RsaKeyPair, padding: &'static dyn RsaEncoding },
}

impl Key {
    /// Makes a fresh key; panics on an algorithm that is not in [`ALGORITHMS`].
    pub fn generate(alg: &str, kid: &str) -> Self {
        let alg = ALGORITHMS.into_iter().find(|known| *known == alg).expect("the algorithm is a known one");
        let pair = match alg {
            "ES256" => Pair::ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => Pair::ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            "ES512" => Pair::ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
            "Ed25519" | "EdDSA" => Pair::Ed(Ed25519KeyPair::generate().expect("an Ed25519 key can be made")),
            "ML-DSA-44" => Pair::ml_dsa(&signature::ML_DSA_44_SIGNING),
            "ML-DSA-65" => Pair::ml_dsa(&signature::ML_DSA_65_SIGNING),
            "ML-DSA-87" => Pair::ml_dsa(&signature::ML_DSA_87_SIGNING),
            "RS256" => Pair::rsa(&signature::RSA_PKCS1_SHA256),
            "RS384" => Pair::rsa(&signature::RSA_PKCS1_SHA384),
            "RS512" => Pair::rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => Pair::rsa(&signature::RSA_PSS_SHA256),
            "PS384" => Pair::rsa(&signature::RSA_PSS_SHA384),
            _ => Pair::rsa(&signature::RSA_PSS_SHA512),
        };
        Self { kid: kid.to_owned(), alg, pair }
    }

    /// The name it is published under.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm it signs with.
    pub fn alg(&self) -> &'static str {
        self.alg
    }

    /// The public half as a member of a JWKS document (RFC 7517, RFC 7518 section 6, RFC 8037, RFC 9964).
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Ec { pair, curve } => {
                // An uncompressed point is 0x04, then x and y of equal length.
                let point = pair.public_key().as_ref();
                let (x, y) = point[1..].split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())}),
            Pair::MlDsa(pair) => json!({"kty": "AKP", "pub": encode(pair.public_key().as_ref())}),
            Pair::Rsa { pair, .. } => {
                let public = pair.public_key();
                let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
                let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
                json!({"kty": "RSA", "n": encode(&modulus), "e": encode(&exponent)})
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.alg);
        jwk["use"] = json!("sig");
        jwk
    }

    /// Signs `claims` under the usual header: `alg`, `kid` and `typ: JWT`.
    pub fn mint(&self, claims: &Value) -> String {
        self.mint_as(&json!({"alg": self.alg, "kid": self.kid, "typ": "JWT"}), claims)
    }

    /// Signs `claims` under any header, also one that is wrong: it is the signature that is always right.
    pub fn mint_as(&self, header: &Value, claims: &Value) -> String {
        self.mint_text(&header.to_string(), &claims.to_string())
    }

    /// Signs a header and a payload as they are written, which need not be JSON.
    pub fn mint_text(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
        let signature = self.sign(input.as_bytes());
        format!("{input}.{}", encode(&signature))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec { pair, .. } => pair.sign(&random, message).expect("an EC key signs").as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::MlDsa(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                let length = pair.sign(message, &mut signature).expect("an ML-DSA key signs");
                signature.truncate(length);
                signature
            }
            Pair::Rsa { pair, padding } => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &random, message, &mut signature).expect("an RSA key signs");
                signature
            }
        }
    }
}

impl Pair {
    fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Self {
        Self::Ec { pair: EcdsaKeyPair::generate(algorithm).expect("an EC key can be made"), curve }
    }

    fn ml_dsa(algorithm: &'static PqdsaSigningAlgorithm) -> Self {
        Self::MlDsa(PqdsaKeyPair::generate(algorithm).expect("an ML-DSA key can be made"))
    }

    fn rsa(padding: &'static dyn RsaEncoding) -> Self {
        Self::Rsa { pair: RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key can be made"), padding }
    }
}

/// base64url without padding (RFC 7515 section 2).
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
