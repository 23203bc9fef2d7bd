//! `callgate drain`: the first step of a stop, asked for by another process of the same machine: a preStop hook, while the service
//! behind us still answers. It needs neither a shell nor a signal, so it works in an image that holds nothing else.

use std::io::{self, Write};
use std::time::Duration;

use reqwest::Method;

use super::admin_client::{self, Bounds, UNREACHABLE};

/// The exit code when the instance says yes.
const ASKED: u8 = 0;

/// Asks the instance with this admin address to end each connection with its next answer. It goes on serving until a signal
/// stops it. Returns the exit code.
///
/// # Errors
/// If what is to be said cannot be written.
pub(super) fn run(admin: &str, err: &mut impl Write) -> io::Result<u8> {
    match ask(admin) {
        Ok(()) => Ok(ASKED),
        Err(error) => writeln!(err, "callgate drain: {admin} cannot be asked: {error}").map(|()| UNREACHABLE),
    }
}

fn ask(admin: &str) -> Result<(), String> {
    match admin_client::ask(admin, Method::POST, "/drain", BOUNDS) {
        Ok(reply) if reply.status == 200 => Ok(()),
        Ok(reply) => Err(format!("it answered {}: {}", reply.status, reply.text().trim_end())),
        Err(error) => Err(error.to_string()),
    }
}

const BOUNDS: Bounds = Bounds { patience: Duration::from_secs(2), answer: 4096 };
