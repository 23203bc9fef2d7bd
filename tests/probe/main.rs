//! `callgate probe`: it finds nothing in Callgate and in a sound proxy, and each of the faults that are planted in that proxy.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a suite that meets what it does not expect fails on the spot"
)]

mod callgate_itself;
mod command;
mod planted;
mod reference;

use std::path::PathBuf;
use std::time::Duration;

use callgate::probe::{Options, TargetOptions, run};
use serde_json::Value;
use tempfile::TempDir;

/// A token and a key file for a probe, and what it is asked.
pub struct Probing {
    directory: TempDir,
    pub options: Options,
}

impl Probing {
    /// Against this address, with this good token.
    pub fn of(url: &str, token: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        std::fs::write(&token_file, format!("{token}\n")).unwrap();
        let target = TargetOptions {
            url: url.to_owned(),
            token_file,
            method: "POST".to_owned(),
            body_file: None,
            headers: Vec::new(),
            echo_path: Some("/send".to_owned()),
            public_paths: vec!["/healthz".to_owned()],
            caller_header: "X-Caller-Service".to_owned(),
            keys_file: None,
        };
        let options = Options {
            target,
            ca_file: None,
            direct: None,
            rate: 100_000,
            timeout: Duration::from_secs(5),
            dry_run: false,
            only: None,
            json: true,
            junit: None,
        };
        Self { directory, options }
    }

    /// Writes a file beside the token.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The exit code, the report, and what was told as progress.
    pub fn run(&self) -> (u8, Value, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&self.options, &mut out, &mut err).unwrap();
        let report = if out.is_empty() { Value::Null } else { serde_json::from_slice(&out).unwrap() };
        (code, report, String::from_utf8(err).unwrap())
    }
}

/// The cases of a report with this verdict, as `class: what`.
pub fn with_verdict(report: &Value, verdict: &str) -> Vec<String> {
    let cases = report["cases"].as_array().unwrap();
    let wanted = cases.iter().filter(|case| case["verdict"] == verdict);
    wanted.map(|case| format!("{}: {}", case["class"].as_str().unwrap(), case["what"].as_str().unwrap())).collect()
}
