//! What a scenario plays on: issuers, an email service, and a sidecar between the callers and the email service.

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use testkit::email_service::{EmailService, Received};
use testkit::http::Answer;
use testkit::issuer::Issuer;
use testkit::setup::Setup;
use testkit::sidecar::Sidecar;

/// Which ports a stage takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// Whatever is free.
    Free,
    /// The ones that people know by heart, as far as they are free.
    Friendly,
}

/// Everything that is up.
pub(crate) struct Stage {
    /// The `callgate` binary.
    pub binary: std::path::PathBuf,
    /// The issuer whose tokens the callers use.
    pub issuer: Issuer,
    /// A second issuer that is trusted as well.
    pub partner: Issuer,
    /// An issuer that no configuration names.
    pub stranger: Issuer,
    /// The upstream.
    pub email: EmailService,
    /// The sidecar.
    pub sidecar: Sidecar,
    audited: Cell<usize>,
}

/// What came of one request.
pub(crate) struct Scene {
    /// What the caller was told.
    pub answer: Answer,
    /// What the email service saw of it.
    pub received: Vec<Received>,
    /// What the audit says, as it was written.
    pub audit: String,
}

impl Stage {
    /// Starts everything and waits until the sidecar is ready.
    pub(crate) fn set(binary: &Path, ports: Ports) -> Result<Self, String> {
        let friendly = |port| SocketAddr::from(([127, 0, 0, 1], if ports == Ports::Friendly { port } else { 0 }));
        let issuer = Issuer::start("https://auth.internal.example");
        let partner = Issuer::start("https://auth.partner.example");
        let email = EmailService::at(friendly(3000)).unwrap_or_else(|_in_use| EmailService::start());
        let setup = Setup::before(email.address())
            .listening(&free_or_any(friendly(8080)), &free_or_any(friendly(9901)))
            .trusting(&issuer)
            .trusting(&partner);
        let sidecar = Sidecar::start(binary, &setup.toml())?;
        sidecar.wait_for_readiness(200).map_err(|answer| format!("callgate is not ready: {}", answer.text()))?;
        Ok(Self {
            binary: binary.to_owned(),
            issuer,
            partner,
            stranger: Issuer::start("https://auth.stranger.example"),
            email,
            sidecar,
            audited: Cell::new(0),
        })
    }

    /// Sends one request on a connection of its own, and collects what came of it.
    pub(crate) fn play(&self, request: &str) -> Result<Scene, String> {
        let before = self.email.received().len();
        let answer = self.sidecar.connect().exchange(request).map_err(|error| format!("no answer: {error}"))?;
        let audit = self.sidecar.audit_line(self.audited.get()).ok_or("the request is not in the audit")?;
        self.audited.set(self.audited.get() + 1);
        let received = self.email.received().split_off(before);
        Ok(Scene { answer, received, audit })
    }

    /// The audit records that have come since the last look.
    pub(crate) fn new_audit(&self) -> Vec<String> {
        let records = self.sidecar.audit_so_far().split_off(self.audited.get());
        self.audited.set(self.audited.get() + records.len());
        records
    }
}

fn free_or_any(address: SocketAddr) -> String {
    // Looked up before it is used, so somebody may still be quicker; the demo then says so and ends.
    let free = TcpListener::bind(address).is_ok();
    if free { address.to_string() } else { "127.0.0.1:0".to_owned() }
}
