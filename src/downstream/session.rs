//! One request of HTTP/1 and its response, as Pingora's filters see them. The stream belongs to the session until it is dropped; then
//! it goes back to whoever serves the connection, if, and only if, the next request can be found on it for sure.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::header::UPGRADE;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::{Error, ErrorType, Result};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::request_body::RequestBody;
use super::request_head::RequestHead;
use super::response_writer::{Request, ResponseWriter};
use super::stream::ClientStream;
use super::stream_info::StreamInfo;
use crate::http1::head::Framing;

mod pingora_session;
mod reading;

/// The token's time was over while its stream was open.
pub const TOKEN_EXPIRED: ErrorType = ErrorType::Custom("TokenExpired");

/// Neither side of a tunnel has sent anything for too long.
pub const TUNNEL_IDLE: ErrorType = ErrorType::Custom("TunnelIdle");

/// The end of the request's body cannot be known for sure; the cause is a `ChunkError`.
pub const BODY_MALFORMED: ErrorType = ErrorType::Custom("RequestBodyMalformed");

/// How long a client may be silent.
#[derive(Clone, Copy, Debug)]
pub struct SilenceLimits {
    /// Within a body.
    pub body: Duration,
    /// In a tunnel, if the upstream is silent as well.
    pub tunnel: Duration,
}

/// A request and its response.
pub struct Session {
    head: RequestHeader,
    is_upgrade: bool,
    persists: bool,
    /// Whether the client still waits for `100 Continue`.
    expects_continue: bool,
    info: Arc<StreamInfo>,
    digest: Arc<Digest>,
    stream: Option<Box<ClientStream>>,
    /// Where the stream goes back to.
    home: Option<oneshot::Sender<Returned>>,
    limits: SilenceLimits,
    body: RequestBody,
    /// When the request had come whole, and in a tunnel, when something passed last.
    last_activity: Instant,
    /// Whether the client closed its side because it has sent all it wants to, once it has closed it.
    is_half_closed: Option<bool>,
    response: ResponseWriter,
    /// The final head, and how many bytes there are to be sent up to its end.
    unsent_head: Option<(usize, Box<ResponseHeader>)>,
    /// The final head that the client was sent.
    written: Option<Box<ResponseHeader>>,
    body_bytes_sent: u64,
    /// Whether a write has begun and not ended well: nobody knows where on the stream it stopped.
    is_writing: bool,
    is_finished: bool,
    /// Whether the end of the token's time was reported; the response to that is not bound by it.
    has_expired: bool,
    /// Whether a tunnel was opened, from the moment that its `101` is written.
    has_upgraded: bool,
}

/// A stream on which the next request may come.
pub struct Returned {
    /// The client's connection, after the end of an answer.
    pub stream: Box<ClientStream>,
    /// So many bytes of the body were not read.
    pub unread: u64,
}

impl Session {
    /// A session for a request whose head was taken from the stream. The stream comes back through the receiver, which has an error
    /// if it is to be closed.
    #[must_use]
    pub fn new(
        stream: Box<ClientStream>,
        head: RequestHead,
        info: Arc<StreamInfo>,
        limits: SilenceLimits,
    ) -> (Self, oneshot::Receiver<Returned>) {
        let RequestHead { mut header, framing, persists, expects_continue } = head;
        info.attach_to(&mut header);
        let (home, returned) = oneshot::channel();
        let session = Self {
            head: header,
            is_upgrade: framing == Framing::Upgrade,
            persists,
            expects_continue,
            info,
            digest: Arc::clone(stream.digest()),
            is_half_closed: stream.is_ended().then_some(true),
            stream: Some(stream),
            home: Some(home),
            limits,
            body: RequestBody::new(framing),
            last_activity: Instant::now(),
            response: ResponseWriter::default(),
            unsent_head: None,
            written: None,
            body_bytes_sent: 0,
            is_writing: false,
            is_finished: false,
            has_expired: false,
            has_upgraded: false,
        };
        (session, returned)
    }

    fn stream(&mut self) -> Result<&mut ClientStream> {
        self.stream.as_deref_mut().ok_or_else(given_back)
    }

    fn deadline(&self) -> Option<Instant> {
        self.info.deadline().filter(|_| !self.has_expired)
    }

    /// The error of a wait that took too long.
    fn late(&mut self, otherwise: ErrorType) -> Box<Error> {
        if self.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            self.has_expired = true;
            return Error::explain(TOKEN_EXPIRED, "the token expired while its stream was open");
        }
        Error::explain(otherwise, "the client was silent for too long")
    }

    /// Whether the filters left the request's wish for another protocol.
    fn asks_for_upgrade(&self) -> bool {
        self.is_upgrade && self.head.headers.contains_key(UPGRADE)
    }

    /// Whether the rest of the request's body is small enough, and comes for sure, to be read away before the next request.
    fn ends_soon(&self) -> bool {
        self.body.is_done() || (self.body.left().is_some_and(|left| left <= UNREAD_MAX) && !self.expects_continue)
    }

    async fn write_head(&mut self, head: Box<ResponseHeader>, ends: bool) -> Result<()> {
        if head.status.as_u16() == 100 {
            self.expects_continue = false;
        }
        if !head.status.is_informational() {
            self.note_half_close().await?;
        }
        let request = Request {
            is_http10: self.head.version == http::Version::HTTP_10,
            is_head: self.head.method == http::Method::HEAD,
            asks_for_upgrade: self.asks_for_upgrade(),
            may_keep: self.persists && !self.is_upgrade && !self.info.is_closing() && self.ends_soon(),
        };
        let Some(head) = self.response.head(head, request, ends)? else { return Ok(()) };
        if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
            self.body.upgrade();
            self.has_upgraded = true;
        }
        self.unsent_head = Some((self.response.encoded_len(), head));
        Ok(())
    }

    async fn write_piece(&mut self, piece: Bytes) -> Result<()> {
        match self.response.body(piece)? {
            Some((piece, end)) => self.send(piece, end).await,
            None => Ok(()),
        }
    }

    /// Encodes what the upstream sent, in one write if it is short. The result says whether the response is complete.
    async fn write_tasks(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        for task in tasks {
            let ends = match task {
                HttpTask::Header(head, ends) => {
                    self.write_head(head, ends).await?;
                    ends
                }
                HttpTask::Body(piece, ends) | HttpTask::UpgradedBody(piece, ends) => {
                    self.write_piece(piece.unwrap_or_default()).await?;
                    ends
                }
                HttpTask::Trailer(_) | HttpTask::Done => true,
                HttpTask::Failed(error) => {
                    self.flush().await?;
                    return Err(error);
                }
            };
            if ends {
                self.response.end()?;
            }
        }
        self.flush().await?;
        Ok(self.response.is_complete())
    }

    /// Ends the response. To end it again does nothing.
    async fn finish_response(&mut self) -> Result<()> {
        if !self.response.has_begun() {
            return Ok(());
        }
        self.response.end()?;
        self.flush().await?;
        if self.body.is_tunnel() {
            self.body.end();
        }
        if !std::mem::replace(&mut self.is_finished, true) && !self.response.keeps_connection() && !self.lingers() {
            // It is over, whatever comes of this.
            let _ = self.stream()?.shutdown().await;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.send(Bytes::new(), b"").await
    }

    /// Sends what is encoded, a piece after it and the end of the piece, and flushes. If that fails, or is cancelled, nothing is
    /// written any more.
    async fn send(&mut self, piece: Bytes, end: &'static [u8]) -> Result<()> {
        let mut bytes = self.response.take_encoded().chain(piece).chain(end);
        if !bytes.has_remaining() {
            return Ok(());
        }
        if std::mem::replace(&mut self.is_writing, true) {
            return Error::e_explain(ErrorType::WriteError, "an earlier write has failed");
        }
        let deadline = self.deadline();
        let Some(stream) = self.stream.as_deref_mut() else { return Err(given_back()) };
        let (unsent, written) = (&mut self.unsent_head, &mut self.written);
        let write = async {
            while bytes.has_remaining() {
                let count = stream.write_buf(&mut bytes).await?;
                if count == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                if let Some((left, _)) = unsent {
                    *left = left.saturating_sub(count);
                }
                if let Some((_, head)) = unsent.take_if(|(left, _)| *left == 0) {
                    *written = Some(head);
                }
            }
            stream.flush().await
        };
        let sent = match deadline {
            None => write.await,
            Some(deadline) => match timeout_at(deadline, write).await {
                Ok(sent) => sent,
                Err(_) => return Err(self.late(ErrorType::WriteTimedout)),
            },
        };
        if let Err(error) = sent {
            let is_late = error.kind() == io::ErrorKind::TimedOut;
            let kind = if is_late { ErrorType::WriteTimedout } else { ErrorType::WriteError };
            return Error::e_because(kind, "sending the response", error);
        }
        self.is_writing = false;
        self.last_activity = Instant::now();
        self.body_bytes_sent = self.response.body_bytes();
        Ok(())
    }

    /// Whether the client may still send what nobody will read.
    fn lingers(&self) -> bool {
        let has_more = self.stream.as_deref().is_some_and(|stream| !stream.buffered().is_empty());
        !self.body.is_done() || has_more || (self.is_upgrade && !self.has_upgraded)
    }
}

fn given_back() -> Box<Error> {
    Error::explain(ErrorType::InternalError, "the stream was given back")
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        let unread = if self.body.is_done() { Some(0) } else { self.body.left() };
        let is_reusable = self.is_finished
            && !self.is_writing
            && self.response.is_complete()
            && self.response.keeps_connection()
            && !self.info.is_closing();
        match (unread.filter(|_| is_reusable), self.home.take()) {
            (Some(unread), Some(home)) => {
                stream.shrink_buffer();
                // If nobody waits for it any more, it is closed.
                let _ = home.send(Returned { stream, unread });
            }
            _ => {
                // A response that ends with its connection would look whole if a cut one was closed in order.
                let is_clear = self.response.is_complete() || self.head.version != http::Version::HTTP_10;
                let is_answered = self.written.is_some() && !self.is_writing && !self.has_upgraded && is_clear;
                self.stream = Some(stream);
                if is_answered && (!self.is_finished || self.lingers()) {
                    self.info.connection().linger();
                }
            }
        }
    }
}

/// The largest rest of a request's body that is read and discarded so that the connection can serve the next request, in bytes.
const UNREAD_MAX: u64 = 64 * 1024;
