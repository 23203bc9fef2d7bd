//! The bounds on clients and on the end of the process.

use std::time::Duration;

use super::Findings;
use super::unit::{HOUR, MINUTE, Span, seconds, size};
use crate::config::file;
use crate::config::path::KeyPath;
use crate::config::settings::{Limits, Shutdown};

pub fn limits(table: &file::Limits, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<Limits> {
    let token_size = size(&table.token_size, (256, 64 * 1024), &at.key("token_size"), findings);
    // Its range is a matter of the shape.
    let connections = usize::try_from(table.connections).ok();
    let key_wait = Span::wait(Duration::ZERO, seconds(30)).read(&table.key_wait, &at.key("key_wait"), findings);
    Some(Limits { token_size: token_size?, connections: connections?, key_wait: key_wait? })
}

pub fn shutdown(table: &file::Shutdown, at: &KeyPath, findings: &mut Findings<'_, '_>) -> Option<Shutdown> {
    let lame_duck =
        Span::wait(Duration::ZERO, MINUTE.saturating_mul(5)).read(&table.lame_duck, &at.key("lame_duck"), findings);
    let drain = Span::wait(Duration::ZERO, HOUR).read(&table.drain, &at.key("drain"), findings);
    Some(Shutdown { lame_duck: lame_duck?, drain: drain? })
}
