//! What serves one request of a connection, whichever protocol it came in: Pingora's proxy, and the gate that its filters ask.

use std::sync::Arc;

use pingora::apps::HttpServerOptions;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;

use crate::proxy::AuthProxy;

pub(super) struct RequestServer {
    pub proxy: Arc<HttpProxy<AuthProxy>>,
    pub gate: AuthProxy,
}

impl RequestServer {
    pub(super) fn new(gate: AuthProxy) -> Self {
        // The first try and one more.
        let conf = ServerConf { max_retries: 2, ca_file: Some(NO_AUTHORITIES.into()), ..ServerConf::default() };
        let mut proxy = http_proxy(&Arc::new(conf), gate.clone());
        // Refused by the gate, with an answer and a record of ours.
        let mut options = HttpServerOptions::default();
        options.allow_connect_method_proxying = true;
        proxy.server_options = Some(options);
        Self { proxy: Arc::new(proxy), gate }
    }
}

/// Upstreams are spoken to without TLS. Left to itself, Pingora reads the system's authorities twice, which takes longer than all
/// else of a start, and keeps them.
const NO_AUTHORITIES: &str = "/dev/null";
