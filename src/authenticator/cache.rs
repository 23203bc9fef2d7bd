//! Tokens that were accepted at least twice, so that a token seen before is not verified again. The whole token is compared.
//! It holds no refusal, so nobody can fill it who has no good tokens, and it is bounded by bytes. It judges nothing: whether what a
//! token was accepted for still holds is asked by the authenticator at every use.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::accepted::Accepted;
use super::doorkeeper::Doorkeeper;
use crate::token::Token;

/// The cache of one configuration: another one begins with nothing.
pub(super) struct TokenCache {
    tokens: Cache<Box<[u8]>, Arc<Accepted>, Bytes>,
    shown: Doorkeeper,
}

/// How full a cache is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// How many tokens are remembered.
    pub tokens: usize,
    /// The memory that they take.
    pub bytes: u64,
}

/// Weighs an entry by the memory that it takes.
#[derive(Clone)]
struct Bytes;

impl Weighter<Box<[u8]>, Arc<Accepted>> for Bytes {
    fn weight(&self, token: &Box<[u8]>, accepted: &Arc<Accepted>) -> u64 {
        (token.len() + accepted.size() + OVERHEAD) as u64
    }
}

impl TokenCache {
    /// An empty cache of at most so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let expected = usize::try_from(bytes / EXPECTED).unwrap_or(usize::MAX);
        Self { tokens: Cache::with_weighter(expected, bytes, Bytes), shown: Doorkeeper::before(expected) }
    }

    /// What this text was accepted as, if it was.
    pub(super) fn find(&self, text: &[u8]) -> Option<Arc<Accepted>> {
        self.tokens.get(text)
    }

    /// Keeps an accepted token that is shown again, if there is room for it.
    pub(super) fn keep(&self, token: Token<'_>, accepted: &Arc<Accepted>) {
        let text = token.as_str().as_bytes();
        if self.shown.knows(text) {
            self.tokens.insert(text.into(), Arc::clone(accepted));
        }
    }

    /// Lets a token go.
    pub(super) fn drop(&self, text: &[u8]) {
        self.tokens.remove(text);
    }

    /// Lets all tokens go.
    pub(super) fn clear(&self) {
        self.tokens.clear();
    }

    /// How full it is.
    pub(super) fn usage(&self) -> Usage {
        Usage { tokens: self.tokens.len(), bytes: self.tokens.weight() }
    }
}

/// What an entry takes beside its contents: its place in the tables, and what the allocator adds to each of its pieces.
const OVERHEAD: usize = 256;

/// How large an entry is taken to be when the tables are made, in bytes.
const EXPECTED: u64 = 1536;
