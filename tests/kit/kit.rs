//! What the suites about tokens share.

pub mod signing;
pub mod token;
pub mod world;
