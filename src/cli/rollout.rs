//! `callgate rollout`: may refusing begin? It reads the status of a running instance, says who would be refused, why and since
//! when, and answers. It asks one instance: where there are several, each has its own answer.

mod view;

use std::io::{self, Write};
use std::time::Duration;

use reqwest::Method;

use super::admin_client::{Bounds, UNREACHABLE, ask};
use crate::status::{Answer, Status};

use view::View;

/// The exit code when nobody would be refused, or refusing has begun.
const YES: u8 = 0;
/// The exit code when somebody would be refused, or nothing is known yet.
const NOT_YET: u8 = 1;

/// Asks the instance with this admin address, and says what it learned. With `within`, only what was seen in so many hours
/// before now counts against it. Returns the exit code.
///
/// # Errors
/// If what is to be said cannot be written.
pub(super) fn run(admin: &str, within: Option<u64>, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let status = match read(admin) {
        Ok(status) => status,
        Err(error) => {
            writeln!(err, "callgate rollout: the status of {admin} cannot be read: {error}")?;
            return Ok(UNREACHABLE);
        }
    };
    let since = within.map(|hours| status.time.minus(Duration::from_secs(hours.saturating_mul(3600))));
    let view = View::new(status, since);
    writeln!(out, "{view}")?;
    Ok(match view.answer() {
        Answer::Enforced | Answer::Yes => YES,
        Answer::NotYet | Answer::Unknown => NOT_YET,
    })
}

fn read(admin: &str) -> Result<Status, String> {
    let reply = ask(admin, Method::GET, "/status", BOUNDS).map_err(|error| error.to_string())?;
    let status = (reply.status == 200).then(|| serde_json::from_slice(&reply.body).ok()).flatten();
    status.ok_or_else(|| "this is not the admin address of a Callgate of this version".to_owned())
}

/// Far more than what an instance has to say.
const BOUNDS: Bounds = Bounds { patience: Duration::from_secs(5), answer: 16 * 1024 * 1024 };
