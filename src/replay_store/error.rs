//! Why the store did not grant a claim, in words for the operator. What it says itself stays out of the log, but for the code of its
//! error.

use std::io;

use redis::{ErrorKind, RedisError};

use crate::file_watcher::FileError;
use crate::metrics::replay_store::ClaimResult;
use crate::rejection::quoted;

/// Why there is no answer that counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreError {
    #[error("its answer is none to a claim")]
    Answer,
    #[error("the connection was closed")]
    Closed,
    #[error("no connection: {0}")]
    Connect(io::ErrorKind),
    #[error("replay.{what} {why}")]
    File { what: &'static str, why: FileError },
    #[error("replay.{0} cannot be used")]
    FileContent(&'static str),
    #[error("too many requests wait for it")]
    Overloaded,
    #[error("it answers with the error {0}")]
    Refused(String),
    #[error("no answer in time")]
    TimedOut,
    #[error("TLS: {0}")]
    Tls(String),
    #[error("there is no connection")]
    Unconnected,
}

impl StoreError {
    /// As what a claim is counted that failed for it.
    pub(super) const fn result(&self) -> ClaimResult {
        match self {
            Self::Overloaded => ClaimResult::Overloaded,
            Self::TimedOut => ClaimResult::TimedOut,
            Self::Answer | Self::Refused(_) => ClaimResult::Error,
            Self::Closed
            | Self::Connect(_)
            | Self::File { .. }
            | Self::FileContent(_)
            | Self::Tls(_)
            | Self::Unconnected => ClaimResult::Unavailable,
        }
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io => Self::Closed,
            ErrorKind::AuthenticationFailed => Self::Refused("WRONGPASS".to_owned()),
            _ => error.code().map_or(Self::Answer, |code| Self::Refused(quoted(code))),
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Connect(error.kind())
    }
}
