//! Ctrl-C and SIGTERM: whatever the demo is doing, its child processes end with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use testkit::process;

/// A watch over the signals that end the demo.
pub(crate) struct Interrupt {
    orderly: Arc<AtomicBool>,
    signals: Receiver<()>,
}

impl Interrupt {
    /// Begins to watch. Until `leave_to_the_demo`, a signal kills the children and ends the process.
    pub(crate) fn watch() -> Self {
        let orderly = Arc::<AtomicBool>::default();
        let (sender, signals) = mpsc::channel();
        let asked = Arc::clone(&orderly);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            runtime.expect("a runtime can be made").block_on(async move {
                let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be watched");
                let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be watched");
                loop {
                    let code = tokio::select! { _ = interrupt.recv() => 130, _ = terminate.recv() => 143 };
                    // The second signal no longer waits for an orderly end.
                    if asked.swap(false, Ordering::SeqCst) && sender.send(()).is_ok() {
                        continue;
                    }
                    process::kill_all();
                    std::process::exit(code);
                }
            });
        });
        Self { orderly, signals }
    }

    /// From now on the first signal is left to `came_within`.
    pub(crate) fn leave_to_the_demo(&self) {
        self.orderly.store(true, Ordering::SeqCst);
    }

    /// Waits this long for a signal.
    pub(crate) fn came_within(&self, time: Duration) -> bool {
        !matches!(self.signals.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }
}
