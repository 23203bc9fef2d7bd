//! The text of a `sidecar.toml`, put together table by table as a person would write it.
//!
//! Nothing is checked here: the tests also want files that are wrong.

use super::issuer::Issuer;
use super::server::Address;

/// The audience that the tokens of the demo and the tests are meant for.
pub const AUDIENCE: &str = "email-service";

/// A configuration in the making. Both addresses have port 0 until told otherwise.
#[derive(Clone, Debug)]
pub struct Setup {
    listen: String,
    listen_more: String,
    admin: String,
    upstream: String,
    upstream_more: String,
    more: String,
}

impl Setup {
    /// A sidecar in front of this upstream, trusting nobody yet.
    pub fn before(upstream: &Address) -> Self {
        Self::before_address(&upstream.for_config())
    }

    /// A sidecar in front of the upstream at this address.
    pub fn before_address(upstream: &str) -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            listen_more: String::new(),
            admin: "127.0.0.1:0".to_owned(),
            upstream: upstream.to_owned(),
            upstream_more: String::new(),
            more: String::new(),
        }
    }

    /// Listens on these two addresses.
    pub fn listening(mut self, listen: &str, admin: &str) -> Self {
        self.listen = listen.to_owned();
        self.admin = admin.to_owned();
        self
    }

    /// More keys of the table `[listen]`.
    pub fn listening_more(mut self, keys: &str) -> Self {
        self.listen_more.push_str(keys);
        self.listen_more.push('\n');
        self
    }

    /// More keys of the table `[upstream]`.
    pub fn upstream(mut self, keys: &str) -> Self {
        self.upstream_more.push_str(keys);
        self.upstream_more.push('\n');
        self
    }

    /// Trusts an issuer, whose key set is fetched by its URL.
    pub fn trusting(self, issuer: &Issuer) -> Self {
        let keys = format!("keys = {{ url = \"{}\" }}", issuer.jwks_url());
        self.trusting_with(issuer, &keys)
    }

    /// Trusts an issuer, with these lines for its keys and whatever else its table holds.
    pub fn trusting_with(self, issuer: &Issuer, lines: &str) -> Self {
        let mut algorithms: Vec<_> = issuer.keys().iter().map(|key| format!("\"{}\"", key.alg())).collect();
        algorithms.dedup();
        self.with(&format!(
            "[[issuers]]\nissuer     = \"{}\"\naudiences  = [\"{AUDIENCE}\"]\nalgorithms = [{}]\n{lines}",
            issuer.name(),
            algorithms.join(", "),
        ))
    }

    /// Any further tables.
    pub fn with(mut self, tables: &str) -> Self {
        self.more.push('\n');
        self.more.push_str(tables);
        self.more.push('\n');
        self
    }

    /// The whole file.
    pub fn toml(&self) -> String {
        let Self { listen, listen_more, admin, upstream, upstream_more, more } = self;
        format!(
            "[listen]\naddress = \"{listen}\"\n{listen_more}\n[upstream]\naddress = \"{upstream}\"\n{upstream_more}\n\
             [admin]\naddress = \"{admin}\"\n{more}"
        )
    }
}
