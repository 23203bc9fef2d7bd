//! The project keeps its own rules: the source tree its order, the scripts their one place for tools, the documents what the code
//! says.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect fails on the spot"
)]

mod architecture; // which module may use which
mod configuration_page; // docs/configuration.md, the schema and the example file
mod issuers_page; // a recipe for each issuer
mod reasons; // docs/reasons.md
mod scripts; // where tools come from
