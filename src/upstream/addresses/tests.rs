use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::*;

/// Says what it was told to say, and counts how often it is asked.
#[derive(Clone, Debug, Default)]
struct Scripted {
    answers: Arc<Mutex<Vec<SocketAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Scripted {
    fn says(&self, addresses: &[SocketAddr]) {
        *self.answers.lock().unwrap() = addresses.to_vec();
    }

    fn times(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Resolve for Scripted {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(self.answers.lock().unwrap().clone())
    }
}

async fn named(name: &str, resolver: &Scripted) -> Arc<Addresses> {
    let addresses = Addresses::resolve(name, 1, Duration::from_secs(2), Box::new(resolver.clone())).await;
    Arc::new(addresses.unwrap())
}

async fn listener(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address that refuses connections: it was just listened on.
async fn refusing() -> SocketAddr {
    listener("127.0.0.1:0").await.1
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses_and_is_preferred_from_then_on() {
    let (resolver, dead, (_live, live)) = (Scripted::default(), refusing().await, listener("[::1]:0").await);
    resolver.says(&[dead, live]);
    let addresses = named("email", &resolver).await;
    assert_eq!(addresses.preferred(), dead);
    assert_eq!(addresses.connect().await.unwrap().peer_addr().unwrap(), live);
    assert_eq!(addresses.preferred(), live);
    assert_eq!(addresses.order(), [live, dead]);
    assert_eq!(resolver.times(), 1);
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_waited_for_a_quarter_of_a_second() {
    let (resolver, (_live, live)) = (Scripted::default(), listener("127.0.0.1:0").await);
    // A full queue of connections answers nobody.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = socket.local_addr().unwrap();
    let _queue = socket.listen(0).unwrap();
    let _fills_it = TcpStream::connect(silent).await.unwrap();
    resolver.says(&[silent, live]);
    let addresses = named("email", &resolver).await;
    assert_eq!(addresses.connect().await.unwrap().peer_addr().unwrap(), live);
}

#[tokio::test]
async fn a_name_that_has_moved_is_resolved_again_when_connecting_fails() {
    let (resolver, old, (_new, new)) = (Scripted::default(), refusing().await, listener("127.0.0.1:0").await);
    resolver.says(&[old]);
    let addresses = named("email", &resolver).await;
    resolver.says(&[new]);
    let refused = addresses.connect().await.unwrap_err();
    assert_eq!((refused.etype(), resolver.times()), (&ErrorType::ConnectRefused, 1), "it was asked for a moment ago");
    tokio::time::sleep(PACE).await;
    assert_eq!(addresses.connect().await.unwrap().peer_addr().unwrap(), new);
    assert_eq!((addresses.preferred(), resolver.times()), (new, 2));
}

#[tokio::test]
async fn requests_that_fail_together_ask_for_the_name_once() {
    let (resolver, dead) = (Scripted::default(), refusing().await);
    resolver.says(&[dead]);
    let addresses = named("email", &resolver).await;
    tokio::time::sleep(PACE).await;
    let mut requests = JoinSet::new();
    for _ in 0..50 {
        let addresses = Arc::clone(&addresses);
        requests.spawn(async move { addresses.connect().await.map(|_| ()).map_err(|error| error.etype().clone()) });
    }
    while let Some(ended) = requests.join_next().await {
        assert_eq!(ended.unwrap(), Err(ErrorType::ConnectRefused));
    }
    assert_eq!(resolver.times(), 2);
}

#[tokio::test]
async fn addresses_in_use_are_asked_for_again_and_kept_without_an_answer() {
    tokio::time::pause();
    let resolver = Scripted::default();
    let list = |text: &str| vec![text.parse::<SocketAddr>().unwrap()];
    resolver.says(&list("192.0.2.1:1"));
    let addresses = named("email", &resolver).await;
    addresses.keep_fresh();
    assert_eq!(resolver.times(), 1);
    for (answer, expected, times) in [("", "192.0.2.1:1", 2), ("192.0.2.2:1", "192.0.2.2:1", 3)] {
        resolver.says(&if answer.is_empty() { Vec::new() } else { list(answer) });
        tokio::time::advance(REFRESH).await;
        for _ in 0..5 {
            addresses.keep_fresh();
        }
        sleep(Duration::from_millis(1)).await;
        assert_eq!((addresses.known().addresses.clone(), resolver.times()), (list(expected), times));
        assert_eq!(addresses.preferred(), list(expected)[0]);
    }
}

#[tokio::test]
async fn localhost_goes_to_ipv4_if_that_answers_and_else_to_ipv6() {
    let (six, address) = listener("[::1]:0").await;
    let port = address.port();
    let timeout = Duration::from_secs(2);
    let resolver = Box::new(crate::upstream::SystemResolver);
    let addresses = Arc::new(Addresses::resolve("localhost", port, timeout, resolver).await.unwrap());
    assert_eq!(addresses.connect().await.unwrap().peer_addr().unwrap(), address);
    assert_eq!(addresses.preferred(), address, "idle connections are found again");
    let Ok(four) = TcpListener::bind(("127.0.0.1", port)).await else { return };
    let mut stream = addresses.connect().await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), four.local_addr().unwrap());
    drop((six, four.accept().await.unwrap()));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_name_without_an_address_cannot_be_used() {
    let resolver = Box::new(Scripted::default());
    let error = Addresses::resolve("email", 1, Duration::from_secs(1), resolver).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
