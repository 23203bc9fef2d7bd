//! hyper as a reverse proxy that does nothing but pass on: what Rust's most used HTTP library needs for it, as a floor under the
//! figures of Callgate and of Pingora. It shares no code with either.
//!
//! `hyper_proxy 127.0.0.1:8080 127.0.0.1:3000`, or `unix:/path` as the upstream.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a tool that meets what it does not expect ends and says so"
)]

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, UnixStream};
use tower_service::Service;

/// Connects to one socket, whatever the URI says.
#[derive(Clone)]
struct UnixConnector(PathBuf);

impl Service<Uri> for UnixConnector {
    type Response = TokioIo<UnixStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { Ok(TokioIo::new(UnixStream::connect(path).await?)) })
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(upstream), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("hyper_proxy LISTEN UPSTREAM");
        std::process::exit(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("worker threads");
    let client = Client::builder(TokioExecutor::new());
    if let Some(path) = upstream.strip_prefix("unix:") {
        let client = client.build(UnixConnector(path.into()));
        runtime.block_on(serve(&listen, client, HeaderValue::from_static("localhost")));
    } else {
        let upstream: SocketAddr = upstream.parse().expect("IP:PORT");
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let authority = HeaderValue::from_str(&upstream.to_string()).expect("an address");
        runtime.block_on(serve(&listen, client.build(connector), authority));
    }
}

async fn serve<C>(listen: &str, client: Client<C, Incoming>, authority: HeaderValue)
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind(listen).await.expect("the address is free");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (client, authority) = (client.clone(), authority.clone());
        let service = service_fn(move |request| pass_on(client.clone(), request, authority.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn pass_on<C>(
    client: Client<C, Incoming>,
    mut request: Request<Incoming>,
    authority: HeaderValue,
) -> Result<Response<Incoming>, hyper_util::client::legacy::Error>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let uri = Uri::builder().scheme("http").authority(authority.as_bytes()).path_and_query(path).build();
    *request.uri_mut() = uri.expect("a path that was one before");
    request.headers_mut().remove(CONNECTION);
    request.headers_mut().entry(HOST).or_insert(authority);
    client.request(request).await
}
