//! A request, put together byte by byte: nothing is added, folded or repaired.

/// A request in the making.
#[derive(Clone, Debug)]
pub struct Request {
    line: String,
    headers: String,
    body: Vec<u8>,
}

impl Request {
    /// A `POST /send` with a small JSON body and no token.
    pub fn send() -> Self {
        let body = br#"{"to":"ada@example.com","subject":"Hello"}"#;
        Self::new("POST", "/send").header("Content-Type", "application/json").body(body)
    }

    /// A request without a body.
    pub fn new(method: &str, target: &str) -> Self {
        let headers = "Host: email.internal.example\r\n".to_owned();
        Self { line: format!("{method} {target} HTTP/1.1"), headers, body: Vec::new() }
    }

    /// Adds a header field; the same name may be added again.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Adds a token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Adds a body and its length.
    pub fn body(self, body: &[u8]) -> Self {
        let mut sized = self.header("Content-Length", &body.len().to_string());
        sized.body = body.to_vec();
        sized
    }

    /// Another target.
    pub fn to(mut self, method: &str, target: &str) -> Self {
        self.line = format!("{method} {target} HTTP/1.1");
        self
    }

    /// What goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n{}\r\n", self.line, self.headers).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// What goes over the wire before the body.
    pub fn head(&self) -> Vec<u8> {
        format!("{}\r\n{}\r\n", self.line, self.headers).into_bytes()
    }
}

/// Bytes of every value in no order that a proxy could guess or compress.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state: u32 = 0x9e37_79b9;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}
