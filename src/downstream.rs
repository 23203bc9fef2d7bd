//! The client's side of a connection, one request at a time: an HTTP/1 session of our own on Pingora's interface for such
//! sessions. It exists because Pingora's own parser repairs and drops what is ambiguous before any filter runs. A head is read
//! once and strictly by `http1`, bodies are framed here in both directions, and the stream comes back when the next request may
//! follow. Who is allowed what is decided by the filters in `proxy`.

mod lingering_close;
mod request_body;
pub mod request_head;
pub mod response_writer;
pub mod session;
pub mod stream;
pub mod stream_info;
#[cfg(test)]
mod tests;
