//! What is counted, in Prometheus' words.

pub mod keys;
