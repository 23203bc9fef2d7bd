//! The verifier from outside its sockets: which token is accepted, which is refused and why, by vectors, made-up inputs, other
//! implementations and second opinions; and what a decision costs in memory.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect fails on the spot"
)]

mod allocations; // how often a decision asks for memory
mod conformance; // one line for each case, with its source
mod interop; // tokens of other implementations
mod possession; // bound tokens, and what must be shown for them
mod properties; // what holds for every input
mod workload; // workload tokens with proof
