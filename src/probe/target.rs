//! What is probed: an address, a request that the good token passes with, and the token's parts.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use url::Url;

/// What the command line says of the target.
#[derive(Debug, Clone)]
pub struct TargetOptions {
    /// Where the good token passes.
    pub url: String,
    /// The file with the good token; `-` is standard input.
    pub token_file: PathBuf,
    /// The only method that is ever sent.
    pub method: String,
    /// The file with the body of every request; none for an empty one.
    pub body_file: Option<PathBuf>,
    /// `Name: value`.
    pub headers: Vec<String>,
    /// A path of the service that answers with the request's head that it received.
    pub echo_path: Option<String>,
    /// Paths that may be public, around which tricks are tried.
    pub public_paths: Vec<String>,
    /// The header in which the service is told its caller.
    pub caller_header: String,
    /// The issuer's public keys, as PEM or as a JWK Set: tried as keys of an HMAC.
    pub keys_file: Option<PathBuf>,
}

/// A target that can be probed.
pub struct Target {
    /// Whether it is `https`.
    pub is_tls: bool,
    /// The name for TLS, and of the address.
    pub host: String,
    /// Of the URL, or the scheme's own.
    pub port: u16,
    /// As in `Host`.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// The only one that is ever sent.
    pub method: String,
    /// Of every request.
    pub body: Vec<u8>,
    /// Whole lines, without their ends.
    pub headers: Vec<String>,
    /// As in [`TargetOptions`].
    pub echo_path: Option<String>,
    /// As in [`TargetOptions`].
    pub public_paths: Vec<String>,
    /// As in [`TargetOptions`].
    pub caller_header: String,
    /// The token that passes.
    pub token: GoodToken,
    /// What an attacker would try as the key of an HMAC, because it is public: its name and its bytes.
    pub public_secrets: Vec<(String, Vec<u8>)>,
}

/// The good token's parts.
pub struct GoodToken {
    pub text: String,
    pub header: Value,
    pub claims: Value,
    /// The parts as they came, in base64url.
    pub parts: [String; 3],
    pub signature: Vec<u8>,
}

/// Why a target cannot be probed. Repeats no part of the token.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum TargetError {
    #[error("{0:?} cannot be read: {1}")]
    File(PathBuf, io::Error),
    #[error("the URL cannot be used: {0}")]
    Url(String),
    #[error("the token is no JWS in compact form (RFC 7515 section 3.1)")]
    Token,
    #[error("--method and --header take what HTTP allows there (RFC 9110)")]
    Field,
    #[error("a path begins with a slash, and is printable ASCII")]
    Path,
}

impl Target {
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// If a file cannot be read, or the URL, the token, a header or a path is none.
    pub fn new(options: &TargetOptions) -> Result<Self, TargetError> {
        let url = Url::parse(&options.url).map_err(|error| TargetError::Url(error.to_string()))?;
        let is_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(TargetError::Url(format!("{other} is neither http nor https"))),
        };
        let no_host = || TargetError::Url("it names no host and port".to_owned());
        let host = url.host_str().ok_or_else(no_host)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(no_host)?;
        let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let is_token = |name: &str| !name.is_empty() && name.bytes().all(is_tchar);
        let is_line = |line: &String| {
            let (name, value) = line.split_once(':').unwrap_or_default();
            is_token(name) && value.bytes().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e))
        };
        if !is_token(&options.method) || !options.headers.iter().all(is_line) || !is_token(&options.caller_header) {
            return Err(TargetError::Field);
        }
        let is_path = |path: &String| path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        if !options.echo_path.iter().chain(&options.public_paths).all(is_path) {
            return Err(TargetError::Path);
        }
        let token = String::from_utf8(read(&options.token_file)?).map_err(|_| TargetError::Token)?;
        let body = options.body_file.as_deref().map(read).transpose()?.unwrap_or_default();
        let public_secrets = match &options.keys_file {
            Some(path) => public_secrets(&read(path)?),
            None => Vec::new(),
        };
        Ok(Self {
            is_tls,
            host,
            port,
            authority,
            path,
            method: options.method.clone(),
            body,
            headers: options.headers.clone(),
            echo_path: options.echo_path.clone(),
            public_paths: options.public_paths.clone(),
            caller_header: options.caller_header.clone(),
            token: GoodToken::read(token.trim())?,
            public_secrets,
        })
    }
}

impl GoodToken {
    /// Takes a token apart. Nothing of it is verified.
    ///
    /// # Errors
    /// If it is no JWS in compact form, or its header or claims are no JSON object.
    pub fn read(text: &str) -> Result<Self, TargetError> {
        let mut split = text.split('.').map(str::to_owned);
        let (Some(header), Some(claims), Some(signature), None) =
            (split.next(), split.next(), split.next(), split.next())
        else {
            return Err(TargetError::Token);
        };
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TargetError::Token);
        let object = |part: &str| {
            let value: Value = serde_json::from_slice(&bytes(part)?).map_err(|_| TargetError::Token)?;
            value.is_object().then_some(value).ok_or(TargetError::Token)
        };
        let (read_header, read_claims, read_signature) = (object(&header)?, object(&claims)?, bytes(&signature)?);
        Ok(Self {
            text: text.to_owned(),
            header: read_header,
            claims: read_claims,
            signature: read_signature,
            parts: [header, claims, signature],
        })
    }
}

/// The forms in which libraries have been seen to take a public key for a secret (CVE-2016-5431).
fn public_secrets(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut secrets = vec![("the whole key file".to_owned(), file.to_vec())];
    secrets.push(("the key file without its last line end".to_owned(), file.trim_ascii_end().to_vec()));
    let text = String::from_utf8_lossy(file);
    let inner: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    if let (true, Ok(der)) = (text.starts_with("-----"), STANDARD.decode(inner)) {
        secrets.push(("the public key in DER".to_owned(), der));
    }
    let set: Value = serde_json::from_slice(file).unwrap_or_default();
    let keys = set.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    for (index, key) in keys.iter().enumerate().take(KEYS_MAX) {
        secrets.push((format!("JWK {index} as text"), key.to_string().into_bytes()));
        for member in ["n", "x", "pub"] {
            let Some(value) = key.get(member).and_then(Value::as_str) else { continue };
            secrets.push((format!("the text of {member} in JWK {index}"), value.into()));
            if let Ok(bytes) = URL_SAFE_NO_PAD.decode(value) {
                secrets.push((format!("the bytes of {member} in JWK {index}"), bytes));
            }
        }
    }
    secrets
}

/// A file of a size that is plausible here.
fn read(path: &Path) -> Result<Vec<u8>, TargetError> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().take(FILE_MAX).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes))
    };
    read.map_err(|error| TargetError::File(path.to_owned(), error))?;
    Ok(bytes)
}

/// RFC 9110 section 5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

const FILE_MAX: u64 = 1024 * 1024;
const KEYS_MAX: usize = 4;
