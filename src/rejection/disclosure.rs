//! How much an answer tells about a refusal. What is recorded does not depend on it.

/// How much of a rejection its answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disclosure {
    /// The reason and its detail: what was expected and what was found.
    Full,
    /// The reason alone.
    Reason,
    /// The status alone, with what HTTP and RFC 6750 ask for beside it.
    Bare,
}
