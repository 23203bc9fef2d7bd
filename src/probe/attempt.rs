//! One attempt: what is sent, where it is known from, and what would show that it got through; and how a request is written.

use super::target::Target;

/// One attempt.
pub struct Case {
    /// What it is about.
    pub class: Class,
    /// An RFC and section, a CVE, a product's documentation, or `own`.
    pub source: &'static str,
    /// What is special about it. No part of the token.
    pub what: String,
    /// What it means if it gets through.
    pub weight: Weight,
    /// What is sent.
    pub request: Request,
    /// What shows that it got through.
    pub proof: Proof,
}

/// What a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "`name` says each in words")]
pub enum Class {
    NoToken,
    Signature,
    Algorithm,
    Header,
    Claims,
    Form,
    Placement,
    Identity,
    Path,
    Framing,
    Http2,
    Direct,
}

impl Class {
    /// In the order of the report.
    pub const ALL: [Self; 12] = [
        Self::NoToken,
        Self::Signature,
        Self::Algorithm,
        Self::Header,
        Self::Claims,
        Self::Form,
        Self::Placement,
        Self::Identity,
        Self::Path,
        Self::Framing,
        Self::Http2,
        Self::Direct,
    ];

    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoToken => "no token",
            Self::Signature => "signature",
            Self::Algorithm => "algorithm",
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Form => "form",
            Self::Placement => "placement",
            Self::Identity => "identity",
            Self::Path => "path",
            Self::Framing => "framing",
            Self::Http2 => "HTTP/2",
            Self::Direct => "direct",
        }
    }
}

/// How much a failure matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Somebody without a good token gets in, or names himself.
    Bypass,
    /// A good token or a good request passes in a form that its standard forbids: caches, deny-lists, logs and the next proxy may
    /// read it differently.
    Leniency,
}

impl Weight {
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Leniency => "leniency",
        }
    }
}

/// What goes out.
pub enum Request {
    /// The bytes on a connection of HTTP/1.
    Http1(Vec<u8>),
    /// The fields and the data of one stream.
    Http2 {
        /// Names and values, in the order in which they are sent.
        fields: Vec<(Vec<u8>, Vec<u8>)>,
        /// Empty for none.
        body: Vec<u8>,
    },
    /// A request without a token to the service's own address.
    Direct(String),
}

/// What shows that it got through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A success.
    Taken,
    /// A success; a 404 says nothing, because it may be the service's.
    TakenElsewhere,
    /// A second success on the connection, for the request that was hidden in the first.
    SecondAnswer,
    /// The service was told this name, or nothing of its caller in this header.
    Told {
        /// The name that the request claimed for its caller.
        planted: &'static str,
        /// The name of the header.
        header: String,
    },
}

/// A changed token, before it is put into a request.
pub struct TokenCase {
    /// What it is about.
    pub class: Class,
    /// As in [`Case`].
    pub source: &'static str,
    /// What is special about it. No part of the token.
    pub what: String,
    /// What it means if it gets through.
    pub weight: Weight,
    /// The value of `Authorization`.
    pub field: Vec<u8>,
}

impl TokenCase {
    /// The request with this token to the target.
    #[must_use]
    pub fn at(self, target: &Target) -> Case {
        let line = [b"Authorization: ", self.field.as_slice()].concat();
        Case {
            class: self.class,
            source: self.source,
            what: self.what,
            weight: self.weight,
            request: request(target, &target.path, &[&line]),
            proof: Proof::Taken,
        }
    }
}

/// Collects changed tokens.
#[derive(Default)]
pub(super) struct Sink(pub Vec<TokenCase>);

impl Sink {
    pub(super) fn token(&mut self, class: Class, source: &'static str, what: String, weight: Weight, token: &str) {
        self.field(class, source, what, weight, format!("Bearer {token}").into_bytes());
    }

    pub(super) fn field(&mut self, class: Class, source: &'static str, what: String, weight: Weight, field: Vec<u8>) {
        self.0.push(TokenCase { class, source, what, weight, field });
    }
}

/// The request that has to pass.
#[must_use]
pub(super) fn good(target: &Target, path: &str) -> Request {
    request(target, path, &[good_line(target).as_bytes()])
}

/// The same without a token.
#[must_use]
pub(super) fn without_token(target: &Target, path: &str) -> Request {
    request(target, path, &[])
}

/// The line with the good token.
#[must_use]
pub(super) fn good_line(target: &Target) -> String {
    format!("Authorization: Bearer {}", target.token.text)
}

/// A well-formed request of HTTP/1 with these fields, on a connection that ends after it.
#[must_use]
pub(super) fn request(target: &Target, path: &str, fields: &[&[u8]]) -> Request {
    let mut bytes = format!("{} {path} HTTP/1.1\r\nHost: {}\r\n", target.method, target.authority).into_bytes();
    bytes.extend_from_slice(own_lines(target).as_bytes());
    for field in fields {
        bytes.extend_from_slice(field);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"Connection: close\r\n");
    bytes.extend_from_slice(length(target).as_bytes());
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&target.body);
    Request::Http1(bytes)
}

/// A request of HTTP/1 as it is written here: `~` is a line's end, `{R}` the method and the path, `{H}` the host and our own lines,
/// `{T}` the line with the good token, `{B}` the body, `{L}` the line with its length.
#[must_use]
pub(super) fn raw(target: &Target, template: &str) -> Request {
    let text = template
        .replace('~', "\r\n")
        .replace("{R}", &format!("{} {}", target.method, target.path))
        .replace("{H}", &format!("Host: {}\r\n{}", target.authority, own_lines(target)))
        .replace("{T}", &(good_line(target) + "\r\n"))
        .replace("{L}", &length(target));
    let mut bytes = Vec::new();
    for (index, piece) in text.split("{B}").enumerate() {
        if index > 0 {
            bytes.extend_from_slice(&target.body);
        }
        // A template's character beyond ASCII stands for one byte.
        bytes.extend(piece.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')));
    }
    Request::Http1(bytes)
}

fn length(target: &Target) -> String {
    match target.body.len() {
        0 if matches!(target.method.as_str(), "GET" | "HEAD" | "OPTIONS") => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    }
}

/// The marker, which lets an operator find the probe's requests, and the lines that the user wants.
fn own_lines(target: &Target) -> String {
    let mut lines = format!("{MARKER}: {}\r\n", env!("CARGO_PKG_VERSION"));
    for header in &target.headers {
        lines.push_str(header);
        lines.push_str("\r\n");
    }
    lines
}

/// In every request of a probe.
pub const MARKER: &str = "X-Callgate-Probe";
