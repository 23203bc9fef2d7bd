//! The JWT bundle of a trust domain from the SPIFFE Workload API (SPIFFE Workload API, sections 4 and 6): a gRPC stream on a
//! socket of this machine. The agent sends all bundles that this workload may have, and again whenever one of them changes.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::time::{Instant, sleep_until};
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::error::{AgentError, Asked, BODY_MAX, FetchError};
use super::fetch::{Cause, Fetch, Fetched, Fetching, Validators};

/// The bundle of one trust domain.
pub(super) struct WorkloadApi {
    socket: PathBuf,
    /// The SPIFFE ID of the trust domain, which names its bundle.
    domain: String,
    asked: Asked,
    stream: Option<BundleStream>,
}

/// A stream whose first message was read.
struct BundleStream {
    messages: Streaming<JwtBundlesResponse>,
    opened: Instant,
    /// The latest message that no fetch has taken.
    unread: Option<JwtBundlesResponse>,
}

/// `JWTBundlesRequest` of the published workload.proto.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
struct JwtBundlesRequest {}

/// `JWTBundlesResponse` of the published workload.proto: JWK Sets by the SPIFFE ID of their trust domain.
#[derive(Clone, PartialEq, prost::Message)]
struct JwtBundlesResponse {
    #[prost(map = "string, bytes", tag = "1")]
    bundles: HashMap<String, Bytes>,
}

impl WorkloadApi {
    pub(super) fn new(socket: PathBuf, trust_domain: &str) -> Self {
        let asked = Asked::at("JWT bundle", &format!("unix:{}", socket.display()));
        Self { socket, domain: format!("spiffe://{trust_domain}"), asked, stream: None }
    }

    /// Opens a stream, and reads its first message. What an earlier stream says does not count any more.
    async fn open(&mut self) -> Result<JwtBundlesResponse, FetchError> {
        self.stream = None;
        let mut grpc = Grpc::new(connect(&self.socket).await?);
        grpc.ready().await.map_err(|_| FetchError::Connection)?;
        let mut request = Request::new(JwtBundlesRequest {});
        request.metadata_mut().insert(HEADER, MetadataValue::from_static("true"));
        let codec = ProstCodec::<JwtBundlesRequest, JwtBundlesResponse>::default();
        let response = grpc.server_streaming(request, PathAndQuery::from_static(METHOD), codec).await;
        let mut messages = response.map_err(|status| refused(&status))?.into_inner();
        let first = messages.message().await.map_err(|status| refused(&status))?.ok_or(FetchError::Protocol)?;
        self.stream = Some(BundleStream { messages, opened: Instant::now(), unread: None });
        Ok(first)
    }
}

impl Fetch for WorkloadApi {
    /// A message that has come by itself, or the first one of a new stream: an old one that says nothing may be one whose agent
    /// hangs.
    fn fetch<'f>(&'f mut self, _: Cause, _: Option<&'f Validators>) -> Fetching<'f> {
        Box::pin(async {
            let unread = self.stream.as_mut().and_then(|stream| stream.unread.take());
            let mut message = match unread {
                Some(message) => message,
                None => self.open().await?,
            };
            let document = message.bundles.remove(&self.domain).ok_or(FetchError::Agent(AgentError::NoBundle))?;
            if document.len() > BODY_MAX {
                return Err(FetchError::TooLarge);
            }
            Ok(Fetched::Document { document: document.into(), validators: None, fresh_for: None })
        })
    }

    fn changed(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            let Some(stream) = &mut self.stream else { return std::future::pending().await };
            // Only what has not been read yet is waited for, so nothing is lost if this is given up.
            if stream.unread.is_none() {
                match stream.messages.message().await {
                    Ok(Some(message)) => stream.unread = Some(message),
                    // The agent has ended it. The next fetch tells whether it is there.
                    Ok(None) | Err(_) => {
                        let opened = stream.opened;
                        sleep_until(opened + PAUSE).await;
                        self.stream = None;
                        return;
                    }
                }
            }
            sleep_until(stream.opened + PAUSE).await;
        })
    }

    fn asked(&self) -> Option<&Asked> {
        Some(&self.asked)
    }

    fn forget(&mut self) {
        self.stream = None;
    }
}

/// Connects to the agent.
async fn connect(socket: &Path) -> Result<Channel, FetchError> {
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).map_err(|_| FetchError::Setup)?;
    endpoint.connect().await.map_err(|error| {
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return match error.kind() {
                    io::ErrorKind::NotFound => FetchError::Agent(AgentError::NoSocket),
                    io::ErrorKind::PermissionDenied => FetchError::Agent(AgentError::Closed),
                    io::ErrorKind::ConnectionRefused => FetchError::Agent(AgentError::NotListening),
                    _ => FetchError::Connection,
                };
            }
            cause = error.source();
        }
        FetchError::Connection
    })
}

/// What a status of gRPC says. Its text is the agent's, and is not repeated.
fn refused(status: &Status) -> FetchError {
    match status.code() {
        Code::PermissionDenied => FetchError::Agent(AgentError::Denied),
        Code::Unavailable => FetchError::Connection,
        Code::OutOfRange | Code::ResourceExhausted => FetchError::TooLarge,
        Code::Unimplemented => FetchError::Agent(AgentError::Unimplemented),
        _ => FetchError::Protocol,
    }
}

/// Whoever cannot set a header on a socket of this machine, as a browser that was led here, gets nothing (SPIFFE Workload
/// Endpoint, section 3).
const HEADER: &str = "workload.spiffe.io";

const METHOD: &str = "/SpiffeWorkloadAPI/FetchJWTBundles";

/// The shortest time from the beginning of a stream to the fetch that its next message or its end causes: an agent that ends each
/// stream at once is asked at this pace.
const PAUSE: Duration = Duration::from_secs(1);
