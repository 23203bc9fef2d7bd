//! What came back for one attempt, as far as a verdict needs it.

use std::fmt;

/// Responses on one connection, and how it ended.
#[derive(Debug)]
pub(super) struct Answer {
    /// The final responses in their order; more than one if a second request was seen in the first.
    pub statuses: Vec<u16>,
    /// What came behind the first head, bounded.
    pub body: Vec<u8>,
    pub end: End,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With a response.
    Complete,
    /// The other side closed, or reset the stream.
    Closed,
    /// Nothing more came in time.
    TimedOut,
    /// There was no connection.
    Unreachable,
}

impl Answer {
    pub(super) fn none(end: End) -> Self {
        Self { statuses: Vec::new(), body: Vec::new(), end }
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.statuses.first().copied()
    }

    /// The status, if it is one of success.
    pub(super) fn success(&self) -> Option<u16> {
        self.status().filter(|status| is_success(*status))
    }

    pub(super) fn is_unreachable(&self) -> bool {
        self.end == End::Unreachable
    }
}

/// Only the class 2xx says that the request was taken.
pub(super) fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((first, more)) = self.statuses.split_first() {
            write!(f, "{first}")?;
            return more.iter().try_for_each(|status| write!(f, ", then {status}"));
        }
        f.write_str(match self.end {
            End::Complete | End::Closed => "a close without an answer",
            End::TimedOut => "no answer in time",
            End::Unreachable => "no connection is possible",
        })
    }
}
