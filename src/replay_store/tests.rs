use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::metrics::Metrics;
use crate::proof::store::StoreAddress;

/// A store that takes what is written to look after it, and answers each claim with this; with nothing, it does not answer.
async fn fake(answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let mut piece = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = stream.read(&mut piece).await {
                    let text = String::from_utf8_lossy(&piece[..length]).into_owned();
                    for name in text.split("SET\r\n").skip(1) {
                        let answer = if name.contains(":check\r\n") { "+OK\r\n" } else { answer };
                        counter.fetch_add(usize::from(!name.contains(":check\r\n")), Ordering::Relaxed);
                        if answer == CLOSE {
                            return;
                        }
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (address, asked)
}

const CLOSE: &str = "close";

fn store(address: SocketAddr, timeout: Duration) -> (ReplayStore, Metrics) {
    let metrics = Metrics::new().unwrap();
    let address = StoreAddress::Tcp { host: address.ip().to_string(), port: address.port(), tls: false };
    let settings = StoreSettings { address, database: 0, user: None, password_file: None, ca_file: None, timeout };
    (ReplayStore::start(settings, metrics.replay_store.clone()), metrics)
}

fn claim() -> Claim {
    Claim::new([7; 32], Duration::from_secs(80))
}

const LONG: Duration = Duration::from_secs(5);

#[tokio::test]
async fn nothing_but_the_one_good_answer_grants_a_claim() {
    for (answer, wanted) in [
        ("+OK\r\n", Ok(())),
        ("$-1\r\n", Err(SpendError::Replayed)),
        ("_\r\n", Err(SpendError::Replayed)),
        ("+QUEUED\r\n", Err(SpendError::Unanswered)),
        ("+ok\r\n", Err(SpendError::Unanswered)),
        (":1\r\n", Err(SpendError::Unanswered)),
        ("$2\r\nOK\r\n", Err(SpendError::Unanswered)),
        ("*1\r\n+OK\r\n", Err(SpendError::Unanswered)),
        ("#t\r\n", Err(SpendError::Unanswered)),
        ("-READONLY You can't write against a read only replica.\r\n", Err(SpendError::Unanswered)),
        ("-MOVED 1 10.0.0.1:6379\r\n", Err(SpendError::Unanswered)),
        ("-OOM command not allowed\r\n", Err(SpendError::Unanswered)),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", Err(SpendError::Unanswered)),
        (CLOSE, Err(SpendError::Unanswered)),
    ] {
        let (address, asked) = fake(answer).await;
        let (store, _metrics) = store(address, LONG);
        assert_eq!(store.claim(&claim()).await, wanted, "{answer:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 1, "{answer:?}: it is asked once");
    }
}

#[tokio::test]
async fn silence_grants_nothing_and_is_waited_for_no_longer_than_the_bound() {
    let (address, _) = fake("").await;
    let (store, metrics) = store(address, Duration::from_millis(300));
    while !store.status().answers {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    assert_eq!(store.claim(&claim()).await, Err(SpendError::Unanswered));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < LONG, "{took:?}");
    let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
    assert!(text.contains("callgate_replay_store_claims_total{result=\"timed_out\"} 1\n"), "{text}");
}

#[tokio::test]
async fn no_more_requests_wait_than_there_are_places() {
    let (address, _) = fake("").await;
    let (store, _metrics) = store(address, LONG);
    let _taken = store.room.try_acquire_many(u32::try_from(WAITING_MAX).unwrap()).unwrap();
    let began = Instant::now();
    assert_eq!(store.claim(&claim()).await, Err(SpendError::Unanswered));
    assert!(began.elapsed() < LONG, "it does not wait");
}

#[tokio::test]
async fn where_nobody_listens_nobody_waits_for_long() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (store, metrics) = store(address, LONG);
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(store.claim(&claim()).await, Err(SpendError::Unanswered));
        assert!(began.elapsed() < LONG);
    }
    let status = store.status();
    assert_eq!(status.detail.as_deref(), Some("no connection: connection refused"), "{status:?}");
    let series = format!("callgate_replay_store_up{{store=\"redis://{address}\"}}");
    let text = || String::from_utf8(metrics.encode().unwrap()).unwrap();
    assert!(text().contains(&format!("{series} 0\n")), "{}", text());
    drop(store);
    assert!(!text().contains(&series), "a store that is gone is no outage");
}
