//! An explanation for a person at a terminal: the verdict last, where the eye is, and the refusing check marked.

use std::io::{self, Write};

use super::{CheckResult, Explanation, Outcome, Times, Verdict, advice};
use crate::clock::{UnixTime, brief};

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// For a terminal that shows them.
    Always,
    /// Plain text.
    Never,
}

/// Writes an explanation.
///
/// # Errors
/// If it cannot be written.
pub fn write(explanation: &Explanation, colour: Colour, out: &mut impl Write) -> io::Result<()> {
    let Explanation { at, checks, keys, times, verdict } = explanation;
    writeln!(out, "Judged for {at}.")?;
    writeln!(out)?;
    for check in checks {
        line(check, colour, out)?;
    }
    writeln!(out)?;
    if keys.iter().any(|key| !key.holds) {
        let tried: Vec<_> = keys.iter().map(ToString::to_string).collect();
        writeln!(out, "Keys tried  {}", tried.join(", "))?;
    }
    let times = clock(times, *at);
    if !times.is_empty() {
        writeln!(out, "Times       {}", times.join(", "))?;
    }
    match verdict {
        Verdict::Accepted { caller } => {
            writeln!(out, "Caller      {caller}")?;
            writeln!(out, "Verdict     {}", colour.paint(GREEN, "accepted"))
        }
        Verdict::Refused(rejection) => {
            let reason = rejection.reason();
            writeln!(out, "Verdict     {}", colour.paint(RED, &format!("refused: {reason}")))?;
            writeln!(out, "            {}: {}", reason.title(), rejection.detail())?;
            writeln!(out, "What to do  {}", advice(reason))
        }
    }
}

fn line(check: &CheckResult, colour: Colour, out: &mut impl Write) -> io::Result<()> {
    let CheckResult { name, outcome, wanted, found } = check;
    let (mark, paint) = match outcome {
        Outcome::AlsoRefused(_) => ("no", YELLOW),
        Outcome::Passed => ("ok", GREEN),
        Outcome::Refused(_) => ("NO", RED),
        Outcome::Unchecked => ("--", DIM),
    };
    let mark = colour.paint(paint, mark);
    match outcome {
        Outcome::Unchecked => writeln!(out, "{mark}  {name:<15} not checked"),
        Outcome::Passed => {
            writeln!(out, "{mark}  {name:<15} {found}")?;
            writeln!(out, "    {:<16}{}", "", colour.paint(DIM, &format!("wanted: {wanted}")))
        }
        Outcome::AlsoRefused(reason) | Outcome::Refused(reason) => {
            let also = if matches!(outcome, Outcome::AlsoRefused(_)) { " (would be refused too)" } else { "" };
            writeln!(out, "{mark}  {name:<15} {found}")?;
            writeln!(out, "    {:<16}wanted: {wanted}", "")?;
            writeln!(out, "    {:<16}{}{also}", "", colour.paint(paint, reason.as_str()))
        }
    }
}

/// How the token's times lie to the moment for which it is judged.
fn clock(times: &Times, at: UnixTime) -> Vec<String> {
    let ago = |time: UnixTime| brief(at.since(time));
    let ahead = |time: UnixTime| brief(time.since(at));
    let issued = times.issued.map(|time| match times.issuer_ahead(at) {
        None => format!("issued {} ago", ago(time)),
        Some(ahead) => {
            let ahead = brief(ahead);
            format!("issued in {ahead}: its issuer's clock is ahead by that or more, or this one is behind")
        }
    });
    let start = times.not_before.map(|time| {
        if time > at { format!("good in {}", ahead(time)) } else { format!("good since {} ago", ago(time)) }
    });
    let end = times
        .expires
        .map(|time| if time > at { format!("{} left", ahead(time)) } else { format!("expired {} ago", ago(time)) });
    [issued, start, end].into_iter().flatten().collect()
}

impl Colour {
    fn paint(self, paint: &str, text: &str) -> String {
        match self {
            Self::Always => format!("\x1b[{paint}m{text}\x1b[0m"),
            Self::Never => text.to_owned(),
        }
    }
}

// Select Graphic Rendition (ECMA-48 §8.3.117).
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "1;31";
const YELLOW: &str = "33";
