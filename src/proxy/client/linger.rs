//! The end of a connection whose client may still be sending: our side is closed, and what comes is read away for a bounded
//! time, so that the answer arrives and is not overtaken by a reset (RFC 9112 §9.6).

use std::sync::Arc;
use std::time::Duration;

use pingora::protocols::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt};
use tokio::time::timeout;

use crate::proxy::stream_info::StreamInfo;

/// Closes our side, and the whole when the client does or the time is over. The connection counts as open until then.
pub async fn linger(mut stream: Stream, connection: Arc<StreamInfo>) {
    let read_away = async {
        if AsyncWriteExt::shutdown(&mut stream).await.is_err() {
            return;
        }
        let mut space = vec![0; 8 * 1024];
        while stream.read(&mut space).await.is_ok_and(|count| count > 0) {}
    };
    // What has not ended by then is cut.
    let _ = timeout(TIME, read_away).await;
    drop(connection);
}

/// Long enough for an answer to arrive and be read, short enough that it is no way to keep a connection.
const TIME: Duration = Duration::from_secs(1);
