//! Pingora as a reverse proxy that does nothing but pass on: the floor under Callgate's figures. It shares no code with
//! Callgate, so that what Callgate adds cannot hide in it.
//!
//! `bare_proxy 127.0.0.1:8080 127.0.0.1:3000`, or `unix:/path` as the upstream.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a tool that meets what it does not expect ends and says so"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp as _;
use pingora::protocols::l4::stream::Stream;
use pingora::proxy::{ProxyHttp, Session, http_proxy};
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use tokio::net::TcpListener;
use tokio::sync::watch;

struct Bare(HttpPeer);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(self.0.clone()))
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(upstream), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("bare_proxy LISTEN UPSTREAM");
        std::process::exit(2);
    };
    let mut peer = match upstream.strip_prefix("unix:") {
        Some(path) => HttpPeer::new_uds(path, false, String::new()).expect("a path of a socket"),
        None => HttpPeer::new(upstream.parse::<SocketAddr>().expect("IP:PORT"), false, String::new()),
    };
    peer.options.idle_timeout = Some(Duration::from_secs(4));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("worker threads");
    runtime.block_on(serve(&listen, Bare(peer)));
}

async fn serve(listen: &str, app: Bare) {
    let proxy = Arc::new(http_proxy(&Arc::new(ServerConf::default()), app));
    let listener = TcpListener::bind(listen).await.expect("the address is free");
    let stop = watch::Sender::new(false);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (proxy, stop) = (Arc::clone(&proxy), stop.subscribe());
        tokio::spawn(async move { proxy.process_new(Box::new(Stream::from(stream)), &stop).await });
    }
}
