//! Where requests come in, with TLS, and where operators look.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where requests come in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    /// IP address and port, or `unix:` and the absolute path of a socket. Port 0 takes any free port.
    #[schemars(example = "0.0.0.0:8080")]
    pub address: String,
    /// Who may connect to that socket: the permissions of its file, in octal digits. If absent, `0660`: its owner and its group.
    pub socket_mode: Option<String>,
    /// Whether HTTP/2 is spoken, with TLS or without. `false` leaves HTTP/1.1, and takes no frames at all.
    #[serde(default = "default_http2")]
    pub http2: bool,
    /// TLS for the callers. If absent, they speak plain HTTP.
    pub tls: Option<Tls>,
}

const fn default_http2() -> bool {
    true
}

/// TLS for the callers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// The path of the certificate chain as PEM, relative to this file. It is read again when it changes.
    #[schemars(example = "tls.crt")]
    pub cert: String,
    /// The path of its private key as PEM, relative to this file.
    #[schemars(example = "tls.key")]
    pub key: String,
    /// The path of the PEM certificates of the authorities of which a client must have a certificate, relative to this file. It
    /// is read again when it changes. If absent, clients need no certificate.
    pub client_ca: Option<String>,
}

/// Where operators look.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    /// IP address and port, another port than that of `listen`. It asks for no token: keep it inside the cluster.
    #[schemars(example = "0.0.0.0:9901")]
    pub address: String,
    /// Whether `/` shows a page for people, and `/status` has paths and peers: the latest refusals, and who sends requests without a
    /// token. The rest of `/status` is always there, for `callgate rollout`.
    #[serde(default = "default_page")]
    pub page: bool,
}

const fn default_page() -> bool {
    true
}
