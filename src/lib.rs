//! Callgate answers one question for the service behind it: who is calling? It is a reverse proxy that lets a request through
//! only with a valid service-to-service JWT, and then names the caller in a header.
//!
//! A request goes one way: head, token, unverified, key, verified, identity, decision. The core (`token`, `route`, `jwt`,
//! `keys`, `identity`, `authenticator`) takes values and returns values; sockets, clocks and logs are the edges' business.

#![deny(missing_docs)]

pub mod admin;
pub mod algorithm;
pub mod audit;
pub mod authenticator;
pub mod cli;
pub mod client_certificate;
pub mod clock;
pub mod config;
pub mod confirmation;
pub mod downstream;
pub mod explain;
pub mod file_watcher;
pub mod forwarding;
pub mod http1;
pub mod identity;
pub mod issuers;
pub mod json;
pub mod jwks_refresh;
pub mod jwt;
pub mod keys;
pub mod limits;
pub mod metrics;
pub mod mode;
pub mod outage;
pub mod probe;
pub mod proof;
pub mod protected_resource;
pub mod proxy;
pub mod rejection;
pub mod replay_store;
pub mod request;
pub mod requirement;
pub mod revocation;
pub mod route;
pub mod server;
pub mod status;
pub mod token;
pub mod trace;
pub mod upstream;
