//! HTTP at its edges, on raw sockets against an upstream that writes down what it sees: what is refused, what is forwarded, and
//! what becomes of it on the way. Each refusal stands beside an acceptance, and each is looked for in the audit.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect fails on the spot"
)]

mod bodies; // chunks that two parties could cut differently
mod cases; // one line each: smuggling, spoofing, paths
mod certificate_hops; // proxies that tell which certificate a client has
mod claims; // more than the caller's name, and less than the token
mod credentials; // headers that look like tokens, and tokens that come twice
mod events; // answers that go on and on
mod frames; // a client of HTTP/2 whose every frame is in the test's hand
mod grpc; // a client and a server of the field
mod http10; // clients that know no chunks
mod http2; // the same in frames
mod http2_bodies; // bodies in frames, and their one end
mod http2_end; // and how they are told of the end
mod http2_refusals; // refusals that nobody reads
mod http2_sequences; // whatever frames come
mod http2_windows; // what is not read stops nobody else
mod idle_gaps; // a Node.js server that closes idle connections
mod limits; // how much, how long, how many
mod origin; // where a request came from
mod patience; // what stops halfway
mod pipeline; // what comes after a request on its connection
mod refusing; // and what becomes of the connection when it is refused
mod retries; // what is tried again, and what is not
mod retries_http2; // the same, where the upstream can say what it has not seen
mod slow_clients; // heads that trickle, and connections without one
mod strict_upstream; // an upstream that forgives nothing
mod tls; // certificates on both sides
mod unix_socket; // a listener without a port
mod upstream_ends; // an upstream that says more than it should
mod websocket; // tunnels, as long as their token
