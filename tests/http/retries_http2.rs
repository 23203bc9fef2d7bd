//! An upstream that speaks HTTP/2 can say of a request that it was not processed. Then, and only then, it is tried once more,
//! whatever its method and whatever the age of its connection (RFC 9113 §6.8 and §8.7). Frames are written byte by byte.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::frames::{
    CANCEL, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM, RST_STREAM, SETTINGS, frame,
};
use testkit::issuer::Issuer;
use testkit::refusal::assert_problem;
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

/// What the upstream does with a request.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answer,
    /// Closes the connection without a word.
    Close,
    /// Says that it goes away, and which stream is the last that it has looked at.
    GoAway {
        last: u32,
        code: u32,
    },
    /// Ends the stream with this code.
    Reset(u32),
}

/// Serves a connection: the nth request of all is treated as the nth entry says, and those after them are answered.
fn serve(mut stream: TcpStream, plan: &[Does], seen: &Mutex<usize>) -> io::Result<()> {
    stream.read_exact(&mut [0; 24])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length])?;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match head[3] {
            HEADERS => {}
            SETTINGS if head[4] == 0 => {
                stream.write_all(&frame(SETTINGS, 1, 0, &[]))?;
                continue;
            }
            _ => continue,
        }
        let does = {
            let mut seen = seen.lock().unwrap();
            *seen += 1;
            plan.get(*seen - 1).copied().unwrap_or(Does::Answer)
        };
        match does {
            // ":status: 200" is entry 8 of the static table (RFC 7541 appendix A).
            Does::Answer => stream.write_all(&frame(HEADERS, 0x5, id, &[0x88]))?,
            Does::Close => return Ok(()),
            Does::GoAway { last, code } => {
                let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
                stream.write_all(&frame(GOAWAY, 0, 0, &payload))?;
                if last >= id {
                    return Ok(());
                }
                // Closed with bytes unread, the connection would be reset, and the reset would overtake the frame.
            }
            Does::Reset(code) => stream.write_all(&frame(RST_STREAM, 0, id, &code.to_be_bytes()))?,
        }
    }
}

struct Scene {
    issuer: Issuer,
    sidecar: Sidecar,
    seen: Arc<Mutex<usize>>,
}

impl Scene {
    fn set(plan: &'static [Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<usize>>::default();
        let count = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let count = Arc::clone(&count);
                std::thread::spawn(move || serve(stream, plan, &count));
            }
        });
        let issuer = Issuer::start("https://auth.internal.example");
        let setup = Setup::before_address(&address.to_string()).upstream("protocol = \"h2c\"").trusting(&issuer);
        let sidecar = start_ready(&setup);
        Self { issuer, sidecar, seen }
    }

    /// Asks once: the status, and how often the upstream has seen a request since.
    fn ask(&self, method: &str) -> (u16, usize) {
        let before = *self.seen.lock().unwrap();
        let token = self.issuer.mint(&self.issuer.claims("billing", AUDIENCE));
        let request = Request::new(method, "/send").bearer(&token).body(b"once");
        let answer = self.sidecar.connect().exchange(request.bytes()).unwrap();
        if answer.status() != 200 {
            assert_problem(&answer, "upstream_unreachable");
        }
        (answer.status(), *self.seen.lock().unwrap() - before)
    }
}

#[test]
fn what_the_upstream_says_it_has_not_processed_is_tried_once_more() {
    for method in ["GET", "POST"] {
        let scene = Scene::set(&[Does::Reset(REFUSED_STREAM)]);
        assert_eq!(scene.ask(method), (200, 2), "{method}: refused, and taken the second time");
        let scene = Scene::set(&[Does::GoAway { last: 0, code: NO_ERROR }]);
        assert_eq!(scene.ask(method), (200, 2), "{method}: above the last stream, and taken the second time");
        let scene = Scene::set(&[Does::Answer, Does::GoAway { last: 1, code: NO_ERROR }]);
        assert_eq!(scene.ask(method), (200, 1));
        assert_eq!(scene.ask(method), (200, 2), "{method}: likewise on a connection that had served");
    }
}

#[test]
fn it_is_tried_twice_and_never_more() {
    let scene = Scene::set(&[Does::Reset(REFUSED_STREAM); 5]);
    assert_eq!(scene.ask("POST"), (502, 2));
}

#[test]
fn what_the_upstream_may_have_processed_is_not_tried_again() {
    let ends: [&[Does]; 6] = [
        &[Does::Answer, Does::Reset(CANCEL)],
        &[Does::Answer, Does::Reset(INTERNAL_ERROR)],
        &[Does::Answer, Does::Reset(NO_ERROR)],
        &[Does::Answer, Does::GoAway { last: 3, code: NO_ERROR }],
        &[Does::Answer, Does::GoAway { last: 3, code: ENHANCE_YOUR_CALM }],
        &[Does::Answer, Does::Close],
    ];
    for plan in ends {
        for method in ["GET", "POST"] {
            let scene = Scene::set(plan);
            assert_eq!(scene.ask(method), (200, 1));
            assert_eq!(scene.ask(method), (502, 1), "{method}: {:?}", plan[1]);
        }
    }
}

/// What an upstream of HTTP/2 has seen of a request.
#[derive(Debug)]
struct Seen {
    callers: Vec<String>,
    body: Vec<u8>,
    trailers: Option<http::HeaderMap>,
}

/// An upstream that refuses the first so many requests, and answers those after them when it has read them whole.
async fn reading(refused: usize) -> (std::net::SocketAddr, tokio::sync::mpsc::UnboundedReceiver<Seen>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (sender, count) = (sender.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut answer))) = connection.accept().await {
                    let (sender, n) = (sender.clone(), count.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
                    tokio::spawn(async move {
                        let callers = request.headers().get_all("x-caller-service").iter();
                        let callers = callers.map(|value| value.to_str().unwrap().to_owned()).collect();
                        let (mut body, mut whole) = (request.into_body(), Vec::new());
                        if n < refused {
                            answer.send_reset(h2::Reason::REFUSED_STREAM);
                            return sender.send(Seen { callers, body: whole, trailers: None });
                        }
                        while let Some(Ok(piece)) = body.data().await {
                            whole.extend_from_slice(&piece);
                        }
                        let trailers = body.trailers().await.ok().flatten();
                        let head = http::Response::builder().status(202).body(()).unwrap();
                        answer.send_response(head, true).unwrap();
                        sender.send(Seen { callers, body: whole, trailers })
                    });
                }
            });
        }
    });
    (address, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_try_has_the_same_body_and_the_same_caller_and_none_of_the_clients() {
    let (upstream, mut seen) = reading(1).await;
    let issuer = Issuer::start("https://auth.internal.example");
    let setup = Setup::before_address(&upstream.to_string()).upstream("protocol = \"h2c\"").trusting(&issuer);
    let sidecar = start_ready(&setup);
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let request = Request::send().bearer(&token).header("X-Caller-Service", "admin").header("X_Caller_Service", "root");
    let answer = sidecar.connect().exchange(request.bytes()).unwrap();
    assert_eq!(answer.status(), 202);
    let (first, second) = (seen.recv().await.unwrap(), seen.recv().await.unwrap());
    assert_eq!((first.callers, second.callers), (vec!["billing".to_owned()], vec!["billing".to_owned()]));
    assert!(request.bytes().ends_with(&second.body) && !second.body.is_empty());
    assert_eq!(sidecar.audit(0).unwrap()["caller"], "billing");
    assert_eq!(sidecar.audit_so_far().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_a_trailer_does_not_pass_from_frames_to_frames() {
    let (upstream, mut seen) = reading(0).await;
    let issuer = Issuer::start("https://auth.internal.example");
    let setup = Setup::before_address(&upstream.to_string()).upstream("protocol = \"h2c\"").trusting(&issuer);
    let sidecar = start_ready(&setup);
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let stream = tokio::net::TcpStream::connect(sidecar.listen()).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder().method("POST").uri("http://email.internal.example/send");
    let request = request.header("authorization", format!("Bearer {token}")).body(()).unwrap();
    let (answer, mut body) = client.ready().await.unwrap().send_request(request, false).unwrap();
    body.send_data(bytes::Bytes::from_static(b"{}"), false).unwrap();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-caller-service", "admin".parse().unwrap());
    body.send_trailers(trailers).unwrap();
    assert_eq!(answer.await.unwrap().status(), 202);
    let seen = seen.recv().await.unwrap();
    assert_eq!((seen.callers, seen.body), (vec!["billing".to_owned()], b"{}".to_vec()));
    assert!(seen.trailers.is_none(), "{:?}", seen.trailers);
}
