//! `callgate reload`: asks a running instance of the same machine to read its configuration again, and says what is in force then.
//! It needs neither a shell nor a signal, so it works in an image that holds nothing else.

use std::io::{self, Write};
use std::time::Duration;

use reqwest::Method;

use super::admin_client::{self, Bounds, UNREACHABLE};

/// The exit code when the configuration of the file is in force.
const IN_FORCE: u8 = 0;
/// The exit code when the instance refused it, and goes on with the one before.
const REFUSED: u8 = 1;

/// Asks the instance with this admin address. Returns the exit code.
///
/// # Errors
/// If what is to be said cannot be written.
pub(super) fn run(admin: &str, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let reply = match admin_client::ask(admin, Method::POST, "/reload", BOUNDS) {
        Ok(reply) => reply,
        Err(error) => {
            return writeln!(err, "callgate reload: {admin} cannot be asked: {error}").map(|()| UNREACHABLE);
        }
    };
    let (status, text) = (reply.status, reply.text());
    let body = text.trim_end();
    match status {
        200 => writeln!(out, "{body}").map(|()| IN_FORCE),
        422 => writeln!(err, "{body}").map(|()| REFUSED),
        _ => writeln!(err, "callgate reload: {admin} cannot be asked: it answered {status}: {body}")
            .map(|()| UNREACHABLE),
    }
}

/// Longer than an instance takes to say that it cannot.
const BOUNDS: Bounds = Bounds { patience: Duration::from_secs(20), answer: 256 * 1024 };
