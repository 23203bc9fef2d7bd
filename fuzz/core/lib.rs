//! The parts of Callgate that read bytes from strangers, or from people: all of them pure, so they build without the proxy. The
//! files are the package's own.

pub use parts::*;

#[path = "../../src"]
mod parts {
    pub mod algorithm;
    pub mod authenticator;
    pub mod client_certificate;
    pub mod clock;
    #[allow(unused_imports)]
    pub mod config;
    pub mod confirmation;
    pub mod explain;
    pub mod forwarding;
    pub mod identity;
    pub mod issuers;
    pub mod json;
    pub mod jwt;
    pub mod keys {
        pub mod document;
        pub mod jwk;
        pub mod jwks;
        pub mod proof_key;
        pub mod readiness;
        #[allow(dead_code)]
        pub mod source;
        pub mod store;
    }
    pub mod limits;
    pub mod mode;
    pub mod proof;
    pub mod protected_resource;
    pub mod rejection;
    pub mod request;
    pub mod requirement;
    pub mod revocation {
        pub mod list;
    }
    pub mod route;
    pub mod token;
    pub mod http1;
}
