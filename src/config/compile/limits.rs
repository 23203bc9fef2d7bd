//! The bounds on clients.

use std::time::Duration;

use super::findings::{Findings, Reported};
use super::unit::{DurationRange, HOUR, MINUTE, count, in_bytes, seconds, size};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::limits::{CloseAtExpiry, Limits};

pub(super) fn limits(table: &file::Limits, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<Limits, Reported> {
    let mut sized = |written, range, key: &str| size(written, range, &at.key(key), findings);
    let token_size = sized(&table.token_size, (256, 64 * KIB), "token_size");
    let head_size = sized(&table.head_size, (KIB, 256 * KIB), "head_size");
    let body_size = sized(&table.body_size, (0, TIB), "body_size");
    let mut fits = Ok(());
    if let (Ok(token_size), Ok(head_size)) = (token_size, head_size)
        && token_size >= head_size
    {
        let message = format!(
            "a token of token_size ({}) does not fit into a head of {}; make it larger",
            in_bytes(token_size),
            in_bytes(head_size)
        );
        fits = Err(findings.error(&at.key("head_size"), message));
    }
    let mut waited =
        |written, longest, key: &str| DurationRange::wait(SHORTEST, longest).read(written, &at.key(key), findings);
    let head_time = waited(&table.head_time, MINUTE.saturating_mul(5), "head_time");
    let idle_time = waited(&table.idle_time, HOUR, "idle_time");
    let read_timeout = waited(&table.read_timeout, HOUR, "read_timeout");
    let write_timeout = waited(&table.write_timeout, HOUR, "write_timeout");
    let tunnel_idle = DurationRange::wait(seconds(1), HOUR.saturating_mul(24));
    let tunnel_idle_time = tunnel_idle.read(&table.tunnel_idle_time, &at.key("tunnel_idle_time"), findings);
    let key_wait =
        DurationRange::wait(Duration::ZERO, seconds(30)).read(&table.key_wait, &at.key("key_wait"), findings);
    fits?;
    Ok(Limits {
        token_size: token_size?,
        connections: count(table.connections),
        key_wait: key_wait?,
        requests: count(table.requests),
        requests_per_connection: table.requests_per_connection,
        head_size: head_size?,
        header_count: count(table.header_count),
        head_time: head_time?,
        idle_time: idle_time?,
        read_timeout: read_timeout?,
        write_timeout: write_timeout?,
        tunnel_idle_time: tunnel_idle_time?,
        body_size: body_size? as u64,
        close_at_expiry: match table.close_at_expiry {
            file::Closing::Always => CloseAtExpiry::Always,
            file::Closing::Never => CloseAtExpiry::Never,
            file::Closing::Upgrades => CloseAtExpiry::Upgrades,
        },
    })
}

/// The bytes for accepted tokens.
pub(super) fn cache(table: &file::TokenCache, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Result<u64, Reported> {
    let key = at.key("size");
    let bytes = size(&table.size, (0, 1024 * KIB * KIB), &key, findings)?;
    if bytes > 0 && bytes < 64 * KIB {
        let message = format!("is {}; allowed are 0B, which turns it off, and 64KiB to 1024MiB", in_bytes(bytes));
        return Err(findings.error(&key, message));
    }
    Ok(bytes as u64)
}

/// The shortest time that a client is given for anything.
const SHORTEST: Duration = Duration::from_millis(100);

const KIB: usize = 1024;
const TIB: usize = 1 << 40;
