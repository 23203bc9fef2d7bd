//! `callgate reload`: asks a running instance of the same machine to read its configuration again, and says what is in force then.
//! It needs neither a shell nor a signal, so it works in an image that holds nothing else.

use std::io::{self, Write};
use std::time::Duration;

use crate::ask::{self, Bounds};

/// The exit code when the configuration of the file is in force.
const IN_FORCE: u8 = 0;
/// The exit code when the instance refused it, and goes on with the one before.
const REFUSED: u8 = 1;
/// The exit code when the instance cannot be asked (`EX_UNAVAILABLE` of sysexits.h).
const UNREACHABLE: u8 = 69;

/// Asks the instance with this admin address. Returns the exit code.
///
/// # Errors
/// If what is to be said cannot be written.
pub fn run(admin: &str, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let answer = match ask::ask(admin, "POST /reload HTTP/1.1\r\nContent-Length: 0", BOUNDS) {
        Ok(answer) => answer,
        Err(error) => {
            return writeln!(err, "callgate reload: {admin} cannot be asked: {error}").map(|()| UNREACHABLE);
        }
    };
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let body = body.trim_end();
    match head.split(' ').nth(1) {
        Some("200") => writeln!(out, "{body}").map(|()| IN_FORCE),
        Some("422") => writeln!(err, "{body}").map(|()| REFUSED),
        _ => {
            let status = head.lines().next().unwrap_or("nothing");
            writeln!(err, "callgate reload: {admin} cannot be asked: it answered {status}: {body}")
                .map(|()| UNREACHABLE)
        }
    }
}

/// Longer than an instance takes to say that it cannot.
const BOUNDS: Bounds = Bounds { patience: Duration::from_secs(20), answer: 256 * 1024 };
