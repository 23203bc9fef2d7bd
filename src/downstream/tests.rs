//! The session over a stream that a test cuts wherever it likes.

mod client;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use pingora::ErrorType;
use pingora::http::ResponseHeader;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::custom::server::Session as _;
use tokio::io::AsyncReadExt as _;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::request_head::RequestHead;
use super::session::{BODY_MALFORMED, Returned, Session, SilenceLimits, TOKEN_EXPIRED, TUNNEL_IDLE};
use super::stream::ClientStream;
use super::stream_info::{ConnectionInfo, ConnectionSlot, Peer, StreamInfo};
use crate::http1::head::Search;

use client::{Client, Socket};

/// A place of no listener. Its connection waits for this turn, if there is one.
#[derive(Default)]
struct FreeSlot(Mutex<Option<oneshot::Receiver<()>>>);

impl ConnectionSlot for FreeSlot {
    fn begin_waiting(&self) {}
    fn head_grows(&self, _: usize) {}
    fn end_waiting(&self) -> bool {
        true
    }
    fn caller_proven(&self) {}
    fn next_turn(&self) -> Option<oneshot::Receiver<()>> {
        self.0.lock().unwrap().take()
    }
}

/// One request on its way.
struct Scene {
    client: Client,
    info: Arc<StreamInfo>,
    session: Session,
    returned: oneshot::Receiver<Returned>,
}

const LIMITS: SilenceLimits = SilenceLimits { body: Duration::from_secs(30), tunnel: Duration::from_secs(3600) };

/// A request that has come, with what follows it, in one read.
async fn begin(request: &str) -> Scene {
    let client = Client::default();
    client.send(request);
    let connection = Arc::new(ConnectionInfo::new(Arc::new(FreeSlot::default()), Peer::default()));
    let socket = Box::new(Socket(client.clone()));
    let stream = Box::new(ClientStream::new(socket, Arc::clone(&connection), Duration::from_secs(30)));
    next(client, stream, connection).await.expect("a request has come")
}

/// The next request on a stream.
async fn next(client: Client, mut stream: Box<ClientStream>, connection: Arc<ConnectionInfo>) -> Option<Scene> {
    let length = loop {
        if let Some(length) = Search::default().end(stream.buffered()).unwrap() {
            break length;
        }
        if timeout(Duration::ZERO, stream.fill_buffer()).await.ok()?.ok()? == 0 {
            return None;
        }
    };
    let head = RequestHead::parse(&stream.take_head(length), 64).unwrap();
    let info = Arc::new(StreamInfo::new(connection));
    let (session, returned) = Session::new(stream, head, Arc::clone(&info), LIMITS);
    Some(Scene { client, info, session, returned })
}

fn head(status: u16, fields: &[(&'static str, &'static str)]) -> Box<ResponseHeader> {
    let mut head = ResponseHeader::build(status, None).unwrap();
    head.append_header("Date", "Thu, 01 Jan 2026 00:00:00 GMT").unwrap();
    for (name, value) in fields {
        head.append_header(*name, *value).unwrap();
    }
    Box::new(head)
}

/// The tasks of a short response.
fn short() -> Vec<HttpTask> {
    vec![
        HttpTask::Header(head(200, &[("Content-Length", "2")]), false),
        HttpTask::Body(Some(Bytes::from_static(b"ok")), true),
    ]
}

impl Scene {
    /// Answers in the usual order of Pingora's calls. The result is whether all went well.
    async fn answer(&mut self, tasks: Vec<HttpTask>) -> bool {
        self.session.response_duplex_vec(tasks).await.is_ok()
            && self.session.finish().await.is_ok()
            && self.session.finish().await.is_ok()
    }

    /// Drops the session: the stream, if it came back, and how much of the body was not read.
    fn end(self) -> (Client, Option<(Box<ClientStream>, u64)>) {
        drop(self.session);
        let mut returned = self.returned;
        (self.client, returned.try_recv().ok().map(|returned| (returned.stream, returned.unread)))
    }

    async fn body(&mut self) -> pingora::Result<Vec<u8>> {
        let mut all = Vec::new();
        while !self.session.is_body_done() {
            all.extend(self.session.read_body_or_idle(false).await?.unwrap_or_default());
        }
        Ok(all)
    }
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

#[tokio::test]
async fn head_and_body_of_a_short_response_leave_in_one_write() {
    let mut scene = begin(GET).await;
    assert!(scene.answer(short()).await);
    assert_eq!(scene.client.with(|wire| wire.writes.len()), 1);
    assert!(scene.client.got().starts_with("HTTP/1.1 200 OK\r\n") && scene.client.got().ends_with("\r\n\r\nok"));
    assert_eq!(scene.session.body_bytes_sent(), 2);
    assert!(scene.end().1.is_some());
}

#[tokio::test]
async fn each_piece_of_a_long_response_leaves_when_it_comes() {
    let mut scene = begin(GET).await;
    scene.session.response_duplex_vec(vec![HttpTask::Header(head(200, &[]), false)]).await.unwrap();
    assert!(scene.client.got().ends_with("\r\n\r\n"));
    for (piece, wire) in [("one", "3\r\none\r\n"), ("two", "3\r\ntwo\r\n")] {
        let piece = HttpTask::Body(Some(Bytes::from_static(piece.as_bytes())), false);
        assert!(!scene.session.response_duplex_vec(vec![piece]).await.unwrap());
        assert!(scene.client.got().ends_with(wire));
    }
    assert!(scene.session.response_duplex_vec(vec![HttpTask::Done]).await.unwrap());
    assert!(scene.client.got().ends_with("\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn large_pieces_arrive_whole_and_in_order() {
    let mut scene = begin(GET).await;
    let large = |byte: u8| Bytes::from(vec![byte; 20_000]);
    let tasks = vec![
        HttpTask::Header(head(200, &[]), false),
        HttpTask::Body(Some(large(b'a')), false),
        HttpTask::Body(Some(Bytes::from_static(b"short")), false),
        HttpTask::Body(Some(large(b'b')), true),
    ];
    assert!(scene.answer(tasks).await);
    let got = scene.client.got();
    let (_, body) = got.split_once("\r\n\r\n").unwrap();
    let (a, b) = ("a".repeat(20_000), "b".repeat(20_000));
    assert_eq!(body, format!("4e20\r\n{a}\r\n5\r\nshort\r\n4e20\r\n{b}\r\n0\r\n\r\n"));
    assert!(scene.end().1.is_some());
}

#[tokio::test]
async fn a_write_that_fails_at_any_byte_never_gives_the_stream_back() {
    let mut whole = begin(GET).await;
    assert!(whole.answer(short()).await);
    let length = whole.client.got().len();
    for takes in 0..length {
        let mut scene = begin(GET).await;
        scene.client.with(|wire| wire.takes = Some(takes));
        assert!(!scene.answer(short()).await, "{takes}");
        let is_head_sent = takes >= length - 2;
        assert_eq!(scene.session.response_written().is_some(), is_head_sent, "{takes}");
        // Whatever is tried afterwards.
        scene.client.with(|wire| wire.takes = None);
        let _ = scene.session.finish().await;
        assert!(scene.session.response_duplex_vec(vec![HttpTask::Done]).await.is_ok(), "there is nothing to write");
        assert!(scene.session.write_body(Bytes::from_static(b"x"), true).await.is_err(), "{takes}");
        let (client, returned) = scene.end();
        assert!(returned.is_none(), "{takes}");
        assert_eq!(client.with(|wire| wire.got.len()), takes);
    }
}

#[tokio::test]
async fn a_write_that_is_cancelled_at_any_byte_never_gives_the_stream_back() {
    let mut whole = begin(GET).await;
    assert!(whole.answer(short()).await);
    for stalls in 0..whole.client.got().len() {
        let mut scene = begin(GET).await;
        scene.client.with(|wire| wire.stalls = Some(stalls));
        assert!(timeout(Duration::ZERO, scene.answer(short())).await.is_err(), "{stalls}");
        scene.client.with(|wire| wire.stalls = None);
        assert!(!scene.answer(short()).await);
        assert!(scene.end().1.is_none(), "{stalls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_accepts_nothing_is_given_up_in_time() {
    let mut scene = begin(GET).await;
    scene.client.with(|wire| wire.stalls = Some(5));
    let error = scene.session.response_duplex_vec(short()).await.unwrap_err();
    assert_eq!(error.etype(), &ErrorType::WriteTimedout);
    assert!(scene.end().1.is_none());
}

#[tokio::test]
async fn a_session_that_is_dropped_before_its_end_gives_nothing_back() {
    // Nothing done, a head only, a part of the body, complete but not finished.
    let states: [Vec<HttpTask>; 4] = [
        Vec::new(),
        vec![HttpTask::Header(head(200, &[]), false)],
        vec![
            HttpTask::Header(head(200, &[("Content-Length", "2")]), false),
            HttpTask::Body(Some(Bytes::from_static(b"o")), false),
        ],
        short(),
    ];
    for (n, tasks) in states.into_iter().enumerate() {
        let mut scene = begin(GET).await;
        scene.session.response_duplex_vec(tasks).await.unwrap();
        let (client, returned) = scene.end();
        assert!(returned.is_none(), "{n}");
        tokio::task::yield_now().await;
        assert!(client.with(|wire| wire.was_dropped) || n > 0, "{n}");
    }
}

#[tokio::test]
async fn a_response_that_breaks_off_gives_nothing_back_however_often_it_is_finished() {
    let mut scene = begin(GET).await;
    let part = vec![
        HttpTask::Header(head(200, &[("Content-Length", "9")]), false),
        HttpTask::Body(Some(Bytes::from_static(b"part")), false),
    ];
    scene.session.response_duplex_vec(part).await.unwrap();
    for _ in 0..2 {
        assert!(scene.session.finish().await.is_err());
    }
    assert!(scene.end().1.is_none());
}

#[tokio::test]
async fn a_failure_of_the_upstream_is_passed_on_after_what_came_before_it() {
    let mut scene = begin(GET).await;
    let tasks = vec![
        HttpTask::Header(head(200, &[]), false),
        HttpTask::Body(Some(Bytes::from_static(b"part")), false),
        HttpTask::Failed(pingora::Error::new_up(ErrorType::ReadError)),
    ];
    let error = scene.session.response_duplex_vec(tasks).await.unwrap_err();
    assert_eq!(error.etype(), &ErrorType::ReadError);
    assert!(scene.client.got().ends_with("4\r\npart\r\n"));
    assert!(scene.end().1.is_none());
}

#[tokio::test]
async fn a_connection_is_kept_if_everybody_wants_it() {
    for (version, connection, filters_close, fields, kept) in [
        ("1.1", None, false, &[("Content-Length", "2")][..], true),
        ("1.1", None, false, &[], true),
        ("1.1", Some("close"), false, &[("Content-Length", "2")], false),
        ("1.1", Some("keep-alive"), false, &[("Connection", "close"), ("Content-Length", "2")], true),
        ("1.1", None, true, &[("Content-Length", "2")], false),
        ("1.0", None, false, &[("Content-Length", "2")], false),
        ("1.0", Some("keep-alive"), false, &[("Content-Length", "2")], true),
        ("1.0", Some("keep-alive"), false, &[], false),
        ("1.0", Some("keep-alive"), true, &[("Content-Length", "2")], false),
    ] {
        let line = connection.map(|value| format!("Connection: {value}\r\n")).unwrap_or_default();
        let mut scene = begin(&format!("GET / HTTP/{version}\r\nHost: h\r\n{line}\r\n")).await;
        if filters_close {
            scene.info.close_connection();
        }
        let body = HttpTask::Body(Some(Bytes::from_static(b"ok")), true);
        assert!(scene.answer(vec![HttpTask::Header(head(200, fields), false), body]).await);
        let got = scene.client.got();
        let said = if kept { "keep-alive" } else { "close" };
        let case = format!("{version} {connection:?} {filters_close} {fields:?}: {got}");
        assert_eq!(got.matches("Connection: ").count(), 1, "{case}");
        assert!(got.contains(&format!("\r\nConnection: {said}\r\n")), "{case}");
        assert_eq!(got.contains("Transfer-Encoding"), version == "1.1" && fields.is_empty(), "{case}");
        let (client, returned) = scene.end();
        assert_eq!(returned.is_some(), kept, "{case}");
        assert!(kept || client.with(|wire| wire.was_shut_down), "it is closed in order: {case}");
    }
}

#[tokio::test]
async fn filters_that_close_after_the_head_was_sent_are_heard() {
    let mut scene = begin(GET).await;
    assert!(scene.answer(short()).await);
    scene.info.close_connection();
    assert!(scene.end().1.is_none());
}

#[tokio::test]
async fn the_next_request_is_found_where_the_body_ends() {
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    ] {
        let request = format!("POST /a HTTP/1.1\r\nHost: h\r\n{body}");
        let head = request.find("\r\n\r\n").unwrap() + 4;
        for cut in head..=request.len() {
            let mut scene = begin(&request[..cut]).await;
            let client = scene.client.clone();
            let rest = format!("{}GET /next HTTP/1.1\r\nHost: h\r\n\r\n", &request[cut..]);
            let read = async {
                tokio::task::yield_now().await;
                client.send(rest);
            };
            let (whole, ()) = tokio::join!(scene.body(), read);
            assert_eq!(whole.unwrap(), b"hello", "{cut}");
            assert_eq!(scene.session.body_bytes_read(), 5);
            assert!(scene.answer(short()).await);
            let connection = Arc::clone(scene.info.connection());
            let (client, returned) = scene.end();
            let (stream, unread) = returned.expect("it comes back");
            assert_eq!(unread, 0);
            let scene = next(client, stream, connection).await.expect("the next one is there");
            assert_eq!(scene.session.req_header().raw_path(), b"/next");
        }
    }
}

#[tokio::test]
async fn a_body_is_read_while_its_pieces_come() {
    let mut scene = begin("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n").await;
    assert!(!scene.session.is_body_empty());
    let all: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let client = scene.client.clone();
    let sending = async {
        for piece in all.chunks(777) {
            client.send(piece);
            tokio::task::yield_now().await;
        }
    };
    let (read, ()) = tokio::join!(scene.body(), sending);
    assert_eq!(read.unwrap(), all);
    assert!(scene.answer(short()).await);
    assert!(scene.end().1.is_some());
}

#[tokio::test]
async fn a_body_that_is_not_read_is_left_for_the_server_if_it_is_small_and_comes_for_sure() {
    for (fields, unread) in [
        ("Content-Length: 65536\r\n\r\n", Some(65_536)),
        ("Content-Length: 5\r\n\r\nhe", Some(5)),
        ("Content-Length: 0\r\nExpect: 100-continue\r\n\r\n", Some(0)),
        ("Content-Length: 65537\r\n\r\n", None),
        ("Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", None),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", None),
        ("Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", None),
    ] {
        let method = if fields.contains("websocket") { "GET" } else { "POST" };
        let mut scene = begin(&format!("{method} / HTTP/1.1\r\nHost: h\r\n{fields}")).await;
        assert!(scene.answer(short()).await);
        let said = if unread.is_some() { "keep-alive" } else { "close" };
        assert!(scene.client.got().contains(&format!("Connection: {said}\r\n")), "{fields}");
        let (client, returned) = scene.end();
        assert_eq!(returned.map(|(_, unread)| unread), unread, "{fields}");
        // Closed, the client could lose the response: what it still sends is discarded for a moment.
        assert!(unread.is_some() || !client.with(|wire| wire.was_dropped), "{fields}");
    }
}

#[tokio::test]
async fn after_100_continue_the_body_comes_for_sure() {
    let mut scene = begin("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    scene.session.response_duplex_vec(vec![HttpTask::Header(head(100, &[]), false)]).await.unwrap();
    assert!(scene.client.got().starts_with("HTTP/1.1 100 Continue\r\n"));
    assert!(scene.session.response_written().is_none(), "it is no answer");
    assert!(scene.answer(short()).await);
    assert!(scene.client.got().contains("Connection: keep-alive"));
    assert_eq!(scene.end().1.map(|(_, unread)| unread), Some(5));
}

#[tokio::test]
async fn a_malformed_body_is_an_error_each_time_and_ends_the_connection() {
    let mut scene =
        begin("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n5;a=b\r\nhello").await;
    assert_eq!(scene.session.read_body_or_idle(false).await.unwrap().as_deref(), Some(&b"ok"[..]));
    for _ in 0..2 {
        let error = scene.session.read_body_or_idle(false).await.unwrap_err();
        assert_eq!(error.etype(), &BODY_MALFORMED);
        assert!(error.cause.is_some(), "it says what");
    }
    assert!(scene.answer(short()).await);
    assert!(scene.client.got().contains("Connection: close"));
    assert!(scene.end().1.is_none());
}

#[tokio::test]
async fn a_client_that_leaves_within_its_body_is_an_error_of_the_connection() {
    let mut scene = begin("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe").await;
    assert!(scene.session.read_body_or_idle(false).await.unwrap().is_some());
    scene.client.close();
    let error = scene.session.read_body_or_idle(false).await.unwrap_err();
    assert_eq!(error.etype(), &ErrorType::ConnectionClosed);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_within_its_body_is_given_up_in_time() {
    let mut scene = begin("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n").await;
    let error = scene.session.read_body_or_idle(false).await.unwrap_err();
    assert_eq!(error.etype(), &ErrorType::ReadTimedout);
}

/// Whether the session takes its client for gone.
async fn is_gone(scene: &mut Scene) -> bool {
    timeout(Duration::from_secs(100), scene.session.read_body_or_idle(true)).await.is_ok_and(|idle| idle.is_err())
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_its_side_after_its_request_waits_for_the_response() {
    let mut scene = begin(GET).await;
    scene.client.close();
    for _ in 0..2 {
        assert!(!is_gone(&mut scene).await);
    }
    assert!(scene.answer(short()).await);
    assert!(scene.client.got().ends_with("ok"));
}

#[tokio::test]
async fn a_side_that_was_closed_before_the_response_began_does_not_cut_it() {
    let mut scene = begin(GET).await;
    scene.client.close();
    // The close is not looked at before.
    scene.session.response_duplex_vec(vec![HttpTask::Header(head(200, &[]), false)]).await.unwrap();
    assert!(timeout(Duration::from_millis(10), scene.session.read_body_or_idle(true)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_later_is_gone_and_so_is_one_that_resets() {
    let mut scene = begin(GET).await;
    assert!(!is_gone(&mut scene).await, "it is there");
    scene.client.close();
    assert!(is_gone(&mut scene).await, "it has given up");
    assert!(is_gone(&mut scene).await, "and does not come back");

    let mut scene = begin(GET).await;
    scene.client.reset();
    assert!(is_gone(&mut scene).await);

    let mut scene = begin(GET).await;
    scene.session.response_duplex_vec(vec![HttpTask::Header(head(200, &[]), false)]).await.unwrap();
    scene.client.close();
    assert!(is_gone(&mut scene).await, "it has left in the middle of the response");
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_next_requests_are_here_waits_for_all_responses() {
    let mut scene = begin(&[GET, GET].concat()).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    scene.client.close();
    assert!(!is_gone(&mut scene).await);
    assert!(scene.answer(short()).await);
    let connection = Arc::clone(scene.info.connection());
    let (client, returned) = scene.end();
    let mut scene = next(client, returned.unwrap().0, connection).await.unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!(!is_gone(&mut scene).await, "the last one has its answer, too");
}

#[tokio::test]
async fn what_comes_of_the_next_request_waits_within_a_bound() {
    let mut scene = begin(GET).await;
    let client = scene.client.clone();
    client.send(vec![b'x'; 100_000]);
    assert!(timeout(Duration::from_millis(10), scene.session.read_body_or_idle(true)).await.is_err());
    let left = client.with(|wire| wire.sends.len());
    assert!((100_000 - 17 * 1024..100_000 - 15 * 1024).contains(&left), "{left}");
}

async fn open_tunnel() -> Scene {
    let mut scene = begin("GET /chat HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    assert!(scene.session.is_upgrade_req() && !scene.session.was_upgraded());
    assert!(scene.session.is_body_done() && scene.session.is_body_empty());
    let switching = head(101, &[("Upgrade", "websocket"), ("Connection", "upgrade")]);
    assert!(!scene.session.response_duplex_vec(vec![HttpTask::Header(switching, false)]).await.unwrap());
    assert!(scene.session.was_upgraded() && !scene.session.is_body_done());
    scene
}

#[tokio::test]
async fn a_tunnel_passes_everything_both_ways_until_the_client_closes() {
    let mut scene = open_tunnel().await;
    scene.client.send("GET / HTTP/1.1\r\n\r\n");
    let piece = scene.session.read_body_or_idle(false).await.unwrap();
    assert_eq!(piece.as_deref(), Some(&b"GET / HTTP/1.1\r\n\r\n"[..]));
    let back = HttpTask::UpgradedBody(Some(Bytes::from_static(b"back")), false);
    assert!(!scene.session.response_duplex_vec(vec![back]).await.unwrap());
    assert!(scene.client.got().ends_with("\r\n\r\nback"));
    scene.client.close();
    assert_eq!(scene.session.read_body_or_idle(false).await.unwrap(), None);
    scene.session.finish().await.unwrap();
    scene.session.finish().await.unwrap();
    assert!(scene.session.was_upgraded() && scene.session.is_body_done());
    assert!(scene.end().1.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_quiet_both_ways_is_closed_in_time() {
    let mut scene = open_tunnel().await;
    let within = Duration::from_secs(3000);
    assert!(timeout(within, scene.session.read_body_or_idle(false)).await.is_err(), "far longer than within a body");
    let back = HttpTask::UpgradedBody(Some(Bytes::from_static(b"!")), false);
    scene.session.response_duplex_vec(vec![back]).await.unwrap();
    assert!(timeout(within, scene.session.read_body_or_idle(false)).await.is_err(), "the upstream said something");
    scene.client.send("!");
    scene.session.read_body_or_idle(false).await.unwrap();
    assert!(timeout(within, scene.session.read_body_or_idle(false)).await.is_err(), "and so did the client");
    let error = timeout(within, scene.session.read_body_or_idle(false)).await.unwrap().unwrap_err();
    assert_eq!(error.etype(), &TUNNEL_IDLE);
}

#[tokio::test]
async fn an_upgrade_that_the_filters_took_away_is_none() {
    let mut scene = begin("GET /chat HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    scene.session.req_header_mut().remove_header("upgrade");
    assert!(!scene.session.is_upgrade_req());
    assert!(scene.session.response_duplex_vec(vec![HttpTask::Header(head(101, &[]), false)]).await.is_err());
    assert!(!scene.session.was_upgraded() && scene.client.got().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_its_deadline_even_if_nothing_passes_and_can_still_be_answered() {
    let mut scene = begin(GET).await;
    scene.info.end_after(Duration::from_secs(5));
    assert!(timeout(Duration::from_secs(4), scene.session.read_body_or_idle(true)).await.is_err());
    let error = scene.session.read_body_or_idle(true).await.unwrap_err();
    assert_eq!(error.etype(), &TOKEN_EXPIRED);
    assert!(scene.info.is_expired());
    scene.info.close_connection();
    assert!(scene.session.response_duplex_vec(short()).await.unwrap());
    assert!(scene.client.got().ends_with("ok"));

    let mut scene = open_tunnel().await;
    scene.info.end_after(Duration::from_secs(5));
    let error = scene.session.read_body_or_idle(false).await.unwrap_err();
    assert_eq!(error.etype(), &TOKEN_EXPIRED);

    let mut scene = begin(GET).await;
    scene.info.end_after(Duration::from_secs(5));
    scene.client.with(|wire| wire.stalls = Some(3));
    let error = scene.session.response_duplex_vec(short()).await.unwrap_err();
    assert_eq!(error.etype(), &TOKEN_EXPIRED);
    assert!(scene.end().1.is_none());
}

#[tokio::test]
async fn what_was_read_can_be_sent_again() {
    let mut scene = begin("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello").await;
    scene.session.enable_retry_buffering();
    assert_eq!(scene.session.get_retry_buffer(), None);
    assert_eq!(scene.body().await.unwrap(), b"hello");
    assert_eq!(scene.session.get_retry_buffer().as_deref(), Some(&b"hello"[..]));
    assert!(!scene.session.retry_buffer_truncated());
}

#[tokio::test]
async fn a_flood_of_frames_is_read_in_turns_and_without_them_once_a_caller_is_proven() {
    let (turn, next) = oneshot::channel();
    let slot = Arc::new(FreeSlot(Mutex::new(Some(next))));
    let client = Client::default();
    client.send([b'f'; 10_000]);
    let connection = Arc::new(ConnectionInfo::new(slot, Peer::default()));
    let mut stream = ClientStream::new(Box::new(Socket(client.clone())), connection, LIMITS.body);
    let mut space = [0; 8192];
    assert_eq!(stream.read(&mut space).await.unwrap(), 2048);
    assert!(timeout(Duration::ZERO, stream.read(&mut space)).await.is_err(), "others go first");
    turn.send(()).unwrap();
    assert_eq!(stream.read(&mut space).await.unwrap(), 2048);
    // It need not wait for another: a caller was proven meanwhile.
    assert_eq!(stream.read(&mut space).await.unwrap(), 10_000 - 2 * 2048);
}

#[tokio::test]
async fn frames_that_come_a_few_at_a_time_never_wait_for_a_turn() {
    let (_never, next) = oneshot::channel();
    let client = Client::default();
    let connection = Arc::new(ConnectionInfo::new(Arc::new(FreeSlot(Mutex::new(Some(next)))), Peer::default()));
    let mut stream = ClientStream::new(Box::new(Socket(client.clone())), connection, LIMITS.body);
    let mut space = [0; 8192];
    for _ in 0..10 {
        client.send([b'f'; 1000]);
        assert_eq!(stream.read(&mut space).await.unwrap(), 1000);
        assert!(timeout(Duration::ZERO, stream.read(&mut space)).await.is_err(), "nothing more has come");
    }
}
