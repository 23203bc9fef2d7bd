//! What the end-to-end tests stand on: the real binary, the demo's issuer and email service, and a client that sends
//! exactly the bytes it is given.
//!
//! Nothing here waits for luck: every wait is for something that happens, with a deadline far beyond it.

#[path = "../../examples/demo/email_service.rs"]
pub mod email_service;
#[path = "../../examples/demo/http.rs"]
pub mod http;
#[path = "../../examples/demo/issuer.rs"]
pub mod issuer;
#[path = "../../examples/demo/keys.rs"]
pub mod keys;
#[path = "../../examples/demo/process.rs"]
pub mod process;
pub mod refusal;
pub mod request;
#[path = "../../examples/demo/server.rs"]
pub mod server;
#[path = "../../examples/demo/setup.rs"]
pub mod setup;
#[path = "../../examples/demo/sidecar.rs"]
pub mod sidecar;
#[path = "../../examples/demo/socket.rs"]
pub mod socket;
pub mod stage;
pub mod tls;
pub mod tools;
