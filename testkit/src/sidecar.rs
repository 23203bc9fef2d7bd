//! The real `callgate` binary between callers and upstream: its addresses, its readiness and its audit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::http::{Answer, Connection, PATIENCE};
use super::process::{Ended, Process};
use super::server::Address;

/// A running sidecar.
pub struct Sidecar {
    process: Process,
    directory: TempDir,
    listen: Address,
    admin: SocketAddr,
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
        Self::wait_until_listening(process, directory, config)
    }

    /// Starts the binary likewise, with another standard output, which is not collected.
    pub fn start_writing_to(stdout: Stdio, binary: &Path, config: &str) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = directory.path().join("sidecar.toml");
        std::fs::write(&file, config).map_err(|error| error.to_string())?;
        let arguments = ["run".as_ref(), "--config".as_ref(), file.as_ref()];
        let process = Process::start_writing_to(stdout, binary, &arguments)?;
        Self::wait_until_listening(process, directory, config)
    }

    /// Takes over a process that runs with `sidecar.toml` in this directory, and waits until it listens.
    pub fn wait_until_listening(process: Process, directory: TempDir, config: &str) -> Result<Self, String> {
        let announced = process.stderr.find(PATIENCE, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let listening = line["message"] == "Callgate is listening.";
            listening.then(|| Some((Address::read(line["listen"].as_str()?)?, address(&line["admin"])?)))
        });
        match announced.flatten() {
            Some((listen, admin)) => Ok(Self { process, directory, listen, admin }),
            None => {
                let Ended { code, stdout, stderr } = process.end(Duration::from_secs(1));
                Err(format!("callgate does not listen (exit code {code:?})\n{stdout}{stderr}\nwith\n{config}"))
            }
        }
    }

    /// Where requests go, over TCP.
    pub fn listen(&self) -> SocketAddr {
        match self.listen {
            Address::Tcp(address) => address,
            Address::Unix(_) => panic!("callgate listens on a Unix socket"),
        }
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
        let connection = match &self.listen {
            Address::Tcp(address) => Connection::open(address),
            Address::Unix(path) => Connection::open_unix(path),
        };
        connection.expect("callgate accepts connections")
    }

    /// Asks the admin port on a connection of its own.
    pub fn ask_admin(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin);
        let answer = Connection::open(self.admin).and_then(|mut admin| admin.exchange(request));
        answer.expect("the admin port answers")
    }

    /// Asks /readyz until it answers this status; the last answer if it does not in time.
    pub fn wait_for_readiness(&self, status: u16) -> Result<Answer, Answer> {
        self.wait_for_readyz(|answer| answer.status() == status)
    }

    /// Asks /readyz until its answer satisfies a condition; the last answer if it does not in time.
    pub fn wait_for_readyz(&self, wanted: impl Fn(&Answer) -> bool) -> Result<Answer, Answer> {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask_admin("/readyz");
            if wanted(&answer) {
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

    /// A line of the log, past or to come, with this message and whatever else is wanted.
    pub fn log_where(&self, message: &str, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        self.process.stderr.find(PATIENCE, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == message && wanted(&line)).then_some(line)
        })
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
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

fn address(value: &Value) -> Option<SocketAddr> {
    value.as_str()?.parse().ok()
}
