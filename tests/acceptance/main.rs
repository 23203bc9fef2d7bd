//! The acceptance scenarios, end to end: the real binary between real sockets.
//!
//! Every test has its own issuer, upstream and process, so all of them run side by side. Each refusal stands next to an
//! acceptance, and each looks at three things: the answer, what the upstream saw, and the audit.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect fails on the spot"
)]

mod configuration; // a bad sidecar.toml
mod dpop; // tokens that are bound to a key
mod foreign_bindings; // bound tokens of an issuer that others wrote, with a client of theirs
mod foreign_issuers; // tokens and keys of issuers that others wrote
mod forwarding; // what a valid token gets through, and how
mod framing; // requests that two parties could read differently
mod issuers; // who may speak in whose name
mod key_outages; // issuers that fail, in every way they can
mod key_rotation; // keys that change under load
mod key_sources; // where keys come from, and what happens if they do not
mod key_waits; // requests that wait for keys
mod operations; // metrics, readiness, audit
mod presets; // issuers of known kinds
mod protected_resource; // what the service tells of itself
mod refusals; // what a caller learns from a 401
mod replay_store; // proofs that count once across instances
mod revocation; // what is valid, and taken away
mod shutdown; // SIGTERM
mod spoofing; // the caller's name is ours alone to write
mod streaming; // bodies go through as they come
mod token_cache; // tokens that are shown again
mod token_field; // tokens in another field than Authorization
mod upstream_failures; // 502 and 504
mod wimse; // workload tokens with proof
mod workload_api; // keys from the SPIFFE Workload API
