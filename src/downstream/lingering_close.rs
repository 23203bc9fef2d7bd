//! The end of a connection whose client may still be sending: our side is closed, and what comes is discarded for a bounded time.
//! Closed at once, the kernel would answer what still comes with a reset, and that can take our answer away from the client
//! (RFC 9112 §9.6).

use std::sync::Arc;
use std::time::Duration;

use pingora::protocols::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt};
use tokio::time::timeout;

use super::stream_info::ConnectionInfo;

/// Closes our side, and the connection when the client closes its own or the time is over. The connection counts as open until
/// then.
pub(super) async fn lingering_close(mut stream: Stream, connection: Arc<ConnectionInfo>) {
    let discard = async {
        if AsyncWriteExt::shutdown(&mut stream).await.is_err() {
            return;
        }
        let mut space = vec![0; 8 * 1024];
        while stream.read(&mut space).await.is_ok_and(|count| count > 0) {}
    };
    // What has not ended by then is cut.
    let _ = timeout(LINGERING_TIME, discard).await;
    drop(connection);
}

/// Long enough for an answer to arrive and be read, short enough that it is no way to keep a connection.
const LINGERING_TIME: Duration = Duration::from_secs(1);
