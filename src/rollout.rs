//! `callgate rollout`: may refusing begin? It reads the metrics of a running instance, says who would be refused, why and since
//! when, and answers. It asks one instance: where there are several, each has its own answer.

mod samples;
mod view;

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use crate::ask::{Bounds, ask};
use crate::clock::UnixTime;

use samples::Samples;
use view::{Answer, View};

/// The exit code when nobody would be refused, or refusing has begun.
pub const YES: u8 = 0;
/// The exit code when somebody would be refused, or nothing is known yet.
pub const NOT_YET: u8 = 1;
/// The exit code when the instance cannot be asked (`EX_UNAVAILABLE` of sysexits.h).
pub const UNREACHABLE: u8 = 69;

/// Asks the instance with this admin address, and says what it learned. With `within`, only what was seen in so many hours
/// before now counts against it. Returns the exit code.
///
/// # Errors
/// If what is to be said cannot be written.
pub fn run(admin: &str, within: Option<u64>, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let text = match scrape(admin) {
        Ok(text) => text,
        Err(error) => {
            writeln!(err, "callgate rollout: the metrics of {admin} cannot be read: {error}")?;
            return Ok(UNREACHABLE);
        }
    };
    let now = UnixTime::from(SystemTime::now());
    let since = within.map(|hours| now.minus(Duration::from_secs(hours.saturating_mul(3600))));
    let view = View::new(&Samples::parse(&text), now, since);
    writeln!(out, "{view}")?;
    Ok(match view.answer() {
        Answer::Enforced | Answer::Yes => YES,
        Answer::NotYet | Answer::Unknown => NOT_YET,
    })
}

fn scrape(admin: &str) -> io::Result<String> {
    let answer = ask(admin, "GET /metrics HTTP/1.1", BOUNDS)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let is_ok = head.lines().next().and_then(|line| line.split(' ').nth(1)) == Some("200");
    if !is_ok || !body.contains("callgate_build_info") {
        return Err(io::Error::other("this is not the admin address of a Callgate"));
    }
    Ok(body.to_owned())
}

/// Far more than all series of an instance need.
const BOUNDS: Bounds = Bounds { patience: Duration::from_secs(5), answer: 16 * 1024 * 1024 };
