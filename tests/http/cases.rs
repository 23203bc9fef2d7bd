//! The tables, and what every line of them is held against: the answer, the upstream, the audit and the connection.
//!
//! In a raw request `~` stands for CR LF, `{T}` for a field with a good token, and every other char for one byte.

mod paths;
mod smuggling;
mod spoofing;

use testkit::http::{Answer, Connection};
use testkit::refusal::{assert_problem, request_id};
use testkit::stage::Stage;

/// What is said of a request: a name, and the request.
pub(crate) type Case = (&'static str, &'static str);

/// The bytes of a raw request.
pub(crate) fn bytes(raw: &str, token: &str) -> Vec<u8> {
    let whole = raw.replace("{T}", &format!("Authorization: Bearer {token}~")).replace('~', "\r\n");
    whole.chars().map(|char| u8::try_from(u32::from(char)).expect("a char is a byte")).collect()
}

/// Plays every case on a connection of its own and collects what is wrong.
pub(crate) fn play(stage: &Stage, cases: &[Case], judge: impl Fn(&Played) -> Result<(), String>) {
    let token = stage.token();
    let mut wrong = Vec::new();
    for (name, raw) in cases {
        let before = stage.email.received().len();
        let mut connection = stage.sidecar.connect();
        connection.send(bytes(raw, &token)).expect("it is sent");
        let asked = if raw.starts_with("HEAD") { "HEAD" } else { "" };
        let verdict = match connection.read_answer(asked) {
            Ok(answer) => judge(&Played { stage, answer, connection: std::cell::RefCell::new(connection), before }),
            Err(error) => Err(format!("no answer: {error}")),
        };
        if let Err(why) = verdict {
            wrong.push(format!("{name}: {why}\n    {raw}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// What came of a case.
pub(crate) struct Played<'s> {
    pub stage: &'s Stage,
    pub answer: Answer,
    pub connection: std::cell::RefCell<Connection>,
    /// How many requests the upstream had seen.
    pub before: usize,
}

impl Played<'_> {
    /// Refused with this status and reason, closed, recorded, and never seen by the upstream.
    pub(crate) fn is_refused(&self, status: u16, reason: &str) -> Result<(), String> {
        if self.answer.status() != status {
            return Err(format!("answered with {} {}", self.answer.status(), self.answer.text()));
        }
        assert_problem(&self.answer, reason);
        let audit = self.stage.sidecar.audit_for(&request_id(&self.answer)).ok_or("it is not in the audit")?;
        if audit["decision"] != "reject" || audit["reason"] != reason || audit["status"] != status {
            return Err(format!("the audit says {audit}"));
        }
        if !audit["client"].as_str().is_some_and(|client| client.starts_with("127.0.0.1:")) {
            return Err(format!("the audit does not say whose it was: {audit}"));
        }
        if self.stage.email.received().len() != self.before {
            return Err(format!("the upstream saw {:?}", self.stage.email.received().last()));
        }
        Ok(())
    }

    /// The connection was closed after the answer.
    pub(crate) fn is_closed(&self) -> Result<(), String> {
        match self.connection.borrow_mut().read_head() {
            Ok(Some(next)) => Err(format!("the connection goes on with {next:?}")),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Answered by the upstream with this status, which saw it once and with no other caller than the token's.
    pub(crate) fn is_forwarded(&self, status: u16, callers: &[&str]) -> Result<(), String> {
        if self.answer.status() != status {
            return Err(format!("answered with {} {}", self.answer.status(), self.answer.text()));
        }
        let received = self.stage.email.received();
        let [only] = &received[self.before..] else {
            return Err(format!("the upstream saw {} requests", received.len() - self.before));
        };
        if only.callers() != callers {
            return Err(format!("the upstream was told {:?}", only.callers()));
        }
        Ok(())
    }
}
