//! One question to the admin port of a running instance, from a command of our own.

use std::time::Duration;

use reqwest::{Client, Method};

/// The exit code when the instance cannot be asked (`EX_UNAVAILABLE` of sysexits.h).
pub(super) const UNREACHABLE: u8 = 69;

/// How long an instance may take, and how much it may say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// From the connection to the last byte of the answer.
    pub(super) patience: Duration,
    /// In bytes.
    pub(super) answer: usize,
}

/// What an instance answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("{}", cause(.0))]
    Http(#[from] reqwest::Error),
    #[error("the operating system refused a runtime: {0}")]
    System(#[from] std::io::Error),
    #[error("its answer has more than {0} bytes")]
    TooLong(usize),
}

impl Reply {
    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request without a body to `admin`, a host and port, and gives the answer. No proxy is used, and no redirect followed.
///
/// # Errors
/// If the instance cannot be reached, or does not answer within its bounds.
pub(super) fn ask(admin: &str, method: Method, path: &str, bounds: Bounds) -> Result<Reply, AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // The port speaks plain HTTP, also in an image without any certificate.
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).tls_certs_only([]);
        let client = client.timeout(bounds.patience).build()?;
        let mut response = client.request(method, format!("http://{admin}{path}")).send().await?;
        let mut reply = Reply { status: response.status().as_u16(), body: Vec::new() };
        while let Some(chunk) = response.chunk().await? {
            if reply.body.len() + chunk.len() > bounds.answer {
                return Err(AskError::TooLong(bounds.answer));
            }
            reply.body.extend_from_slice(&chunk);
        }
        Ok(reply)
    })
}

/// What is at the bottom of an error: the rest says only that a request failed.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
