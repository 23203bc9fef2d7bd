//! The end: SIGTERM (the orchestrator) and SIGINT (a person) ask for an orderly one, a second signal for the end at once. In order,
//! the instance is no longer ready and serves as before (the lame duck), takes no new connection, and answers the last requests.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use super::accept::{Acceptor, Application};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every request was answered.
    Orderly,
    /// Connections were cut: the time to drain was over, or a second signal came.
    Cut,
}

/// The signals that end the process.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes the signals over. A process with PID 1 would ignore them otherwise; from now on none is lost.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one and names it.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Goes on serving for this time, in which everybody learns that no new request should come here. Returns the ending if a
    /// second signal came.
    pub(super) async fn lame_duck(&mut self, serving: impl Future<Output = ()>, time: Duration) -> Option<Ending> {
        tokio::select! {
            _ = timeout(time, serving) => None,
            signal = self.next() => Some(cut_by(signal)),
        }
    }

    /// Waits for the answers to the last requests.
    pub(super) async fn drain<A: Application>(&mut self, acceptor: &Acceptor<A>, within: Duration) -> Ending {
        tokio::select! {
            drained = acceptor.drain(within) => match drained {
                Ok(()) => Ending::Orderly,
                Err(connections) => {
                    tracing::warn!(connections, "Connections are cut: they are still open at the end of shutdown.drain.");
                    Ending::Cut
                }
            },
            signal = self.next() => cut_by(signal),
        }
    }
}

fn cut_by(signal: &'static str) -> Ending {
    tracing::warn!(signal, "Connections are cut by a second signal.");
    Ending::Cut
}
