//! What is not read in one stream stops no other: neither uploads that the service does not read, nor long responses that a caller
//! does not read.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::frames::{self, Client, DATA, END_HEADERS, END_STREAM, HEADERS, WINDOW_UPDATE};
use testkit::http::{Connection, PATIENCE};
use testkit::issuer::Issuer;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

struct Scene {
    issuer: Issuer,
    sidecar: Sidecar,
}

impl Scene {
    fn set(setup: Setup) -> Self {
        let issuer = Issuer::start("https://auth.internal.example");
        let sidecar = start_ready(&setup.trusting(&issuer));
        Self { issuer, sidecar }
    }

    async fn connect(&self) -> SendRequest<Bytes> {
        let stream = TcpStream::connect(self.sidecar.listen()).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        client.ready().await.unwrap()
    }

    fn request(&self, method: &str, path: &str) -> Request<()> {
        let token = self.issuer.mint(&self.issuer.claims("billing", AUDIENCE));
        let request = Request::builder().method(method).uri(format!("http://email.internal.example{path}"));
        request.header("authorization", format!("Bearer {token}")).body(()).unwrap()
    }
}

/// Reads the bodies of all requests but those for `/stuck`.
fn reads_some(mut connection: Connection) -> io::Result<()> {
    while let Some(head) = connection.read_head()? {
        if head.target() == "/stuck" {
            std::thread::sleep(PATIENCE);
            return Ok(());
        }
        connection.read_body(Connection::request_body(&head))?;
        connection.send_answer("200 OK", &[], b"read")?;
    }
    Ok(())
}

/// Sends on a stream until its window has been shut for a while, within the connection's window.
fn fill(client: &mut Client, stream: u32, connection_window: &mut i64) {
    let mut stream_window = 65_535;
    loop {
        let size = stream_window.min(*connection_window).clamp(0, 16_384);
        if size > 0 {
            client.send(DATA, 0, stream, &vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
            stream_window -= size;
            *connection_window -= size;
        }
        let patience = Duration::from_millis(if size > 0 { 1 } else { 1000 });
        match client.read_within(patience) {
            Some(frame) if frame.kind == WINDOW_UPDATE => {
                let window = if frame.stream == 0 { &mut *connection_window } else { &mut stream_window };
                *window += i64::from(u32::from_be_bytes(frame.payload.try_into().unwrap()));
            }
            None if size == 0 => return,
            _ => {}
        }
    }
}

#[test]
fn uploads_that_the_service_does_not_read_leave_the_others_of_their_connection_a_window() {
    let upstream = Server::local(Arc::new(reads_some)).unwrap();
    let scene = Scene::set(Setup::before(upstream.address()));
    let mut client = Client::connect(scene.sidecar.listen(), &[]);
    let mut window = 65_535;
    let token = scene.issuer.mint(&scene.issuer.claims("billing", AUDIENCE));
    let bearer = format!("Bearer {token}");
    let head = |path| frames::request("POST", path, &[("authorization", &bearer)]);
    for stream in [1, 3] {
        client.send(HEADERS, END_HEADERS, stream, &head("/stuck")).unwrap();
        fill(&mut client, stream, &mut window);
    }
    // What was read is announced in large steps.
    assert!(window > 40 * 65_535, "{window} bytes are left for the other streams");
    client.send(HEADERS, END_HEADERS, 5, &head("/send")).unwrap();
    client.send(DATA, END_STREAM, 5, b"small").unwrap();
    assert_eq!(client.read_answer(), Some((5, "200".to_owned())));
}

/// Answers `/long` with more than anybody's window, and everything else at once.
async fn serve_long(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let is_long = request.uri().path() == "/long";
                let response = Response::builder().status(StatusCode::OK).body(()).unwrap();
                let mut body = respond.send_response(response, !is_long).unwrap();
                if is_long {
                    body.send_data(Bytes::from(vec![b'z'; 16 * 1024 * 1024]), true).unwrap();
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_do_not_read_long_responses_stop_nobody_before_an_upstream_of_http2() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve_long(listener));
    let scene = Scene::set(Setup::before_address(&upstream).upstream("protocol = \"h2c\""));
    let mut unread = Vec::new();
    for _ in 0..3 {
        let mut client = scene.connect().await;
        let (answer, _) = client.send_request(scene.request("GET", "/long"), true).unwrap();
        let answer = timeout(PATIENCE, answer).await.expect("it begins").unwrap();
        assert_eq!(answer.status(), 200);
        unread.push((client, answer.into_body()));
    }
    for n in 0..20 {
        let mut client = scene.connect().await;
        let (answer, _) = client.send_request(scene.request("GET", "/long"), true).unwrap();
        let answer = timeout(PATIENCE / 2, answer).await.unwrap_or_else(|_| panic!("response {n} is stopped")).unwrap();
        let mut body = answer.into_body();
        let mut length = 0;
        while length < 1024 * 1024 {
            let piece = timeout(PATIENCE / 2, body.data()).await.unwrap_or_else(|_| panic!("response {n} is stopped"));
            let piece = piece.unwrap().unwrap();
            length += piece.len();
            body.flow_control().release_capacity(piece.len()).unwrap();
        }
    }
}
