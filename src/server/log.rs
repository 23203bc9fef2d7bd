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

/// What is heard at a level: Callgate, and nobody else. Libraries write down whole heads when they are debugged, and with them
/// tokens.
fn targets(level: LevelFilter) -> Targets {
    Targets::new().with_target("callgate", level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_silent_at_every_level() {
        let usual = targets(LevelFilter::INFO);
        assert!(usual.would_enable("callgate::server", &tracing::Level::INFO));
        assert!(!usual.would_enable("callgate::server", &tracing::Level::DEBUG));
        assert!(targets(LevelFilter::DEBUG).would_enable("callgate::server", &tracing::Level::DEBUG));
        for level in [LevelFilter::ERROR, LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE] {
            assert!(!targets(level).would_enable("pingora_proxy", &tracing::Level::ERROR), "{level}");
        }
    }
}
