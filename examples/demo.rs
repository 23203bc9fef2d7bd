//! Callgate at work: an embedded issuer, an embedded email service and the real `callgate` binary between them.
//!
//! It runs the acceptance scenarios with every request and answer shown, then keeps running for your own `curl`. With `ONCE=1`
//! it ends after the scenarios: with exit code 0 if all of them went as they should, 1 otherwise.
//!
//! Start it with `make demo`, which builds the binary first.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a tool that meets what it does not expect ends and says so"
)]

#[path = "demo/interrupt.rs"]
mod interrupt;
#[path = "demo/scenarios.rs"]
mod scenarios;
#[path = "demo/show.rs"]
mod show;
#[path = "demo/stage.rs"]
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use crate::interrupt::Interrupt;
use crate::show::Show;
use crate::stage::{Ports, Stage};
use testkit::issuer::now;
use testkit::setup::AUDIENCE;

fn main() -> ExitCode {
    let once = std::env::var("ONCE").is_ok_and(|value| !matches!(value.as_str(), "" | "0"));
    let interrupt = Interrupt::watch();
    match run(once, &interrupt) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("The demo cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays everything; says whether every scenario went as it should.
fn run(once: bool, interrupt: &Interrupt) -> Result<bool, String> {
    let show = Show::new();
    let binary = find_binary()?;
    let stage = Stage::set(&binary, if once { Ports::Free } else { Ports::Friendly })?;
    show.opening(&stage);
    let failed = scenarios::play_all(&stage, &show);
    show.summary(scenarios::ALL.len(), &failed);
    if !once {
        invite(&stage, &show);
        follow(&stage, &show, interrupt);
        show.note("Stopping Callgate with SIGTERM.");
    }
    let ended = stage.sidecar.stop();
    if ended.code != Some(0) {
        return Err(format!("callgate ended with {:?} and said\n{}", ended.code, ended.stderr));
    }
    Ok(failed.is_empty())
}

/// The binary that was built with this example: `target/<profile>/callgate`.
fn find_binary() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let binary = own.ancestors().nth(2).unwrap_or(&own).join("callgate");
    let missing = format!("{} is not there; `make demo` builds it", binary.display());
    binary.is_file().then_some(binary).ok_or(missing)
}

/// Prints tokens and command lines for the reader's own requests.
fn invite(stage: &Stage, show: &Show) {
    let good = stage.issuer.mint(&stage.issuer.claims("billing", AUDIENCE));
    let mut late = stage.issuer.claims("billing", AUDIENCE);
    late["exp"] = json!(now() - 3600);
    let expired = stage.issuer.mint(&late);
    let (listen, admin) = (stage.sidecar.listen(), stage.sidecar.admin());
    let send =
        format!("curl -i http://{listen}/send -H 'Content-Type: application/json' -d '{{\"to\":\"ada@example.com\"}}'");
    show.title("Now you: everything is up until Ctrl-C. Copy these lines into another terminal.");
    show.code(&[
        ("a token for billing, valid for an hour", format!("TOKEN={good}")),
        ("and one that has expired", format!("EXPIRED={expired}")),
        ("accepted", format!("{send} -H \"Authorization: Bearer $TOKEN\"")),
        ("refused: no token", send.clone()),
        ("refused: expired", format!("{send} -H \"Authorization: Bearer $EXPIRED\"")),
        (
            "the spoofed name is replaced",
            format!(
                "{send} -H \"Authorization: Bearer $TOKEN\" -H 'X-Caller-Service: admin' -H 'x_caller_service: root'"
            ),
        ),
        ("is it ready?", format!("curl -i http://{admin}/readyz")),
        ("what has it counted?", format!("curl -s http://{admin}/metrics | grep ^callgate_")),
        ("its configuration", format!("cat {}", stage.sidecar.config().display())),
    ]);
}

/// Shows what becomes of the reader's own requests, until Ctrl-C.
fn follow(stage: &Stage, show: &Show, interrupt: &Interrupt) {
    interrupt.leave_to_the_demo();
    let mut seen = stage.email.received().len();
    while !interrupt.came_within(Duration::from_millis(200)) {
        let received = stage.email.received().split_off(seen);
        seen += received.len();
        if !received.is_empty() {
            show.received(&received);
        }
        for record in stage.new_audit() {
            show.audit(&record);
        }
    }
}
