//! Callers over HTTP/2, several requests at a time on each connection, and callers of gRPC.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use testkit::request::noise;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Activity;
use crate::ledger::{Asked, Expected, Seen, Told};
use crate::over_http1::Refusal;
use crate::service::{CALLERS, MARK, fingerprint, read};
use crate::world::World;

/// Every kind of caller, each on a connection of its own.
pub(crate) fn all() -> Vec<Activity> {
    let kinds = [(Kind::Http, 2, 8, 160), (Kind::Grpc, 2, 4, 160)];
    let mut all: Vec<Activity> = Vec::new();
    for (kind, connections, streams, pause) in kinds {
        for number in 0..connections {
            let activity = move |world: &Arc<World>| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                let caller = format!("{kind:?}-{number}").to_lowercase();
                runtime.block_on(go_on(world, kind, &caller, streams, Duration::from_millis(pause)));
            };
            all.push((format!("{kind:?}"), Box::new(activity)));
        }
    }
    all
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Http,
    Grpc,
}

/// What an attempt came to that was not judged.
enum Failure {
    /// The program has said that it did not process the request: it may be sent again (RFC 9113 §8.7).
    NotProcessed,
    Other(String),
}

/// Sends some requests at once, waits for all of them, pauses, and begins again.
async fn go_on(world: &Arc<World>, kind: Kind, caller: &str, streams: u64, pause: Duration) {
    let address = match kind {
        Kind::Http => world.http().listen(),
        Kind::Grpc => world.grpc().listen(),
    };
    let (mut client, mut batch) = (None, 0);
    while world.goes_on() {
        batch += 1;
        let open: SendRequest<Bytes> = match client.take() {
            Some(open) => open,
            None => match connect(address).await {
                Ok(open) => open,
                Err(error) => {
                    world.ledger.fault(&format!("{kind:?}: no connection: {error}"));
                    tokio::time::sleep(pause).await;
                    continue;
                }
            },
        };
        let mut running = JoinSet::new();
        for number in 0..streams {
            let (world, caller, open) = (Arc::clone(world), caller.to_owned(), open.clone());
            running.spawn(async move {
                match kind {
                    Kind::Http => http(&world, &caller, open, batch * streams + number).await,
                    Kind::Grpc => grpc(&world, &caller, open, batch * streams + number).await,
                }
            });
        }
        let mut is_usable = true;
        while let Some(ended) = running.join_next().await {
            match ended.expect("a request's task does not fail") {
                Ok(()) => {}
                Err(Failure::NotProcessed) => {
                    world.ledger.event("streams that were given back, to be sent again on another connection");
                    is_usable = false;
                }
                Err(Failure::Other(what)) => {
                    world.ledger.fault(&format!("{kind:?}: {what}"));
                    is_usable = false;
                }
            }
        }
        tokio::time::sleep(pause).await;
        client = is_usable.then_some(open);
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Bytes>, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (client, connection) = h2::client::handshake(stream).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(client)
}

impl Failure {
    /// Of a request that was not sent.
    fn before(_: h2::Error) -> Self {
        Self::NotProcessed
    }

    fn after(asked: &Asked) -> impl Fn(h2::Error) -> Self {
        let name = format!("{} {}", asked.kind, asked.mark);
        move |error| {
            let is_announced = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
            let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
            if is_announced || is_refused { Self::NotProcessed } else { Self::Other(format!("{name}: {error}")) }
        }
    }
}

/// An answer with its whole body and its trailers.
struct Got {
    status: u16,
    fields: HeaderMap,
    body: Bytes,
    trailers: HeaderMap,
}

async fn exchange(client: SendRequest<Bytes>, asked: &Asked, head: Request<()>, body: Vec<u8>) -> Result<Got, Failure> {
    let mut client = client.ready().await.map_err(Failure::before)?;
    let (answer, mut stream) = client.send_request(head, body.is_empty()).map_err(Failure::before)?;
    if !body.is_empty() {
        // A refusal may come first, and end the stream.
        let _refused = stream.send_data(body.into(), true);
    }
    let (head, mut stream) = answer.await.map_err(Failure::after(asked))?.into_parts();
    let body = read(&mut stream).await.map_err(Failure::after(asked))?;
    let trailers = stream.trailers().await.map_err(Failure::after(asked))?.unwrap_or_default();
    Ok(Got { status: head.status.as_u16(), fields: head.headers, body, trailers })
}

fn head(method: &str, path: &str, mark: &str, fields: &[(&str, String)]) -> Request<()> {
    let head = Request::builder().method(method).uri(format!("http://email.internal.example{path}"));
    let head = fields.iter().fold(head, |head, (name, value)| head.header(*name, value));
    head.header(MARK, mark).body(()).expect("a head")
}

fn asked(world: &World, kind: &'static str, body: &[u8], expected: Expected) -> Asked {
    let begin = if matches!(expected, Expected::Refused { .. }) { "refused" } else { "good" };
    Asked { kind, mark: world.mark(begin), body: fingerprint(body), expected }
}

fn bearer(world: &World, caller: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", world.token_but(caller, |_| ())))
}

/// A request over HTTP/2: of eight one is refused, one an upload, one is reset by its client, and the others are small.
async fn http(world: &World, caller: &str, client: SendRequest<Bytes>, number: u64) -> Result<(), Failure> {
    let forwarded = Expected::Forwarded { caller: caller.to_owned(), status: 200 };
    match number % 8 {
        0 => {
            let refusal = Refusal::common(world, caller, number / 8);
            let expected = Expected::Refused { status: refusal.status, reason: refusal.reason };
            let asked = asked(world, "http2-refused", b"", expected);
            let head = head(refusal.method, "/http2-refused/echo", &asked.mark, &refusal.fields);
            judge(world, client, asked, head, Vec::new()).await
        }
        1 => {
            let body = noise(fastrand::usize(50_000..150_000));
            let asked = asked(world, "http2-upload", &body, forwarded);
            let head = head("PUT", "/http2-upload/echo", &asked.mark, &[bearer(world, caller)]);
            judge(world, client, asked, head, body).await
        }
        2 => {
            let asked = Asked { mark: world.mark("waited"), ..asked(world, "http2-reset", b"", forwarded) };
            let head = head("GET", "/http2-reset/hang", &asked.mark, &[bearer(world, caller)]);
            let mut client = client.ready().await.map_err(Failure::before)?;
            let (mut answer, stream) = client.send_request(head, true).map_err(Failure::before)?;
            let arrives = async {
                while !world.arrivals.take(&asked.mark) {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            tokio::select! {
                () = arrives => {}
                early = &mut answer => match early.map_err(Failure::after(&asked)) {
                    Ok(early) => return Err(Failure::Other(format!("{}: answered with {}", asked.mark, early.status()))),
                    Err(failure) => return Err(failure),
                }
            }
            world.ledger.expect_record(asked.kind, "forward", "", 0);
            drop((answer, stream));
            Ok(())
        }
        _ => {
            let body = noise(fastrand::usize(..2000));
            let asked = asked(world, "http2", &body, forwarded);
            let forged = ("x-caller-service", "admin".to_owned());
            let head = head("POST", "/http2/echo", &asked.mark, &[bearer(world, caller), forged]);
            judge(world, client, asked, head, body).await
        }
    }
}

async fn judge(
    world: &World,
    client: SendRequest<Bytes>,
    asked: Asked,
    head: Request<()>,
    body: Vec<u8>,
) -> Result<(), Failure> {
    let began = Instant::now();
    let got = exchange(client, &asked, head, body).await?;
    let answer: serde_json::Value = serde_json::from_slice(&got.body).unwrap_or_default();
    let reason = answer["reason"].as_str().unwrap_or_default().to_owned();
    let seen = Seen { status: got.status, reason, told: Told::read(&got.body) };
    world.ledger.judge(&asked, &seen, began.elapsed());
    Ok(())
}

/// A call of gRPC: unary, with a stream of answers, or refused.
async fn grpc(world: &World, caller: &str, client: SendRequest<Bytes>, number: u64) -> Result<(), Failure> {
    // A message of gRPC is its length after a byte that says that it is not compressed.
    let message = noise(fastrand::usize(1..500));
    let length = u32::try_from(message.len()).expect("a small message").to_be_bytes();
    let message = [&[0], &length[..], &message].concat();
    let (kind, method, times) = match number % 4 {
        0 => ("grpc-stream", "Stream", 10),
        1 => ("grpc-refused", "Unary", 1),
        _ => ("grpc", "Unary", 1),
    };
    let refusal = (kind == "grpc-refused").then(|| {
        loop {
            // The status of a call says less than that of HTTP, so only those about tokens.
            let refusal = Refusal::common(world, caller, fastrand::u64(..));
            if refusal.status == 401 {
                break refusal;
            }
        }
    });
    let (expected, mut fields) = match refusal {
        Some(refusal) => (Expected::Refused { status: 200, reason: refusal.reason }, refusal.fields),
        None => (Expected::Forwarded { caller: caller.to_owned(), status: 200 }, vec![bearer(world, caller)]),
    };
    fields.extend([("content-type", "application/grpc".to_owned()), ("te", "trailers".to_owned())]);
    let body = message.repeat(times);
    let asked = asked(world, kind, &body, expected);
    let head = head("POST", &format!("/{kind}/{method}"), &asked.mark, &fields);
    let began = Instant::now();
    let got = exchange(client, &asked, head, message).await?;
    let field =
        |fields: &HeaderMap, name: &str| fields.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // The service's own status comes in its trailers; that of a refusal in the head.
    let status = field(&got.trailers, "grpc-status").or_else(|| field(&got.fields, "grpc-status"));
    let message = field(&got.fields, "grpc-message").unwrap_or_default();
    let is_refusal = status.as_deref() == Some("16");
    let reason = if is_refusal { message.split(':').next().unwrap_or_default().to_owned() } else { String::new() };
    let told = field(&got.fields, MARK).map(|mark| Told {
        callers: field(&got.fields, CALLERS).into_iter().collect(),
        mark,
        body: fingerprint(&got.body),
    });
    let is_call = is_refusal || status.as_deref() == Some("0");
    let seen = Seen { status: if is_call { got.status } else { 0 }, reason, told };
    world.ledger.judge(&asked, &seen, began.elapsed());
    Ok(())
}
