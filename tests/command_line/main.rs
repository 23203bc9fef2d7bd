//! What a person asks at the command line before a request is sent: is this configuration good, and why is this token refused?

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect fails on the spot"
)]

mod config; // `check`
mod explain; // `explain`
mod init; // `init`
