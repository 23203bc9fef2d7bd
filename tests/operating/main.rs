//! What an operator does and watches, end to end: the real binary is stopped, reloaded, rolled out, audited, traced and
//! scraped while requests run. No request may fail and no record may be lost unnoticed.
//!
//! The counts are those of a machine that builds every change; `SOAK=1` makes them the full ones.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect fails on the spot, also in its support"
)]

mod auditing; // full disks, closed outputs, blocked pipes
mod crowding; // connections that say nothing
mod descriptors; // a low limit of open files
mod load; // clients that go on sending
mod logging; // an unread log, an upstream that fails
mod monitoring; // a real Prometheus, rules, dashboard
mod reloading; // SIGHUP and watched files
mod reporting; // mode = "report" and `callgate rollout`
mod samples; // single values of a scrape
mod shares; // requests without a proven caller
mod status; // /status and the page
mod stopping; // SIGTERM under load, PID 1
mod tracing; // OpenTelemetry
mod upgrade; // the files of 0.1
mod upstream_names; // localhost, in either family

/// A count for every build, and the full one for `SOAK=1`.
fn scaled(usual: usize, full: usize) -> usize {
    if std::env::var_os("SOAK").is_some() { full } else { usual }
}
