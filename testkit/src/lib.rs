//! What the tests, the demo and the benchmarks stand on: tokens and keys, an issuer and an email service, the real binary as a child
//! process, and clients that send exactly the bytes they are given. Every wait is for an event, with a deadline far beyond it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that meets what it does not expect fails on the spot, also in its support"
)]

pub mod dpop;
pub mod email_service;
pub mod http;
pub mod issuer;
pub mod keys;
pub mod process;
pub mod redis;
pub mod refusal;
pub mod request;
pub mod server;
pub mod setup;
pub mod sidecar;
pub mod signing;
pub mod socket;
pub mod stage;
pub mod tls;
pub mod token;
pub mod tools;
pub mod workload;
pub mod workload_api;
pub mod world;
