//! Keeps the one connection: opens it, looks after it, and opens it again when it is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Connection, Driver};
use super::error::StoreError;
use super::health::Health;
use crate::proof::store::StoreSettings;

/// What requests have of the store.
pub(super) enum Link {
    /// The first attempt at a connection, or the first after one was lost: worth waiting for.
    Opening,
    Open(Connection),
    /// The last attempt has failed. Nobody waits for the next one, so that an outage costs requests no time.
    Closed,
}

/// Keeps the connection for ever.
pub(super) async fn keep(settings: StoreSettings, link: watch::Sender<Link>, health: Arc<Health>) {
    let mut pause = PAUSE_FIRST;
    loop {
        let began = Instant::now();
        let opened = timeout(CONNECT_TIMEOUT, Connection::open(&settings)).await;
        let error = match opened.unwrap_or(Err(StoreError::TimedOut)) {
            Ok((connection, driver)) => serve(&connection, driver, settings.timeout, &link, &health).await,
            Err(error) => error,
        };
        let was_open = matches!(&*link.borrow(), Link::Open(_));
        link.send_replace(if was_open { Link::Opening } else { Link::Closed });
        health.failed(error);
        // One that was open for a moment only is no reason to try sooner.
        pause = if was_open && began.elapsed() > PAUSE_MAX { PAUSE_FIRST } else { (pause * 2).min(PAUSE_MAX) };
        // Instances that lost the same store do not come back at the same moment.
        sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    }
}

/// Gives a connection to the requests as long as it lasts. Returns why it is lost.
async fn serve(
    connection: &Connection,
    driver: Driver,
    bound: Duration,
    link: &watch::Sender<Link>,
    health: &Health,
) -> StoreError {
    let check = || async { timeout(bound, connection.check()).await.unwrap_or(Err(StoreError::TimedOut)) };
    let look_after = async {
        loop {
            // By the same command as a claim: a store that may be read only, or is full, takes none.
            if let Err(error) = check().await {
                return error;
            }
            health.connected();
            link.send_if_modified(|link| {
                let is_news = !matches!(link, Link::Open(_));
                if is_news {
                    *link = Link::Open(connection.clone());
                }
                is_news
            });
            // At once when a claim has failed, and now and then while there are none.
            let _ = timeout(CHECK_INTERVAL, connection.doubted()).await;
        }
    };
    tokio::select! {
        () = driver => StoreError::Closed,
        error = look_after => error,
    }
}

/// How long a connection may take to be made, with everything that it needs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The time to the second attempt; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// The longest time between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How often the store is looked at while no claim fails.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
