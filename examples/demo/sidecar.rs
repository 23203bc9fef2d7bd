//! The real `callgate` binary as a child process, with everything it prints.
//!
//! A child never outlives its owner: it is killed when the value is dropped, and `kill_all` ends those of a process that
//! is about to exit without dropping anything.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::http::{Answer, Connection, PATIENCE};

/// Processes that must not outlive this one.
static CHILDREN: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A running sidecar.
pub struct Sidecar {
    process: Process,
    directory: TempDir,
    listen: SocketAddr,
    admin: SocketAddr,
}

/// What is left of a sidecar that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote to stdout: the audit.
    pub stdout: String,
    /// Everything it wrote to stderr: its log.
    pub stderr: String,
}

impl Sidecar {
    /// Writes the configuration to a fresh directory, starts the binary and waits until it listens.
    ///
    /// An error holds everything that the process has said.
    pub fn start(binary: &Path, config: &str) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = directory.path().join("sidecar.toml");
        std::fs::write(&file, config).map_err(|error| error.to_string())?;
        let process = Process::start(binary, &["run".as_ref(), "--config".as_ref(), file.as_ref()])?;
        let announced = process.stderr.find(PATIENCE, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let listening = line["message"] == "Callgate is listening.";
            listening.then(|| Some((address(&line["listen"])?, address(&line["admin"])?)))
        });
        match announced.flatten() {
            Some((listen, admin)) => Ok(Self { process, directory, listen, admin }),
            None => {
                let Ended { code, stdout, stderr } = process.end(Duration::from_secs(1));
                Err(format!("callgate does not listen (exit code {code:?})\n{stdout}{stderr}\nwith\n{config}"))
            }
        }
    }

    /// Where requests go.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where /metrics, /livez and /readyz are.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The configuration it was started with.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("sidecar.toml")
    }

    /// A new connection to it.
    pub fn connect(&self) -> Connection {
        Connection::open(self.listen).expect("callgate accepts connections")
    }

    /// Asks the admin port on a connection of its own.
    pub fn ask_admin(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin);
        let answer = Connection::open(self.admin).and_then(|mut admin| admin.exchange(request));
        answer.expect("the admin port answers")
    }

    /// Asks /readyz until it answers this status; the last answer if it does not in time.
    pub fn wait_for_readiness(&self, status: u16) -> Result<Answer, Answer> {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask_admin("/readyz");
            if answer.status() == status {
                return Ok(answer);
            }
            if Instant::now() >= end {
                return Err(answer);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The first audit record, past or to come, that satisfies a condition.
    pub fn audit_where(&self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        self.process.stdout.find(PATIENCE, |line| {
            let record: Value = serde_json::from_str(line).ok()?;
            wanted(&record).then_some(record)
        })
    }

    /// The audit record of the request with this id.
    pub fn audit_for(&self, request_id: &str) -> Option<Value> {
        self.audit_where(|record| record["request_id"] == request_id)
    }

    /// The audit record number `n`, counted from 0.
    pub fn audit(&self, n: usize) -> Option<Value> {
        serde_json::from_str(&self.audit_line(n)?).ok()
    }

    /// The audit record number `n`, counted from 0, as it was written.
    pub fn audit_line(&self, n: usize) -> Option<String> {
        self.process.stdout.nth(n, PATIENCE)
    }

    /// Every audit record so far, as it was written.
    pub fn audit_so_far(&self) -> Vec<String> {
        self.process.stdout.all().lines().map(str::to_owned).collect()
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        self.process.stderr.all()
    }

    /// Asks it to end, without waiting.
    pub fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Waits for its end; kills it if it does not come in time.
    pub fn wait(self, deadline: Duration) -> Ended {
        self.process.end(deadline)
    }

    /// Asks it to end and waits for that.
    pub fn stop(self) -> Ended {
        self.terminate();
        self.wait(PATIENCE)
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

fn address(value: &Value) -> Option<SocketAddr> {
    value.as_str()?.parse().ok()
}

struct Process {
    child: Child,
    stdout: Arc<Output>,
    stderr: Arc<Output>,
}

impl Process {
    fn start(binary: &Path, arguments: &[&OsStr]) -> Result<Self, String> {
        let mut child = Command::new(binary)
            .args(arguments)
            .env_remove("CALLGATE_CONFIG")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
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

    fn signal(&self, signal: Signal) {
        // It may have ended already, which the caller learns from its exit code.
        let _gone = kill(pid(&self.child), signal);
    }

    fn end(mut self, deadline: Duration) -> Ended {
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
struct Output {
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

    fn find<T>(&self, deadline: Duration, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut seen = 0;
        self.wait(deadline, |lines| {
            let found = lines.lines.iter().skip(seen).find_map(|line| wanted(line));
            seen = lines.lines.len();
            found
        })
    }

    fn nth(&self, n: usize, deadline: Duration) -> Option<String> {
        self.wait(deadline, |lines| lines.lines.get(n).cloned())
    }

    fn wait_for_end(&self, deadline: Duration) -> bool {
        self.wait(deadline, |lines| lines.ended.then_some(())).is_some()
    }

    fn all(&self) -> String {
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
