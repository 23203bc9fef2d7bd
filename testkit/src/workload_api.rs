//! A SPIFFE agent: it gives bundles at its socket, over gRPC that is written here frame by frame, and can be told to misbehave.

use std::path::{Path, PathBuf};
use std::thread;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use serde_json::Value;
use tokio::net::UnixListener;
use tokio::sync::{oneshot, watch};

/// What it tells every workload.
#[derive(Clone, Debug)]
pub enum Says {
    /// A key set for each of these trust domains.
    Bundles(Vec<(String, Value)>),
    /// `PermissionDenied`, at once.
    Denied,
    /// Nothing, and the stream stays open.
    Nothing,
}

/// A running agent. It is gone with its connections when it is dropped.
pub struct Agent {
    says: watch::Sender<Says>,
    streams: watch::Receiver<usize>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    socket: PathBuf,
}

impl Agent {
    /// Starts one at this socket.
    pub fn start(socket: &Path, says: Says) -> Self {
        let (says, heard) = watch::channel(says);
        let (count, streams) = watch::channel(0);
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(socket).expect("the agent can listen")
        };
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(&listener, &heard, &count) => {}
                    _ = ended => {}
                }
            });
        });
        Self { says, streams, end: Some(end), thread: Some(thread), socket: socket.to_owned() }
    }

    /// What the configuration calls it.
    pub fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Says something else, on every open stream.
    pub fn says(&self, says: Says) {
        self.says.send_replace(says);
    }

    /// How many streams were opened.
    pub fn streams(&self) -> usize {
        *self.streams.borrow()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn serve(listener: &UnixListener, says: &watch::Receiver<Says>, streams: &watch::Sender<usize>) {
    loop {
        let (connection, _) = listener.accept().await.expect("a connection");
        let (says, streams) = (says.clone(), streams.clone());
        tokio::spawn(async move {
            let Ok(mut connection) = h2::server::handshake(connection).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                streams.send_modify(|count| *count += 1);
                let is_workload = request.headers().get("workload.spiffe.io").is_some_and(|value| value == "true");
                let is_known = request.uri().path() == "/SpiffeWorkloadAPI/FetchJWTBundles";
                tokio::spawn(answer(respond, says.clone(), is_workload && is_known));
            }
        });
    }
}

async fn answer(mut respond: SendResponse<Bytes>, mut says: watch::Receiver<Says>, is_proper: bool) {
    let head = || Response::builder().status(200).header("content-type", "application/grpc");
    if !is_proper || matches!(*says.borrow(), Says::Denied) {
        let status = if is_proper { "7" } else { "3" };
        let _ = respond.send_response(head().header("grpc-status", status).body(()).expect("a head"), true);
        return;
    }
    let Ok(mut body) = respond.send_response(head().body(()).expect("a head"), false) else { return };
    loop {
        let message = match &*says.borrow_and_update() {
            Says::Bundles(bundles) => Some(message(bundles)),
            Says::Denied => {
                let trailers =
                    HeaderMap::from_iter([("grpc-status".parse().expect("a name"), "7".parse().expect("a value"))]);
                let _ = body.send_trailers(trailers);
                return;
            }
            Says::Nothing => None,
        };
        if message.is_some_and(|message| body.send_data(message, false).is_err()) {
            return;
        }
        tokio::select! {
            changed = says.changed() => if changed.is_err() { return },
            _ = std::future::poll_fn(|cx| body.poll_reset(cx)) => return,
        }
    }
}

/// `JWTBundlesResponse` with the five bytes that gRPC puts before a message.
fn message(bundles: &[(String, Value)]) -> Bytes {
    let mut text = BytesMut::new();
    for (domain, keys) in bundles {
        let (id, keys) = (format!("spiffe://{domain}"), keys.to_string());
        let mut entry = BytesMut::new();
        for (field, value) in [(1, id.as_bytes()), (2, keys.as_bytes())] {
            put_field(&mut entry, field, value);
        }
        put_field(&mut text, 1, &entry);
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(text.len()).expect("a short message"));
    framed.extend_from_slice(&text);
    framed.freeze()
}

/// A field with a length before its bytes (wire type 2).
fn put_field(text: &mut BytesMut, number: u8, value: &[u8]) {
    text.put_u8(number << 3 | 2);
    let mut length = value.len();
    while length > 0x7f {
        text.put_u8(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
        length >>= 7;
    }
    text.put_u8(u8::try_from(length).expect("seven bits"));
    text.extend_from_slice(value);
}
