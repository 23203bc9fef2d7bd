//! What an instance says of itself at `/status`, and what its page shows: whom it protects, by which keys, what it did with the
//! latest requests, and whether refusing may begin. The field names are a schema (`docs/status.schema.json`). Nothing here
//! holds a token.

mod board;
mod document;
mod refusals;
mod traffic;
mod without_token;

pub use board::{Board, InForce};
pub use document::{
    Answer, BoundTokens, Configuration, Counts, Enforcement, Issuer, Limit, Refusal, Reload, ReplayStore, Requests,
    Service, State, Status, UnboundCaller, VERSION, WithoutToken, WouldReject, schema,
};
pub use refusals::Refusals;
pub use traffic::{INTERVAL, Traffic};
pub use without_token::WithoutTokens;
