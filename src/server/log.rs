//! The log: to standard error, for people on a terminal and as JSON for collectors. Standard output belongs to the audit.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat, LogLevel};

/// The way to change what is heard.
pub struct Volume(Handle<Targets, Registry>);

impl Volume {
    /// Changes the level.
    pub fn set(&self, level: LogLevel) {
        // It fails only without a subscriber, and then nobody listens.
        let _ = self.0.modify(|heard| *heard = targets(filter(level)));
    }
}

/// Installs the process's log. A second call changes nothing.
pub fn install(log: Log) -> Volume {
    let human = match log.format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let color =
        human && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false).with_ansi(color);
    let layer = if human { layer.boxed() } else { layer.json().flatten_event(true).with_current_span(false).boxed() };
    let (heard, volume) = reload::Layer::new(targets(filter(log.level)));
    let _ = tracing_subscriber::registry().with(layer.with_filter(heard)).try_init();
    Volume(volume)
}

const fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// What is heard at a level. Pingora reports each client that leaves early as an error, with its path and query; that is the
/// audit's business, so its own words are for debugging only.
fn targets(level: LevelFilter) -> Targets {
    let libraries = if level >= LevelFilter::DEBUG { level } else { LevelFilter::OFF };
    Targets::new().with_target("callgate", level).with_default(libraries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_silent_unless_someone_debugs() {
        let usual = targets(LevelFilter::INFO);
        assert!(usual.would_enable("callgate::server", &tracing::Level::INFO));
        assert!(!usual.would_enable("callgate::server", &tracing::Level::DEBUG));
        assert!(!usual.would_enable("pingora_proxy", &tracing::Level::ERROR));
        assert!(targets(LevelFilter::DEBUG).would_enable("pingora_proxy", &tracing::Level::DEBUG));
    }
}
