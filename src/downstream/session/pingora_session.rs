//! The session on Pingora's interface for sessions of one's own. The interface is public and hidden from Pingora's documentation, so
//! the version of Pingora is fixed in Cargo.toml. What Pingora calls is in its `protocols/http/server.rs`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_core::Stream;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session as PingoraSession;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, Result};

use super::Session;

/// Messages beside request and response, which HTTP/1 has not.
type MessageReader = Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;

#[async_trait]
impl PingoraSession for Session {
    fn req_header(&self) -> &RequestHeader {
        &self.head
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.head
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.read_body().await
    }

    /// What is left is discarded by whoever gets the stream back.
    async fn drain_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.write_head(head, end).await?;
        self.flush().await
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.write_response_header(Box::new(head.clone()), end).await
    }

    async fn write_body(&mut self, piece: Bytes, end: bool) -> Result<()> {
        self.write_piece(piece).await?;
        if end {
            self.response.end()?;
        }
        self.flush().await
    }

    /// HTTP/1 does not get the trailers of a response: the filters take away the field that announces them.
    async fn write_trailers(&mut self, _: HeaderMap) -> Result<()> {
        Ok(())
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        self.write_tasks(tasks).await
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.limits.body = timeout.unwrap_or(Duration::MAX);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        Some(self.limits.body)
    }

    /// The stream has its own.
    fn set_write_timeout(&mut self, _: Option<Duration>) {}

    fn get_write_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_total_drain_timeout(&mut self, _: Option<Duration>) {}

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        None
    }

    /// Without the target: it may hold what is nobody's business.
    fn request_summary(&self) -> String {
        self.head.method.as_str().to_owned()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.written.as_deref()
    }

    async fn shutdown(&mut self, _: u32, _: &str) {
        self.info.close_connection();
    }

    fn is_body_done(&mut self) -> bool {
        self.body.is_done()
    }

    async fn finish(&mut self) -> Result<()> {
        self.finish_response().await
    }

    fn is_body_empty(&mut self) -> bool {
        self.body.is_empty()
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if self.deadline().is_some_and(|deadline| deadline <= tokio::time::Instant::now()) {
            return Err(self.late(ErrorType::ReadTimedout));
        }
        if no_body_expected || self.body.is_done() { self.idle().await } else { self.read_body().await }
    }

    fn body_bytes_sent(&self) -> usize {
        usize::try_from(self.body_bytes_sent).unwrap_or(usize::MAX)
    }

    fn body_bytes_read(&self) -> usize {
        usize::try_from(self.body.taken()).unwrap_or(usize::MAX)
    }

    fn digest(&self) -> Option<&Digest> {
        Some(&self.digest)
    }

    /// It is shared by all requests of the connection.
    fn digest_mut(&mut self) -> Option<&mut Digest> {
        None
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.peer_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.local_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        let mut head = BytesMut::new();
        head.put_slice(self.head.method.as_str().as_bytes());
        head.put_u8(b' ');
        head.put_slice(self.head.raw_path());
        head.put_slice(b" HTTP/1.1\r\n");
        self.head.header_to_h1_wire(&mut head);
        head.put_slice(b"\r\n");
        head.freeze()
    }

    fn enable_retry_buffering(&mut self) {
        self.body.keep_for_retry();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.body.is_retry_truncated()
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.body.kept_for_retry()
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<MessageReader> {
        None
    }

    fn restore_custom_message_reader(&mut self, _: MessageReader) -> Result<()> {
        Error::e_explain(ErrorType::InternalError, "HTTP/1 has no messages beside its bodies")
    }

    /// None: with a writer Pingora asks for a reader as well (`take_downstream_custom_message_reader`).
    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Error::e_explain(ErrorType::InternalError, "HTTP/1 has no messages beside its bodies")
    }

    fn is_upgrade_req(&self) -> bool {
        self.asks_for_upgrade()
    }

    /// From the moment `101` is written.
    fn was_upgraded(&self) -> bool {
        self.has_upgraded
    }
}
