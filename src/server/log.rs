//! The log: to standard error, for people on a terminal and as JSON for collectors. Standard output belongs to the audit.

mod queue;

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::panic::PanicHookInfo;

use prometheus::IntCounter;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::audit::output::Output;
use crate::config::{Log, LogFormat, LogLevel};

pub(super) use queue::LogQueue;

/// Changes the level of the log while the process runs.
pub(super) struct LevelHandle(Handle<Targets, Registry>);

impl LevelHandle {
    /// Changes the level.
    pub(super) fn set(&self, level: LogLevel) {
        // It fails only without a subscriber, and then nothing is logged.
        let _ = self.0.modify(|filter| *filter = targets(level_filter(level)));
    }
}

#[cfg(test)]
impl LevelHandle {
    /// The handle of a log that does not exist.
    pub(super) fn of_no_log() -> Self {
        let (_, level) = reload::Layer::new(targets(LevelFilter::OFF));
        Self(level)
    }
}

/// Installs the process's log. Lines that its output does not take are counted in `dropped`. A second call changes nothing.
///
/// # Errors
/// If the operating system gives no thread or no descriptor for it.
pub(super) fn install(log: Log, dropped: IntCounter) -> io::Result<(LevelHandle, LogQueue)> {
    // Not through `io::stderr`, whose lock the thread that writes would hold while the output takes nothing.
    let stderr = Output::to(File::from(io::stderr().as_fd().try_clone_to_owned()?));
    let queue = LogQueue::start(stderr, QUEUE_BYTES, dropped, |lines| {
        tracing::warn!(lines, "Log lines were lost: standard error did not take them.");
    })?;
    let human = match log.format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let color =
        human && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let layer = tracing_subscriber::fmt::layer().with_writer(queue.clone()).with_target(false).with_ansi(color);
    let layer = if human { layer.boxed() } else { layer.json().flatten_event(true).with_current_span(false).boxed() };
    let (filter, level) = reload::Layer::new(targets(level_filter(log.level)));
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    std::panic::set_hook(Box::new(report_panic));
    Ok((LevelHandle(level), queue))
}

/// Reports a panic like anything else: what std writes to a standard error that nobody reads would stop the thread. Only its place is
/// told, since the message of a library may quote what a client has sent.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    tracing::error!(
        at,
        thread = thread.name(),
        "A panic, which is a bug: please report this line. Its request was not answered."
    );
}

const fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Lines of Callgate itself, from a level on, and none of its libraries: at debug level those log whole heads, and with them
/// tokens.
fn targets(level: LevelFilter) -> Targets {
    Targets::new().with_target("callgate", level)
}

/// How many bytes of lines may wait for the output: some thousand lines.
const QUEUE_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_panic_is_a_line_of_the_log_with_its_place_and_without_its_message() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let log = tracing_subscriber::fmt().json().with_writer(Arc::clone(&file)).finish();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            report_panic(panic);
            // Another test may fail meanwhile.
            before(panic);
        }));
        let quotes = || std::panic::catch_unwind(|| panic!("eyJhbGciOiJFUzI1NiJ9"));
        assert!(tracing::subscriber::with_default(log, quotes).is_err());
        let mut lines = String::new();
        (&*file).rewind().and_then(|()| (&*file).read_to_string(&mut lines)).unwrap();
        assert!(lines.contains("\"at\":\"src/server/log.rs:") && lines.contains("A panic, which is a bug"), "{lines}");
        assert!(!lines.contains("eyJhbGciOiJFUzI1NiJ9"), "{lines}");
    }

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
