//! A child process with everything it prints.
//!
//! A child never outlives its owner: it is killed when the value is dropped, and `kill_all` ends those of a process that
//! is about to exit without dropping anything.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::http::PATIENCE;

/// Processes that must not outlive this one.
static CHILDREN: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A running child.
pub struct Process {
    child: Child,
    /// What it writes to stdout.
    pub stdout: Arc<Output>,
    /// What it writes to stderr.
    pub stderr: Arc<Output>,
}

/// What is left of a process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote to stdout.
    pub stdout: String,
    /// Everything it wrote to stderr.
    pub stderr: String,
}

impl Process {
    /// Starts it in a process group of its own, without our standard input.
    pub fn start(binary: &Path, arguments: &[&OsStr]) -> Result<Self, String> {
        Self::start_writing_to(Stdio::piped(), binary, arguments)
    }

    /// Starts it likewise, with another standard output. Only a pipe's content is collected.
    pub fn start_writing_to(stdout: Stdio, binary: &Path, arguments: &[&OsStr]) -> Result<Self, String> {
        let mut child = Command::new(binary)
            .args(arguments)
            .env_remove("CALLGATE_CONFIG")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C reaches the demo alone, which then ends its children in order.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", binary.display()))?;
        children().push(pid(&child));
        let stdout = Output::collect(child.stdout.take());
        let stderr = Output::collect(child.stderr.take());
        Ok(Self { child, stdout, stderr })
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        pid(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // It may have ended already, which the caller learns from its exit code.
        let _gone = kill(pid(&self.child), signal);
    }

    /// Waits for its end; kills it if that does not come in time.
    pub fn end(mut self, deadline: Duration) -> Ended {
        // The pipes end with the process, so waiting for them needs no polling.
        let ended = self.stdout.wait_for_end(deadline) && self.stderr.wait_for_end(deadline);
        if !ended {
            self.signal(Signal::SIGKILL);
        }
        let code = self.child.wait().ok().and_then(|status| status.code());
        Ended { code, stdout: self.stdout.all(), stderr: self.stderr.all() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = pid(&self.child);
        children().retain(|child| *child != pid);
        // Both fail only if it has ended and was waited for.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// The lines that a process has written, collected by a thread.
#[derive(Default)]
pub struct Output {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Output {
    fn collect(pipe: Option<impl Read + Send + 'static>) -> Arc<Self> {
        let output = Arc::<Self>::default();
        let writer = Arc::clone(&output);
        thread::spawn(move || {
            if let Some(pipe) = pipe {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    writer.lock().lines.push(line);
                    writer.changed.notify_all();
                }
            }
            writer.lock().ended = true;
            writer.changed.notify_all();
        });
        output
    }

    /// The first line, past or to come, in which something is found.
    pub fn find<T>(&self, deadline: Duration, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut seen = 0;
        self.wait(deadline, |lines| {
            let found = lines.lines.iter().skip(seen).find_map(|line| wanted(line));
            seen = lines.lines.len();
            found
        })
    }

    /// Line number `n`, counted from 0, past or to come.
    pub fn nth(&self, n: usize, deadline: Duration) -> Option<String> {
        self.wait(deadline, |lines| lines.lines.get(n).cloned())
    }

    fn wait_for_end(&self, deadline: Duration) -> bool {
        self.wait(deadline, |lines| lines.ended.then_some(())).is_some()
    }

    /// All lines so far.
    pub fn all(&self) -> String {
        self.lock().lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn wait<T>(&self, deadline: Duration, mut wanted: impl FnMut(&Lines) -> Option<T>) -> Option<T> {
        let end = Instant::now() + deadline;
        let mut lines = self.lock();
        loop {
            if let Some(found) = wanted(&lines) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.ended {
                return None;
            }
            lines = self.changed.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the binary to its end.
pub fn run<A: AsRef<OsStr>>(binary: &Path, arguments: &[A]) -> Result<Ended, String> {
    let arguments: Vec<_> = arguments.iter().map(AsRef::as_ref).collect();
    Ok(Process::start(binary, &arguments)?.end(PATIENCE))
}

/// Kills every child, for a process that ends without dropping its values.
pub fn kill_all() {
    for child in children().drain(..) {
        let _gone = kill(child, Signal::SIGKILL);
    }
}

fn children() -> MutexGuard<'static, Vec<Pid>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}
