//! Keys made at run time, and whatever can be signed with them. Signing lives in the tests only: nothing in `src/` can make a
//! token. The key pairs have fixed names; a name always stands for the same pair within one run.

#![allow(dead_code, reason = "each suite uses its part of the kit")]

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaPssSaltLength, RsaSignatureEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A key pair of a fixed name.
pub struct Pair {
    pub name: &'static str,
    secret: Secret,
}

enum Secret {
    Ec(EcdsaKeyPair, &'static str),
    Ed25519(Ed25519KeyPair),
    MlDsa(PqdsaKeyPair, &'static str),
    Rsa(RsaKeyPair),
}

/// The pair of this name. The kind of a pair is the end of its name: `rsa`, `other-rsa`, `p256`, …
pub fn pair(name: &str) -> &'static Pair {
    PAIRS.iter().find(|pair| pair.name == name).unwrap_or_else(|| panic!("there is no key pair {name}"))
}

static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| NAMES.iter().map(|name| Pair::generate(name)).collect());

const NAMES: [&str; 14] = [
    "mldsa44",
    "mldsa65",
    "mldsa87",
    "other-mldsa44",
    "rsa",
    "p256",
    "p384",
    "p521",
    "ed25519",
    "other-rsa",
    "other-p256",
    "other-ed25519",
    "strict-p256",
    "eve-p256",
];

impl Pair {
    pub fn generate(name: &'static str) -> Self {
        let ec = |algorithm, curve| Secret::Ec(EcdsaKeyPair::generate(algorithm).expect("a key pair"), curve);
        let ml_dsa = |algorithm, alg| Secret::MlDsa(PqdsaKeyPair::generate(algorithm).expect("a key pair"), alg);
        let secret = match name.rsplit('-').next() {
            Some("rsa") => Secret::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key pair")),
            Some("p256") => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            Some("p384") => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            Some("p521") => ec(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
            Some("ed25519") => Secret::Ed25519(Ed25519KeyPair::generate().expect("a key pair")),
            Some("mldsa44") => ml_dsa(&ML_DSA_44_SIGNING, "ML-DSA-44"),
            Some("mldsa65") => ml_dsa(&ML_DSA_65_SIGNING, "ML-DSA-65"),
            Some("mldsa87") => ml_dsa(&ML_DSA_87_SIGNING, "ML-DSA-87"),
            _ => panic!("{name} does not end in a kind of key"),
        };
        Self { name, secret }
    }

    /// A signature by the algorithm of this name, if it is one of the key's kind, else by the key's usual one.
    pub fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Ec(pair, _) => pair.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec(),
            Secret::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Secret::MlDsa(pair, _) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                let length = pair.sign(message, &mut signature).expect("a signature");
                signature.truncate(length);
                signature
            }
            Secret::Rsa(pair) => rsa(pair, rsa_encoding(alg), message),
        }
    }

    /// An RSA-PSS signature (SHA-256) whose salt has a length of its own.
    pub fn sign_pss_with_salt(&self, salt: u16, message: &[u8]) -> Vec<u8> {
        let Secret::Rsa(pair) = &self.secret else { panic!("{} is no RSA key", self.name) };
        let encoding = RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(salt));
        rsa(pair, Box::leak(Box::new(encoding)), message)
    }

    /// A P-256 signature in the DER form that other protocols use.
    pub fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        let Secret::Ec(pair, "P-256") = &self.secret else { panic!("{} is no P-256 key", self.name) };
        let document = pair.to_pkcs8v1().expect("a document");
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING as &EcdsaSigningAlgorithm, document.as_ref())
                .expect("a key pair");
        pair.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
    }

    /// The public key as raw bytes: a point, or a modulus.
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.secret {
            Secret::Ec(pair, _) => pair.public_key().as_ref().to_vec(),
            Secret::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Secret::MlDsa(pair, _) => pair.public_key().as_ref().to_vec(),
            Secret::Rsa(pair) => pair.public_key().modulus().big_endian_without_leading_zero().to_vec(),
        }
    }

    /// The public key as DER (SubjectPublicKeyInfo, RFC 5280 §4.1).
    pub fn public_der(&self) -> Vec<u8> {
        use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
        let der: PublicKeyX509Der<'_> = match &self.secret {
            Secret::Ec(pair, _) => pair.public_key().as_der(),
            Secret::Ed25519(pair) => pair.public_key().as_der(),
            Secret::MlDsa(pair, _) => pair.public_key().as_der(),
            Secret::Rsa(pair) => pair.public_key().as_der(),
        }
        .expect("DER");
        der.as_ref().to_vec()
    }

    /// The public key as PEM.
    pub fn public_pem(&self) -> Vec<u8> {
        use base64::engine::general_purpose::STANDARD;
        let text = STANDARD.encode(self.public_der());
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")).into_bytes()
    }

    /// The private key as PKCS #8, for signers that are not ours.
    pub fn private_der(&self) -> Vec<u8> {
        use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
        match &self.secret {
            Secret::Ec(pair, _) => pair.to_pkcs8v1().expect("a document").as_ref().to_vec(),
            Secret::Ed25519(pair) => pair.to_pkcs8v1().expect("a document").as_ref().to_vec(),
            Secret::MlDsa(pair, _) => pair.to_pkcs8v1().expect("a document").as_ref().to_vec(),
            Secret::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
                der.as_ref().to_vec()
            }
        }
    }

    /// The public key as a JWK with this `kid`, or none.
    pub fn jwk(&self, kid: Option<&str>) -> Value {
        let bytes = self.public_bytes();
        let mut jwk = match &self.secret {
            Secret::Ec(_, curve) => {
                let (x, y) = bytes[1..].split_at((bytes.len() - 1) / 2);
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Secret::Ed25519(_) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&bytes)}),
            Secret::MlDsa(_, alg) => json!({"kty": "AKP", "alg": alg, "pub": encode(&bytes)}),
            Secret::Rsa(_) => json!({"kty": "RSA", "n": encode(&bytes), "e": "AQAB"}),
        };
        if let Some(kid) = kid {
            jwk["kid"] = json!(kid);
        }
        jwk
    }
}

/// The HMAC of the algorithm of this name.
pub fn hmac(alg: &str, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let algorithm = match alg {
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    hmac::sign(&hmac::Key::new(algorithm, secret), message).as_ref().to_vec()
}

/// base64url without padding (RFC 7515 §2).
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url text.
pub fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn rsa(pair: &RsaKeyPair, encoding: &'static RsaSignatureEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature).expect("a signature");
    signature
}

fn rsa_encoding(alg: &str) -> &'static RsaSignatureEncoding {
    match alg {
        "RS384" => &RSA_PKCS1_SHA384,
        "RS512" => &RSA_PKCS1_SHA512,
        "PS256" => &RSA_PSS_SHA256,
        "PS384" => &RSA_PSS_SHA384,
        "PS512" => &RSA_PSS_SHA512,
        _ => &RSA_PKCS1_SHA256,
    }
}
