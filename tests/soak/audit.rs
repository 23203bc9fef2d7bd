//! The audit of an instance: its file is moved away from time to time, and what was moved is counted.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::http::PATIENCE;

use crate::ledger::{Row, Rows};

/// The audit's file, and the records of those that were moved away.
pub(crate) struct Audit {
    file: PathBuf,
    counted: Mutex<Counted>,
}

/// What the audit's files hold.
#[derive(Clone, Default)]
pub(crate) struct Counted {
    pub(crate) rows: Rows,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Lines that are no record of a request.
    pub(crate) odd: Vec<String>,
}

impl Audit {
    pub(crate) fn at(file: PathBuf) -> Self {
        Self { file, counted: Mutex::default() }
    }

    /// Moves the file away, waits until there is a new one, and counts what is in the old one. If the traffic ends meanwhile, it
    /// is left where it is, and this is false.
    pub(crate) fn rotate(&self, goes_on: impl Fn() -> bool) -> io::Result<bool> {
        let moved = self.moved();
        fs::rename(&self.file, &moved)?;
        let end = Instant::now() + PATIENCE;
        while !self.file.exists() {
            if !goes_on() {
                return Ok(false);
            }
            if Instant::now() > end {
                return Err(io::Error::other("the audit's file is not made anew"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.count(&moved)?;
        fs::remove_file(&moved)?;
        Ok(true)
    }

    /// Counts the last files, after the process has ended, and returns all that was counted.
    pub(crate) fn end(&self) -> io::Result<Counted> {
        for file in [self.moved(), self.file.clone()] {
            if file.exists() {
                self.count(&file)?;
            }
        }
        Ok(self.counted.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn moved(&self) -> PathBuf {
        self.file.with_extension("moved")
    }

    fn count(&self, file: &PathBuf) -> io::Result<()> {
        let text = fs::read_to_string(file)?;
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.files += 1;
        counted.bytes += text.len() as u64;
        for line in text.lines() {
            match serde_json::from_str(line).ok().and_then(|record| row(&record)) {
                Some(row) => *counted.rows.entry(row).or_default() += 1,
                None => counted.odd.push(line.to_owned()),
            }
        }
        Ok(())
    }
}

fn row(record: &Value) -> Option<Row> {
    let path = record["path"].as_str().unwrap_or_default();
    let kind = path.strip_prefix('/').and_then(|path| path.split('/').next());
    let row = Row {
        kind: kind.unwrap_or("no path").to_owned(),
        decision: record["decision"].as_str()?.to_owned(),
        reason: record["reason"].as_str().unwrap_or_default().to_owned(),
        status: u16::try_from(record["status"].as_u64()?).ok()?,
    };
    (record["event"] == "request").then_some(row)
}
