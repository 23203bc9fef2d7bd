//! One trusted issuer, one email service and one sidecar between the callers and it, fresh for every test.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::email_service::{EmailService, Received};
use super::http::Answer;
use super::issuer::Issuer;
use super::process::Ended;
use super::request::Request;
use super::setup::{AUDIENCE, Setup};
use super::sidecar::Sidecar;

/// Everything that a test needs up.
pub struct Stage {
    pub issuer: Issuer,
    pub email: EmailService,
    pub sidecar: Sidecar,
}

/// The binary under test.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    // Cargo says it to integration tests while they run.
    BINARY.get_or_init(|| std::env::var_os("CARGO_BIN_EXE_callgate").expect("cargo test runs this").into())
}

/// Starts a sidecar with this configuration and waits until it listens.
pub fn start(setup: &Setup) -> Sidecar {
    Sidecar::start(binary(), &setup.toml()).unwrap_or_else(|error| panic!("{error}"))
}

/// Starts a sidecar with this configuration and waits until it is ready.
pub fn start_ready(setup: &Setup) -> Sidecar {
    let sidecar = start(setup);
    if let Err(answer) = sidecar.wait_for_readiness(200) {
        panic!("callgate is not ready: {}\n{}", answer.text(), sidecar.log());
    }
    sidecar
}

impl Stage {
    /// The plainest setup.
    pub fn set() -> Self {
        Self::set_with(|setup| setup)
    }

    /// The plainest setup, with changes.
    pub fn set_with(change: impl FnOnce(Setup) -> Setup) -> Self {
        Self::set_before(EmailService::start(), change)
    }

    /// A setup in front of this email service, with changes.
    pub fn set_before(email: EmailService, change: impl FnOnce(Setup) -> Setup) -> Self {
        let issuer = Issuer::start("https://auth.internal.example");
        let sidecar = start_ready(&change(Setup::before(email.address()).trusting(&issuer)));
        Self { issuer, email, sidecar }
    }

    /// Claims of a good token for `billing`.
    pub fn claims(&self) -> Value {
        self.issuer.claims("billing", AUDIENCE)
    }

    /// A good token for `billing`.
    pub fn token(&self) -> String {
        self.issuer.mint(&self.claims())
    }

    /// A good token for `billing`, but for one claim; `null` takes the claim out.
    pub fn token_but(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[claim] = value;
        claims.as_object_mut().expect("claims are an object").retain(|_, value| !value.is_null());
        self.issuer.mint(&claims)
    }

    /// Sends a request on a connection of its own.
    pub fn ask(&self, request: &Request) -> Answer {
        self.sidecar.connect().exchange(request.bytes()).expect("callgate answers")
    }

    /// The only request that the email service has seen.
    pub fn only_received(&self) -> Received {
        let received = self.email.received();
        assert_eq!(received.len(), 1, "the email service should have seen one request: {received:#?}");
        received.into_iter().next().expect("there is one")
    }

    /// Asserts that the email service has seen nothing at all.
    pub fn assert_nothing_received(&self) {
        let received = self.email.received();
        assert!(received.is_empty(), "the email service should have seen nothing: {received:#?}");
    }

    /// The audit record number `n`, counted from 0. A record is written when its answer has been sent, so records of
    /// requests on several connections may change places: wait for each, or look for it by its id.
    pub fn audit(&self, n: usize) -> Value {
        let record = self.sidecar.audit(n);
        record.unwrap_or_else(|| panic!("there is no audit record {n}\n{}", self.sidecar.log()))
    }

    /// Ends the sidecar in good order.
    pub fn end(self) -> Ended {
        let ended = self.sidecar.stop();
        assert_eq!(ended.code, Some(0), "callgate should end with 0\n{}", ended.stderr);
        ended
    }
}
