//! Traces: the W3C Trace Context that a request comes with, and the spans that it leaves, if they are wanted. A request is
//! judged without it: what stands in `traceparent` can be written by anybody and only names things.

mod context;
mod environment;
mod export;
mod otlp;
mod span;

pub use context::{Context, SpanContext};
pub use environment::Environment;
pub use export::{Receiver, SpanMeters, StartError, Tracer, start};
pub use span::Span;
